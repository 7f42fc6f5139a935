//! Methods compared with each other: how good each mixture is, and what it cost to find
//! it.

use crate::compare::{Difference, MethodComparison, MethodResult};

use super::check::left_out;
use super::kit::node::{self, column, number_cell, paragraph, row_head};
use super::kit::number::{NONE, UNIT, decimals, difference, loss, plural, short};
use super::kit::scale::Scale;
use super::kit::track::Track;
use super::{Node, Report, scroll};

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    if let Some(why) = report.earlier("compare") {
        let section = node::section("compare", "Methods compared");
        return Some(section.push(left_out("comparison", why, "compare")));
    }
    let compared = report.compared?;
    let seeds = compared.methods.iter().map(|m| m.seeds).min()?;
    Some(
        node::section("compare", "Methods compared")
            .push(paragraph(compared.sentence()).class("verdict"))
            .push(paragraph(format!(
                "Targets of {} parameters, {} tokens, {} per method; the best mean first{}. Dots: one run each. Stroke and whisker: mean and standard deviation over \
                 seeds. Gains are paired by seed, with 95% intervals; p-values have Holm's \
                 correction over methods. Cost: training of proxies before the mixture was known, \
                 in targets of this size; methods may share proxies.",
                short(compared.target_parameters as f64),
                short(compared.target_tokens as f64),
                plural(seeds, "seed"),
                match compared.objective.sign() < 0.0 {
                    true => String::new(),
                    false => format!(", in {UNIT}"),
                },
            )))
            .push(scroll("Methods on targets", table(compared))),
    )
}

fn table(compared: &MethodComparison) -> Node {
    let sign = compared.objective.sign();
    let whisker = |m: &MethodResult| {
        let sd = m.sd.unwrap_or(0.0);
        [sign * m.mean - sd, sign * m.mean + sd]
    };
    let values = (compared.runs.iter().map(|r| sign * r.objective))
        .chain(compared.methods.iter().flat_map(whisker))
        .filter(|v| v.is_finite());
    let scale = Scale::around(values);
    let track = Track::new(scale, scale.labels(3));
    let head = Node::new("tr")
        .push(column("Method", "name"))
        .push(column("", "plot").push(track.axis(match sign < 0.0 {
            true => "Score",
            false => "Loss in nats per token",
        })))
        .push(column("Mean ± sd", "n"))
        .push(column("Over natural", "n"))
        .push(column("p", "n"))
        .push(column("Over found", "n"))
        .push(column("p", "n"))
        .push(column("Cost", "n"))
        .push(column("Gain / M tokens", "n"));
    let rows = (compared.methods.iter()).map(|method| row(compared, &track, method));
    Node::new("table")
        .class("chart arms")
        .push(node::caption("Methods, their losses on targets and their cost").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}

fn row(compared: &MethodComparison, track: &Track, method: &MethodResult) -> Node {
    // Methods are compared by what is to be made small.
    let sign = compared.objective.sign();
    let middle = sign * method.mean;
    let mean = match method.sd {
        Some(sd) => format!("{} ± {}", loss(middle), loss(sd)),
        None => loss(middle),
    };
    let label = format!(
        "{}: {mean} over {}",
        method.name,
        plural(method.seeds, "seed")
    );
    let mut marks = Vec::new();
    if let Some(sd) = method.sd {
        marks.extend(track.whisker(middle - sd, middle + sd));
    }
    let own = compared.runs.iter().filter(|r| r.arm == method.name);
    marks.extend(
        own.filter(|r| r.objective.is_finite())
            .map(|r| track.dot(sign * r.objective)),
    );
    if middle.is_finite() {
        marks.push(track.mean(middle));
    }
    Node::new("tr")
        .push(row_head(&method.name))
        .push(Node::new("td").class("plot").push(track.row(&label, marks)))
        .push(number_cell(mean))
        .push(gain(method.over_natural))
        .push(p_value(method.over_natural))
        .push(gain(method.over_found))
        .push(p_value(method.over_found))
        .push(number_cell(decimals(
            method.cost.flops / compared.target_flops,
            2,
        )))
        .push(number_cell(
            (method.gain_per_million_tokens).map_or_else(|| NONE.to_owned(), |g| decimals(g, 5)),
        ))
}

/// A gain, with its interval below.
fn gain(over: Option<Difference>) -> Node {
    let Some(over) = over else {
        return number_cell(NONE);
    };
    let cell = number_cell(difference(over.gain));
    match over.interval {
        None => cell,
        Some([low, high]) => cell.push(Node::new("span").class("range").text(format!(
            "{} to {}",
            difference(low),
            difference(high)
        ))),
    }
}

fn p_value(over: Option<Difference>) -> Node {
    let text = over.as_ref().and_then(Difference::p_text);
    number_cell(text.unwrap_or_else(|| NONE.to_owned()))
}
