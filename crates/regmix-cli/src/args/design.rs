use std::path::PathBuf;

/// Draw the mixtures that the proxies are trained on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix design                                        the design of the study
  regmix design --next 16                              16 more, where its fit expects the most
  regmix design --next 16 --fit fit --out next.csv     the same from a fit of your own runs
  regmix design --pool all.csv --runs 48 --out run.csv which 48 of given mixtures to run
  regmix design --pool all.csv --runs 8 --have run.csv --out more.csv
                                                       and which 8 further ones
  regmix design --pool all.csv --runs 8                adds 8 of them to the design of the study

After `--next` or `--pool` in a study: regmix train, regmix fit --redo, regmix optimize --redo.")]
#[command(group(clap::ArgGroup::new("tables").args(["fit", "pool"])))]
pub(crate) struct DesignArgs {
    /// Add this many mixtures where the fit expects the most improvement.
    #[arg(long, value_name = "N", conflicts_with = "pool")]
    pub(crate) next: Option<usize>,
    /// Folder of a fit of your own runs.
    #[arg(long, requires_all = ["next", "out"], value_name = "DIR")]
    pub(crate) fit: Option<PathBuf>,
    /// `mean`, `worst`, a target, or a .toml file as for `optimize`.
    #[arg(long, requires = "fit", value_name = "NAME|FILE")]
    pub(crate) objective: Option<String>,
    /// Mixtures to choose from, beside those of the design or of --have.
    #[arg(long, requires = "runs", value_name = "CSV")]
    pub(crate) pool: Option<PathBuf>,
    /// How many of them to choose.
    #[arg(long, requires = "pool", value_name = "N")]
    pub(crate) runs: Option<usize>,
    /// Mixtures that were run already.
    #[arg(long, requires_all = ["pool", "out"], value_name = "CSV")]
    pub(crate) have: Option<PathBuf>,
    /// File for the mixtures.
    #[arg(long, requires = "tables", value_name = "CSV")]
    pub(crate) out: Option<PathBuf>,
    /// Seed of draws and fits.
    #[arg(long, requires = "fit", default_value_t = 42)]
    pub(crate) seed: u64,
    /// Draw again if the inputs changed, old runs are kept aside; with --out, overwrite the file.
    #[arg(long)]
    pub(crate) redo: bool,
}
