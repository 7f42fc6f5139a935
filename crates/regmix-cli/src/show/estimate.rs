//! How long runs will take.

use regmix_study::Estimate;

use crate::output::progress::duration;
use crate::output::table::table;

/// A line for every kind of run, the sum, and what is not in it.
pub(crate) fn estimate(found: &Estimate) -> String {
    let speed = |speed: Option<f64>| speed.map_or_else(|| "-".to_owned(), |s| format!("{s:.0}"));
    let rows = found.kinds.iter().map(|kind| {
        vec![
            kind.kind.clone(),
            kind.preset.clone(),
            kind.parameters.to_string(),
            kind.runs.to_string(),
            kind.left.to_string(),
            kind.tokens_per_run.to_string(),
            kind.evaluation_tokens_per_run.to_string(),
            kind.at_once.to_string(),
            speed(kind.tokens_per_second),
            speed(kind.evaluation_tokens_per_second),
            duration(kind.seconds),
        ]
    });
    let mut text = table(
        &[
            "runs",
            "model",
            "parameters",
            "in all",
            "left",
            "tokens",
            "evaluated",
            "at once",
            "tokens/s",
            "evaluated/s",
            "time left",
        ],
        rows,
    );
    text.push_str(&format!(
        "\nTime left in all: {} on {}.\nTokens are those of one run, for training and for \
         evaluations. Speeds were measured now, of all models at once together.\n",
        duration(found.seconds),
        found.device,
    ));
    for kind in &found.kinds {
        for (runs, words) in [
            (kind.failed, "failed"),
            (kind.outdated, "have another configuration"),
        ] {
            if runs > 0 {
                text.push_str(&format!(
                    "{runs} of the {} {words}: only `--redo` trains them again.\n",
                    kind.kind
                ));
            }
        }
    }
    text.push_str(&format!(
        "Not in the estimate: {}.\n",
        found.left_out.join(", ")
    ));
    text
}
