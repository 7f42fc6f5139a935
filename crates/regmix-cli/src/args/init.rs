use std::path::PathBuf;

/// Write a commented study.toml.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  regmix -C my-study init --corpus ~/corpus")]
pub(crate) struct InitArgs {
    /// Folder or file with the text.
    #[arg(long, value_name = "PATH")]
    pub(crate) corpus: PathBuf,
    /// Name shown in the report; the folder's name by default.
    #[arg(long)]
    pub(crate) name: Option<String>,
}
