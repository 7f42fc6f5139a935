//! Mixtures along training: what was planned, and what online changed.

use regmix_dynamic::{PlannedSegment, Schedule};
use regmix_regress::Prediction;

use super::kit::node::{self, column, multiples, number_cell, paragraph, row_head};
use super::kit::number::{NONE, UNIT, count, difference, loss, percent, plural};
use super::kit::scale::Scale;
use super::kit::svg::{Frame, banded, line, tooltip};
use super::{Node, Report, predicted_observed, scroll, stage_accuracy};

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 120.0;

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let schedule = report.schedule?;
    let domains = schedule.mean.domains();
    let highest = (schedule.segments.iter())
        .flat_map(|segment| segment.weights.values())
        .map(|w| w.high.unwrap_or(w.weight).max(w.weight));
    // One range for all, so that heights can be compared.
    let y = Scale::from_zero(highest);
    let figures = (report.ordered(domains.names()).into_iter())
        .map(|(_, name)| figure(report, schedule, y, name));
    let spreads = (schedule.segments.iter())
        .flat_map(|segment| segment.weights.values())
        .any(|w| w.low.is_some());
    let band = match spreads {
        true => " Band: 5th to 95th percentile over refits on resampled runs.",
        false => "",
    };
    let mut section = node::section("schedule", "A mixture per stage")
        .push(paragraph(verdict(schedule)).class("verdict"))
        .push(paragraph(format!(
            "Training across, from start to end ({} steps); share of tokens up. Line: planned \
             share.{band} Dashes: share of the single mixture that was found. Planned from {}.",
            count(schedule.target.steps),
            plural(schedule.runs, "proxy run"),
        )))
        .push(multiples(figures));
    section = (section.extend(stage_accuracy::parts(schedule)))
        .extend(predicted_observed::parts(report, schedule));
    if !report.decisions.is_empty() {
        section = section
            .push(Node::new("h3").text("What the online controller changed, and why"))
            .push(paragraph(
                "Losses are the mean over domains, brought to the scale of proxies: had they been \
                 as expected, the plan would stand. Distance: how far the mixture is from the \
                 plan (0: the same, 1: nothing in common).",
            ))
            .push(scroll("Decisions of the controller", decisions(report)));
    }
    if !schedule.notes.is_empty() {
        section = section.push(Node::new("h3").text("Notes"));
    }
    for note in &schedule.notes {
        section = section.push(paragraph(note));
    }
    Some(section)
}

fn verdict(schedule: &Schedule) -> String {
    let spread = |s: Prediction| format!("{} ± {}", difference(s.mean), loss(s.sd));
    match (schedule.gain, schedule.fell_back) {
        (Some(gain), true) => format!(
            "No schedule clearly beats one mixture: planned on half of the proxies and judged by \
             the other half, the gain is {} {UNIT}. The best single mixture is kept.",
            spread(gain)
        ),
        (Some(gain), false) => format!(
            "Planned on half of the proxies and judged by the other half, a schedule gains {} \
             {UNIT} over the best single mixture.",
            spread(gain)
        ),
        (None, true) => {
            "The best single mixture is kept: whether a schedule would be better could \
                         not be measured on proxies that it was not planned on."
                .to_owned()
        }
        (None, false) => {
            "How much the schedule gains over a single mixture was not measured: only \
                      targets can show it."
                .to_owned()
        }
    }
}

fn figure(report: &Report<'_>, schedule: &Schedule, y: Scale, name: &str) -> Node {
    let x = Scale::tight([0.0, 1.0]);
    let frame = Frame::new(x, y, WIDTH, HEIGHT);
    let weight = |segment: &PlannedSegment| segment.weights.get(name).map_or(0.0, |w| w.weight);
    let shares: Vec<String> = (schedule.segments.iter())
        .map(|segment| percent(weight(segment)))
        .collect();
    let whole = |share: f64| format!("{:.0}%", 100.0 * share);
    let across = [0.0, 0.5, 1.0].map(|at| (at, whole(at)));
    let up: Vec<(f64, String)> = y.ticks(2).0.into_iter().map(|t| (t, whole(t))).collect();
    let steps = |of: &dyn Fn(&PlannedSegment) -> f64| -> Vec<(f64, f64)> {
        (schedule.segments.iter())
            .flat_map(|segment| [segment.from, segment.to].map(|at| frame.at(at, of(segment))))
            .collect()
    };
    let limit = |segment: &PlannedSegment, high: bool| {
        let w = segment.weights.get(name);
        let value = w.and_then(|w| if high { w.high } else { w.low });
        value.unwrap_or_else(|| weight(segment))
    };
    let [band, curve] = banded(
        &steps(&|segment| limit(segment, false)),
        &steps(&|segment| limit(segment, true)),
        &steps(&weight),
    );
    let label = format!("{name}: {}", shares.join(", "));
    let mut picture = frame
        .draw(&label, &across, &up)
        .push(band)
        .push(curve.push(tooltip(&label)));
    let found = report.recommendation.and_then(|r| r.mixture.get(name));
    if let Some(found) = found.filter(|w| *w <= y.high) {
        picture = picture.push(line("dashes", frame.at(0.0, found), frame.at(1.0, found)));
    }
    let mean = schedule.mean.get(name).unwrap_or(0.0);
    let caption = Node::new("figcaption")
        .push(Node::new("b").text(name))
        .push(Node::new("span").text(format!("{} of all tokens", percent(mean))));
    Node::new("figure").push(picture).push(caption)
}

fn decisions(report: &Report<'_>) -> Node {
    let head = Node::new("tr")
        .push(column("Target", "name"))
        .push(column("Step", "n"))
        .push(column("Expected", "n"))
        .push(column("Measured", "n"))
        .push(column("Distance", "n"))
        .push(column("Why", "why"));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let rows = report.decisions.iter().flat_map(|(run, state)| {
        state.decisions().iter().map(move |decision| {
            Node::new("tr")
                .push(row_head(run))
                .push(number_cell(count(decision.step)))
                .push(number_cell(loss(mean(&decision.expected))))
                .push(number_cell(loss(mean(&decision.corrected))))
                .push(number_cell(
                    (decision.distance).map_or_else(|| NONE.to_owned(), |d| format!("{d:.2}")),
                ))
                .push(Node::new("td").class("why").text(&decision.reason))
        })
    });
    Node::new("table")
        .class("plain")
        .push(node::caption("Decisions of the online controller").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}
