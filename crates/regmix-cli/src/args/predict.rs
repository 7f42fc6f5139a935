use std::path::PathBuf;

/// Predict the losses of mixtures.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix predict --fit fit --mixtures candidates.csv --out predicted.csv
  regmix predict --fit fit --mixtures million.csv --means-only --out predicted.csv
  regmix predict --fit fit --mixtures candidates.csv --parameters 1.2e9 --tokens 46e9")]
pub(crate) struct PredictArgs {
    /// Folder of a fit; the study's by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) fit: Option<PathBuf>,
    /// Mixtures to predict.
    #[arg(long, value_name = "CSV")]
    pub(crate) mixtures: PathBuf,
    /// Parameters of the model that the mixture is for, by laws of scale.
    #[arg(long, requires = "tokens", value_name = "N")]
    pub(crate) parameters: Option<f64>,
    /// Tokens of its run.
    #[arg(long, requires = "parameters", value_name = "N")]
    pub(crate) tokens: Option<f64>,
    /// File for the predictions; stdout by default.
    #[arg(long, value_name = "CSV")]
    pub(crate) out: Option<PathBuf>,
    /// No standard deviations: many times faster where Gaussian processes take part.
    #[arg(long, requires = "out")]
    pub(crate) means_only: bool,
    /// Overwrite the file.
    #[arg(long)]
    pub(crate) redo: bool,
}
