//! What a fitted law does not know: its parameters, and the noise of a run.

use serde::{Deserialize, Serialize};

use regmix_data::Result;

use crate::metrics::variance;
use crate::numeric::factor::Factor;
use crate::regressor::noise::Noise;

/// The noise of one run joined with the uncertainty of the parameters by the
/// delta method: `sd² = gᵀ M⁻¹ g + noise²`, with g the derivative of the
/// prediction by the parameters and M the Gauss-Newton matrix of the fit,
/// each row weighted by its noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Uncertainty {
    noise: Noise,
    factor: Factor,
}

/// A fitted law at the rows it was fitted to.
#[derive(Debug, Default)]
pub(crate) struct Linearised {
    /// Derivatives of the predictions by the parameters, `[rows][parameters]`.
    jacobian: Vec<Vec<f64>>,
    /// Predictions minus values.
    residuals: Vec<f64>,
    /// How steep the law is in the weights, for [`Noise`].
    slopes: Vec<f64>,
}

impl Linearised {
    /// Adds a row: its derivatives, residual and slope.
    pub(crate) fn push(&mut self, by_parameter: Vec<f64>, residual: f64, slope: f64) {
        self.jacobian.push(by_parameter);
        self.residuals.push(residual);
        self.slopes.push(slope);
    }
}

impl Uncertainty {
    /// `ridge` is what the fit added to its sum of squares: this much times
    /// the square of each parameter. `values` are those that were fitted.
    /// Cost O(n p² + p³).
    pub(crate) fn of(mut at: Linearised, ridge: &[f64], values: &[f64]) -> Result<Self> {
        let n = values.len() as f64;
        let plain = Factor::of_rows(&at.jacobian, ridge)?;
        let used: f64 = at.jacobian.iter().map(|g| plain.quadratic(g)).sum();
        let noise = if n - used < 1.0 {
            // A fit that used up every row says nothing of its error: fall
            // back to the spread of the values.
            Noise::fit(&[variance(values).sqrt()], &[0.0], 1.0)
        } else {
            Noise::fit(&at.residuals, &at.slopes, n - used)
        };
        // Rows weigh by their noise; the penalty by the typical one.
        let sds: Vec<f64> = at.slopes.iter().map(|s| noise.sd(*s).max(1e-9)).collect();
        let typical = sds.iter().map(|s| s * s).sum::<f64>() / n;
        for (row, sd) in at.jacobian.iter_mut().zip(&sds) {
            for d in row {
                *d /= sd;
            }
        }
        let ridge: Vec<f64> = ridge.iter().map(|r| r / typical).collect();
        let factor = Factor::of_rows(&at.jacobian, &ridge)?;
        Ok(Self { noise, factor })
    }

    /// The predictive standard deviation where the prediction has these
    /// derivatives by the parameters and this slope. Cost O(p²).
    pub(crate) fn sd(&self, by_parameter: &[f64], slope: f64) -> f64 {
        let parameters = self.factor.quadratic(by_parameter);
        parameters.sqrt().hypot(self.noise.sd(slope))
    }

    /// Whether this fits a law of so many parameters and holds finite
    /// numbers.
    pub(crate) fn is_sound(&self, parameters: usize) -> bool {
        self.noise.is_sound() && self.factor.is_sound(parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_has_the_textbook_interval() {
        // y = a + b x at x = -1, 0, 1 with residuals e: s² (1 + 1/3 + x²/2).
        let residuals = [0.1, -0.2, 0.1];
        let at = Linearised {
            jacobian: [-1.0, 0.0, 1.0].map(|x| vec![1.0, x]).to_vec(),
            residuals: residuals.to_vec(),
            slopes: vec![0.0; 3],
        };
        let u = Uncertainty::of(at, &[0.0, 0.0], &[1.0, 2.0, 3.0]).unwrap();
        let s2 = 0.06;
        for x in [0.0, 2.0] {
            let expected = f64::sqrt(s2 * (4.0 / 3.0 + x * x / 2.0));
            assert!((u.sd(&[1.0, x], 0.0) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn a_fit_that_used_every_row_falls_back_to_the_spread() {
        let at = Linearised {
            jacobian: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
            residuals: vec![0.0; 2],
            slopes: vec![0.0; 2],
        };
        let u = Uncertainty::of(at, &[0.0, 0.0], &[1.0, 3.0]).unwrap();
        assert!(u.sd(&[1.0, 0.0], 0.0) > 1.0);
    }
}
