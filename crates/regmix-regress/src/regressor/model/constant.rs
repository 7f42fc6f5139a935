//! The model of one value for all mixtures.

use serde::{Deserialize, Serialize};

use crate::metrics::{mean, variance};

/// The same value for every mixture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConstantModel {
    pub(super) mean: f64,
    pub(super) sd: f64,
}

impl ConstantModel {
    /// The mean of some values, and their spread widened for the mean's own
    /// uncertainty: `sd² = s² (1 + 1/n)`, divisor n - 1 in s².
    pub(crate) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let spread = variance(values) * n / (n - 1.0).max(1.0);
        Self {
            mean: mean(values),
            sd: (spread * (1.0 + 1.0 / n)).sqrt(),
        }
    }
}
