//! Fitted models, as they are kept in `fit.json`.

pub(crate) mod calibrated;
pub(crate) mod constant;
pub(crate) mod ensemble;
pub(crate) mod moved;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use crate::prediction::Prediction;
use crate::regressor::bimix::model::BimixModel;
use crate::regressor::block::Block;
use crate::regressor::gbdt::model::GbdtModel;
use crate::regressor::gp::model::GpModel;
use crate::regressor::law::model::{LawModel, ln_weights};
use crate::regressor::linear::model::LinearModel;
use crate::regressor::log_linear::model::LogLinearModel;
use crate::regressor::model::calibrated::CalibratedModel;
use crate::regressor::model::constant::ConstantModel;
use crate::regressor::model::ensemble::EnsembleModel;
use crate::regressor::model::moved::MovedModel;

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
    /// A sum of trees.
    Gbdt(GbdtModel),
    /// A power law with cross terms.
    Law(LawModel),
    /// A Gaussian process.
    Gp(Box<GpModel>),
    /// A weighted mean of models.
    Ensemble(EnsembleModel),
    /// A model whose standard deviation was corrected.
    Calibrated(CalibratedModel),
    /// The power law in the target's own weight.
    Bimix(BimixModel),
    /// The log-linear law.
    LogLinear(LogLinearModel),
    /// A share of approximate values, and a model of the rest.
    Moved(MovedModel),
}

/// The expected values of several models at many mixtures,
/// `[mixtures][models]` in one vector, in parallel. What models share (the
/// logarithms of weights) is worked out once.
pub fn score<W: AsRef<[f64]> + Sync>(models: &[&Model], rows: &[W]) -> Vec<f64> {
    let k = models.len();
    let mut out = vec![0.0; rows.len() * k];
    (out.par_chunks_mut(Block::ROWS * k.max(1)))
        .zip(rows.par_chunks(Block::ROWS))
        .for_each(|(out, rows)| {
            let rows: Vec<&[f64]> = rows.iter().map(AsRef::as_ref).collect();
            let block = Block::of(&rows);
            let mut column = vec![0.0; rows.len()];
            for (at, model) in models.iter().enumerate() {
                model.block_means(&block, &mut column);
                for (out, mean) in out.chunks_exact_mut(k).zip(&column) {
                    out[at] = *mean;
                }
            }
        });
    out
}

impl Model {
    /// The model as it was fitted, and the factor of its standard deviation.
    pub(crate) fn uncalibrated(&self) -> (&Self, f64) {
        match self {
            Self::Calibrated(m) => (&m.model, m.factor),
            _ => (self, 1.0),
        }
    }

    /// The same model with its standard deviation times `factor`.
    pub(crate) fn calibrated(self, factor: f64) -> Self {
        Self::Calibrated(CalibratedModel {
            factor,
            model: Box::new(self),
        })
    }

    /// The kind, as it is written in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Constant(_) => "constant",
            Self::Linear(_) => "linear",
            Self::Gbdt(_) => "gbdt",
            Self::Law(_) => "law",
            Self::Gp(_) => "gp",
            Self::Ensemble(_) => "ensemble",
            Self::Calibrated(_) => "calibrated",
            Self::Bimix(_) => "bimix",
            Self::LogLinear(_) => "log_linear",
            Self::Moved(_) => "moved",
        }
    }

    /// Predicts one mixture. Cost O(D²) for D domains (O(D) without the
    /// standard deviation, see [`Model::mean`]); for a Gaussian process over n
    /// runs O(n²) (O(n D)).
    pub fn predict(&self, weights: &[f64]) -> Prediction {
        match self {
            Self::Constant(m) => Prediction {
                mean: m.mean,
                sd: m.sd,
            },
            Self::Linear(m) => m.predict(weights),
            Self::Gbdt(m) => m.predict(weights),
            Self::Law(m) => m.predict(weights),
            Self::Gp(m) => m.predict_all(&[weights])[0],
            Self::Ensemble(m) => m.predict(weights),
            Self::Calibrated(m) => {
                let p = m.model.predict(weights);
                Prediction {
                    sd: m.factor * p.sd,
                    ..p
                }
            }
            Self::Bimix(m) => m.predict(weights),
            Self::LogLinear(m) => m.predict(weights),
            Self::Moved(m) => m.predict_all(&[weights])[0],
        }
    }

    /// Predicts many mixtures, in order: faster than one by one, and the
    /// same.
    pub fn predict_batch<W: AsRef<[f64]>>(&self, rows: &[W]) -> Vec<Prediction> {
        let rows: Vec<&[f64]> = rows.iter().map(AsRef::as_ref).collect();
        rows.chunks(Block::ROWS)
            .flat_map(|some| self.predict_some(some))
            .collect()
    }

    pub(crate) fn predict_some(&self, rows: &[&[f64]]) -> Vec<Prediction> {
        match self {
            Self::Gbdt(m) => m.predict_batch(rows),
            Self::Gp(m) => m.predict_all(rows),
            Self::Ensemble(m) => m.predict_all(rows),
            Self::Moved(m) => m.predict_all(rows),
            Self::Calibrated(m) => {
                let mut out = m.model.predict_some(rows);
                out.iter_mut().for_each(|p| p.sd *= m.factor);
                out
            }
            _ => rows.iter().map(|w| self.predict(w)).collect(),
        }
    }

    /// The expected values of many mixtures, in parallel: the fastest way to
    /// score candidates. Agrees with [`Model::mean`] to a relative 1e-9.
    ///
    /// ```
    /// use regmix_regress::{Samples, regressor::regressor};
    ///
    /// let rows: Vec<Vec<f64>> = (1..20).map(|i| vec![0.05 * i as f64, 1.0 - 0.05 * i as f64]).collect();
    /// let losses = rows.iter().map(|w| 2.0 + 0.3 * w[0].powf(-0.4)).collect();
    /// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?;
    /// let model = regressor("law1")?.fit(&samples, 0)?;
    /// assert!((model.means(&rows)[3] - model.mean(&rows[3])).abs() < 1e-9);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    pub fn means<W: AsRef<[f64]> + Sync>(&self, rows: &[W]) -> Vec<f64> {
        score(&[self], rows)
    }

    /// The expected value only. Cost O(D).
    pub fn mean(&self, weights: &[f64]) -> f64 {
        match self {
            Self::Law(m) => m.mean(&ln_weights(weights)),
            Self::Gp(m) => m.mean(weights),
            Self::Ensemble(m) => m.mean(weights),
            Self::Calibrated(m) => m.model.mean(weights),
            Self::Constant(m) => m.mean,
            Self::Linear(m) => m.mean(weights),
            Self::Gbdt(m) => m.mean(weights),
            Self::Bimix(m) => m.mean(weights),
            Self::LogLinear(m) => m.mean(weights),
            Self::Moved(m) => m.mean(weights),
        }
    }

    /// As [`Model::mean`], with logarithms that several models share.
    pub(crate) fn mean_with(&self, weights: &[f64], ln_weights: &[f64]) -> f64 {
        match self {
            Self::Law(m) => m.mean(ln_weights),
            _ => self.mean(weights),
        }
    }

    /// The expected values of a block of rows.
    pub(crate) fn block_means(&self, block: &Block<'_>, out: &mut [f64]) {
        match self {
            Self::Constant(m) => out.fill(m.mean),
            Self::Linear(m) => m.means(block, out),
            Self::Bimix(_) | Self::LogLinear(_) => {
                for (out, row) in out.iter_mut().zip(block.rows()) {
                    *out = self.mean(row);
                }
            }
            Self::Gbdt(m) => m.means(block.rows(), out),
            Self::Law(m) => m.means(block, out),
            Self::Gp(m) => m.means(block, out),
            Self::Ensemble(m) => m.means(block, out),
            Self::Moved(m) => m.means(block, out),
            Self::Calibrated(m) => m.model.block_means(block, out),
        }
    }

    /// The model over the inputs that are left when the last ones have the
    /// values of `tail`, for models that are faster so: trees, whose questions
    /// about those are answered beforehand. `None` for others, and where no
    /// input would be left.
    ///
    /// Predictions are those of the whole model at `weights` followed by
    /// `tail`, up to rounding. Cost O(nodes).
    pub fn given(&self, tail: &[f64]) -> Option<Self> {
        match self {
            Self::Gbdt(m) => (tail.len() < m.domains()).then(|| Self::Gbdt(m.given(tail))),
            Self::Calibrated(m) => Some(m.model.given(tail)?.calibrated(m.factor)),
            _ => None,
        }
    }

    /// The derivative of the expected value by each weight, taken as if the
    /// weights were free (they are not: project it on the simplex); `None`
    /// where the model has no derivative.
    pub fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        self.value_and_gradient(weights).1
    }

    /// [`Model::mean`] and [`Model::gradient`] at once, which share most of
    /// their work in a Gaussian process.
    pub(crate) fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let gradient = match self {
            Self::Gp(m) => {
                let (value, gradient) = m.value_and_gradient(weights);
                return (value, Some(gradient));
            }
            Self::Ensemble(m) => return m.value_and_gradient(weights),
            Self::Moved(m) => return m.value_and_gradient(weights),
            Self::Calibrated(m) => return m.model.value_and_gradient(weights),
            Self::Constant(_) => Some(vec![0.0; weights.len()]),
            Self::Linear(m) => Some(m.coefficients().to_vec()),
            Self::Law(m) => Some(m.gradient(weights)),
            Self::Gbdt(_) => None,
            Self::Bimix(m) => Some(m.gradient(weights)),
            Self::LogLinear(m) => Some(m.gradient(weights)),
        };
        (self.mean(weights), gradient)
    }

    /// Checks what a file may have got wrong: the number of domains, and
    /// that numbers are finite.
    ///
    /// # Errors
    /// When the model is over another number of domains, or a number is not
    /// finite.
    pub fn check(&self, domains: usize) -> Result<()> {
        let (have, finite) = match self {
            Self::Constant(m) => (domains, m.mean.is_finite() && m.sd.is_finite()),
            Self::Linear(m) => (m.coefficients().len(), m.is_sound()),
            Self::Law(m) => (m.domains(), m.is_sound()),
            Self::Gp(m) => (m.domains(), m.is_sound()),
            Self::Ensemble(m) => return m.check(domains),
            Self::Moved(m) if m.is_sound() => return m.check(domains),
            Self::Moved(_) => (domains, false),
            Self::Calibrated(m) if m.factor > 0.0 && m.factor.is_finite() => {
                return m.model.check(domains);
            }
            Self::Calibrated(_) => (domains, false),
            Self::Gbdt(m) => (m.domains(), m.is_sound()),
            Self::Bimix(m) => (m.domains(), m.is_sound()),
            Self::LogLinear(m) => (m.domains(), m.is_sound()),
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
