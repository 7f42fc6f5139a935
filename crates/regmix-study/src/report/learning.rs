//! How accuracy grows with the number of runs.

use regmix_regress::{LearningCurve, LearningPoint};

use super::kit::node::{self, column, number_cell, paragraph, row_head};
use super::kit::number::{NONE, count, decimals};
use super::{Node, scroll};

pub(super) fn nodes(curve: &LearningCurve) -> Vec<Node> {
    if curve.means().next().is_none() {
        return Vec::new();
    }
    let mut out = vec![
        Node::new("h3").text("How many runs are enough"),
        paragraph(
            "Fits to growing parts of the runs, judged on runs that were not fitted; means over \
             targets. ±: standard deviation over parts; where extrapolated, standard error.",
        ),
        scroll("Accuracy by the number of runs", table(curve)),
    ];
    let summary = curve.summary();
    out.extend((!summary.is_empty()).then(|| paragraph(summary)));
    out
}

fn table(curve: &LearningCurve) -> Node {
    let head = Node::new("tr")
        .push(column("Regressor", "name"))
        .push(column("Runs", "n"))
        .push(column("", "name"))
        .push(column("Spearman", "n"))
        .push(column("Mean abs. error", "n"));
    let rows = curve.means().map(|p: &LearningPoint| {
        let how = match p.extrapolated {
            true => "extrapolated",
            false => "measured",
        };
        Node::new("tr")
            .push(row_head(&p.regressor))
            .push(number_cell(count(p.runs as u64)))
            .push(Node::new("td").text(how))
            .push(number_cell(spread(p.spearman, p.spearman_sd, 3)))
            .push(number_cell(spread(p.mae, p.mae_sd, 4)))
    });
    Node::new("table")
        .class("plain")
        .push(node::caption("Accuracy by the number of runs").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}

fn spread(mean: f64, sd: f64, places: usize) -> String {
    match (mean.is_finite(), sd.is_finite()) {
        (false, _) => NONE.to_owned(),
        (true, false) => decimals(mean, places),
        (true, true) => format!("{} ± {}", decimals(mean, places), decimals(sd, places)),
    }
}
