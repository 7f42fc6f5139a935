/// List what is not needed any more, and remove it with `--yes`.
///
/// That is: runs that were set aside (`*.old-1` and so on), checkpoints of finished
/// runs, and with `--weights` the weights that finished runs have kept. Nothing else is
/// touched. Temporary files of processes that have ended are removed by every command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix clean                    what there is, and how large it is
  regmix clean --yes              remove it
  regmix clean --weights --yes    the kept weights as well")]
pub(crate) struct CleanArgs {
    /// Remove it.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
    /// Only list it; the default without `--yes`.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The weights of finished runs, too.
    #[arg(long)]
    pub(crate) weights: bool,
}
