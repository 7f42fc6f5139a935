//! A predicted value with its uncertainty.

use serde::{Deserialize, Serialize};

/// Half-width of a central 90 % interval of the normal distribution, in
/// standard deviations.
pub const Z90: f64 = 1.644_853_626_951_472_2;

/// A predicted value with its uncertainty, both in the target's unit (nats
/// per token for losses).
///
/// `sd` is predictive: it covers what the fit does not know and the noise of
/// one further run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The expected value.
    pub mean: f64,
    /// The standard deviation of a new measurement around `mean`.
    pub sd: f64,
}

impl Prediction {
    /// Where nothing was predicted.
    pub(crate) const NONE: Self = Self {
        mean: f64::NAN,
        sd: f64::NAN,
    };

    /// The central 90 % interval under a normal distribution, `mean ± 1.645 sd`.
    pub fn interval90(self) -> (f64, f64) {
        let half = Z90 * self.sd;
        (self.mean - half, self.mean + half)
    }
}
