use std::path::PathBuf;

/// Show what laws of scale say: do small models rank mixtures as large ones do?
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix scale                                     a study with [sizes], after `regmix fit`
  regmix fit --mixtures m.csv --trajectories t.csv --sizes s.csv --out fit
  regmix scale --fit fit                           runs that you have")]
pub(crate) struct ScaleArgs {
    /// Folder of a fit with `--trajectories`; the study's by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) fit: Option<PathBuf>,
}
