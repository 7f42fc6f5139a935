use std::path::PathBuf;

use regmix_data::held_out::HeldOut;
use regmix_model::DeviceSpec;
use regmix_study::eval::TaskFile;

/// Score trained models on multiple-choice tasks.
///
/// Models are finished runs that kept their weights (`keep_weights = true`), or Llamas in Hugging
/// Face's layout. Without tasks they are asked about held-out text of the corpus: which of four
/// continuations follows? The others are out of other documents of the same domain.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix eval targets/found-seed1 targets/natural-seed1
  regmix eval targets/found-seed1 --task piqa=piqa.jsonl --task arc=arc_easy.jsonl
  regmix eval hf/found --task choices=own.jsonl --format json
  regmix eval hf/found --task piqa=valid.jsonl --shots 5 --examples piqa=train.jsonl

Tasks are JSON lines with the fields of the data sets that lm-evaluation-harness loads, asked
and scored as it does, with `--shots` examples before each: arc, copa, hellaswag, lambada,
logiqa, multirc, openbookqa, piqa, qqp, race, sciq, social_iqa, winogrande; and choices, with
{\"query\": ..., \"choices\": [...], \"gold\": 0} for questions of your own. docs/eval.md has the
fields.")]
pub(crate) struct EvalArgs {
    /// Folders of models; relative to that of the study.
    #[arg(required = true, value_name = "MODEL")]
    pub(crate) models: Vec<PathBuf>,
    /// A file of questions and its format.
    #[arg(long = "task", value_name = "TASK=FILE", value_parser = parse_task)]
    pub(crate) tasks: Vec<TaskFile>,
    /// The first so many questions of every file.
    #[arg(long, requires = "tasks", value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Examples with their answers before every question (few-shot), drawn as lm-eval draws them.
    #[arg(long, requires = "tasks", value_name = "N", default_value_t = 0)]
    pub(crate) shots: usize,
    /// A file of rows that the examples of a task are drawn from, such as its training split;
    /// the task's own file by default. A question is never among its own examples.
    #[arg(long = "examples", requires = "shots", value_name = "TASK=FILE", value_parser = parse_task)]
    pub(crate) examples: Vec<TaskFile>,
    /// Ask about held-out text besides tasks.
    #[arg(long)]
    pub(crate) held_out: bool,
    /// Questions about held-out text of every domain.
    #[arg(long, value_name = "N", default_value_t = HeldOut::default().questions)]
    pub(crate) questions: usize,
    /// Tokens before a continuation of held-out text, at most.
    #[arg(long, value_name = "N", default_value_t = HeldOut::default().context)]
    pub(crate) context: usize,
    /// Tokens of a continuation of held-out text.
    #[arg(long, value_name = "N", default_value_t = HeldOut::default().continuation)]
    pub(crate) continuation: usize,
    /// Seed of the questions about held-out text.
    #[arg(long, value_name = "N", default_value_t = HeldOut::SEED)]
    pub(crate) seed: u64,
    /// Write the log-likelihoods of every question as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
    /// Overwrite that file.
    #[arg(long, requires = "samples")]
    pub(crate) redo: bool,
    /// auto, cpu, cuda:N, vulkan:N, wgpu:N, tch or tch:N; `:N` may be left out.
    #[arg(long, default_value = "auto", value_parser = |s: &str| s.parse::<DeviceSpec>())]
    pub(crate) device: DeviceSpec,
}

fn parse_task(text: &str) -> Result<TaskFile, String> {
    text.parse()
        .map_err(|e: regmix_data::Error| e.problem().to_owned())
}
