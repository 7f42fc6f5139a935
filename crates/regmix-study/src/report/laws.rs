//! How well laws of scale predict larger and longer runs.

use regmix_regress::scale::{CHOSEN, ScaleFit};

use super::kit::node::{self, column, number_cell, paragraph, row_head};
use super::kit::number::{decimals, list, percent};
use super::{Node, scroll};

pub(super) fn nodes(fit: &ScaleFit) -> Vec<Node> {
    if fit.judged().is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = (fit.laws().iter())
        .map(|law| law.as_str().to_owned())
        .collect();
    let corrected = fit.corrections();
    let mut text = format!(
        "Chosen: the mean of {}{corrected}. Every row is fitted to smaller or shorter runs and \
         judged on others; the error is relative, its mean over mixtures, lengths and targets.",
        list(&names),
    );
    let of_chosen: Vec<String> = (fit.trust().iter())
        .filter(|t| t.law == CHOSEN)
        .map(|t| {
            let beyond = if t.measured {
                ""
            } else {
                " (beyond what was judged)"
            };
            format!(
                "{} at {} times the largest size{beyond}",
                percent(t.error),
                t.factor
            )
        })
        .collect();
    if !of_chosen.is_empty() {
        text.push_str(&format!(" Error to expect: {}.", list(&of_chosen)));
    }
    vec![
        Node::new("h3").text("How well laws predict"),
        paragraph(text),
        scroll("Laws of scale on runs that were not fitted", table(fit)),
    ]
}

fn table(fit: &ScaleFit) -> Node {
    let head = Node::new("tr")
        .push(column("Law", "name"))
        .push(column("Judged on", "name"))
        .push(column("Times the size", "n"))
        .push(column("Times the tokens", "n"))
        .push(column("Error", "n"))
        .push(column("Spearman", "n"));
    let rows = fit.judged().iter().map(|j| {
        Node::new("tr")
            .push(row_head(&j.law))
            .push(Node::new("td").text(j.direction.words()))
            .push(number_cell(decimals(j.size_factor, 2)))
            .push(number_cell(decimals(j.tokens_factor, 2)))
            .push(number_cell(percent(j.error)))
            .push(number_cell(decimals(j.spearman, 3)))
    });
    Node::new("table")
        .class("plain")
        .push(node::caption("Laws of scale on runs that were not fitted").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}
