use super::ComputeArgs;

/// Train the proxies; continues where it was stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  regmix train\n  regmix train --device cuda:0 --parallel 4")]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Train runs again that were made with another configuration, or failed.
    #[arg(long)]
    pub(crate) redo: bool,
}
