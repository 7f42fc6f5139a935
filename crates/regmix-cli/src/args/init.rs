use std::path::PathBuf;

/// Write a commented study.toml.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix -C my-study init --corpus ~/corpus
  regmix -C my-study init --corpus hf://owner/name          # on the Hugging Face hub
  regmix -C my-study init --corpus hf://owner/name@v2       # at a branch, a tag or a commit

For a dataset on the hub, files, size and license are shown and the commit is written to
study.toml; `regmix tokenize` downloads. It takes a build with `--features hub`.")]
pub(crate) struct InitArgs {
    /// Folder or file with the text, or a dataset on the Hugging Face hub.
    #[arg(long, value_name = "PATH")]
    pub(crate) corpus: PathBuf,
    /// Name shown in the report; the folder's name by default.
    #[arg(long)]
    pub(crate) name: Option<String>,
}
