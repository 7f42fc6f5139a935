//! What a recommendation holds beside its mixture.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use regmix_data::Mixture;

use crate::advise::recommend::estimate::{Estimate, Gap};

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

/// The penalty for divergence from a reference mixture while searching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DivergencePenalty {
    /// The reference: `natural` where it is known, else `uniform`.
    pub towards: String,
    /// What a nat of divergence costs, in the unit of the objective.
    pub strength: f64,
    /// How far the recommendation is from the reference: `Σ w ln (w / q)`,
    /// nats.
    pub divergence: f64,
}

/// Penalties for leaving what proxies covered while searching: what was
/// minimised is the objective plus `caution` standard deviations plus
/// `distance` times the distance beyond the limit of
/// [`Support`](crate::Support).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Penalties {
    /// Standard deviations added to the objective.
    pub caution: f64,
    /// Cost of a unit of total variation beyond the limit, in the unit of the
    /// objective.
    pub distance: f64,
    /// How far the recommendation is beyond the limit, corners rounded.
    pub beyond: f64,
    /// What both penalties add at the recommendation, in the unit of the
    /// objective.
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
    /// The effective number of those tokens
    /// ([`effective_tokens`](crate::effective_tokens)), where the budget is
    /// known.
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
    /// Bootstrap refits that succeeded and stayed in the range of what was
    /// measured.
    pub refits: usize,
    /// Refits that left that range by more than its width, and are not used.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refits_dropped: usize,
    /// The regressor of every target.
    pub regressors: BTreeMap<String, String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}
