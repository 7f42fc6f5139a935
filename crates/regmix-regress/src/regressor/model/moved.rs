//! A model of what approximate values leave.

use serde::{Deserialize, Serialize};

use regmix_data::Result;

use crate::numeric::slices::add;
use crate::prediction::Prediction;
use crate::regressor::block::Block;
use crate::regressor::model::Model;
use crate::samples::Samples;

/// A share of approximate values, and a model of what that leaves:
/// `share · (approximate - level) + rest`. The standard deviation is that of the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MovedModel {
    taken: Taken,
    rest: Box<Model>,
}

/// What is taken from values before a model is fitted to the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taken {
    share: f64,
    /// The mean of the approximate values over the runs: the rest keeps the level of
    /// the values.
    level: f64,
    approximate: Box<Model>,
}

impl Taken {
    /// A share of approximate values, less their mean over some runs.
    pub(crate) fn of(approximate: &Model, share: f64, samples: &Samples<'_>) -> Self {
        let values = samples.rows().iter().map(|row| approximate.mean(row));
        Self {
            share,
            level: values.sum::<f64>() / samples.len() as f64,
            approximate: Box::new(approximate.clone()),
        }
    }

    /// What is taken at a mixture.
    pub(crate) fn at(&self, weights: &[f64]) -> f64 {
        self.share * (self.approximate.mean(weights) - self.level)
    }

    /// What is left of values.
    ///
    /// # Errors
    /// When that is not finite.
    pub(crate) fn rest_of<'a>(&self, samples: &Samples<'a>) -> Result<Samples<'a>> {
        samples.less(|weights| self.at(weights))
    }

    /// The model of the values, from one of what is left.
    pub(crate) fn and(self, rest: Model) -> Model {
        Model::Moved(MovedModel {
            taken: self,
            rest: Box::new(rest),
        })
    }
}

impl MovedModel {
    /// The share of the approximate values.
    pub fn share(&self) -> f64 {
        self.taken.share
    }

    /// The model of the approximate values.
    pub fn approximate(&self) -> &Model {
        &self.taken.approximate
    }

    /// The model of what is left.
    pub fn rest(&self) -> &Model {
        &self.rest
    }

    pub(crate) fn taken(&self) -> &Taken {
        &self.taken
    }

    pub(crate) fn mean(&self, weights: &[f64]) -> f64 {
        self.rest.mean(weights) + self.taken.at(weights)
    }

    pub(crate) fn means(&self, block: &Block<'_>, out: &mut [f64]) {
        self.rest.block_means(block, out);
        let mut part = vec![0.0; out.len()];
        self.taken.approximate.block_means(block, &mut part);
        for (out, approximate) in out.iter_mut().zip(&part) {
            *out += self.taken.share * (approximate - self.taken.level);
        }
    }

    pub(crate) fn predict_all(&self, rows: &[&[f64]]) -> Vec<Prediction> {
        let mut out = self.rest.predict_some(rows);
        for (out, row) in out.iter_mut().zip(rows) {
            out.mean += self.taken.at(row);
        }
        out
    }

    pub(crate) fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let (rest, by_rest) = self.rest.value_and_gradient(weights);
        let (approximate, by) = self.taken.approximate.value_and_gradient(weights);
        let gradient = by_rest.zip(by).map(|(mut sum, by)| {
            add(&mut sum, self.taken.share, &by);
            sum
        });
        let value = rest + self.taken.share * (approximate - self.taken.level);
        (value, gradient)
    }

    pub(crate) fn check(&self, domains: usize) -> Result<()> {
        self.taken.approximate.check(domains)?;
        self.rest.check(domains)
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.taken.share.is_finite() && self.taken.level.is_finite()
    }
}
