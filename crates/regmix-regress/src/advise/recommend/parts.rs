//! The parts of a recommendation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use regmix_data::Mixture;

use crate::prediction::Z90;

/// A [`Prediction`](crate::Prediction) as result files hold it: with the ends of
/// its 90 % interval, so that a reader of the file needs no table of the normal
/// distribution. The standard deviation is calibrated, see
/// [`Fit::train`](crate::Fit::train).
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
    /// Bootstrap refits that succeeded.
    pub refits: usize,
    /// The regressor of every target.
    pub regressors: BTreeMap<String, String>,
}
