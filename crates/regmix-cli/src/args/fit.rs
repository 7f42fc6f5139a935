use std::collections::BTreeMap;
use std::path::PathBuf;

use regmix_regress::scale::{LastPoints, LawName};

/// Fit losses to mixtures, judged by cross-validation.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  regmix fit                                             the proxies of the study
  regmix fit --mixtures m.csv --losses l.csv --out fit   runs that you have
  regmix fit --learning-curve                            how many proxies are enough?
  regmix fit --mixtures m.csv --trajectories t.csv --sizes s.csv --out fit
                                                         laws over mixture, tokens and size
  regmix fit --mixtures new.csv --losses new-losses.csv --out fit \
    --earlier-mixtures old.csv --earlier-losses old-losses.csv --split code=rust:0.3,c:0.7
                                                         runs from before a domain was added
  regmix fit --mixtures m60.csv --losses l60.csv --out fit \\
    --approximate-mixtures m1.csv --approximate-losses l1.csv
                                                         few runs, beside many smaller ones

Earlier runs are fitted together with the new ones, with weight 0 on domains they did not have, and
are never judged. They must have been trained like the new ones: same model, tokens, tokenizer and
validation text. In a study: [fit.earlier] in study.toml.

Tables: `run,<domain>...` and `run,<target>...`, joined by run. For laws of scale:
`run,step,tokens,<target>...` and `run,parameters`; see docs/scale.md. The published RegMix tables are read as they are.")]
pub(crate) struct FitArgs {
    /// Mixtures of your own runs.
    #[arg(long, requires_all = ["measured", "out"], value_name = "CSV")]
    pub(crate) mixtures: Option<PathBuf>,
    /// Losses of your own runs.
    #[arg(long, group = "measured", requires_all = ["mixtures", "out"], value_name = "CSV")]
    pub(crate) losses: Option<PathBuf>,
    /// Losses along the training of your own runs, for laws over mixture, tokens and size.
    #[arg(long, group = "measured", requires_all = ["mixtures", "out"], value_name = "CSV")]
    pub(crate) trajectories: Option<PathBuf>,
    /// Parameters of those runs; without it all have the same, unknown size.
    #[arg(long, requires = "trajectories", value_name = "CSV")]
    pub(crate) sizes: Option<PathBuf>,
    /// Laws of scale to judge, separated by commas: additive, multiplicative, dml,
    /// slodm_additive (these by default), repetition (too, where runs repeat text and
    /// --available is given), slodm_joint, bimix, dcpt.
    #[arg(long, requires = "trajectories", value_delimiter = ',', value_name = "NAMES", value_parser = parse_law)]
    pub(crate) laws: Option<Vec<LawName>>,
    /// Also judge Data Mixing Laws as published (`dml_nested`: a step law, then a size law, then a
    /// mixture law), to compare with; they are never chosen.
    #[arg(long, requires = "trajectories")]
    pub(crate) nested: bool,
    /// Whether the last point of every run lies on one curve with the points along the way
    /// (`same`), or below it, since the learning rate decayed to the end (`decayed`); `auto` finds
    /// it out where three sizes and runs of several lengths allow it.
    #[arg(long, requires = "trajectories", default_value = "auto", value_name = "WHERE", value_parser = parse_last_points)]
    pub(crate) last_points: LastPoints,
    /// Tokens there are of every domain, such as web=1e12,law=2e9: repeated tokens then count
    /// less in laws of scale.
    #[arg(long, requires = "trajectories", value_delimiter = ',', value_name = "DOMAIN=TOKENS", value_parser = parse_amount)]
    pub(crate) available: Vec<(String, f64)>,
    /// How much data a token of every domain is, such as its bytes: web=4.1,code=2.9.
    #[arg(long, requires = "trajectories", value_delimiter = ',', value_name = "DOMAIN=AMOUNT", value_parser = parse_amount)]
    pub(crate) per_token: Vec<(String, f64)>,
    /// The same from a tokenized corpus (`corpus` of a study): the bytes per token of its
    /// validation text.
    #[arg(
        long,
        requires = "trajectories",
        conflicts_with = "per_token",
        value_name = "DIR"
    )]
    pub(crate) bytes_of: Option<PathBuf>,
    /// Folder for the fit of your own runs.
    #[arg(long, requires = "mixtures", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The unit of the losses, such as `bits per byte`: shown beside results, never converted.
    #[arg(long, requires = "mixtures", value_name = "TEXT")]
    pub(crate) unit: Option<String>,
    /// Standard errors of the values, such as those of lm-eval that `import` writes: shown beside
    /// what the fit explains.
    #[arg(long, requires = "losses", value_name = "CSV")]
    pub(crate) errors: Option<PathBuf>,
    /// Regressors to judge, separated by commas; by default all but `elastic_net`, `bimix`
    /// and `olmix`.
    #[arg(
        long,
        value_delimiter = ',',
        requires = "mixtures",
        value_name = "NAMES"
    )]
    pub(crate) regressors: Option<Vec<String>>,
    /// Folds of the cross-validation.
    #[arg(long, requires = "mixtures", default_value_t = 5, value_name = "N")]
    pub(crate) folds: usize,
    /// Repeats of the cross-validation, each with folds of its own.
    #[arg(long, requires = "mixtures", default_value_t = 1, value_name = "N")]
    pub(crate) repeats: usize,
    /// Mixtures of runs from before a domain was added, split or removed.
    #[arg(long, requires_all = ["mixtures", "earlier_losses"], value_name = "CSV")]
    pub(crate) earlier_mixtures: Option<PathBuf>,
    /// Losses of those runs.
    #[arg(long, requires = "earlier_mixtures", value_name = "CSV")]
    pub(crate) earlier_losses: Option<PathBuf>,
    /// A domain of the earlier runs that was split since, with its parts and their shares of
    /// its tokens, such as `code=rust:0.3,c:0.7`; may be repeated.
    #[arg(long, requires = "earlier_mixtures", value_name = "DOMAIN=PARTS", value_parser = parse_split)]
    pub(crate) split: Vec<(String, BTreeMap<String, f64>)>,
    /// Mixtures with approximate losses, such as those of smaller proxies, over the same domains:
    /// a share of these, which held-out runs choose, is taken from the losses before they are
    /// fitted.
    #[arg(long, requires_all = ["losses", "approximate_losses"], value_name = "CSV")]
    pub(crate) approximate_mixtures: Option<PathBuf>,
    /// Those losses; targets are joined by name.
    #[arg(long, requires = "approximate_mixtures", value_name = "CSV")]
    pub(crate) approximate_losses: Option<PathBuf>,
    /// Fit losses that are far outside of all others, too; otherwise they are left out and named.
    #[arg(long, requires = "mixtures")]
    pub(crate) keep_outliers: bool,
    /// Also measure how accuracy grows with the number of runs, and what twice as many would
    /// bring: `learning.csv`. For `ensemble` and `law1`, or the regressors given; takes
    /// about as long as the fit itself.
    #[arg(long)]
    pub(crate) learning_curve: bool,
    /// Seed of folds and fits.
    #[arg(long, requires = "mixtures", default_value_t = 42)]
    pub(crate) seed: u64,
    /// Fit again if the inputs changed.
    #[arg(long)]
    pub(crate) redo: bool,
}

/// The name of a law of scale.
fn parse_law(text: &str) -> Result<LawName, String> {
    let known = || LawName::ALL.map(LawName::as_str).join(", ");
    (LawName::ALL.into_iter().find(|law| law.as_str() == text))
        .ok_or_else(|| format!("expected one of {}", known()))
}

/// Where the last points of runs lie.
fn parse_last_points(text: &str) -> Result<LastPoints, String> {
    let known = || LastPoints::ALL.map(|(name, _)| name).join(", ");
    let mut all = LastPoints::ALL.into_iter();
    (all.find(|(name, _)| *name == text).map(|(_, last)| last))
        .ok_or_else(|| format!("expected one of {}", known()))
}

/// A domain with a positive number.
fn parse_amount(text: &str) -> Result<(String, f64), String> {
    (text.rsplit_once('='))
        .and_then(|(domain, amount)| Some((domain.to_owned(), amount.parse::<f64>().ok()?)))
        .filter(|(_, amount)| amount.is_finite() && *amount > 0.0)
        .ok_or_else(|| "expected a domain and a positive number, such as web=1e12".to_owned())
}

/// A domain with its parts, `code=rust:0.3,c:0.7`. Names may hold these signs
/// themselves: a part ends where a number follows its colon.
fn parse_split(text: &str) -> Result<(String, BTreeMap<String, f64>), String> {
    text.match_indices('=')
        .find_map(|(at, _)| Some((text[..at].to_owned(), parse_parts(&text[at + 1..])?)))
        .ok_or_else(|| {
            "expected a domain and its parts with shares, such as code=rust:0.3,c:0.7".to_owned()
        })
}

fn parse_parts(text: &str) -> Option<BTreeMap<String, f64>> {
    let mut parts = BTreeMap::new();
    let mut begun = String::new();
    for piece in text.split(',') {
        begun.push_str(piece);
        match begun.rsplit_once(':').map(|(name, n)| (name, n.parse())) {
            Some((name, Ok(share))) => {
                parts.insert(name.to_owned(), share);
                begun.clear();
            }
            _ => begun.push(','),
        }
    }
    begun.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::parse_split;

    #[test]
    fn names_of_parts_may_hold_any_sign() {
        let (domain, parts) = parse_split("a b=dclm:x:0.25,Wiki, old=1:0.75").unwrap();
        assert_eq!(domain, "a b");
        let parts: Vec<_> = parts.into_iter().collect();
        assert_eq!(
            parts,
            [
                ("Wiki, old=1".to_owned(), 0.75),
                ("dclm:x".to_owned(), 0.25)
            ]
        );
        for wrong in [
            "code",
            "code=",
            "code=rust",
            "code=rust:x",
            "code=rust:0.3,c",
        ] {
            assert!(parse_split(wrong).is_err(), "{wrong}");
        }
    }
}
