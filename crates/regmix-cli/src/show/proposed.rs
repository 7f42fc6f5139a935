//! Runs that were proposed as the next ones.

use regmix_regress::NextRun;
use regmix_study::tables::ChosenRun;

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

/// The runs that were chosen from a pool, in the order of choice.
pub(crate) fn chosen(runs: &[ChosenRun]) -> String {
    let rows = runs.iter().map(|chosen| {
        let distance = chosen.distance;
        vec![
            chosen.run.clone(),
            distance.map_or_else(|| "-".to_owned(), |d| format!("{d:.3}")),
        ]
    });
    table(&["run", "nearest run"], rows)
}
