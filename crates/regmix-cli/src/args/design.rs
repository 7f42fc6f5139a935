use std::path::PathBuf;

/// Draw the mixtures that the proxies are trained on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix design                                        the design of the study
  regmix design --next 16                              16 more, where its fit expects the most
  regmix design --next 16 --fit fit --out next.csv     the same from a fit of your own runs

After `--next` in a study: regmix train, regmix fit --redo, regmix optimize --redo.")]
pub(crate) struct DesignArgs {
    /// Add this many mixtures where the fit expects the most improvement.
    #[arg(long, value_name = "N")]
    pub(crate) next: Option<usize>,
    /// Folder of a fit of your own runs.
    #[arg(long, requires_all = ["next", "out"], value_name = "DIR")]
    pub(crate) fit: Option<PathBuf>,
    /// `mean`, `worst`, a target, or a .toml file as for `optimize`.
    #[arg(long, requires = "fit", value_name = "NAME|FILE")]
    pub(crate) objective: Option<String>,
    /// File for the mixtures.
    #[arg(long, requires = "fit", value_name = "CSV")]
    pub(crate) out: Option<PathBuf>,
    /// Seed of draws and fits.
    #[arg(long, requires = "fit", default_value_t = 42)]
    pub(crate) seed: u64,
    /// Draw again if the inputs changed, old runs are kept aside; with --fit, overwrite the file.
    #[arg(long)]
    pub(crate) redo: bool,
}
