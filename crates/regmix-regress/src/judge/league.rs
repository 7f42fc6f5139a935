//! The league table: how well every regressor does on every target.

use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::Result;
use regmix_data::sealed::checksum;
use regmix_data::table::records::{self, number_or_empty};

use crate::cross_validation::CrossValidation;
use crate::metrics::{
    coverage90, mae, mean, mse, r2, sd_rank, spearman, top1_optimism, top1_regret,
};
use crate::prediction::Prediction;

/// The row of the automatic choice: for every fold the regressor that was
/// best on the other folds.
pub const AUTO: &str = "auto";

/// One regressor on one target, by cross-validation. Numbers are means over
/// the repeats; NaN where a quantity is not defined, such as the rank
/// correlation of a constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The regressor's name.
    pub regressor: String,
    /// The target.
    pub target: String,
    /// Rows with a measurement.
    pub rows: usize,
    /// Spearman's rank correlation, in `[-1, 1]`.
    #[serde(with = "number_or_empty")]
    pub spearman: f64,
    /// Mean absolute error, unit of the target.
    #[serde(with = "number_or_empty")]
    pub mae: f64,
    /// Mean squared error, squared unit of the target.
    #[serde(with = "number_or_empty")]
    pub mse: f64,
    /// Coefficient of determination, at most 1.
    #[serde(with = "number_or_empty")]
    pub r2: f64,
    /// What picking the best prediction costs: by how much its measured value is worse than
    /// the best measured one. Best is lowest for losses and highest for scores.
    #[serde(with = "number_or_empty")]
    pub regret: f64,
    /// By how much the measured value of the row with the best prediction is worse than
    /// predicted: the model is so much too optimistic about its own choice. 0 is right.
    #[serde(with = "number_or_empty")]
    pub optimism: f64,
    /// Share of measurements inside their 90 % interval; 0.9 is right.
    #[serde(with = "number_or_empty")]
    pub coverage90: f64,
    /// Rank correlation of the standard deviation with the absolute error:
    /// whether the model is uncertain where its errors are large.
    #[serde(with = "number_or_empty")]
    pub sd_rank: f64,
    /// Mean seconds of one fit, on one thread.
    pub fit_seconds: f64,
    /// Mean seconds to predict one fold, with standard deviations.
    pub score_seconds: f64,
    /// Whether this is the regressor that the fit uses for the target.
    pub chosen: bool,
}

impl Entry {
    /// Scores out-of-fold predictions against measurements.
    pub fn new(regressor: &str, target: &str, measured: &[f64], cv: &CrossValidation) -> Self {
        let average = |metric: fn(&[f64], &[f64]) -> f64| {
            let means =
                |repeat: &Vec<Prediction>| repeat.iter().map(|p| p.mean).collect::<Vec<_>>();
            let one = |repeat: &Vec<Prediction>| metric(measured, &means(repeat));
            mean(&cv.predictions.iter().map(one).collect::<Vec<_>>())
        };
        let with_sd = |metric: fn(&[f64], &[Prediction]) -> f64| {
            let one = |repeat: &Vec<Prediction>| metric(measured, repeat);
            mean(&cv.predictions.iter().map(one).collect::<Vec<_>>())
        };
        Self {
            regressor: regressor.to_owned(),
            target: target.to_owned(),
            rows: measured.len(),
            spearman: average(spearman),
            mae: average(mae),
            mse: average(mse),
            r2: average(r2),
            regret: average(top1_regret),
            optimism: average(top1_optimism),
            coverage90: with_sd(coverage90),
            sd_rank: with_sd(sd_rank),
            fit_seconds: cv.fit_seconds,
            score_seconds: cv.score_seconds,
            chosen: false,
        }
    }

    /// The entry of a score, of which the highest prediction is picked.
    #[must_use]
    pub(crate) fn of_score(self, measured: &[f64], cv: &CrossValidation) -> Self {
        let lost: Vec<f64> = measured.iter().map(|score| -score).collect();
        let average = |metric: fn(&[f64], &[f64]) -> f64| {
            let one = |repeat: &Vec<Prediction>| {
                let means: Vec<f64> = repeat.iter().map(|p| -p.mean).collect();
                metric(&lost, &means)
            };
            mean(&cv.predictions.iter().map(one).collect::<Vec<_>>())
        };
        Self {
            regret: average(top1_regret),
            optimism: average(top1_optimism),
            ..self
        }
    }
}

/// All entries, ordered by target (as in the values) and regressor (as
/// asked for).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct League {
    entries: Vec<Entry>,
}

impl League {
    /// Collects entries.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of one regressor on one target.
    pub fn get(&self, regressor: &str, target: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|e| e.regressor == regressor && e.target == target)
    }

    /// The mean of a metric over the targets of one regressor; targets where
    /// it is not defined are left out. NaN for none.
    pub fn average(&self, regressor: &str, metric: impl Fn(&Entry) -> f64) -> f64 {
        let of = self.entries.iter().filter(|e| e.regressor == regressor);
        mean(&of.map(metric).filter(|v| v.is_finite()).collect::<Vec<_>>())
    }

    /// The regressors, in the order of the options.
    pub fn regressors(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        for entry in &self.entries {
            if !out.contains(&entry.regressor.as_str()) {
                out.push(&entry.regressor);
            }
        }
        out
    }

    /// The table as CSV text.
    pub fn to_csv(&self) -> Result<String> {
        records::to_csv(&self.entries)
    }

    /// The checksum of the table without its durations.
    pub(crate) fn checksum(&self) -> Result<String> {
        let timeless = self.entries.iter().cloned().map(|mut entry| {
            (entry.fit_seconds, entry.score_seconds) = (0.0, 0.0);
            entry
        });
        let text = records::to_csv(&timeless.collect::<Vec<_>>())?;
        Ok(checksum(text.as_bytes()))
    }

    /// Writes [`League::to_csv`] to a file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        records::write_csv(path, &self.entries)
    }

    /// Reads a table back.
    ///
    /// # Errors
    /// When the file cannot be read or is no league table.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(records::read_csv(path)?))
    }
}
