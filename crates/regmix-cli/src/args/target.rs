use clap::ValueEnum;
use regmix_study::config;

use super::{ComputeArgs, WorkerArgs};

/// Train larger models on the found mixture and others, to check the prediction.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  regmix target\n  regmix target --dry-run       how long it will take; the mixture need not be known\n  regmix target --schedule offline --gate"
)]
pub(crate) struct TargetArgs {
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Also train on the schedule, as planned or as the controller changes it, or by another online
    /// method; may be repeated.
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) schedule: Vec<ScheduleMode>,
    /// Train runs again that were made with another configuration, or failed.
    #[arg(long)]
    pub(crate) redo: bool,
    /// Exit with 1 unless the 95% interval of the gain over every other single mixture is above
    /// zero.
    #[arg(long)]
    pub(crate) gate: bool,
    /// Train and write nothing: measure the speed of the target for a few seconds, and show how
    /// long the runs that are left will take.
    #[arg(long, conflicts_with_all = ["metrics_listen", "gate"])]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerArgs,
}

/// Ways to change the mixture of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScheduleMode {
    /// As schedule.json says.
    Offline,
    /// As the controller decides from the target's losses.
    Online,
    /// By online data mixing, a bandit on training losses.
    Odm,
    /// By adaptive data optimization, from laws of training losses.
    Ado,
    /// By Aioli, from what training on every domain does to every validation loss.
    Aioli,
}

impl From<ScheduleMode> for config::ScheduleMode {
    fn from(mode: ScheduleMode) -> Self {
        match mode {
            ScheduleMode::Offline => Self::Offline,
            ScheduleMode::Online => Self::Online,
            ScheduleMode::Odm => Self::Odm,
            ScheduleMode::Ado => Self::Ado,
            ScheduleMode::Aioli => Self::Aioli,
        }
    }
}
