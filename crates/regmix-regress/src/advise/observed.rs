//! The objective that was measured in the runs of a fit.

use regmix_data::{Mixture, Result};

use crate::advise::scorer::Scorer;
use crate::fit::Fit;
use crate::metrics::variance;
use crate::objective::Objective;

/// The run with the best measured objective, among those that have all its
/// targets: its name, its mixture, and the objective's value in its own sign.
///
/// # Errors
/// When the objective names an unknown target.
pub fn best_observed<'a>(
    fit: &'a Fit,
    objective: &Objective,
) -> Result<Option<(&'a str, &'a Mixture, f64)>> {
    let runs = fit.observations().mixtures.iter();
    let best = (runs.zip(observed_costs(fit, objective)?))
        .map(|((run, mixture), cost)| (run, mixture, cost))
        .filter(|(_, _, cost)| cost.is_finite())
        .min_by(|a, b| a.2.total_cmp(&b.2));
    Ok(best.map(|(run, mixture, cost)| (run, mixture, objective.sign() * cost)))
}

/// The measured objective of every run, always to be made small; not finite
/// where a target was not measured.
pub(crate) fn observed_costs(fit: &Fit, objective: &Objective) -> Result<Vec<f64>> {
    Ok(costs(fit, &Scorer::new(fit, objective)?))
}

/// The standard deviation of the measured objective over the runs; 0 where fewer than two
/// runs have all its targets.
pub(crate) fn spread(fit: &Fit, scorer: &Scorer) -> f64 {
    let mut measured = costs(fit, scorer);
    measured.retain(|cost| cost.is_finite());
    match measured.len() {
        0 | 1 => 0.0,
        _ => variance(&measured).sqrt(),
    }
}

fn costs(fit: &Fit, scorer: &Scorer) -> Vec<f64> {
    let of_row = |row: &Vec<f64>| {
        let values: Vec<f64> = scorer.places().iter().map(|&t| row[t]).collect();
        scorer.of_values(&values)
    };
    let rows = fit.observations().values.rows();
    rows.iter().map(of_row).collect()
}
