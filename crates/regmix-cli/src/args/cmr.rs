use std::path::PathBuf;

/// Find the critical mixture ratio of continual pre-training.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  regmix cmr --mixtures m.csv --trajectories t.csv --general web:0.7,books:0.3 --special code

The runs continue from one model at three or more shares of the special domain between 0 and 1; the
trajectories have a row of step 0 and 0 tokens with the losses of the model before. The critical
ratio is the largest share of special text with which the general loss rises by no more than
epsilon (arXiv 2407.17467).")]
pub(crate) struct CmrArgs {
    /// Mixtures of the runs.
    #[arg(long, value_name = "CSV")]
    pub(crate) mixtures: PathBuf,
    /// Losses along their training.
    #[arg(long, value_name = "CSV")]
    pub(crate) trajectories: PathBuf,
    /// Targets that stand for general text, with weights after a colon (1 by default).
    #[arg(long, required = true, value_delimiter = ',', value_name = "TARGET:WEIGHT", value_parser = parse_weight)]
    pub(crate) general: Vec<(String, f64)>,
    /// The domain of the special text.
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) special: String,
    /// The target that stands for it, where its name is another one.
    #[arg(long, value_name = "TARGET")]
    pub(crate) special_target: Option<String>,
    /// How far the general loss may rise, in nats per token.
    #[arg(
        long,
        default_value_t = 0.05,
        value_name = "NATS",
        allow_negative_numbers = true
    )]
    pub(crate) epsilon: f64,
    /// Tokens of the run that is planned; the last that were measured by default.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) tokens: Option<f64>,
}

/// A target, with its weight after the last colon where there is a number.
fn parse_weight(text: &str) -> Result<(String, f64), String> {
    match text
        .rsplit_once(':')
        .map(|(name, w)| (name, w.parse::<f64>()))
    {
        Some((name, Ok(weight))) if !name.is_empty() => match weight.is_finite() && weight >= 0.0 {
            true => Ok((name.to_owned(), weight)),
            false => Err("expected a weight of 0 or more".to_owned()),
        },
        _ => Ok((text.to_owned(), 1.0)),
    }
}
