//! The weighted mean of several models.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use crate::numeric::slices::add;
use crate::prediction::Prediction;
use crate::regressor::block::Block;
use crate::regressor::model::Model;

/// A weighted mean of models.
///
/// Its variance is that of the mixture of the members' distributions,
/// `sd² = Σ_k w_k (sd_k² + (m_k - m)²)`: what members are unsure of, and
/// what they disagree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnsembleModel {
    members: Vec<Member>,
}

/// A model with its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Member {
    weight: f64,
    model: Model,
}

impl EnsembleModel {
    /// Joins models; weights are scaled to sum 1.
    pub(crate) fn new(members: impl IntoIterator<Item = (f64, Model)>) -> Self {
        let mut members: Vec<Member> = (members.into_iter())
            .map(|(weight, model)| Member { weight, model })
            .collect();
        let sum: f64 = members.iter().map(|m| m.weight).sum();
        for member in &mut members {
            member.weight /= sum;
        }
        Self { members }
    }

    /// The models with their weights, which sum to 1.
    pub fn members(&self) -> impl Iterator<Item = (f64, &Model)> {
        self.members.iter().map(|m| (m.weight, &m.model))
    }

    pub(crate) fn mean(&self, weights: &[f64]) -> f64 {
        self.members().map(|(w, m)| w * m.mean(weights)).sum()
    }

    pub(crate) fn means(&self, block: &Block<'_>, out: &mut [f64]) {
        out.fill(0.0);
        let mut part = vec![0.0; out.len()];
        for (weight, model) in self.members() {
            model.block_means(block, &mut part);
            add(out, weight, &part);
        }
    }

    pub(crate) fn predict(&self, weights: &[f64]) -> Prediction {
        let parts = self.members().map(|(w, m)| (w, m.predict(weights)));
        pooled(&parts.collect::<Vec<_>>())
    }

    pub(crate) fn predict_all(&self, rows: &[&[f64]]) -> Vec<Prediction> {
        let parts: Vec<(f64, Vec<Prediction>)> = self
            .members()
            .map(|(w, m)| (w, m.predict_some(rows)))
            .collect();
        (0..rows.len())
            .map(|i| pooled(&parts.iter().map(|(w, p)| (*w, p[i])).collect::<Vec<_>>()))
            .collect()
    }

    pub(crate) fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let (mut value, mut sum) = (0.0, Some(vec![0.0; weights.len()]));
        for (weight, model) in self.members() {
            let (part, gradient) = model.value_and_gradient(weights);
            value += weight * part;
            sum = sum.zip(gradient).map(|(mut sum, gradient)| {
                add(&mut sum, weight, &gradient);
                sum
            });
        }
        (value, sum)
    }

    pub(crate) fn check(&self, domains: usize) -> Result<()> {
        let sum: f64 = self.members.iter().map(|m| m.weight).sum();
        let sound = self.members.iter().all(|m| m.weight >= 0.0) && (sum - 1.0).abs() < 1e-6;
        if !sound {
            return Err(
                Error::input("damaged ensemble: expected weights that sum to 1")
                    .help("run the fit again"),
            );
        }
        self.members.iter().try_for_each(|m| m.model.check(domains))
    }
}

/// Mean and standard deviation of a mixture of distributions.
pub(crate) fn pooled(parts: &[(f64, Prediction)]) -> Prediction {
    let mean: f64 = parts.iter().map(|(w, p)| w * p.mean).sum();
    let variance: f64 = (parts.iter())
        .map(|(w, p)| w * (p.sd * p.sd + (p.mean - mean).powi(2)))
        .sum();
    Prediction {
        mean,
        sd: variance.sqrt(),
    }
}
