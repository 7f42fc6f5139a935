//! Proposing further runs from a fit.

use std::collections::BTreeSet;

use regmix_data::Result;
use regmix_data::table::MixtureTable;
use regmix_regress::{Constraints, Fit, NextOptions, NextRun, Objective, RecommendOptions};

use super::limits::limited_by_file;
use crate::config::ObjectiveFile;

/// Proposes runs for an objective, under the limits of an objective file if
/// there is one. Names go on after those of the fit's runs.
///
/// # Errors
/// As [`Fit::next_runs`] and [`optimize_file`](crate::optimize_file).
pub fn next_runs(
    fit: &Fit,
    objective: &Objective,
    limits: Option<&ObjectiveFile>,
    options: NextOptions,
) -> Result<Vec<(String, NextRun)>> {
    let limits = match limits {
        Some(file) => limited_by_file(fit, file, RecommendOptions::default())?,
        None => RecommendOptions::default(),
    };
    let options = NextOptions {
        objective: objective.clone(),
        constraints: Some(all_limits(fit, &limits)?),
        ..options
    };
    Ok(number_runs(
        &fit.observations().mixtures,
        fit.next_runs(&options)?,
    ))
}

/// Floors, caps and groups, with the caps of a budget.
pub(crate) fn all_limits(fit: &Fit, options: &RecommendOptions) -> Result<Constraints> {
    let given = match &options.constraints {
        Some(constraints) => constraints.reordered(fit.domains())?,
        None => Constraints::none(fit.domains().clone()),
    };
    match &options.budget {
        Some(budget) => given.and(&budget.caps(fit.domains())?),
        None => Ok(given),
    }
}

/// Names runs by the numbers that follow those of a table; names that are taken
/// are left out.
pub(crate) fn number_runs(table: &MixtureTable, next: Vec<NextRun>) -> Vec<(String, NextRun)> {
    let taken: BTreeSet<&str> = table.runs().iter().map(String::as_str).collect();
    let free = (table.len()..)
        .map(|i| format!("run-{i:04}"))
        .filter(|name| !taken.contains(name.as_str()));
    free.zip(next).collect()
}
