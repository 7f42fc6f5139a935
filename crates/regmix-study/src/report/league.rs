//! How well each regressor predicts mixtures it has not seen.

use regmix_regress::{Entry, Fit};

use super::kit::node::{self, column, number_cell, paragraph};
use super::kit::number::{decimals, loss, mean, percent, plural};
use super::{Node, Report, learning, noise, scatter, scroll};

/// Left-out measurements listed at most.
const LISTED: usize = 20;

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let fit = report.fit?;
    let mut out = node::section("proxies", "How well proxies predict")
        .push(paragraph(format!(
            "{} were fitted. Every number is from cross-validation: each proxy is predicted by a \
             model that has not seen it. Means over {}; coverage is the share of proxies inside \
             their 90% interval. “auto” is the choice itself: for every part of the runs the \
             regressor that was best on the others.",
            plural(fit.rows(), "proxy run"),
            report.target_words(),
        )))
        .extend(fit.approximate().map(|used| paragraph(used.to_string())))
        .push(scroll("Regressors by cross-validation", table(report, fit)));
    let warnings = fit
        .warnings()
        .iter()
        .map(|w| Node::new("li").class("warn").text(w));
    let dropped = dropped(fit);
    if !fit.warnings().is_empty() || dropped.is_some() {
        out = out.push(
            Node::new("ul")
                .class("notes")
                .extend(warnings)
                .extend(dropped),
        );
    }
    Some(
        out.extend(scatter::figures(report, fit))
            .extend(noise::nodes(report, fit))
            .extend(report.learning.into_iter().flat_map(learning::nodes)),
    )
}

fn table(report: &Report<'_>, fit: &Fit) -> Node {
    let entries: Vec<&Entry> = (fit.league().entries().iter())
        .filter(|e| !report.is_score(&e.target))
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for entry in &entries {
        if !names.contains(&entry.regressor.as_str()) {
            names.push(&entry.regressor);
        }
    }
    let targets = fit.losses().count();
    let head = Node::new("tr")
        .push(column("Regressor", "name"))
        .push(column("Spearman", "n"))
        .push(column("Mean abs. error", "n"))
        .push(column("R²", "n"))
        .push(column("Coverage", "n"))
        .push(column("Chosen for", "n"));
    let rows = names.into_iter().map(|name| {
        let own: Vec<&Entry> = (entries.iter().copied())
            .filter(|e| e.regressor == name)
            .collect();
        let average = |of: fn(&Entry) -> f64| mean(own.iter().map(|e| of(e)));
        let chosen = own.iter().filter(|e| e.chosen).count();
        let mark = if chosen > 0 { "✓ " } else { "" };
        let tr = Node::new("tr");
        let tr = if chosen > 0 { tr.class("chosen") } else { tr };
        tr.push(
            Node::new("th")
                .attr("scope", "row")
                .text(format!("{mark}{name}")),
        )
        .push(number_cell(decimals(average(|e| e.spearman), 3)))
        .push(number_cell(loss(average(|e| e.mae))))
        .push(number_cell(decimals(average(|e| e.r2), 3)))
        .push(number_cell(percent(average(|e| e.coverage90))))
        .push(number_cell(match chosen {
            0 => String::new(),
            n => format!("{n} of {targets}"),
        }))
    });
    Node::new("table")
        .class("plain")
        .push(node::caption(match report.unit {
            Some(unit) => format!("Regressors by cross-validation, errors in {unit}"),
            None => "Regressors by cross-validation".to_owned(),
        }))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}

fn dropped(fit: &Fit) -> Option<Node> {
    let all = fit.dropped();
    if all.is_empty() {
        return None;
    }
    let listed = (all.iter().take(LISTED))
        .map(|d| Node::new("li").text(format!("{}, {}: {}", d.run, d.target, d.reason)));
    let summary = format!("{} left out of the fit", plural(all.len(), "measurement"));
    let mut items = Node::new("ul").extend(listed);
    if all.len() > LISTED {
        items = items.push(Node::new("li").text(format!("and {} more", all.len() - LISTED)));
    }
    let details = Node::new("details")
        .push(Node::new("summary").text(summary))
        .push(items);
    Some(Node::new("li").push(details))
}
