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
    /// Of RᵀR + λI, or of R Rᵀ + λI where `rows` are kept.
    factor: Factor,
    /// R, where domains are far more than rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Vec<f64>>,
}

/// Domains from which the smaller of two equal systems is solved.
const WIDE: usize = 256;

/// Whether a system in as many unknowns as rows is much smaller than one in as
/// many as domains.
pub(super) fn is_wide(samples: &Samples<'_>) -> bool {
    samples.domains() >= WIDE && samples.domains() > samples.len()
}

/// The factor of R Rᵀ + λI.
pub(super) fn inner_products(samples: &Samples<'_>, penalty: f64) -> Result<Factor> {
    let column = |j: usize| samples.rows().iter().map(|r| r[j]).collect();
    let columns: Vec<Vec<f64>> = (0..samples.domains()).map(column).collect();
    Factor::of_rows(&columns, &vec![penalty; samples.len()])
}

impl LinearModel {
    /// Wraps coefficients and works out their uncertainty. `penalty` is the
    /// λ of the squares that were added to the diagonal.
    pub(crate) fn new(samples: &Samples<'_>, coefficients: Vec<f64>, penalty: f64) -> Result<Self> {
        let (factor, rows) = match is_wide(samples) {
            true => {
                let rows = samples.rows().iter().map(|r| r.to_vec()).collect();
                (inner_products(samples, penalty)?, rows)
            }
            false => {
                let ridge = vec![penalty; samples.domains()];
                (Factor::of_rows(samples.rows(), &ridge)?, Vec::new())
            }
        };
        let mut model = Self {
            coefficients,
            penalty,
            residual_sd: 0.0,
            factor,
            rows,
        };
        let used: f64 = samples.rows().iter().map(|r| model.leverage(r)).sum();
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
        let leverage = self.leverage(weights);
        Prediction {
            mean: self.mean(weights),
            sd: self.residual_sd * (1.0 + leverage).sqrt(),
        }
    }

    /// rᵀ (RᵀR + λI)⁻¹ r.
    fn leverage(&self, weights: &[f64]) -> f64 {
        if self.rows.is_empty() {
            return self.factor.quadratic(weights);
        }
        // By the rows: (|r|² - kᵀ (R Rᵀ + λI)⁻¹ k) / λ with k = R r.
        let inner: Vec<f64> = self.rows.iter().map(|row| dot(row, weights)).collect();
        let known = self.factor.quadratic(&inner);
        ((dot(weights, weights) - known) / self.penalty).max(0.0)
    }

    pub(crate) fn is_sound(&self) -> bool {
        let d = self.coefficients.len();
        let unknowns = if self.rows.is_empty() {
            d
        } else {
            self.rows.len()
        };
        self.coefficients.iter().all(|b| b.is_finite())
            && self.residual_sd.is_finite()
            && self.factor.is_sound(unknowns)
            && self
                .rows
                .iter()
                .all(|row| row.len() == d && row.iter().all(|w| w.is_finite()))
            && (self.rows.is_empty() || self.penalty > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::design::Dirichlet;
    use regmix_data::random::stream;

    #[test]
    fn many_domains_have_the_leverage_of_the_large_system() {
        let mut rng = stream(2, "wide", "test");
        let draw = Dirichlet::new(&[0.5; WIDE]).unwrap();
        let mut rows: Vec<Vec<f64>> = (0..14).map(|_| draw.sample(&mut rng)).collect();
        let elsewhere = rows.split_off(10);
        let values = rows.iter().map(|r| 3.0 + r[0]).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        let model = LinearModel::new(&samples, vec![1.0; WIDE], 0.3).unwrap();
        let large = Factor::of_rows(&rows, &[0.3; WIDE]).unwrap();
        assert!(model.is_sound() && model.rows.len() == 10);
        for row in rows.iter().chain(&elsewhere) {
            let (own, expected) = (model.leverage(row), large.quadratic(row));
            assert!(
                (own - expected).abs() < 1e-9 * (1.0 + expected),
                "{own} {expected}"
            );
        }
        let text = serde_json::to_string(&model).unwrap();
        assert_eq!(serde_json::from_str::<LinearModel>(&text).unwrap(), model);
    }
}
