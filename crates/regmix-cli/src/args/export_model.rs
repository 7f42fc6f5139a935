use std::path::PathBuf;

/// Write the model of a finished run in Hugging Face's layout.
///
/// The folder has config.json (LlamaForCausalLM), model.safetensors and the tokenizer:
/// AutoModelForCausalLM and AutoTokenizer of the transformers library read it, and so does
/// everything built on them, such as lm-evaluation-harness. The run must have kept its weights
/// (`keep_weights = true`).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix export-model targets/found-seed1 --out found
  lm_eval --model hf --model_args pretrained=found --tasks piqa,sciq

docs/models.md says what is written, and how runs start from such a folder.")]
pub(crate) struct ExportModelArgs {
    /// The folder of the run; relative to that of the study.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The tokenizer.json that the run was trained with, where the run does not lie in its study.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// The token of that tokenizer that ends documents.
    #[arg(
        long,
        requires = "tokenizer",
        default_value = "<|endoftext|>",
        value_name = "TOKEN"
    )]
    pub(crate) separator: String,
    /// Overwrite a model that is there.
    #[arg(long)]
    pub(crate) redo: bool,
}
