use std::path::PathBuf;

use super::ComputeArgs;

/// Run a whole study on text that is on this machine already.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix demo                        sources of regmix's own dependencies, in seven domains
  regmix demo --corpus ~/corpus --out my-demo

A second `regmix demo` continues where the first was stopped.")]
pub(crate) struct DemoArgs {
    /// Your own text instead: a folder in any layout that `regmix init` explains, or a
    /// dataset on the Hugging Face hub, `hf://owner/name`.
    #[arg(long, value_name = "DIR")]
    pub(crate) corpus: Option<PathBuf>,
    /// Folder of the demo's study.
    #[arg(long, default_value = "regmix-demo", value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}
