//! Objectives: one target, a weighted sum, or the worst of all targets.

pub(crate) mod evaluator;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use evaluator::Evaluator;

/// What is minimised.
///
/// Losses are better when lower. For scores that are better when higher,
/// such as accuracies, maximise the objective ([`Objective::maximize`]), or
/// give them negative weights beside losses with positive ones.
///
/// ```
/// use regmix_regress::{Baseline, Objective};
///
/// assert_eq!(Objective::parse("pile_cc").to_string(), "pile_cc");
/// assert_eq!(Objective::parse("mean"), Objective::Mean);
/// assert_eq!(Objective::parse("worst"), Objective::Worst(Baseline::Natural));
/// let two = Objective::weighted([("web".to_owned(), 2.0), ("code".to_owned(), 1.0)].into())?;
/// assert_eq!(two.to_string(), "1 code + 2 web");
/// assert_eq!(Objective::parse("hellaswag").maximize().to_string(), "hellaswag, maximised");
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// One target's value.
    Target(String),
    /// The mean of all targets.
    Mean,
    /// A weighted sum, in the order of the names. Negative weights are for
    /// scores that are to be made large.
    Weighted(BTreeMap<String, f64>),
    /// The target that does worst: the largest, over all targets, of value
    /// minus the value predicted at a baseline mixture. Minimising it makes
    /// the least gain over the baseline as large as it can be (or the largest
    /// loss of any target as small), as distributionally robust mixing does
    /// (DoReMi, arXiv 2305.10429, with a baseline model's losses).
    Worst(Baseline),
    /// The same to be maximised. Maximising `Worst` makes the smallest of value
    /// minus baseline as large as it can be.
    Maximize(Box<Objective>),
}

/// What the targets of a worst case are compared with. Their losses have
/// levels of their own, and without a baseline the hardest text is always the
/// worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The prediction at the natural mixture, where that is known, else at
    /// the uniform one.
    #[default]
    Natural,
    /// The prediction at the uniform mixture.
    Uniform,
    /// Nothing: values as they are.
    None,
}

impl Baseline {
    /// The name of the mixture whose losses are the baseline: `natural` or
    /// `uniform`.
    pub fn mixture_name(self) -> Option<&'static str> {
        match self {
            Self::Natural => Some("natural"),
            Self::Uniform => Some("uniform"),
            Self::None => None,
        }
    }
}

impl Objective {
    /// `mean`, `worst` (against the natural mixture), or the name of a
    /// target.
    pub fn parse(name: &str) -> Self {
        match name {
            "mean" => Self::Mean,
            "worst" => Self::Worst(Baseline::default()),
            _ => Self::Target(name.to_owned()),
        }
    }

    /// An objective by its name, and the baseline of a worst case, if one is given.
    ///
    /// # Errors
    /// When there is a baseline for something else than a worst case.
    pub fn by_name(name: &str, relative_to: Option<Baseline>) -> Result<Self> {
        match (Self::parse(name), relative_to) {
            (Self::Worst(baseline), given) => Ok(Self::Worst(given.unwrap_or(baseline))),
            (other, None) => Ok(other),
            (other, Some(_)) => Err(Error::input(format!(
                "a baseline for the objective `{other}`: expected one for `worst` only"
            ))
            .field("relative_to")
            .help("set loss = \"worst\", or leave `relative_to` out")),
        }
    }

    /// A weighted sum of targets. The weights are used as they are: with
    /// weights that sum to 1 the objective is a loss again.
    ///
    /// # Errors
    /// When there is no weight, one is not finite, or all are zero.
    pub fn weighted(weights: BTreeMap<String, f64>) -> Result<Self> {
        if let Some((name, w)) = weights.iter().find(|(_, w)| !w.is_finite()) {
            return Err(Error::input(format!("weight {w}, expected a finite number")).field(name));
        }
        if weights.values().all(|w| *w == 0.0) {
            return Err(Error::input(
                "an objective needs at least one weight that is not zero",
            ));
        }
        Ok(Self::Weighted(weights))
    }

    /// The opposite objective: what was minimised is maximised.
    #[must_use]
    pub fn maximize(self) -> Self {
        match self {
            Self::Maximize(inner) => *inner,
            other => Self::Maximize(Box::new(other)),
        }
    }

    /// 1 where lower is better, -1 where higher is. Searches and scorers
    /// work on the objective times this, which is always to be made small;
    /// what is shown to people has its own sign.
    pub fn sign(&self) -> f64 {
        match self {
            Self::Maximize(inner) => -inner.sign(),
            _ => 1.0,
        }
    }

    /// The objective as it is where the natural mixture may be unknown: a worst
    /// case against it is then one against the uniform mixture.
    #[must_use]
    pub fn with_known_baseline(&self, natural_is_known: bool) -> Self {
        match self {
            Self::Worst(Baseline::Natural) if !natural_is_known => Self::Worst(Baseline::Uniform),
            Self::Maximize(inner) => {
                Self::Maximize(Box::new(inner.with_known_baseline(natural_is_known)))
            }
            other => other.clone(),
        }
    }

    /// Whether all targets count alike: a mean or a worst case.
    pub fn is_over_all(&self) -> bool {
        match self {
            Self::Mean | Self::Worst(_) => true,
            Self::Maximize(inner) => inner.is_over_all(),
            Self::Target(_) | Self::Weighted(_) => false,
        }
    }

    /// The targets that it names, apart from those without weight; none where all count
    /// alike.
    pub fn named(&self) -> Vec<&str> {
        match self {
            Self::Target(name) => vec![name],
            Self::Weighted(weights) => (weights.iter())
                .filter(|(_, w)| **w != 0.0)
                .map(|(name, _)| name.as_str())
                .collect(),
            Self::Mean | Self::Worst(_) => Vec::new(),
            Self::Maximize(inner) => inner.named(),
        }
    }

    /// What a worst case is compared with; `None` for objectives that are
    /// sums.
    pub fn baseline(&self) -> Option<Baseline> {
        match self {
            Self::Worst(baseline) => Some(*baseline),
            Self::Maximize(inner) => inner.baseline(),
            _ => None,
        }
    }

    /// The objective over losses in the order of `names`.
    ///
    /// # Errors
    /// When it names a target (with a weight that is not zero) that is not
    /// among them.
    pub fn evaluator(&self, names: &[String]) -> Result<Evaluator> {
        Evaluator::new(self, names)
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(name) => f.write_str(name),
            Self::Mean => f.write_str("mean"),
            Self::Weighted(weights) => {
                for (i, (name, w)) in weights.iter().enumerate() {
                    let plus = if i > 0 { " + " } else { "" };
                    write!(f, "{plus}{w} {name}")?;
                }
                Ok(())
            }
            Self::Worst(baseline) => match baseline.mixture_name() {
                Some(name) => write!(f, "worst case against {name}"),
                None => f.write_str("worst case"),
            },
            Self::Maximize(inner) => write!(f, "{inner}, maximised"),
        }
    }
}
