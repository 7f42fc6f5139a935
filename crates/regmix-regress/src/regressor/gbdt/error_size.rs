//! The standard deviation of a new run around a forest's prediction.

use serde::{Deserialize, Serialize};

use regmix_data::{Monitor, Result};

use crate::folds::Folds;
use crate::metrics::quantile;
use crate::prediction::Z90;
use crate::regressor::gbdt::boost::{Settings, boost};
use crate::regressor::gbdt::forest::Forest;
use crate::samples::Samples;

/// Folds of the rows held out.
const FOLDS: usize = 5;

/// Forests for rows held out are grown with steps of up to this: accuracy
/// hardly differs, and they cost a fraction.
const RATE: f64 = 0.1;

/// This share of the median error is added to every error, so that the
/// logarithms of errors near zero stay moderate.
const FLOOR: f64 = 0.1;

/// `sd = scale · exp(size(r))`, with a small forest for the logarithm of the
/// error's size. Errors differ by factors of ten between mixtures: they are
/// largest where the target's own domain has almost no weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ErrorSize {
    scale: f64,
    size: Forest,
}

impl ErrorSize {
    /// Measures errors on rows held out of the fit, fits their size, and
    /// scales it so that it holds for rows held out of that fit.
    pub(super) fn fit(
        samples: &Samples<'_>,
        seed: u64,
        settings: impl Fn(usize) -> Settings,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let folds = Folds::of(samples, FOLDS, seed, "gbdt-spread")?;
        let coarse = |rows| {
            let settings = settings(rows);
            let coarser = (RATE / settings.rate).max(1.0);
            Settings {
                rounds: (settings.rounds as f64 / coarser).ceil() as usize,
                rate: settings.rate * coarser,
                ..settings
            }
        };
        let predicted = held_out(samples, &folds, coarse, monitor)?;
        let errors: Vec<f64> = (samples.values().iter().zip(&predicted))
            .map(|(y, p)| (y - p).abs())
            .collect();
        // Keeps logarithms finite where most errors are zero.
        let floor = (FLOOR * quantile(&errors, 0.5)).max(f64::MIN_POSITIVE);
        let logs = errors.iter().map(|e| (e + floor).ln()).collect();
        let sized = Samples::new(samples.rows().iter().copied(), logs)?;
        let small = |rows| Settings {
            rounds: 60,
            rate: 0.05,
            leaves: 4,
            min_rows: 20,
            ..settings(rows)
        };
        let sizes = held_out(&sized, &folds, small, monitor)?;
        let ratios: Vec<f64> = (errors.iter().zip(&sizes))
            .map(|(e, s)| e / s.exp())
            .collect();
        // One more error than those seen is as likely in any place among
        // them.
        let rows = samples.len() as f64;
        let scale = quantile(&ratios, 0.9 * (rows + 1.0) / rows) / Z90;
        let size = boost(&sized, &small(sized.len()), monitor)?;
        Ok(Self { scale, size })
    }

    pub(super) fn sd(&self, weights: &[f64]) -> f64 {
        self.scale * self.size.mean(weights).exp()
    }

    pub(super) fn sds<W: AsRef<[f64]>>(&self, rows: &[W]) -> Vec<f64> {
        let mut out = vec![0.0; rows.len()];
        self.size.means(rows, &mut out);
        for size in &mut out {
            *size = self.scale * size.exp();
        }
        out
    }

    pub(super) fn given(&self, tail: &[f64]) -> Self {
        Self {
            scale: self.scale,
            size: self.size.given(tail),
        }
    }

    pub(super) fn is_sound(&self, domains: usize) -> bool {
        self.scale.is_finite() && self.scale >= 0.0 && self.size.domains() == domains
    }
}

/// Predictions of every row by a forest grown without it.
fn held_out(
    samples: &Samples<'_>,
    folds: &Folds,
    settings: impl Fn(usize) -> Settings,
    monitor: &dyn Monitor,
) -> Result<Vec<f64>> {
    let mut out = vec![0.0; samples.len()];
    for fold in 0..folds.count() {
        let (train, held) = folds.split(fold);
        let forest = boost(&samples.pick(&train)?, &settings(train.len()), monitor)?;
        let rows: Vec<&[f64]> = held.iter().map(|&i| samples.rows()[i]).collect();
        let mut predicted = vec![0.0; rows.len()];
        forest.means(&rows, &mut predicted);
        for (i, p) in held.into_iter().zip(predicted) {
            out[i] = p;
        }
    }
    Ok(out)
}
