//! Cross-validation: every row predicted by a model that has not seen it.

use std::time::Instant;

use rayon::prelude::*;

use regmix_data::{Error, Monitor, Result, Silent};

use crate::folds::Folds;
use crate::prediction::Prediction;
use crate::regressor::interface::{FitContext, Regressor};
use crate::samples::Samples;

/// How to cross-validate.
///
/// | field | default | range |
/// |---|---|---|
/// | `folds` | 5 | 2 or more |
/// | `repeats` | 1 | 1 to 1000 |
/// | `seed` | 0 | any |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CvOptions {
    /// Folds per repeat.
    pub folds: usize,
    /// Repeats, each with its own folds.
    pub repeats: usize,
    /// Seed of folds and fits.
    pub seed: u64,
}

impl Default for CvOptions {
    fn default() -> Self {
        Self {
            folds: 5,
            repeats: 1,
            seed: 0,
        }
    }
}

/// Out-of-fold predictions of one regressor for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossValidation {
    /// Predictions, `[repeats][rows]`, in the order of the samples.
    pub predictions: Vec<Vec<Prediction>>,
    /// The folds of every repeat.
    pub folds: Vec<Folds>,
    /// Mean seconds of one fit.
    pub fit_seconds: f64,
    /// Mean seconds to predict one fold, with standard deviations.
    pub score_seconds: f64,
}

impl CrossValidation {
    /// Predictions of `n` rows in one repeat of five folds.
    #[cfg(test)]
    pub(crate) fn judged(n: usize, of: impl Fn(usize) -> Prediction) -> Self {
        Self {
            predictions: vec![(0..n).map(of).collect()],
            folds: vec![Folds::new(n, 5, 0, "t").unwrap()],
            fit_seconds: 1.0,
            score_seconds: 1.0,
        }
    }

    /// The first repeats alone.
    pub(crate) fn first(&self, repeats: usize) -> Self {
        Self {
            predictions: self.predictions.iter().take(repeats).cloned().collect(),
            folds: self.folds.iter().take(repeats).cloned().collect(),
            ..*self
        }
    }

    /// The same with predicted means changed, by row.
    pub(crate) fn moved(&self, change: impl Fn(usize, f64) -> f64) -> Self {
        let mut out = self.clone();
        for repeat in &mut out.predictions {
            for (row, p) in repeat.iter_mut().enumerate() {
                p.mean = change(row, p.mean);
            }
        }
        out
    }

    /// Predictions with their measurements, of the rows that `used` picks by
    /// repeat and row.
    pub(crate) fn used<'a>(
        &'a self,
        measured: &'a [f64],
        used: impl Fn(usize, usize) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a Prediction, f64)> {
        let rows = self.predictions.iter().enumerate();
        rows.flat_map(move |(repeat, rows)| {
            rows.iter()
                .zip(measured)
                .enumerate()
                .map(move |(row, pair)| (repeat, row, pair))
        })
        .filter(move |(repeat, row, _)| used(*repeat, *row))
        .map(|(_, _, (p, y))| (p, *y))
    }
}

/// Predicts every row by models fitted without it.
///
/// The regressor sees the other folds only, including for what it chooses by
/// cross-validation of its own. Fits run in parallel; the result does not
/// depend on the number of threads. Cost: `folds · repeats` fits.
///
/// ```
/// use regmix_regress::{CvOptions, Samples, cross_validate, regressor::regressor};
///
/// let rows: Vec<Vec<f64>> = (0..20).map(|i| vec![i as f64 / 19.0, 1.0 - i as f64 / 19.0]).collect();
/// let losses = rows.iter().map(|w| 3.0 - w[0]).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?;
/// let cv = cross_validate(&*regressor("linear")?, &samples, &CvOptions::default())?;
/// assert_eq!(cv.predictions[0].len(), 20);
/// assert!((cv.predictions[0][19].mean - 2.0).abs() < 1e-4);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When the options are out of range or a fit fails.
pub fn cross_validate(
    regressor: &dyn Regressor,
    samples: &Samples<'_>,
    options: &CvOptions,
) -> Result<CrossValidation> {
    cross_validate_beside(regressor, samples, None, options, &Silent)
}

/// As [`cross_validate`], with further samples `beside` that are fitted in
/// every fold and never judged. Those of a mixture that is held out in a fold
/// are left out of its fit.
pub(crate) fn cross_validate_beside(
    regressor: &dyn Regressor,
    samples: &Samples<'_>,
    beside: Option<&Samples<'_>>,
    options: &CvOptions,
    monitor: &dyn Monitor,
) -> Result<CrossValidation> {
    if !(1..=1000).contains(&options.repeats) {
        let found = options.repeats;
        return Err(Error::input(format!("{found} repeats: expected 1 to 1000")));
    }
    let mut jobs = Vec::new();
    let mut all_folds = Vec::with_capacity(options.repeats);
    for repeat in 0..options.repeats {
        let run = format!("repeat-{repeat}");
        let folds = Folds::of(samples, options.folds, options.seed, &run)?;
        for fold in 0..folds.count() {
            let (train, held) = folds.split(fold);
            jobs.push((repeat, train, held));
        }
        all_folds.push(folds);
    }
    let done: Vec<_> = jobs
        .par_iter()
        .map(|(repeat, train, held)| {
            monitor.check()?;
            let started = Instant::now();
            let rows: Vec<&[f64]> = held.iter().map(|&i| samples.rows()[i]).collect();
            let mut seen = samples.pick(train)?;
            if let Some(beside) = beside.and_then(|beside| beside.apart_from(&rows)) {
                seen = seen.and(&beside)?;
            }
            let context = FitContext::new(options.seed, monitor);
            let model = regressor.fit_with(&seen, context)?;
            let fitted = Instant::now();
            let predictions = model.predict_batch(&rows);
            let times = (
                (fitted - started).as_secs_f64(),
                fitted.elapsed().as_secs_f64(),
            );
            Ok((*repeat, held, predictions, times))
        })
        .collect::<Result<_>>()?;
    let mut out = CrossValidation {
        predictions: vec![vec![Prediction::NONE; samples.len()]; options.repeats],
        folds: all_folds,
        fit_seconds: 0.0,
        score_seconds: 0.0,
    };
    for (repeat, held, predictions, (fit, score)) in done {
        for (&i, p) in held.iter().zip(predictions) {
            out.predictions[repeat][i] = p;
        }
        out.fit_seconds += fit / jobs.len() as f64;
        out.score_seconds += score / jobs.len() as f64;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regressor::model::Model;
    use crate::regressor::model::constant::ConstantModel;

    /// Predicts the sum of the values it was fitted to, which shows which rows
    /// it has seen.
    struct Spy;
    impl Regressor for Spy {
        fn name(&self) -> &str {
            "spy"
        }
        fn fit_with(&self, samples: &Samples<'_>, _: FitContext<'_>) -> Result<Model> {
            Ok(Model::Constant(ConstantModel::of(&[samples
                .values()
                .iter()
                .sum()])))
        }
    }

    #[test]
    fn a_row_is_never_predicted_by_a_model_that_saw_it() {
        // Values are distinct bits, so that the sum names the rows.
        let rows: Vec<Vec<f64>> = (0..16).map(|i| vec![f64::from(i), 0.5]).collect();
        let values: Vec<f64> = (0..16).map(|i| f64::from(1u32 << i)).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        let options = CvOptions {
            repeats: 3,
            ..CvOptions::default()
        };
        let cv = cross_validate(&Spy, &samples, &options).unwrap();
        for repeat in &cv.predictions {
            for (i, p) in repeat.iter().enumerate() {
                assert_eq!((p.mean as u32) >> i & 1, 0, "row {i} leaked");
            }
        }
        assert_ne!(cv.predictions[0], cv.predictions[1]);
    }

    #[test]
    fn samples_beside_are_always_fitted_except_held_out_mixtures() {
        let rows: Vec<Vec<f64>> = (0..16).map(|i| vec![f64::from(i), 0.5]).collect();
        let values: Vec<f64> = (0..16).map(|i| f64::from(1u32 << i)).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        // One of a mixture of its own, one of that of row 3.
        let others = [vec![40.0, 0.5], rows[3].clone()];
        let bits = vec![f64::from(1u32 << 20), f64::from(1u32 << 21)];
        let beside = Samples::new(others.iter().map(Vec::as_slice), bits).unwrap();
        let options = CvOptions::default();
        let cv = cross_validate_beside(&Spy, &samples, Some(&beside), &options, &Silent).unwrap();
        assert_eq!(cv.predictions[0].len(), 16);
        for (i, p) in cv.predictions[0].iter().enumerate() {
            let seen = p.mean as u32;
            assert_eq!(seen >> i & 1, 0, "row {i} leaked");
            assert_eq!(seen >> 20 & 1, 1, "row {i}: not beside");
            let with_3 = cv.folds[0].fold_of(i) == cv.folds[0].fold_of(3);
            assert_eq!(seen >> 21 & 1, u32::from(!with_3), "row {i}");
        }
    }
}
