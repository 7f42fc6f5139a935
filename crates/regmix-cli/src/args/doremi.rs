use super::ComputeArgs;

/// Find a mixture by DoReMi, to compare with: a reference model, and a proxy that is trained
/// against it.
///
/// `[doremi]` in study.toml has its settings; models are those of `[proxy]`. The mixture is in
/// doremi/mixture.csv, which `[check.others]` can name. What was trained is kept, and the same
/// command continues.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  regmix doremi\n  regmix doremi --device cuda:0 --format json")]
pub(crate) struct DoremiArgs {
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Train runs again that were made with another configuration, or failed.
    #[arg(long)]
    pub(crate) redo: bool,
}
