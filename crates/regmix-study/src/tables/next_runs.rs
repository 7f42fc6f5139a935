//! Proposing further runs from a fit.

use std::collections::BTreeSet;

use regmix_data::table::MixtureTable;
use regmix_data::{Monitor, Result};
use regmix_regress::{Fit, NextOptions, NextRun, Objective, RecommendOptions, next_runs_monitored};

use crate::files;

use super::limits::limited_by_file;
use super::objective::{ObjectiveArgument, with_field_if_none};

/// Proposes runs for an objective, given as for
/// [`optimize`](crate::tables::optimize). Their names follow those of the fit's
/// runs.
///
/// # Errors
/// As [`regmix_regress::next_runs`]; when the file is wrong, and when the
/// monitor asks to stop.
pub fn next_runs(
    fit: &Fit,
    objective: &str,
    options: NextOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<(String, NextRun)>> {
    let propose = |objective: Objective, limits: &RecommendOptions| {
        let options = NextOptions {
            objective,
            constraints: Some(limits.bounds(fit.domains())?),
            ..options
        };
        next_runs_monitored(fit, &options, monitor)
    };
    let next = match ObjectiveArgument::read(objective)? {
        ObjectiveArgument::File(path, file) => (file.objective())
            .and_then(|objective| {
                let limits = limited_by_file(fit, &file, RecommendOptions::default())?;
                propose(objective, &limits)
            })
            .map_err(|e| e.in_file_if_none(path))?,
        ObjectiveArgument::Named(objective) => propose(objective, &RecommendOptions::default())
            .map_err(|e| with_field_if_none(e, "--objective"))?,
    };
    Ok(number_runs(&fit.observations().mixtures, next))
}

/// Names runs by the numbers that follow those of a table; names that are taken
/// are left out.
pub(crate) fn number_runs(table: &MixtureTable, next: Vec<NextRun>) -> Vec<(String, NextRun)> {
    let taken: BTreeSet<&str> = table.runs().iter().map(String::as_str).collect();
    let free = (table.len()..)
        .map(files::proxy_run)
        .filter(|name| !taken.contains(name.as_str()));
    free.zip(next).collect()
}
