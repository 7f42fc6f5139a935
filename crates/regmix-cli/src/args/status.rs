/// Show what is done, what is running, what failed, and what comes next.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix status            a summary, and the runs that run, failed or are stale
  regmix status --runs     every run
  regmix status --watch    a live table with loss curves; q ends it
  regmix status --watch 60 > progress.log   the same as plain lines, every minute")]
pub(crate) struct StatusArgs {
    /// Show every run.
    #[arg(long)]
    pub(crate) runs: bool,
    /// Show it again every so many seconds, until q or Ctrl-C.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub(crate) watch: Option<u64>,
}
