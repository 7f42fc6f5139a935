use std::path::PathBuf;

/// Show what laws of scale say: do small models rank mixtures as large ones do?
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  regmix fit --mixtures m.csv --trajectories t.csv --sizes s.csv --out fit
  regmix scale --fit fit")]
pub(crate) struct ScaleArgs {
    /// Folder of a fit with `--trajectories`.
    #[arg(long, value_name = "DIR")]
    pub(crate) fit: PathBuf,
}
