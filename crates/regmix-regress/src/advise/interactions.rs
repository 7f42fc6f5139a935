//! Which domain helps which target.

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Mixture, Result};

use crate::fit::Fit;
use crate::regressor::model::Model;

/// The change of every target per unit of weight moved to a domain.
///
/// Moving weight δ to domain j takes it from all others in proportion to
/// their weights, so the direction is `(e_j - m) / (1 - m_j)` at mixture m,
/// and the entry is the derivative along it. Negative: more of the domain
/// lowers the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interactions {
    /// The columns.
    pub domains: DomainSet,
    /// The rows.
    pub targets: Vec<String>,
    /// The mixture it was taken at, in the order of `domains`.
    pub at: Vec<f64>,
    /// `[targets][domains]`, unit of the target (nats per token) per unit of
    /// weight. 0 for a domain that already has all weight.
    pub values: Vec<Vec<f64>>,
}

impl Interactions {
    /// The interaction matrix around a mixture, preferably the natural one. Cost
    /// O(targets · D) for models with a derivative.
    ///
    /// # Errors
    /// When the mixture is over other domains.
    pub fn around(fit: &Fit, mixture: &Mixture) -> Result<Self> {
        let at = mixture.reordered(fit.domains())?;
        let m = at.weights();
        let values = (fit.targets().iter())
            .map(|target| (0..m.len()).map(|j| along(&target.model, m, j)).collect())
            .collect();
        Ok(Self {
            domains: fit.domains().clone(),
            targets: fit.targets().iter().map(|t| t.target.clone()).collect(),
            at: m.to_vec(),
            values,
        })
    }
}

fn along(model: &Model, m: &[f64], j: usize) -> f64 {
    let rest = 1.0 - m[j];
    if rest <= 1e-9 {
        return 0.0;
    }
    let direction = |i: usize| (f64::from(u8::from(i == j)) - m[i]) / rest;
    if let Some(gradient) = model.gradient(m) {
        return (gradient.iter().enumerate())
            .map(|(i, g)| g * direction(i))
            .sum();
    }
    // One-sided, since weight cannot always be taken away from the domain.
    let h = 1e-4 * rest;
    let moved: Vec<f64> = (0..m.len()).map(|i| m[i] + h * direction(i)).collect();
    (model.mean(&moved) - model.mean(m)) / h
}
