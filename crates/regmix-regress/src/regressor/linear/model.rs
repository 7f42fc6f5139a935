//! A weighted sum of the weights: evaluation and uncertainty.

use serde::{Deserialize, Serialize};

use regmix_data::Result;

use crate::metrics::variance;
use crate::numeric::factor::Factor;
use crate::numeric::slices::{add, dot};
use crate::prediction::Prediction;
use crate::regressor::block::Block;
use crate::samples::Samples;

/// `L(r) = Σ_j β_j r_j`, with a predictive standard deviation
/// `sd² = s² (1 + rᵀ (RᵀR + λI)⁻¹ r)`: residual variance and leverage, so
/// that it grows away from the proxies.
///
/// There is no intercept: weights sum to 1, so a constant is the same number
/// added to every β.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearModel {
    coefficients: Vec<f64>,
    penalty: f64,
    residual_sd: f64,
    factor: Factor,
}

impl LinearModel {
    /// Wraps coefficients and works out their uncertainty. `penalty` is the
    /// λ of the squares that were added to the diagonal.
    pub(crate) fn new(samples: &Samples<'_>, coefficients: Vec<f64>, penalty: f64) -> Result<Self> {
        let factor = Factor::of_rows(samples.rows(), &vec![penalty; samples.domains()])?;
        let used: f64 = samples.rows().iter().map(|r| factor.quadratic(r)).sum();
        let mut model = Self {
            coefficients,
            penalty,
            residual_sd: 0.0,
            factor,
        };
        let squares: f64 = (samples.rows().iter().zip(samples.values()))
            .map(|(r, y)| (y - model.mean(r)) * (y - model.mean(r)))
            .sum();
        let left = samples.len() as f64 - used;
        // A fit that used up every row says nothing of its error: fall back
        // to the spread of the values.
        let residual = if left < 1.0 {
            variance(samples.values()).max(squares)
        } else {
            squares / left
        };
        model.residual_sd = residual.sqrt();
        Ok(model)
    }

    /// The β, in the unit of the target, one per domain: the predicted value
    /// of a mixture of that domain alone.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    pub(crate) fn mean(&self, weights: &[f64]) -> f64 {
        dot(&self.coefficients, weights)
    }

    pub(crate) fn means(&self, block: &Block<'_>, out: &mut [f64]) {
        out.fill(0.0);
        for (b, column) in (self.coefficients.iter()).zip(block.weights().chunks_exact(out.len())) {
            add(out, *b, column);
        }
    }

    pub(crate) fn predict(&self, weights: &[f64]) -> Prediction {
        let leverage = self.factor.quadratic(weights);
        Prediction {
            mean: self.mean(weights),
            sd: self.residual_sd * (1.0 + leverage).sqrt(),
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.coefficients.iter().all(|b| b.is_finite())
            && self.residual_sd.is_finite()
            && self.factor.is_sound(self.coefficients.len())
    }
}
