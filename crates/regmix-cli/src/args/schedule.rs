use std::path::PathBuf;

use clap::ValueEnum;
use regmix_dynamic::SizeLaw;

/// Plan a mixture for every stage of training (RegMix-D), from how losses fell in the proxies.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix schedule                                    the target of the study, into schedule.json
  regmix export --to nanotron --schedule             the finished schedule, as a trainer takes it
  regmix schedule --trajectories t.csv --mixtures m.csv --steps 25000 --tokens 26e9 --out plan

Tables: `run,step,tokens,<domain>...` with losses (CSV or .parquet), and `run,<domain>...` with weights, or
`run,from,<domain>...` where runs change their mixture at a fraction of training. A controller
for `regmix online` is written beside it.")]
pub(crate) struct ScheduleArgs {
    /// Losses of your own runs along training.
    #[arg(long, requires_all = ["mixtures", "steps", "tokens", "out"], value_name = "CSV|PARQUET")]
    pub(crate) trajectories: Option<PathBuf>,
    /// Mixtures of your own runs.
    #[arg(long, requires = "trajectories", value_name = "CSV")]
    pub(crate) mixtures: Option<PathBuf>,
    /// Steps of the run that the schedule is for.
    #[arg(long, requires = "trajectories", value_name = "N")]
    pub(crate) steps: Option<u64>,
    /// Tokens of that run.
    #[arg(long, requires = "trajectories", value_name = "N", value_parser = parse_count)]
    pub(crate) tokens: Option<u64>,
    /// A .toml file as for `optimize`; the mean of all domains without it.
    #[arg(long, requires = "trajectories", value_name = "FILE")]
    pub(crate) objective: Option<PathBuf>,
    /// The natural mixture: a table of mixtures whose first row it is. The runs' mean without it.
    #[arg(long, requires = "trajectories", value_name = "CSV")]
    pub(crate) prior: Option<PathBuf>,
    /// A .toml file with the keys of section `dynamic` of study.toml.
    #[arg(long, requires = "trajectories", value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Steps of a whole run of yours; those of the longest one without it.
    #[arg(long, requires = "trajectories", value_name = "N")]
    pub(crate) proxy_steps: Option<u64>,
    /// Losses along training of runs of a second size, by which losses of the target are brought
    /// to the proxies' scale. Runs with the names of proxies are on the same mixtures.
    #[arg(long, requires_all = ["trajectories", "second_ratio"], value_name = "CSV|PARQUET")]
    pub(crate) second_trajectories: Option<PathBuf>,
    /// How the size correction continues from there.
    #[arg(long, requires = "second_trajectories", value_enum, default_value_t = SizeLawArg::PowerLaw)]
    pub(crate) second_law: SizeLawArg,
    /// Parameters of the second size divided by those of a proxy.
    #[arg(long, requires = "second_trajectories", value_name = "X")]
    pub(crate) second_ratio: Option<f64>,
    /// Parameters of the target divided by those of a proxy; those of the second size without it.
    #[arg(long, requires = "second_trajectories", value_name = "X")]
    pub(crate) target_ratio: Option<f64>,
    /// Folder for the schedule of your own runs.
    #[arg(long, requires = "trajectories", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Seed of draws and resampling.
    #[arg(long, requires = "trajectories", default_value_t = 42)]
    pub(crate) seed: u64,
    /// Plan again if the inputs changed.
    #[arg(long)]
    pub(crate) redo: bool,
}

/// Forms of the size correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum SizeLawArg {
    /// One exponent, continued to the size of the target.
    PowerLaw,
    /// A line per loss, for targets of the second size.
    Affine,
}

impl From<SizeLawArg> for SizeLaw {
    fn from(law: SizeLawArg) -> Self {
        match law {
            SizeLawArg::PowerLaw => Self::PowerLaw,
            SizeLawArg::Affine => Self::Affine,
        }
    }
}

/// A count, written as 26000000000 or 26e9.
pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    if let Ok(count) = text.parse() {
        return Ok(count);
    }
    match text.parse::<f64>() {
        Ok(x) if x >= 0.0 && x.fract() == 0.0 && x < 9e15 => Ok(x as u64),
        _ => Err("expected a whole number, such as 26e9".to_owned()),
    }
}
