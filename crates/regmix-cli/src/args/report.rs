use std::path::PathBuf;

/// Write report.html.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix report                                        everything of the study on one page
  regmix report --fit fit --mixture mixture.json       a fit of your own runs: fit/report.html
  regmix report --fit fit --out fit.html               without a mixture: how well it predicts
  regmix report --fit fit --mixture at-size.json       laws of scale, and what `optimize
                                                       --parameters` found with them

The page is one file, and loads nothing from the network.")]
pub(crate) struct ReportArgs {
    /// Folder of a fit of your own runs.
    #[arg(long, value_name = "DIR")]
    pub(crate) fit: Option<PathBuf>,
    /// What `optimize` found with that fit; twice where laws of scale found another mixture at a
    /// size.
    #[arg(long, requires = "fit", value_name = "JSON")]
    pub(crate) mixture: Vec<PathBuf>,
    /// File for the page; `report.html` in the folder of the fit by default.
    #[arg(long, requires = "fit", value_name = "HTML")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite the file.
    #[arg(long, requires = "fit")]
    pub(crate) redo: bool,
}
