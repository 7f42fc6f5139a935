//! The parts of a recommendation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Mixture, Result};

use crate::baseline::unimax;
use crate::constraints::Constraints;
use crate::metrics::Z90;
use crate::repetition::effective_tokens;

/// How many tokens there are and how many the target run takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Tokens per domain.
    pub available: BTreeMap<String, f64>,
    /// Tokens of the target run.
    pub target_tokens: f64,
    /// How often a token may be seen.
    pub max_epochs: f64,
}

impl Budget {
    /// The caps that the budget sets.
    ///
    /// # Errors
    /// When a domain is missing or unknown, a number is out of range, or the
    /// domains together are too small for the run.
    pub fn caps(&self, domains: &DomainSet) -> Result<Constraints> {
        let available = self.ordered(domains)?;
        Constraints::from_epochs(
            domains.clone(),
            &available,
            self.target_tokens,
            self.max_epochs,
        )
    }

    /// The mixture that is as even as repetition allows, see [`unimax`].
    ///
    /// # Errors
    /// When a domain is missing or unknown, or a number is out of range.
    pub fn unimax(&self, domains: &DomainSet) -> Result<Mixture> {
        let available = self.ordered(domains)?;
        unimax(
            domains.clone(),
            &available,
            self.target_tokens,
            self.max_epochs,
        )
    }

    /// How often the target run sees a domain's tokens at a weight; `None`
    /// where there are no tokens.
    pub(super) fn epochs(&self, domain: &str, weight: f64) -> Result<Option<f64>> {
        let tokens = self.tokens(domain)?;
        Ok((tokens > 0.0).then(|| weight * self.target_tokens / tokens))
    }

    /// How many fresh tokens those that the target run sees of a domain at a
    /// weight are worth, see [`effective_tokens`].
    ///
    /// ```
    /// use regmix_regress::Budget;
    ///
    /// let budget = Budget {
    ///     available: [("web".to_owned(), 1e9), ("law".to_owned(), 1e7)].into(),
    ///     target_tokens: 1e9,
    ///     max_epochs: 8.0,
    /// };
    /// // 5 epochs of law count as four and a half.
    /// assert!((budget.effective_tokens("law", 0.05)? / 4.52e7 - 1.0).abs() < 0.01);
    /// assert_eq!(budget.effective_tokens("web", 0.95)?, 9.5e8);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the domain is unknown.
    pub fn effective_tokens(&self, domain: &str, weight: f64) -> Result<f64> {
        let unique = self.tokens(domain)?;
        Ok(effective_tokens(weight * self.target_tokens, unique))
    }

    /// Tokens in the order of the domains.
    fn ordered(&self, domains: &DomainSet) -> Result<Vec<f64>> {
        for name in self.available.keys() {
            domains.require(name)?;
        }
        domains.names().map(|d| self.tokens(d)).collect()
    }

    fn tokens(&self, domain: &str) -> Result<f64> {
        self.available.get(domain).copied().ok_or_else(|| {
            Error::input(format!("available tokens of domain `{domain}` are missing"))
                .field("available")
                .help("give a number for every domain")
        })
    }
}

/// A value with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The expected value.
    pub mean: f64,
    /// Its standard deviation.
    pub sd: f64,
    /// Lower end of the 90 % interval.
    pub low: f64,
    /// Upper end of the 90 % interval.
    pub high: f64,
}

impl Estimate {
    pub(crate) fn new(mean: f64, sd: f64) -> Self {
        Self {
            mean,
            sd,
            low: mean - Z90 * sd,
            high: mean + Z90 * sd,
        }
    }

    /// The same in the direction of an objective: with its sign.
    pub(crate) fn signed(self, sign: f64) -> Self {
        Self::new(sign * self.mean, self.sd)
    }
}

/// How much worse a reference is than the recommendation, whichever direction
/// the objective has. Positive: the recommendation is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Predicted value of the reference minus that of the recommendation;
    /// turned around for an objective that is maximised.
    pub mean: f64,
    /// Scatter of the difference of one run of each.
    pub sd: f64,
    /// Lower end of the 90 % interval.
    pub low: f64,
    /// Upper end of the 90 % interval.
    pub high: f64,
    /// Spread of the gap over bootstrap refits; absent without bootstrap.
    pub model_sd: Option<f64>,
    /// Whether the interval is wholly above zero.
    pub exceeds_noise: bool,
}

impl Gap {
    pub(super) fn new(reference: &Estimate, ours: &Estimate, model_sd: Option<f64>) -> Self {
        let e = Estimate::new(reference.mean - ours.mean, reference.sd.hypot(ours.sd));
        let exceeds_noise = e.low > 0.0;
        Self {
            mean: e.mean,
            sd: e.sd,
            low: e.low,
            high: e.high,
            model_sd,
            exceeds_noise,
        }
    }
}

/// A mixture to compare with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// `natural`, `uniform`, `unimax` or `best_observed`.
    pub name: String,
    /// The mixture.
    pub mixture: Mixture,
    /// The predicted objective there. For the best observed run, too, the
    /// prediction is used: its measurement was picked for being low.
    pub predicted: Estimate,
    /// How much worse that is than the recommendation's.
    pub gap: Gap,
}

/// The pull towards a reference mixture while searching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// The reference: `natural` where it is known, else `uniform`.
    pub towards: String,
    /// What a nat of divergence costs, in the unit of the objective.
    pub strength: f64,
    /// How far the recommendation is from the reference: `Σ w ln (w / q)`,
    /// nats.
    pub divergence: f64,
}

/// Penalties for leaving what proxies covered while searching: what was made
/// small is the objective plus `caution` standard deviations plus `distance`
/// times the distance beyond the limit of [`Support`](crate::Support).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Penalties {
    /// Standard deviations added to the objective.
    pub caution: f64,
    /// Cost of a unit of total variation beyond the limit, in the unit of the
    /// objective.
    pub distance: f64,
    /// How far the recommendation is beyond the limit, corners rounded.
    pub beyond: f64,
    /// What both add at the recommendation, in the unit of the objective.
    pub cost: f64,
}

/// One target at the recommended mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetEstimate {
    /// The target.
    pub target: String,
    /// The regressor that predicts it.
    pub regressor: String,
    /// The predicted value.
    pub predicted: Estimate,
}

/// One weight of the recommended mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightSpread {
    /// The domain.
    pub domain: String,
    /// The recommended share of tokens.
    pub weight: f64,
    /// The natural share, where it is known.
    pub natural: Option<f64>,
    /// Standard deviation over bootstrap refits; absent without bootstrap.
    pub sd: Option<f64>,
    /// 5th percentile over bootstrap refits.
    pub low: Option<f64>,
    /// 95th percentile over bootstrap refits.
    pub high: Option<f64>,
    /// How often the target run sees the domain's tokens, where the budget
    /// is known.
    pub epochs: Option<f64>,
    /// How many fresh tokens those are worth ([`effective_tokens`]), where
    /// the budget is known.
    pub effective_tokens: Option<f64>,
}

/// Where a recommendation comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name and version of this crate.
    pub program: String,
    /// Runs that were fitted.
    pub runs: usize,
    /// Seed of the fit.
    pub fit_seed: u64,
    /// Seed of draws and resampling.
    pub seed: u64,
    /// Standard deviations added to the value while searching.
    pub caution: f64,
    /// Bootstrap refits that succeeded.
    pub refits: usize,
    /// The regressor of every target.
    pub regressors: BTreeMap<String, String>,
}
