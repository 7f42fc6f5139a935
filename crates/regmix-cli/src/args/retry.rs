/// Set runs aside, so that the command that trains them makes them again.
///
/// The folder of a run is renamed to `<run>.old-1` and so on, and nothing of it is
/// lost. A run that a process trains now is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix retry --failed               every run that failed
  regmix retry run-0007               this run, whatever became of it
  regmix retry second/run-0007        of the second size
  regmix retry targets/found-seed1    a target
  regmix retry doremi/proxy-1         a proxy of DoReMi")]
pub(crate) struct RetryArgs {
    /// Runs, by name or by folder.
    #[arg(value_name = "RUN", required_unless_present = "failed")]
    pub(crate) runs: Vec<String>,
    /// Every run that failed.
    #[arg(long, conflicts_with = "runs")]
    pub(crate) failed: bool,
}
