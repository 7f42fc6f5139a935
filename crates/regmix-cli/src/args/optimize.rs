use std::path::PathBuf;

use clap::{ArgGroup, ValueEnum};
use regmix_regress::Method;

/// Search for the best mixture.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("elsewhere").multiple(true).args(["fit", "at_target", "parameters"])))]
#[command(after_help = "\
Examples:
  regmix optimize                                  the objective and limits of the study
  regmix optimize --at-target --out at-target.json   at the size of the target, with [sizes]
  regmix optimize --fit fit --objective pile_cc --out mixture.json
  regmix optimize --fit fit --objective goal.toml --prior natural.csv --out mixture.json
  regmix optimize --fit fit --pareto pile_cc,github --objective goal.toml --out front.csv
  regmix optimize --fit fit --parameters 1.2e9 --tokens 46e9 --out mixture.json   at that size

An objective file holds `loss` (mean, worst or a target) or `[weights]`, and optionally
`maximize = true` for scores that are better when higher, `relative_to` for worst (natural,
uniform, none), `kl` (cost of a nat of divergence from the natural mixture), `caution` (standard
deviations added while searching), `distance` (cost of a unit of total variation beyond what the
proxies covered; both are 0 by default), `[constraints]` (floor, cap, group.<name>, max_epochs, target_tokens) and
`[available]` (tokens per domain).")]
pub(crate) struct OptimizeArgs {
    /// Folder of a fit of your own runs.
    #[arg(long, requires = "out", value_name = "DIR")]
    pub(crate) fit: Option<PathBuf>,
    /// `mean`, `worst`, a target, or a .toml file.
    #[arg(long, requires = "fit", value_name = "NAME|FILE")]
    pub(crate) objective: Option<String>,
    /// The Pareto front of two objectives, as CSV. A and B are given as to --objective; here
    /// --objective is a .toml file with limits and penalties, or absent.
    #[arg(long, requires = "fit", value_name = "A,B", value_parser = parse_pair)]
    pub(crate) pareto: Option<[String; 2]>,
    /// Mixtures of the front.
    #[arg(long, requires = "pareto", default_value_t = 11, value_name = "N")]
    pub(crate) points: usize,
    /// The best mixture at the size and length of the study's target, by laws of scale; the
    /// mixture of the study stays.
    #[arg(long, conflicts_with_all = ["fit", "parameters"])]
    pub(crate) at_target: bool,
    /// Parameters of the model that the mixture is for, by laws of scale.
    #[arg(long, requires = "tokens", conflicts_with_all = ["pareto", "method"], value_name = "N")]
    pub(crate) parameters: Option<f64>,
    /// Tokens of its run.
    #[arg(long, requires = "parameters", value_name = "N")]
    pub(crate) tokens: Option<f64>,
    /// The natural mixture: a table of mixtures whose first row it is; or uniform, pile:human,
    /// pile:doremi, pile:regmix.
    #[arg(long, requires = "fit", value_name = "CSV|NAME")]
    pub(crate) prior: Option<String>,
    /// How it is searched.
    #[arg(long, requires = "fit", value_enum, default_value_t = SearchMethod::Descend, conflicts_with = "pareto")]
    pub(crate) method: SearchMethod,
    /// File for the mixture, or for the front.
    #[arg(long, requires = "elsewhere", value_name = "JSON|CSV")]
    pub(crate) out: Option<PathBuf>,
    /// Seed of draws and resampling.
    #[arg(long, requires = "fit", default_value_t = 42)]
    pub(crate) seed: u64,
    /// Search again if the inputs changed.
    #[arg(long)]
    pub(crate) redo: bool,
}

/// Ways to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchMethod {
    /// Downhill from several starts.
    Descend,
    /// RegMix's own: the mean of the best of many random mixtures.
    Simulate,
}

impl From<SearchMethod> for Method {
    fn from(method: SearchMethod) -> Self {
        match method {
            SearchMethod::Descend => Self::Descend,
            SearchMethod::Simulate => Self::Simulate,
        }
    }
}

/// Two names with a comma between them.
fn parse_pair(text: &str) -> Result<[String; 2], String> {
    match text.split_once(',') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() && !b.contains(',') => {
            Ok([a.to_owned(), b.to_owned()])
        }
        _ => Err("expected two objectives with a comma between them".to_owned()),
    }
}
