//! Fits of the user's own runs.

use regmix_data::table::Observations;
use regmix_data::{Monitor, Result};
use regmix_regress::{Fit, FitOptions, LearningCurve, LearningOptions};

use crate::counted::counted;

/// [`Fit::train`], with its progress shown.
///
/// # Errors
/// As [`Fit::train`].
pub fn fit_watched(
    observations: &Observations,
    options: &FitOptions,
    monitor: &dyn Monitor,
) -> Result<Fit> {
    counted(monitor, "judging", |told| {
        Fit::train_watched(observations, options, told)
    })
}

/// [`Fit::learning_curve`], with its progress shown.
///
/// # Errors
/// As [`Fit::learning_curve`].
pub fn learning_watched(
    fit: &Fit,
    options: &LearningOptions,
    monitor: &dyn Monitor,
) -> Result<LearningCurve> {
    counted(monitor, "learning curve", |told| {
        fit.learning_curve(options, told)
    })
}
