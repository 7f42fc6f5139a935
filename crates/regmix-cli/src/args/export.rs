use std::path::PathBuf;

use regmix_data::exchange::{SampleUnit, Trainer};

use super::schedule::parse_count;

/// Write a mixture or a schedule as a trainer reads it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix export --to megatron --path '/data/{domain}_text_document'   the mixture of the study
  regmix export --to olmo-core --mapping data.toml --tokens 46e9 --out sources.yaml
  regmix export --to levanter --mapping data.toml --schedule --align  the schedule of the study
  regmix export --to hf-datasets --mapping data.toml --mixture mixture.json

Trainers: megatron, megatron-args, megatron-json, nemo, megatron-bridge, energon, olmo-core,
litgpt, tinyllama, regmix-yaml, levanter, mosaic-streaming, hf-datasets, nanotron, torchtitan,
gpt-neox, doremi-json, olmix, csv, json. Schedules: megatron, olmo-core, levanter, nanotron, csv,
json. The file goes to stdout, or to --out; the tokens and epochs of every domain to stderr.

A mapping is a .toml file: `[domains.<name>]` with `path` (or `paths`), and, where they are
needed or known, `tokens`, `documents`, `bytes`, `max_epochs`, `valid`, `test`, `local` and `name`;
`[run]` with `tokens`, `sequence_length`, `batch_size`, `max_epochs`, `unit` and `seed`.
docs/trainers.md has a section for every trainer.")]
pub(crate) struct ExportArgs {
    /// The trainer, or the form of its file.
    #[arg(long, value_name = "TRAINER")]
    pub(crate) to: Trainer,
    /// A mixture: what `optimize` wrote, a JSON object of domains and weights, or a table. The
    /// mixture of the study without it.
    #[arg(long, value_name = "JSON|CSV")]
    pub(crate) mixture: Option<PathBuf>,
    /// The row of a table of mixtures.
    #[arg(long, requires = "mixture", value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// A schedule, that of the study without a file.
    #[arg(long, conflicts_with = "mixture", num_args = 0..=1, value_name = "JSON")]
    #[allow(clippy::option_option)]
    pub(crate) schedule: Option<Option<PathBuf>>,
    /// Where the data of every domain lies.
    #[arg(long, value_name = "TOML")]
    pub(crate) mapping: Option<PathBuf>,
    /// The same for all domains by a pattern, where `{domain}` stands for the name.
    #[arg(long, conflicts_with = "mapping", value_name = "PATTERN")]
    pub(crate) path: Option<String>,
    /// Tokens of the run.
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) tokens: Option<u64>,
    /// Tokens of a sequence.
    #[arg(long, value_name = "N")]
    pub(crate) sequence_length: Option<u64>,
    /// Sequences of a step.
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<u64>,
    /// How often a domain may be read.
    #[arg(long, value_name = "X")]
    pub(crate) max_epochs: Option<f64>,
    /// What the trainer draws by weight, where it can be either: tokens, sequences, documents, bytes.
    #[arg(long, value_name = "UNIT")]
    pub(crate) unit: Option<SampleUnit>,
    /// Move changes of a schedule to the nearest step at which the trainer can change.
    #[arg(long)]
    pub(crate) align: bool,
    /// Write it although the run reads a domain more often than it may.
    #[arg(long)]
    pub(crate) force: bool,
    /// A file, or a folder where the trainer is given several files.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite files that are there.
    #[arg(long)]
    pub(crate) redo: bool,
}
