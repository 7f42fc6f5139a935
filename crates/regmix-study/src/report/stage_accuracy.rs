//! How far the stage model of a schedule can be trusted.

use regmix_dynamic::{OverTargets, Schedule, StageSummary};

use super::kit::node::{self, Node, column, number_cell, paragraph, row_head, scroll};
use super::kit::number::{NONE, UNIT, count, decimals, plural};

/// One row per stage; nothing where it was not judged.
pub(super) fn parts(schedule: &Schedule) -> Vec<Node> {
    let stages = StageSummary::of(&schedule.accuracy);
    let Some(first) = stages.first() else {
        return Vec::new();
    };
    let spread = match first.targets {
        1 => "with the standard deviation over folds of the runs".to_owned(),
        n => format!(
            "the mean over {}, and the lowest to the highest",
            plural(n, "loss").replace("losss", "losses")
        ),
    };
    let words = format!(
        "Losses at the end of each stage, predicted from those at its beginning for proxies that \
         the model was not fitted on: {spread}. Most of a loss is known from the one before; a \
         choice of mixtures depends on the ranks of the falls. Where the error is near that of \
         predicting the mean fall, the model has learned nothing about mixtures. Errors in {UNIT}."
    );
    let head = Node::new("tr")
        .push(column("Steps", "name"))
        .push(column("Spearman of losses", "n"))
        .push(column("Spearman of falls", "n"))
        .push(column("Mean absolute error", "n"))
        .push(column("… of the mean fall", "n"))
        .push(column("In 90% interval", "n"));
    let rows = stages.iter().map(|stage| {
        // The first segment of a schedule is no stage.
        let segment = schedule.segments.get(stage.stage + 1);
        let steps = segment.map_or_else(
            || NONE.to_owned(),
            |segment| format!("{} to {}", count(segment.from_step), count(segment.to_step)),
        );
        Node::new("tr")
            .push(row_head(&steps))
            .push(number_cell(cell(stage, stage.spearman, 3)))
            .push(number_cell(cell(stage, stage.fall_spearman, 3)))
            .push(number_cell(cell(stage, stage.mae, 4)))
            .push(number_cell(decimals(stage.mae_of_mean, 4)))
            .push(number_cell(format!(
                "{}%",
                decimals(100.0 * stage.coverage90, 0)
            )))
    });
    let table = Node::new("table")
        .class("plain")
        .push(node::caption("Accuracy of the stage model").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows));
    vec![
        Node::new("h3").text("How far the stage model can be trusted"),
        paragraph(words),
        scroll("Accuracy of the stage model", table),
    ]
}

fn cell(stage: &StageSummary, score: OverTargets, places: usize) -> String {
    let text = |x: f64| decimals(x, places);
    match stage.targets {
        _ if !score.mean.is_finite() => NONE.to_owned(),
        1 if score.sd.is_finite() => format!("{} ± {}", text(score.mean), text(score.sd)),
        1 => text(score.mean),
        _ => format!(
            "{} ({} to {})",
            text(score.mean),
            text(score.low),
            text(score.high)
        ),
    }
}
