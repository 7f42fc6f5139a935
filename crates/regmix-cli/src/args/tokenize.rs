/// Turn the text into tokens.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenizeArgs {
    /// Make it again if its inputs changed.
    #[arg(long)]
    pub(crate) redo: bool,
}
