//! Runs that were proposed as the next ones.

use regmix_regress::NextRun;

use crate::output::table::table;

/// The runs that were proposed, by name.
pub(crate) fn proposed(runs: &[(String, NextRun)]) -> String {
    let rows = runs.iter().map(|(run, next)| {
        vec![
            run.clone(),
            format!("{:.4}", next.predicted.mean),
            format!("{:.4}", next.predicted.sd),
            format!("{:.2e}", next.improvement),
            format!("{:.3}", next.distance),
        ]
    });
    table(
        &["run", "predicted", "sd", "improvement", "nearest run"],
        rows,
    )
}
