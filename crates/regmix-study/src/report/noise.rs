//! Standard errors of the values, compared with what the fit explains.

use regmix_regress::{Fit, MeasurementNoise};

use super::kit::node::{self, column, number_cell, paragraph, row_head};
use super::kit::number::{loss, percent};
use super::{Node, Report, scroll};

pub(super) fn nodes(report: &Report<'_>, fit: &Fit) -> Vec<Node> {
    let all = fit.measurement_noise();
    if all.is_empty() {
        return Vec::new();
    }
    vec![
        Node::new("h3").text("Noise of the measurements"),
        paragraph(
            "Standard errors as they were given with the values, and the part of the variance \
             between runs that they could be; beside it the part that is predicted for runs that \
             were not fitted. Harnesses count the items of a task as drawn anew for every run; \
             all runs answer the same ones, so that the noise between runs is smaller.",
        ),
        scroll("Standard errors of the values", table(report, &all)),
    ]
}

fn table(report: &Report<'_>, all: &[MeasurementNoise]) -> Node {
    let head = Node::new("tr")
        .push(column("Target", "name"))
        .push(column("Sd of runs", "n"))
        .push(column("Standard error", "n"))
        .push(column("Error, part of variance", "n"))
        .push(column("Predicted, part of variance", "n"));
    let names = all.iter().map(|noise| noise.target.as_str());
    let rows = (report.ordered(names).into_iter()).map(|(i, name)| {
        let noise = &all[i];
        Node::new("tr")
            .push(row_head(name))
            .push(number_cell(loss(noise.spread)))
            .push(number_cell(loss(noise.standard_error)))
            .push(number_cell(percent(noise.share)))
            .push(number_cell(percent(noise.predicted)))
    });
    Node::new("table")
        .class("plain")
        .push(node::caption("Standard errors of the values").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}
