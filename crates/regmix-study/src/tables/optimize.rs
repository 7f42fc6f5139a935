//! Searching mixtures for the user's own objectives.

use regmix_data::{Monitor, Result};
use regmix_regress::{Fit, Front, Objective, RecommendOptions, Recommendation};

use super::limits::{limited, limited_by_file};
use crate::config::{ConstraintSection, ObjectiveFile};
use crate::counted::counted;

/// Recommends a mixture for an objective file.
///
/// # Errors
/// As [`optimize_with`]; and when tokens are given for some domains only.
pub fn optimize_file(
    fit: &Fit,
    file: &ObjectiveFile,
    options: RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Recommendation> {
    let mut options = limited_by_file(fit, file, options)?;
    options.objective = file.objective()?;
    recommend_watched(fit, &options, monitor)
}

/// [`Fit::recommend`], with the progress of its refits shown.
///
/// # Errors
/// As [`Fit::recommend`].
pub fn recommend_watched(
    fit: &Fit,
    options: &RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Recommendation> {
    counted(monitor, "refitting", |told| {
        fit.recommend_watched(options, told)
    })
}

/// The front of two objectives, under the limits and penalties of an objective
/// file if there is one; the file's own objective is not used.
///
/// # Errors
/// As [`Fit::pareto`] and [`optimize_file`].
pub fn pareto(
    fit: &Fit,
    [a, b]: [&Objective; 2],
    points: usize,
    limits: Option<&ObjectiveFile>,
    options: RecommendOptions,
) -> Result<Front> {
    let options = match limits {
        Some(file) => limited_by_file(fit, file, options)?,
        None => options,
    };
    fit.pareto(a, b, points, &options)
}

/// Recommends a mixture under a section's floors, caps and groups.
///
/// # Errors
/// When a bound names an unknown domain, bounds clash, or the objective is
/// unknown.
pub(crate) fn optimize_with(
    fit: &Fit,
    section: &ConstraintSection,
    options: RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Recommendation> {
    recommend_watched(fit, &limited(fit, section, options)?, monitor)
}
