//! The league table: how well every regressor does on every target.

use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::artefact::write_atomic;
use regmix_data::{Error, Result};

use crate::cross_validation::CrossValidation;
use crate::metrics::{
    coverage90, mae, mean, mse, r2, sd_rank, spearman, top1_optimism, top1_regret,
};

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
    #[serde(with = "maybe")]
    pub spearman: f64,
    /// Mean absolute error, unit of the target.
    #[serde(with = "maybe")]
    pub mae: f64,
    /// Mean squared error, squared unit of the target.
    #[serde(with = "maybe")]
    pub mse: f64,
    /// Coefficient of determination, at most 1.
    #[serde(with = "maybe")]
    pub r2: f64,
    /// Measured value at the best prediction minus the best measured value.
    #[serde(with = "maybe")]
    pub regret: f64,
    /// Measured minus predicted value at the row with the best prediction:
    /// how much the model flatters what it would pick. 0 is right.
    #[serde(with = "maybe")]
    pub optimism: f64,
    /// Share of measurements inside their 90 % interval; 0.9 is right.
    #[serde(with = "maybe")]
    pub coverage90: f64,
    /// Rank correlation of the standard deviation with the absolute error:
    /// whether the model knows where it is wrong.
    #[serde(with = "maybe")]
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
        let average = |metric: &dyn Fn(&[f64]) -> f64| {
            let one = |repeat: &Vec<crate::Prediction>| {
                metric(&repeat.iter().map(|p| p.mean).collect::<Vec<_>>())
            };
            mean(&cv.predictions.iter().map(one).collect::<Vec<_>>())
        };
        let covered = cv
            .predictions
            .iter()
            .map(|p| coverage90(measured, p))
            .collect::<Vec<_>>();
        let ranked = cv
            .predictions
            .iter()
            .map(|p| sd_rank(measured, p))
            .collect::<Vec<_>>();
        Self {
            regressor: regressor.to_owned(),
            target: target.to_owned(),
            rows: measured.len(),
            spearman: average(&|p| spearman(measured, p)),
            mae: average(&|p| mae(measured, p)),
            mse: average(&|p| mse(measured, p)),
            r2: average(&|p| r2(measured, p)),
            regret: average(&|p| top1_regret(measured, p)),
            optimism: average(&|p| top1_optimism(measured, p)),
            coverage90: mean(&covered),
            sd_rank: mean(&ranked),
            fit_seconds: cv.fit_seconds,
            score_seconds: cv.score_seconds,
            chosen: false,
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
        self.entries
            .iter()
            .find(|e| e.regressor == regressor && e.target == target)
    }

    /// The mean of a metric over the targets of one regressor; targets where
    /// it is not defined are left out. NaN for none.
    pub fn average(&self, regressor: &str, metric: impl Fn(&Entry) -> f64) -> f64 {
        let of = self.entries.iter().filter(|e| e.regressor == regressor);
        mean(&of.map(metric).filter(|v| v.is_finite()).collect::<Vec<_>>())
    }

    /// The regressors, in the order they were asked for.
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
        to_csv(&self.entries)
    }

    /// Writes [`League::to_csv`] to a file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path, self.to_csv()?.as_bytes())
    }

    /// Reads a table back.
    ///
    /// # Errors
    /// When the file cannot be read or is no league table.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(from_csv(path.as_ref())?))
    }
}

/// Records as CSV text with a header.
pub(crate) fn to_csv<T: Serialize>(records: &[T]) -> Result<String> {
    let failed =
        |e: &dyn std::fmt::Display| Error::failed(format!("cannot be written as CSV: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer.serialize(record).map_err(|e| failed(&e))?;
    }
    let bytes = writer.into_inner().map_err(|e| failed(&e))?;
    String::from_utf8(bytes).map_err(|e| failed(&e))
}

/// Records of a CSV file with a header.
pub(crate) fn from_csv<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let mut reader = csv::Reader::from_reader(text.as_slice());
    reader
        .deserialize()
        .map(|record| {
            record.map_err(|e: csv::Error| {
                let line = e.position().map_or(1, csv::Position::line);
                Error::input(format!("not the expected CSV: {e}"))
                    .in_file(path)
                    .line(line)
            })
        })
        .collect()
}

/// Numbers that may be missing: an empty field instead of NaN.
pub(crate) mod maybe {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        x.is_finite().then_some(*x).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(d)?.unwrap_or(f64::NAN))
    }
}
