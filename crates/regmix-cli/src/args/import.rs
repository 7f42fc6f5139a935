use std::path::PathBuf;

use regmix_data::exchange::Pattern;

/// Make tables of runs from the logs of trackers and evaluation harnesses.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix import wandb/*.csv --target 'eval/*/loss' --weights 'mixture/*' --out tables
  regmix import runs/ --target 'loss/*' --mixtures design.csv --out tables     TensorBoard
  regmix import 'logs/*/train.jsonl' --target 'val.*' --tokens tokens_seen --out tables
  regmix import hf/ --target 'eval_*_loss' --mixtures design.csv --out tables       HF Trainer
  regmix import results/ --mixtures design.csv --out tables                    lm-eval
  regmix import fit.yaml --out tables                                          Olmix
  regmix import --mixtures ratios.csv --losses metrics.csv --out tables        tables of any layout

Files are known by their contents: CSV of Weights & Biases (histories, panels, tables of runs) and
of data frames, event files of TensorBoard, JSON lines and lists, wandb-summary.json,
trainer_state.json of Hugging Face's Trainer, results_*.json of lm-eval, the .yaml of an Olmix fit;
all of them also compressed by gzip. A folder stands for all such files below it. In a pattern `*`
stands for text without `/`, `**` for any text; what it stands for becomes the name of the target
or domain. Keys of nested JSON are joined by `/`. Written are losses.csv, and as far as the logs
have them mixtures.csv, trajectories.csv, sizes.csv, errors.csv, goal.toml and natural.csv.
docs/import.md has more.")]
pub(crate) struct ImportArgs {
    /// Files, folders, or patterns of files.
    #[arg(required_unless_present = "losses", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Metrics that are losses or other targets; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) target: Vec<Pattern>,
    /// Numbers that are weights of domains; may be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) weights: Vec<Pattern>,
    /// Exact names: a .toml file with `run`, `step`, `tokens`, `parameters`, and sections `targets` and
    /// `weights` of names with those of their metrics.
    #[arg(long, value_name = "TOML")]
    pub(crate) mapping: Option<PathBuf>,
    /// A table with the mixtures of the runs.
    #[arg(long, value_name = "CSV")]
    pub(crate) mixtures: Option<PathBuf>,
    /// A table of losses, instead of logs.
    #[arg(
        long,
        requires = "mixtures",
        conflicts_with = "paths",
        value_name = "CSV"
    )]
    pub(crate) losses: Option<PathBuf>,
    /// How runs are called: what the stars stand for. Matched with the name that the file gives or
    /// the part of the paths in which files differ, which are the names without it, or else with
    /// the path.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) run_names: Option<Pattern>,
    /// The column or key of the run, where a file holds several.
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// The column or key of the step.
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
    /// The column or key of the tokens seen.
    #[arg(long, value_name = "NAME")]
    pub(crate) tokens: Option<String>,
    /// Tokens of a step, where no column has the tokens.
    #[arg(long, conflicts_with = "tokens", value_name = "N", value_parser = parse_positive)]
    pub(crate) tokens_per_step: Option<f64>,
    /// The column or key of the parameters of the model.
    #[arg(long, value_name = "NAME")]
    pub(crate) parameters: Option<String>,
    /// The values of this step, instead of the last of every run.
    #[arg(long, value_name = "N")]
    pub(crate) at_step: Option<u64>,
    /// The value of a target is the mean of so many of its last measurements.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) last: usize,
    /// Folder for the tables.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Overwrite tables that are there.
    #[arg(long)]
    pub(crate) redo: bool,
}

fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x.is_finite() => Ok(x),
        _ => Err("expected a positive number, such as 4194304 or 4e6".to_owned()),
    }
}
