//! The learning curve: accuracy by the number of runs.

mod decay;
mod measure;
mod outlook;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::table::records::{self, number_or_empty};
use regmix_data::{Error, Monitor, Result, Silent};

use crate::fit::Fit;
use crate::judge::auto::Auto;
use crate::judge::league::AUTO;
use crate::registry::regressor;
use crate::regressor::interface::Regressor;

/// How to measure a [`LearningCurve`].
///
/// | field | default | range |
/// |---|---|---|
/// | `regressors` | `ensemble`, `law1` | known names, or `auto` |
/// | `folds` | 5 | 3 or more |
/// | `repeats` | 1 | 1 or more |
/// | `seed` | 0 | any: folds, subsets and fits |
///
/// `auto` chooses by cross-validation among [`Auto`]'s default regressors
/// inside every subset, at about ten times the cost of `ensemble`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearningOptions {
    /// Names of the regressors to measure.
    pub regressors: Vec<String>,
    /// Parts of the runs, each held out once.
    pub folds: usize,
    /// Repeats, each with its own folds and subsets.
    pub repeats: usize,
    /// Seed of folds, subsets and fits.
    pub seed: u64,
}

impl Default for LearningOptions {
    fn default() -> Self {
        Self {
            regressors: vec!["ensemble".to_owned(), "law1".to_owned()],
            folds: 5,
            repeats: 1,
            seed: 0,
        }
    }
}

impl LearningOptions {
    fn check(&self) -> Result<Vec<Box<dyn Regressor>>> {
        if self.folds < 3 || !(1..=1000).contains(&self.repeats) || self.regressors.is_empty() {
            return Err(Error::input(format!(
                "{} folds, {} repeats, {} regressors: expected at least 3 folds, and 1 of each of \
                 the others",
                self.folds,
                self.repeats,
                self.regressors.len()
            )));
        }
        (self.regressors.iter())
            .map(|name| match name.as_str() {
                AUTO => Ok(Box::new(Auto::default()) as Box<dyn Regressor>),
                name => regressor(name),
            })
            .collect()
    }
}

/// The accuracy of one regressor with some number of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningPoint {
    /// The regressor's name.
    pub regressor: String,
    /// The target; none (an empty field in CSV) for the mean over targets.
    pub target: Option<String>,
    /// Runs that were fitted.
    pub runs: usize,
    /// Whether this was not measured but extrapolated by the power law of the
    /// errors.
    pub extrapolated: bool,
    /// How many subsets with that number of runs were fitted; 0 where
    /// extrapolated.
    pub subsets: usize,
    /// Spearman's rank correlation on runs that were not fitted.
    #[serde(with = "number_or_empty")]
    pub spearman: f64,
    /// Its standard deviation over subsets; where extrapolated, the standard
    /// error of the extrapolation.
    #[serde(with = "number_or_empty")]
    pub spearman_sd: f64,
    /// Mean absolute error on runs that were not fitted, unit of the target.
    #[serde(with = "number_or_empty")]
    pub mae: f64,
    /// As `spearman_sd`.
    #[serde(with = "number_or_empty")]
    pub mae_sd: f64,
}

/// Accuracy by the number of runs, and what more runs would bring.
///
/// The runs are dealt into folds, those of one mixture together
/// ([`Folds::of`](crate::Folds::of)). Each fold is held out in turn; from the
/// others, in random order, an eighth, a quarter and a half of all runs and
/// then everything is fitted, and judged on the fold held out. Subsets grow
/// by adding runs, so sizes are compared on equal terms. Figures of a subset
/// are means over the targets.
///
/// **Extrapolation.** The mean absolute error, and likewise 1 - Spearman, is
/// taken to fall as a power of the number of runs n towards a floor that no
/// number of runs goes below (noise, and what the regressor cannot describe):
///
/// `E(n) = floor + a n^(-b)`, floor ≥ 0, a > 0, 0.05 ≤ b ≤ 2,
///
/// by least squares over the mean errors, each weighted by its standard
/// error, at all the runs and at twice as many. Its standard error is that
/// of the jackknife over subsets: everything again without one subset, for
/// each. Nothing is extrapolated, and [`LearningCurve::notes`] gives the reason, where
///
/// - fewer than four sizes could be measured: three numbers are fitted;
/// - the errors do not fall, with or without some subset;
/// - the law misses the measured errors by more than 5 % (root mean square);
/// - the standard error is above a quarter of the extrapolated error.
///
/// A law of three numbers through four sizes is a guide for planning, not a guarantee:
/// runs that differ in kind from those there are (chosen near the optimum, say) do not
/// follow it.
///
/// Sizes with fewer than [`Fit::MIN_ROWS`] measured runs of some target, or
/// where some target cannot be fitted, are left out, with a note. Targets
/// that never vary do not take part, nor do scores beside losses.
#[derive(Debug, Clone, PartialEq)]
pub struct LearningCurve {
    points: Vec<LearningPoint>,
    notes: Vec<String>,
}

impl LearningCurve {
    /// All points: by regressor, the mean over targets first, then every
    /// target; by number of runs.
    pub fn points(&self) -> &[LearningPoint] {
        &self.points
    }

    /// The means over targets.
    pub fn means(&self) -> impl Iterator<Item = &LearningPoint> {
        self.points.iter().filter(|p| p.target.is_none())
    }

    /// What was left out, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The table as CSV text.
    ///
    /// # Errors
    /// When a name cannot be written.
    pub fn to_csv(&self) -> Result<String> {
        records::to_csv(&self.points)
    }

    /// Writes [`LearningCurve::to_csv`] to a file, atomically: `learning.csv`
    /// beside `fit.json` by convention.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        records::write_csv(path, &self.points)
    }

    /// Reads the points of a table back; notes are not kept in it.
    ///
    /// # Errors
    /// When the file cannot be read or is no such table.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            points: records::read_csv(path)?,
            notes: Vec::new(),
        })
    }
}

/// Measures how accuracy grows with the number of runs, on the runs of
/// a fit. Earlier runs ([`FitOptions::earlier`](crate::FitOptions::earlier))
/// are fitted in every subset and counted in none.
///
/// The result does not depend on the number of threads. Cost: per target
/// and regressor `folds · repeats` fits of each size, which together cost
/// as much as `folds · repeats` to `2 · folds · repeats` fits of all runs:
/// for the default regressors about what [`Fit::train`] takes with its own.
///
/// ```
/// use regmix_data::table::{MixtureTable, Observations, ValueTable};
/// use regmix_regress::{Fit, FitOptions, LearningOptions, learning_curve};
///
/// let mut mixtures = String::from("run,web,code\n");
/// let mut losses = String::from("run,web\n");
/// for i in 0..96 {
///     let w = (i as f64 + 0.5) / 96.0;
///     mixtures += &format!("r{i},{},{}\n", w, 1.0 - w);
///     losses += &format!("r{i},{}\n", 2.0 + (0.05 + w).powf(-0.3));
/// }
/// let observations = Observations::join(
///     MixtureTable::parse(&mixtures, "mixtures.csv".as_ref())?,
///     ValueTable::parse(&losses, "losses.csv".as_ref())?,
/// )?;
/// let some = vec!["linear".to_owned(), "law1".to_owned()];
/// let fit = Fit::train(&observations, &FitOptions {
///     regressors: some.clone(),
///     ..FitOptions::default()
/// })?;
/// let options = LearningOptions { regressors: some, ..LearningOptions::default() };
/// let curve = learning_curve(&fit, &options)?;
/// let law: Vec<_> = curve.means().filter(|p| p.regressor == "law1" && !p.extrapolated).collect();
/// let sizes: Vec<usize> = law.iter().map(|p| p.runs).collect();
/// assert_eq!(sizes, [12, 24, 48, 77]);
/// assert!(law[3].spearman > 0.99);
/// println!("{}", curve.summary());
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When an option is out of range, a regressor is unknown, or no size can
/// be measured.
pub fn learning_curve(fit: &Fit, options: &LearningOptions) -> Result<LearningCurve> {
    learning_curve_monitored(fit, options, &Silent)
}

/// As [`learning_curve`], with a monitor. It has one part, "learning curve",
/// counted in fits.
///
/// # Errors
/// As [`learning_curve`], and when the monitor asks to stop.
pub fn learning_curve_monitored(
    fit: &Fit,
    options: &LearningOptions,
    monitor: &dyn Monitor,
) -> Result<LearningCurve> {
    let regressors = options.check()?;
    let (mut observations, earlier) = (fit.observations().clone(), fit.earlier());
    // Means over losses and scores would say nothing.
    observations.values = observations.values.with_targets(&fit.counted());
    let measured = measure::measure(&observations, earlier, &regressors, options, monitor)?;
    Ok(outlook::curve(measured, fit.rows() - earlier))
}
