//! The parts of a recommendation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Mixture, Result};

use crate::constraints::Constraints;
use crate::metrics::Z90;

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
        for name in self.available.keys() {
            domains.require(name)?;
        }
        let available = domains
            .names()
            .map(|d| self.tokens(d))
            .collect::<Result<Vec<f64>>>()?;
        Constraints::from_epochs(
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
    pub(super) fn new(mean: f64, sd: f64) -> Self {
        Self {
            mean,
            sd,
            low: mean - Z90 * sd,
            high: mean + Z90 * sd,
        }
    }
}

/// How much higher a reference is than the recommendation. Positive: the
/// recommendation is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Predicted value of the reference minus that of the recommendation.
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
    /// `natural`, `uniform` or `best_observed`.
    pub name: String,
    /// The mixture.
    pub mixture: Mixture,
    /// The predicted objective there. For the best observed run, too, the
    /// prediction is used: its measurement was picked for being low.
    pub predicted: Estimate,
    /// How much higher that is than the recommendation's.
    pub gap: Gap,
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
