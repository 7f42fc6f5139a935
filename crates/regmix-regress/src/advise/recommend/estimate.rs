//! Estimates with their intervals, and how much better one is than another.

use serde::{Deserialize, Serialize};

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
