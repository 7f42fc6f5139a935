//! Fitted models, as they are kept in `fit.json`.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use super::Prediction;
use super::gbdt::GbdtModel;
use super::law::{Law1Model, ln_weights};
use super::linear::LinearModel;
use crate::metrics::{mean, variance};

/// A fitted map from mixture to value.
///
/// In JSON a model is an object with its kind under `kind`. Weights are in
/// the order of the domains it was fitted with; [`crate::Fit`] joins by name.
///
/// ```
/// use regmix_regress::{Samples, regressor::regressor};
///
/// let rows: Vec<Vec<f64>> = (0..10).map(|i| vec![0.1 * i as f64, 1.0 - 0.1 * i as f64]).collect();
/// let losses = rows.iter().map(|w| 3.0 - 0.5 * w[0]).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?;
/// let model = regressor("linear")?.fit(&samples, 0)?;
/// assert!((model.predict(&[0.5, 0.5]).mean - 2.75).abs() < 1e-4);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Model {
    /// The same value for every mixture.
    Constant(ConstantModel),
    /// A weighted sum of the weights.
    Linear(LinearModel),
    /// The power law with cross terms.
    Law1(Law1Model),
    /// A sum of trees.
    Gbdt(GbdtModel),
}

/// The same value for every mixture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConstantModel {
    mean: f64,
    sd: f64,
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

impl Model {
    /// The kind, as it is written in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Constant(_) => "constant",
            Self::Linear(_) => "linear",
            Self::Law1(_) => "law1",
            Self::Gbdt(_) => "gbdt",
        }
    }

    /// Predicts one mixture. Cost O(D²) for D domains (O(D) without the
    /// standard deviation, see [`Model::mean`]).
    pub fn predict(&self, weights: &[f64]) -> Prediction {
        match self {
            Self::Constant(m) => Prediction {
                mean: m.mean,
                sd: m.sd,
            },
            Self::Linear(m) => m.predict(weights),
            Self::Law1(m) => m.predict(weights),
            Self::Gbdt(m) => m.predict(weights),
        }
    }

    /// Predicts many mixtures, in order. Cost O(n D²).
    pub fn predict_batch<W: AsRef<[f64]>>(&self, rows: &[W]) -> Vec<Prediction> {
        match self {
            Self::Gbdt(m) => m.predict_batch(rows),
            _ => rows.iter().map(|w| self.predict(w.as_ref())).collect(),
        }
    }

    /// The expected value only. Cost O(D).
    pub fn mean(&self, weights: &[f64]) -> f64 {
        match self {
            Self::Law1(m) => m.mean(&ln_weights(weights)),
            Self::Constant(m) => m.mean,
            Self::Linear(m) => m.mean(weights),
            Self::Gbdt(m) => m.mean(weights),
        }
    }

    /// The expected values of many mixtures, into a slice of the same length.
    /// As [`Model::mean`] for each, but trees take 64 at a time, which is some
    /// thirty times faster: score candidates in slices, on as many threads as
    /// there are.
    pub fn means<W: AsRef<[f64]>>(&self, rows: &[W], out: &mut [f64]) {
        if let Self::Gbdt(m) = self {
            return m.means(rows, out);
        }
        for (out, row) in out.iter_mut().zip(rows) {
            *out = self.mean(row.as_ref());
        }
    }

    /// As [`Model::mean`], with logarithms that several models share.
    pub(crate) fn mean_with(&self, weights: &[f64], ln_weights: &[f64]) -> f64 {
        match self {
            Self::Law1(m) => m.mean(ln_weights),
            _ => self.mean(weights),
        }
    }

    /// The derivative of the expected value by each weight, taken as if the
    /// weights were free (they are not: project it on the simplex); `None`
    /// where the model has no derivative.
    pub fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        match self {
            Self::Constant(_) => Some(vec![0.0; weights.len()]),
            Self::Linear(m) => Some(m.coefficients().to_vec()),
            Self::Law1(m) => Some(m.gradient(weights)),
            Self::Gbdt(_) => None,
        }
    }

    /// Checks what a file may have got wrong: the number of domains, and
    /// that numbers are finite.
    pub(crate) fn check(&self, domains: usize) -> Result<()> {
        let (have, finite) = match self {
            Self::Constant(m) => (domains, m.mean.is_finite() && m.sd.is_finite()),
            Self::Linear(m) => (m.coefficients().len(), m.is_sound()),
            Self::Law1(m) => (m.domains(), m.is_sound()),
            Self::Gbdt(m) => (m.domains(), m.is_sound()),
        };
        if have != domains || !finite {
            return Err(Error::input(format!(
                "damaged `{}` model: {have} domains, expected {domains}, and finite numbers",
                self.kind()
            ))
            .help("run the fit again"));
        }
        Ok(())
    }
}
