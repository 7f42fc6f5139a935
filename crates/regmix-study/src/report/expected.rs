//! What every target is predicted to be at the found mixture.

use regmix_regress::{Fit, Prediction, Recommendation};

use super::kit::node::{self, column, main_cell, number_cell, paragraph, row_head, wide_cell};
use super::kit::number::{NONE, difference, loss, range};
use super::{Node, Report, Word, scroll};

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let (found, fit) = (report.recommendation?, report.fit?);
    if found.targets.is_empty() {
        return None;
    }
    let word = report.word();
    let better = match word {
        Word::Score => "above 0: the found mixture is better",
        _ => "below 0: the found mixture is better",
    };
    let text = format!(
        "Predicted {} of a proxy on the found mixture{}: each by its own model, with intervals \
         that hold the noise of one run. Then the difference to what is predicted for other \
         mixtures; {better}. A mixture that is best for the objective need not be best for every \
         target.",
        word.plural(),
        report.unit_in_brackets(),
    );
    Some(
        node::section("expected", &format!("Expected {}", word.plural()))
            .push(paragraph(text))
            .push(scroll(
                "Expected of every target",
                table(report, found, fit),
            )),
    )
}

fn table(report: &Report<'_>, found: &Recommendation, fit: &Fit) -> Node {
    let others: Vec<(String, Vec<Prediction>)> = (found.references.iter())
        .filter_map(|r| Some((against(&r.name), fit.predict(&r.mixture).ok()?)))
        .collect();
    let mut head = Node::new("tr")
        .push(column("Target", "name"))
        .push(column("Predicted", "n"))
        .push(column("90%", "n wide"));
    for (name, _) in &others {
        head = head.push(column(name, "n"));
    }
    head = head.push(column("Regressor", "name"));
    let place = |target: &str| fit.targets().iter().position(|t| t.target == target);
    let names = found.targets.iter().map(|t| t.target.as_str());
    let losses = report.ordered(names).into_iter();
    let rows = losses
        .filter(|(_, name)| !report.is_score(name))
        .map(|(i, _)| {
            let target = &found.targets[i];
            let p = &target.predicted;
            let mut row = Node::new("tr")
                .push(row_head(&target.target))
                .push(main_cell(loss(p.mean)))
                .push(wide_cell(range(p.low, p.high)));
            for (_, predicted) in &others {
                let there = place(&target.target).and_then(|t| predicted.get(t));
                row = row.push(number_cell(there.map_or_else(
                    || NONE.to_owned(),
                    |there| difference(p.mean - there.mean),
                )));
            }
            row.push(Node::new("td").text(&target.regressor))
        });
    Node::new("table")
        .class("plain")
        .push(node::caption("Predicted values of every target").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}

pub(super) fn against(name: &str) -> String {
    match name {
        "best_observed" => "Against the best proxy".to_owned(),
        "unimax" => "Against UniMax".to_owned(),
        name => format!("Against {name}"),
    }
}
