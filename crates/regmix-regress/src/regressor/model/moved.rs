//! A model of what approximate values leave.

use serde::{Deserialize, Serialize};

use regmix_data::Result;

use crate::numeric::slices::add;
use crate::prediction::Prediction;
use crate::regressor::block::Block;
use crate::regressor::model::Model;
use crate::samples::Samples;

/// A share of approximate values, and a model of the difference to the measured ones:
/// `share · (approximate - level) + rest`. The standard deviation is that of the rest,
/// which is kept near the values that it was fitted to: where there are no runs, the
/// approximate values are more reliable than an extrapolated difference.
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
    /// The least and the greatest rest.
    range: [f64; 2],
}

impl Taken {
    /// A share of approximate values, less their mean over some runs.
    pub(crate) fn of(approximate: &Model, share: f64, samples: &Samples<'_>) -> Self {
        let values = samples.rows().iter().map(|row| approximate.mean(row));
        let mut out = Self {
            share,
            level: values.sum::<f64>() / samples.len() as f64,
            approximate: Box::new(approximate.clone()),
            range: [f64::INFINITY, f64::NEG_INFINITY],
        };
        let [mut low, mut high] = out.range;
        for (row, value) in samples.rows().iter().zip(samples.values()) {
            let rest = value - out.at(row);
            (low, high) = (low.min(rest), high.max(rest));
        }
        // Half as far again on both sides.
        let beyond = 0.5 * (high - low);
        out.range = [low - beyond, high + beyond];
        out
    }

    /// A predicted rest, within what is likely.
    pub(crate) fn bounded(&self, rest: f64) -> f64 {
        let [low, high] = self.range;
        rest.max(low).min(high)
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
        self.taken.bounded(self.rest.mean(weights)) + self.taken.at(weights)
    }

    pub(crate) fn means(&self, block: &Block<'_>, out: &mut [f64]) {
        self.rest.block_means(block, out);
        let mut part = vec![0.0; out.len()];
        self.taken.approximate.block_means(block, &mut part);
        for (out, approximate) in out.iter_mut().zip(&part) {
            *out = self.taken.bounded(*out) + self.taken.share * (approximate - self.taken.level);
        }
    }

    pub(crate) fn predict_all(&self, rows: &[&[f64]]) -> Vec<Prediction> {
        let mut out = self.rest.predict_some(rows);
        for (out, row) in out.iter_mut().zip(rows) {
            out.mean = self.taken.bounded(out.mean) + self.taken.at(row);
        }
        out
    }

    pub(crate) fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let (rest, by_rest) = self.rest.value_and_gradient(weights);
        let (approximate, by) = self.taken.approximate.value_and_gradient(weights);
        let bounded = self.taken.bounded(rest);
        let gradient = by_rest.zip(by).map(|(mut sum, by)| {
            if bounded != rest {
                sum.fill(0.0);
            }
            add(&mut sum, self.taken.share, &by);
            sum
        });
        let value = bounded + self.taken.share * (approximate - self.taken.level);
        (value, gradient)
    }

    pub(crate) fn check(&self, domains: usize) -> Result<()> {
        self.taken.approximate.check(domains)?;
        self.rest.check(domains)
    }

    pub(crate) fn is_sound(&self) -> bool {
        let [low, high] = self.taken.range;
        let numbers = [self.taken.share, self.taken.level, low, high];
        numbers.iter().all(|x| x.is_finite()) && low <= high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regressor::regressor;

    fn linear(rows: &[Vec<f64>], value: impl Fn(f64) -> f64) -> Model {
        let values = rows.iter().map(|row| value(row[0])).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        regressor("linear").unwrap().fit(&samples, 0).unwrap()
    }

    #[test]
    fn a_rest_stays_near_the_values_that_it_was_fitted_to() {
        let row = |w: f64| vec![w, 1.0 - w];
        let runs: Vec<Vec<f64>> = (0..=10).map(|i| row(0.4 + 0.02 * f64::from(i))).collect();
        let approximate = linear(&runs, |w| 2.0 + 0.5 * w);
        // The rest goes from -1 to 1 over the runs.
        let values = runs.iter().map(|r| 2.0 + 0.5 * r[0] + 10.0 * (r[0] - 0.5));
        let samples = Samples::new(runs.iter().map(Vec::as_slice), values.collect()).unwrap();
        let taken = Taken::of(&approximate, 1.0, &samples);
        let rest = taken.rest_of(&samples).unwrap();
        let rest = regressor("linear").unwrap().fit(&rest, 0).unwrap();
        let at = |model: &Model, w: f64| model.mean(&row(w));
        let model = taken.and(rest);
        let near = at(&model, 0.55) - (2.0 + 0.5 * 0.55 + 0.5);
        assert!(near.abs() < 1e-2, "{near}");
        // At most half of the width beyond, of 5 that the line would go.
        let far = at(&model, 1.0) - at(&approximate, 1.0);
        assert!((far - 2.0).abs() < 1e-2, "{far}");
        let (value, slopes) = model.value_and_gradient(&row(1.0));
        assert_eq!(value, at(&model, 1.0));
        assert_eq!(slopes, approximate.gradient(&row(1.0)));
        assert_eq!(model.predict(&row(1.0)).mean, value);
        assert!((model.means(&[row(1.0)])[0] - value).abs() < 1e-9);
    }
}
