//! The log-linear law of data mixing: evaluation and derivatives.

use serde::{Deserialize, Serialize};

use crate::metrics::mean;
use crate::numeric::slices::dot;
use crate::prediction::Prediction;
use crate::regressor::uncertainty::Uncertainty;

/// `L(r) = c + exp(Σ_j t_j r_j)` with c positive: above a floor, every domain
/// takes loss off (t below the others) or adds to it at a constant rate.
///
/// This is the law of Ye et al., Data Mixing Laws (arXiv 2403.16952),
/// `c + k exp(Σ_j t_j r_j)`. Weights sum to 1, so k is the same number ln k
/// added to every t, and only that sum can be known. Olmix (arXiv 2602.12237)
/// fits the form that is written here. It is convex in r.
///
/// The standard deviation joins the noise of one run and the uncertainty of
/// the parameters, as that of [`LawModel`](crate::regressor::LawModel).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLinearModel {
    /// ln c, t_1 … t_D.
    raw: Vec<f64>,
    uncertainty: Uncertainty,
}

impl LogLinearModel {
    pub(crate) fn new(raw: Vec<f64>, uncertainty: Uncertainty) -> Self {
        Self { raw, uncertainty }
    }

    pub(crate) fn raw(&self) -> &[f64] {
        &self.raw
    }

    pub(crate) fn domains(&self) -> usize {
        self.raw.len().saturating_sub(1)
    }

    /// The t_j, one per domain, without unit. `c + exp(t_j)` is the predicted
    /// loss of that domain alone; a domain with a low t lowers the loss, one
    /// with a high t raises it.
    pub fn rates(&self) -> &[f64] {
        &self.raw[1..]
    }

    /// The loss c that no mixture goes below, in the target's unit.
    pub fn irreducible(&self) -> f64 {
        self.raw[0].exp()
    }

    pub(crate) fn mean(&self, weights: &[f64]) -> f64 {
        self.irreducible() + falling(self.rates(), weights)
    }

    pub(crate) fn predict(&self, weights: &[f64]) -> Prediction {
        let mut by_parameter = vec![0.0; self.raw.len()];
        let mean = derivatives(&self.raw, weights, &mut by_parameter);
        let slope = slope(self.rates(), weights);
        Prediction {
            mean,
            sd: self.uncertainty.sd(&by_parameter, slope),
        }
    }

    /// dL/dr_j for every domain.
    pub(crate) fn gradient(&self, weights: &[f64]) -> Vec<f64> {
        let falling = falling(self.rates(), weights);
        self.rates().iter().map(|t| t * falling).collect()
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.raw.len() > 1
            && self.raw.iter().all(|p| p.is_finite())
            && self.uncertainty.is_sound(self.raw.len())
    }
}

/// exp(Σ t_j r_j), the part that a mixture can change.
pub(crate) fn falling(rates: &[f64], weights: &[f64]) -> f64 {
    dot(rates, weights).exp()
}

/// The value, and its derivatives by ln c and the t.
pub(crate) fn derivatives(raw: &[f64], weights: &[f64], out: &mut [f64]) -> f64 {
    let (c, falling) = (raw[0].exp(), falling(&raw[1..], weights));
    out[0] = c;
    for (o, w) in out[1..].iter_mut().zip(weights) {
        *o = falling * w;
    }
    c + falling
}

/// Length of the derivative by the weights along the simplex: a level that
/// all rates share moves nothing there.
pub(crate) fn slope(rates: &[f64], weights: &[f64]) -> f64 {
    let level = mean(rates);
    let squares: f64 = rates.iter().map(|t| (t - level) * (t - level)).sum();
    falling(rates, weights) * squares.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regressor::uncertainty::Linearised;
    use proptest::prelude::*;

    fn model(raw: Vec<f64>) -> LogLinearModel {
        let p = raw.len();
        let mut at = Linearised::default();
        at.push(vec![0.0; p], 0.1, 0.0);
        LogLinearModel::new(raw, Uncertainty::of(at, &vec![1.0; p], &[1.0]).unwrap())
    }

    proptest! {
        #[test]
        fn derivatives_match_finite_differences(
            raw in prop::collection::vec(-2.0f64..2.0, 5),
            w in prop::collection::vec(0.0f64..1.0, 4),
        ) {
            let mut analytic = vec![0.0; 5];
            let at = derivatives(&raw, &w, &mut analytic);
            let m = model(raw.clone());
            prop_assert!((at - m.mean(&w)).abs() < 1e-12);
            prop_assert!((at - m.predict(&w).mean).abs() < 1e-12);
            let h = 1e-5;
            for i in 0..5 {
                let (mut up, mut down) = (raw.clone(), raw.clone());
                up[i] += h;
                down[i] -= h;
                let numeric = (model(up).mean(&w) - model(down).mean(&w)) / (2.0 * h);
                prop_assert!((numeric - analytic[i]).abs() < 1e-5 * (1.0 + numeric.abs()), "{i}");
            }
            for (j, analytic) in m.gradient(&w).into_iter().enumerate() {
                let (mut up, mut down) = (w.clone(), w.clone());
                up[j] += h;
                down[j] -= h;
                let numeric = (m.mean(&up) - m.mean(&down)) / (2.0 * h);
                prop_assert!((numeric - analytic).abs() < 1e-5 * (1.0 + numeric.abs()), "{j}");
            }
        }

        #[test]
        fn a_common_level_is_a_factor_and_no_slope(
            t in prop::collection::vec(-2.0f64..2.0, 4),
            w in prop::collection::vec(0.01f64..1.0, 4),
            level in -1.0f64..1.0,
        ) {
            let total: f64 = w.iter().sum();
            let w: Vec<f64> = w.iter().map(|x| x / total).collect();
            let lifted: Vec<f64> = t.iter().map(|t| t + level).collect();
            let ratio = falling(&lifted, &w) / falling(&t, &w);
            prop_assert!((ratio / level.exp() - 1.0).abs() < 1e-9);
            prop_assert!((slope(&lifted, &w) / slope(&t, &w) / level.exp() - 1.0).abs() < 1e-6);
        }
    }
}
