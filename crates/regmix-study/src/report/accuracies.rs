//! Accuracies beside the losses: what is predicted, and what targets reached.

use regmix_regress::{Fit, Prediction, Recommendation};

use super::expected::against;
use super::kit::node::{self, column, main_cell, number_cell, paragraph, row_head, wide_cell};
use super::kit::number::{NONE, decimals, difference, loss, mean, percent, range};
use super::{Node, Report, scroll};
use crate::check::TargetCheck;

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let (found, fit) = (report.recommendation?, report.fit?);
    fit.scores().next()?;
    let text = "Shares of right answers to the questions of [eval], by the models at the end of \
                their training; higher is better. Predicted for a proxy on the found mixture, with \
                intervals that hold the noise of one run, and the difference to what is predicted \
                for other mixtures; above 0: the found mixture is better. R² and Spearman are those \
                of proxies that were not fitted; where R² is near 0, mixtures cannot be told apart by \
                this accuracy. Means over targets elsewhere on this page are over losses alone.";
    let out = node::section("accuracies", "Accuracies")
        .push(paragraph(text))
        .push(scroll("Accuracies predicted", table(found, fit)));
    let measured = report.check.and_then(|check| measured(fit, check));
    Some(out.extend(measured.into_iter().flatten()))
}

fn table(found: &Recommendation, fit: &Fit) -> Node {
    let others: Vec<(String, Vec<Prediction>)> = (found.references.iter())
        .filter_map(|r| Some((against(&r.name), fit.predict(&r.mixture).ok()?)))
        .collect();
    let mut head = Node::new("tr")
        .push(column("Accuracy", "name"))
        .push(column("Predicted", "n"))
        .push(column("90%", "n wide"));
    for (name, _) in &others {
        head = head.push(column(name, "n"));
    }
    head = (head.push(column("R²", "n")))
        .push(column("Spearman", "n"))
        .push(column("Regressor", "name"));
    let scores = (fit.targets().iter().enumerate()).filter(|(_, target)| target.is_score);
    let rows = scores.filter_map(|(t, target)| {
        let estimate = found.targets.iter().find(|e| e.target == target.target)?;
        let p = &estimate.predicted;
        let mut row = Node::new("tr")
            .push(row_head(&target.target))
            .push(main_cell(loss(p.mean)))
            .push(wide_cell(range(p.low, p.high)));
        for (_, predicted) in &others {
            let gap = predicted
                .get(t)
                .map(|there| difference(p.mean - there.mean));
            row = row.push(number_cell(gap.unwrap_or_else(|| NONE.to_owned())));
        }
        let judged = fit.league().get(&target.regressor, &target.target);
        let of = |number: Option<f64>| {
            number_cell(number.map_or_else(|| NONE.to_owned(), |n| decimals(n, 3)))
        };
        Some(
            (row.push(of(judged.map(|e| e.r2))))
                .push(of(judged.map(|e| e.spearman)))
                .push(Node::new("td").text(&target.regressor)),
        )
    });
    Node::new("table")
        .class("plain")
        .push(node::caption("Predicted accuracies").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}

/// Mean accuracies of the targets, where they were asked.
fn measured(fit: &Fit, check: &TargetCheck) -> Option<[Node; 2]> {
    let of = |arm: &str, name: &str| -> Vec<f64> {
        let runs = check.runs.iter().filter(|run| run.arm == arm);
        runs.filter_map(|run| run.scores.get(name).copied())
            .collect()
    };
    let names: Vec<&str> = (fit.scores().map(|target| target.target.as_str()))
        .filter(|name| check.arms.iter().any(|arm| !of(&arm.name, name).is_empty()))
        .collect();
    if names.is_empty() {
        return None;
    }
    let mut head = Node::new("tr").push(column("Targets on", "name"));
    for name in &names {
        head = head.push(column(name, "n"));
    }
    let rows = check.arms.iter().map(|arm| {
        let mut row = Node::new("tr").push(row_head(&arm.name));
        for name in &names {
            let values = of(&arm.name, name);
            row = row.push(number_cell(match values.is_empty() {
                true => NONE.to_owned(),
                false => percent(mean(values)),
            }));
        }
        row
    });
    let table = Node::new("table")
        .class("plain")
        .push(node::caption("Mean accuracies of targets over seeds").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows));
    Some([
        paragraph("Measured by targets, means over seeds:"),
        scroll("Accuracies of targets", table),
    ])
}
