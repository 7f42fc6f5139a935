//! Predicted and observed losses of targets that trained on a schedule.

use regmix_dynamic::{PredictedObserved, Schedule, SizeCorrection, StagePoint};
use regmix_regress::Objective;

use super::Report;
use super::kit::node::{Node, multiples, paragraph};
use super::kit::number::{UNIT, decimals, difference, loss};
use super::kit::scale::Scale;
use super::kit::svg::{Frame, polyline, tooltip};

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 140.0;

/// One plot per target; nothing where none ran on a schedule.
pub(super) fn parts(report: &Report<'_>, schedule: &Schedule) -> Vec<Node> {
    let Some(table) = report.scheduled.filter(|t| !t.is_empty()) else {
        return Vec::new();
    };
    // Trajectories that do not fit the schedule leave the plots out.
    let targets =
        PredictedObserved::of_targets(schedule, table, report.decisions).unwrap_or_default();
    let figures: Vec<Node> = targets.iter().filter_map(figure).collect();
    if figures.is_empty() {
        return Vec::new();
    }
    let of = match schedule.objective {
        Objective::Worst(_) => "mean loss".to_owned(),
        ref other => format!("{other} loss"),
    };
    let scale = match schedule.config.size {
        SizeCorrection::FirstSegment => {
            "brought to the scale of proxies by what they are at the first point, where the two \
             therefore agree"
        }
        SizeCorrection::None => "as they are",
        _ => "brought to the scale of proxies by the size correction",
    };
    let words = format!(
        "Training across; {of} up, {UNIT}. Line: predicted, of the schedule before training (band: \
         one standard deviation), of the controller at the decision before. Dots: observed in the \
         target, {scale}. Every plot has its own range."
    );
    vec![
        Node::new("h3").text("Predicted and observed in targets"),
        paragraph(words),
        multiples(figures),
    ]
}

fn figure(target: &PredictedObserved) -> Option<Node> {
    let PredictedObserved { run, points } = target;
    let last = points.last()?;
    let x = Scale::tight([0.0, 1.0]);
    let all = (points.iter()).flat_map(|p| {
        [
            p.predicted.mean - p.predicted.sd,
            p.predicted.mean + p.predicted.sd,
            p.observed,
        ]
    });
    let frame = Frame::new(x, Scale::around(all), WIDTH, HEIGHT);
    let values: Vec<String> = (points.iter())
        .map(|p| {
            format!(
                "at {}% predicted {}, observed {}",
                decimals(100.0 * p.at, 0),
                loss(p.predicted.mean),
                loss(p.observed)
            )
        })
        .collect();
    let label = format!("{run}: {}", values.join("; "));
    let across = [0.0, 0.5, 1.0].map(|at| (at, format!("{:.0}%", 100.0 * at)));
    let line = |of: &dyn Fn(&StagePoint) -> f64| -> Vec<(f64, f64)> {
        points.iter().map(|p| frame.at(p.at, of(p))).collect()
    };
    let mut picture = frame.draw(&label, &across, &frame.y.labels(2));
    if points.iter().any(|p| p.predicted.sd > 0.0) {
        let mut band = line(&|p| p.predicted.mean - p.predicted.sd);
        band.extend(
            line(&|p| p.predicted.mean + p.predicted.sd)
                .into_iter()
                .rev(),
        );
        picture = picture.push(
            Node::new("path")
                .class("band")
                .attr("d", format!("{}Z", polyline(&band))),
        );
    }
    picture = picture.push(
        Node::new("path")
            .class("curve")
            .attr("d", polyline(&line(&|p| p.predicted.mean)))
            .push(tooltip(&label)),
    );
    let dots = line(&|p| p.observed).into_iter().map(|(x, y)| {
        Node::new("circle")
            .class("seen")
            .attr("cx", x)
            .attr("cy", y)
            .attr("r", 3.0)
    });
    let caption =
        Node::new("figcaption")
            .push(Node::new("b").text(run))
            .push(Node::new("span").text(format!(
                "ends {} from predicted",
                difference(last.observed - last.predicted.mean)
            )));
    Some(Node::new("figure").push(picture.extend(dots)).push(caption))
}
