use clap::{Subcommand, ValueEnum};
use regmix_study::launch;

/// Start workers that train the runs: on Slurm, Kubernetes, HyperQueue, or this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix launch slurm --dry-run                      print the script for sbatch
  regmix launch slurm --through report               submit it, and the steps after it
  regmix launch slurm --workers 16 -- --device cuda  16 workers, each on a GPU
  regmix launch kubernetes --dry-run | kubectl apply -f -
  regmix launch local --workers 2

What is asked of an engine is in study.toml, [launch.slurm], [launch.kubernetes] and
[launch.hyperqueue]. Arguments after `--` are those of `regmix train`.")]
pub(crate) struct LaunchArgs {
    #[command(subcommand)]
    pub(crate) on: LaunchOn,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LaunchOn {
    /// Submit an array of workers with sbatch.
    Slurm(SlurmArgs),
    /// Apply an Indexed Job with kubectl.
    Kubernetes(QueuedArgs),
    /// Submit a task array with hq.
    #[command(name = "hyperqueue")]
    HyperQueue(QueuedArgs),
    /// Run workers on this machine until every proxy is trained.
    Local(LocalArgs),
    /// Show how far the jobs of the last launch are.
    Status,
    /// Cancel the jobs of the last launch.
    Cancel,
    /// Exit with 1 unless every proxy has ended; jobs that follow on training ask this.
    #[command(hide = true)]
    Ready,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SlurmArgs {
    #[command(flatten)]
    pub(crate) queued: QueuedArgs,
    /// Also submit the steps after, up to this one.
    #[arg(long, value_enum, value_name = "STEP")]
    pub(crate) through: Option<StepName>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct QueuedArgs {
    /// Print what the engine would be given, and write nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How many workers, instead of as many as study.toml says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) workers: Option<u32>,
    /// Add workers while jobs of an earlier launch are queued.
    #[arg(long)]
    pub(crate) again: bool,
    /// Arguments of `regmix train`, such as `--device cuda`.
    #[arg(last = true, value_name = "TRAIN ARGUMENTS")]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LocalArgs {
    /// How many processes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: u32,
    /// Arguments of `regmix train`; without `--parallel`, the cores are divided.
    #[arg(last = true, value_name = "TRAIN ARGUMENTS")]
    pub(crate) arguments: Vec<String>,
}

/// The steps that may follow on training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StepName {
    /// The fit.
    Fit,
    /// The mixture.
    Optimize,
    /// The schedule of mixtures.
    Schedule,
    /// The targets, as an array of their own.
    Target,
    /// The page.
    Report,
}

impl From<StepName> for launch::Step {
    fn from(step: StepName) -> Self {
        match step {
            StepName::Fit => Self::Fit,
            StepName::Optimize => Self::Optimize,
            StepName::Schedule => Self::Schedule,
            StepName::Target => Self::Target,
            StepName::Report => Self::Report,
        }
    }
}
