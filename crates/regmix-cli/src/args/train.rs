use super::{ComputeArgs, WorkerArgs};

/// Train the proxies; continues where it was stopped.
///
/// Any number of processes may train the same study at the same time, on all hosts that share
/// its folder: they share the runs out, and a run whose worker is gone is taken over.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  regmix train\n  regmix train --device cuda:0 --parallel 4\n  regmix train --dry-run                           how long it will take\n  regmix train --index auto --max-time 3h55m       one task of a Slurm array"
)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Train runs again that were made with another configuration, or failed.
    #[arg(long)]
    pub(crate) redo: bool,
    /// Train and write nothing: measure the speed of every model for a few seconds, and show how
    /// long the runs that are left will take.
    #[arg(long, conflicts_with = "metrics_listen")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}
