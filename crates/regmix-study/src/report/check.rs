//! Target runs on the found mixture and on others: whether it is better, and whether the
//! predicted gain was reached.

use crate::check::{Arm, Comparison, TargetCheck, Verdict};
use crate::files::FOUND;

use super::kit::node::{self, column, number_cell, paragraph, row_head};
use super::kit::number::{NONE, UNIT, difference, loss, plural, short};
use super::kit::scale::Scale;
use super::kit::track::Track;
use super::{Node, Report, Subject, objective_words, scroll};

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    if report.subject == Subject::Tables {
        return None;
    }
    let section = node::section("check", "Checked on larger models");
    let Some(check) = report.check else {
        if let Some(why) = report.earlier("check") {
            return Some(section.push(left_out("check", why, "target")));
        }
        if report.compared.is_some() {
            return Some(section.push(paragraph(
                "Targets on the found and on other mixtures are in the next section.",
            )));
        }
        return Some(
            section.push(
                paragraph("Not checked yet. Run ")
                    .push(Node::new("code").text("regmix target"))
                    .text(
                        " to train targets on the found mixture and on those it is compared with; \
                     with two seeds or more, a gain can be distinguished from noise.",
                    ),
            ),
        );
    };
    let seeds = check.arms.iter().map(|a| a.seeds).min().unwrap_or(0);
    let section = section
        .push(paragraph(check.sentence()).class("verdict"))
        .extend(gains(check).map(paragraph))
        .push(paragraph(format!(
            "Targets of {} parameters (proxies: {}), {} tokens each, {} per mixture. Dots: one run \
             each, {}{}. Stroke and whisker: mean and standard deviation over seeds. Gains are paired by seed; positive: the found mixture is better.",
            short(check.target_parameters as f64),
            short(check.proxy_parameters as f64),
            short(check.target_tokens as f64),
            plural(seeds, "seed"),
            objective_words(&check.objective, &report.target_words()),
            if check.objective.sign() < 0.0 { String::new() } else { format!(" in {UNIT}") },
        )))
        .push(scroll("Target runs per mixture", table(check)));
    Some(section)
}

/// That a result is not on the page, and how it is made again.
pub(super) fn left_out(result: &str, why: &str, verb: &str) -> Node {
    paragraph(format!("The {result} is left out: {why}. Run "))
        .push(Node::new("code").text(format!("regmix {verb} --redo")))
        .text(" to train those that are missing; targets that are finished are used again.")
}

/// Predicted and measured gains of the found mixture, where both are known.
fn gains(check: &TargetCheck) -> Option<String> {
    let gains: Vec<String> = (check.judged(FOUND))
        .filter_map(|c| {
            let interval = (c.interval).map_or_else(String::new, |[low, high]| {
                format!(" (95%: {} to {})", difference(low), difference(high))
            });
            Some(format!(
                "over {} {} and {}{interval}",
                c.against,
                difference(check.predicted_gain(c)?),
                difference(c.gain),
            ))
        })
        .collect();
    (!gains.is_empty()).then(|| {
        format!(
            "Gains predicted for a proxy, and measured on targets: {}.",
            gains.join("; ")
        )
    })
}

fn table(check: &TargetCheck) -> Node {
    let sign = check.objective.sign();
    let whisker = |a: &Arm| {
        let sd = a.sd.unwrap_or(0.0);
        [sign * a.mean - sd, sign * a.mean + sd]
    };
    let values = (check.runs.iter().map(|r| sign * r.objective))
        .chain(check.arms.iter().flat_map(whisker))
        .filter(|v| v.is_finite());
    let scale = Scale::around(values);
    let track = Track::new(scale, scale.labels(3));
    let head = Node::new("tr")
        .push(column("Mixture", "name"))
        .push(column("", "plot").push(track.axis(match sign < 0.0 {
            true => "Score",
            false => "Loss in nats per token",
        })))
        .push(column("Mean ± sd", "n"))
        .push(column("Gain predicted", "n"))
        .push(column("Gain measured", "n"))
        .push(column("95% interval", "n"))
        .push(column("Verdict", ""));
    let rows = check.arms.iter().map(|arm| {
        // Schedules are judged, so that they are never only compared with.
        let comparison = check.judged(FOUND).find(|c| c.against == arm.name);
        row(check, &track, arm, comparison)
    });
    Node::new("table")
        .class("chart arms")
        .push(node::caption("Targets per mixture; predicted gains are for proxies").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}

fn row(check: &TargetCheck, track: &Track, arm: &Arm, comparison: Option<&Comparison>) -> Node {
    // Checks compare what is to be made small.
    let sign = check.objective.sign();
    let middle = sign * arm.mean;
    let mean = match arm.sd {
        Some(sd) => format!("{} ± {}", loss(middle), loss(sd)),
        None => loss(middle),
    };
    let label = format!("{}: {mean} over {}", arm.name, plural(arm.seeds, "seed"));
    let mut marks = Vec::new();
    if let Some(sd) = arm.sd {
        marks.extend(track.whisker(middle - sd, middle + sd));
    }
    let runs = check.runs.iter().filter(|r| r.arm == arm.name);
    marks.extend(
        runs.filter(|r| r.objective.is_finite())
            .map(|r| track.dot(sign * r.objective)),
    );
    if middle.is_finite() {
        marks.push(track.mean(middle));
    }
    let (gain, interval, verdict) = match comparison {
        None => (NONE.to_owned(), NONE.to_owned(), Node::new("td").text(NONE)),
        Some(c) => (
            difference(c.gain),
            c.interval.map_or_else(
                || NONE.to_owned(),
                |[low, high]| format!("{} to {}", difference(low), difference(high)),
            ),
            Node::new("td").push(badge(c.verdict)),
        ),
    };
    let predicted = (comparison.and_then(|c| check.predicted_gain(c)))
        .map_or_else(|| NONE.to_owned(), difference);
    Node::new("tr")
        .push(row_head(&arm.name))
        .push(Node::new("td").class("plot").push(track.row(&label, marks)))
        .push(number_cell(mean))
        .push(number_cell(predicted))
        .push(number_cell(gain))
        .push(number_cell(interval))
        .push(verdict)
}

fn badge(verdict: Verdict) -> Node {
    let (class, text) = match verdict {
        Verdict::Better => ("badge good", "found is better"),
        Verdict::Worse => ("badge bad", "found is worse"),
        Verdict::Unclear => ("badge open", "unclear"),
    };
    Node::new("span").class(class).text(text)
}
