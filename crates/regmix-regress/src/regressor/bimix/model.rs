//! The power law in a target's own weight: evaluation and derivatives.

use serde::{Deserialize, Serialize};

use crate::bimix::scarcity::{scarcity, scarcity_slope};
use crate::prediction::Prediction;
use crate::regressor::uncertainty::Uncertainty;

/// `L(r) = K r_own^-α`: the loss of a domain by its own weight alone, a
/// straight line in logarithms.
///
/// This is BiMix (arXiv 2405.14908) at a fixed number of steps;
/// [`BimixLaw`](crate::BimixLaw) is the law with steps. Below a weight of
/// 1e-3, the resolution of published weights, `-ln r` goes on along its
/// tangent: a weight of 0 stands for 0.00037, and the law stays finite,
/// smooth and convex.
///
/// The standard deviation joins the noise of one run and the uncertainty of
/// K and α, as that of [`LawModel`](crate::regressor::LawModel).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BimixModel {
    pub(super) domains: usize,
    pub(super) own: usize,
    pub(super) ln_scale: f64,
    pub(super) alpha: f64,
    pub(super) uncertainty: Uncertainty,
}

impl BimixModel {
    /// The place of the target's own domain.
    pub fn own_domain(&self) -> usize {
        self.own
    }

    /// K, the loss at weight 1, in the target's unit.
    pub fn scale(&self) -> f64 {
        self.ln_scale.exp()
    }

    /// α, without unit. A negative one says that the loss rises with the
    /// domain's weight: the law does not describe this target.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    pub(crate) fn domains(&self) -> usize {
        self.domains
    }

    pub(crate) fn mean(&self, weights: &[f64]) -> f64 {
        (self.ln_scale + self.alpha * scarcity(weights[self.own])).exp()
    }

    pub(crate) fn predict(&self, weights: &[f64]) -> Prediction {
        let mean = self.mean(weights);
        let w = weights[self.own];
        let slope = (mean * self.alpha * scarcity_slope(w)).abs();
        Prediction {
            mean,
            sd: self.uncertainty.sd(&[mean, mean * scarcity(w)], slope),
        }
    }

    /// dL/dr_j for every domain.
    pub(crate) fn gradient(&self, weights: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; weights.len()];
        out[self.own] = self.mean(weights) * self.alpha * scarcity_slope(weights[self.own]);
        out
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.own < self.domains
            && self.ln_scale.is_finite()
            && self.alpha.is_finite()
            && self.uncertainty.is_sound(2)
    }
}
