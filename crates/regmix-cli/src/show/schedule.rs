//! A schedule in words and tables.

use regmix_dynamic::{OverTargets, PlannedSegment, Schedule, StageSummary, Weight};
use regmix_regress::Prediction;

use super::number::{mean_and_sd, percent};
use super::objective::optimum_of;
use crate::output::table::table;

/// Weights per segment, the predicted gain of the schedule, and notes.
pub(crate) fn schedule(schedule: &Schedule) -> String {
    let mut text = format!("Schedule for the {}:\n", optimum_of(&schedule.objective));
    text.push_str(&weights(schedule));
    text.push('\n');
    text.push_str(&predictions(schedule));
    text.push_str(&accuracy(schedule));
    for note in &schedule.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

/// Domains by their weights in every segment and in the whole run.
fn weights(schedule: &Schedule) -> String {
    let mut order: Vec<(&str, f64)> = (schedule.mean.iter())
        .map(|(domain, weight)| (domain.as_str(), weight))
        .collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    // Neighbouring segments on the same mixture share a column.
    let mut columns: Vec<(&PlannedSegment, u64)> = Vec::new();
    for segment in &schedule.segments {
        match columns.last_mut() {
            Some((first, to)) if first.mixture == segment.mixture => *to = segment.to_step,
            _ => columns.push((segment, segment.to_step)),
        }
    }
    let rows = order.into_iter().map(|(domain, mean)| {
        let own = columns
            .iter()
            .map(|(segment, _)| match segment.weights.get(domain) {
                Some(Weight {
                    weight,
                    sd: Some(sd),
                    ..
                }) => format!("{:.1} +- {:.1}%", 100.0 * weight, 100.0 * sd),
                Some(w) => percent(w.weight),
                None => "-".to_owned(),
            });
        let epochs = schedule.epochs.get(domain);
        std::iter::once(domain.to_owned())
            .chain(own)
            .chain([
                percent(mean),
                epochs.map_or_else(|| "-".to_owned(), |e| format!("{e:.2}")),
            ])
            .collect()
    });
    let steps = (columns.iter())
        .map(|(segment, to)| format!("steps {}-{to}", segment.from_step))
        .collect::<Vec<_>>();
    let header: Vec<&str> = std::iter::once("domain")
        .chain(steps.iter().map(String::as_str))
        .chain(["whole run", "epochs"])
        .collect();
    table(&header, rows)
}

/// The predicted objective, and the gain over a single mixture.
fn predictions(schedule: &Schedule) -> String {
    let value = |s: Prediction| mean_and_sd(s.mean, s.sd);
    let mut text = String::new();
    if let Some(predicted) = schedule.predicted {
        text.push_str(&format!("Predicted for a proxy: {}", value(predicted)));
        if let Some(single) = schedule.single {
            text.push_str(&format!("; the best single mixture: {}", value(single)));
        }
        text.push('\n');
    }
    if let Some(predicted) = schedule.predicted_target {
        text.push_str(&format!("Predicted for the target: {}\n", value(predicted)));
    }
    if let Some(gain) = schedule.gain {
        text.push_str(&format!(
            "Gain over the best single mixture, planned on half of the runs and judged by the other half: {}{}\n",
            value(gain),
            if schedule.fell_back {
                ": too small to be sure of, the single mixture is kept"
            } else {
                ""
            }
        ));
    } else if schedule.fell_back {
        text.push_str("The best single mixture is kept: no gain could be measured\n");
    }
    text
}

/// Accuracy of the stage model on held-out runs, a line per stage.
fn accuracy(schedule: &Schedule) -> String {
    let stages = StageSummary::of(&schedule.accuracy);
    let Some(targets) = stages.first().map(|s| s.targets) else {
        return String::new();
    };
    let rows = stages.iter().map(|stage| {
        let cell = |score: OverTargets, places: usize| {
            let text = |x: f64| format!("{x:.places$}");
            match targets {
                _ if !score.mean.is_finite() => "-".to_owned(),
                1 if score.sd.is_finite() => {
                    format!("{} +- {}", text(score.mean), text(score.sd))
                }
                1 => text(score.mean),
                _ => format!(
                    "{} ({}-{})",
                    text(score.mean),
                    text(score.low),
                    text(score.high)
                ),
            }
        };
        // The first segment of a schedule ends at the first stage point: no stage.
        let segment = schedule.segments.get(stage.stage + 1);
        vec![
            segment.map_or_else(String::new, |l| format!("{}-{}", l.from_step, l.to_step)),
            cell(stage.spearman, 2),
            cell(stage.fall_spearman, 2),
            cell(stage.mae, 3),
            format!("{:.3}", stage.mae_of_mean),
            format!("{:.0}", 100.0 * stage.coverage90),
        ]
    });
    let spread = match targets {
        1 => "with the spread over folds".to_owned(),
        n => format!("mean over {n} losses (lowest-highest)"),
    };
    let header = [
        "steps",
        "Spearman",
        "of falls",
        "MAE",
        "of mean fall",
        "in 90% (%)",
    ];
    format!(
        "\nThe stage model on held-out runs, {spread}:\n{}",
        table(&header, rows)
    )
}
