//! How often training repeats each domain.

use super::kit::node::{self, column, main_cell, number_cell, paragraph, row_head};
use super::kit::number::{NONE, decimals};
use super::kit::scale::Scale;
use super::kit::track::Track;
use super::{Node, Report};

/// One pass, and about where repetition begins to cost.
const RULES: [f64; 2] = [1.0, 4.0];
/// Epochs of proxies beyond this many times the target's are drawn at the
/// edge: the target is what the chart is about.
const ROOM: f64 = 1.5;

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let found = &report.recommendation?.weights;
    let epochs = |name: &str| {
        let weight = found.iter().find(|w| w.domain == name);
        weight.and_then(|w| w.epochs).filter(|e| e.is_finite())
    };
    let proxies = |name: &str| {
        let entry = report
            .proxy_epochs
            .iter()
            .find(|(domain, _)| domain == name);
        entry.map(|e| e.1).filter(|e| e.is_finite())
    };
    let rows: Vec<(&str, Option<f64>, Option<f64>)> = (report.domains().into_iter())
        .map(|name| (name, epochs(name), proxies(name)))
        .collect();
    let known = rows.iter().any(|r| r.1.is_some());
    let for_proxies = rows.iter().any(|r| r.2.is_some());
    if !known && !for_proxies {
        return None;
    }
    let of_target = || rows.iter().filter_map(|r| r.1);
    let room = ROOM * of_target().fold(RULES[1], f64::max);
    let proxies_inside = rows
        .iter()
        .filter_map(|r| r.2)
        .filter(|e| !known || *e <= room);
    let scale = Scale::from_zero(of_target().chain(proxies_inside).chain(RULES));
    let track = Track::new(scale, ticks(&scale)).with_rules(&RULES);
    let mut head = Node::new("tr")
        .push(column("Domain", "name"))
        .push(column("", "plot").push(track.axis("Epochs")))
        .push(column("Target", "n"));
    if for_proxies {
        head = head.push(column("Proxies", "n"));
    }
    let body = rows.iter().map(|(name, target, proxy)| {
        let mut label = format!("{name}: {} epochs", optional(*target));
        if let Some(proxy) = proxy {
            label.push_str(&format!(", proxies up to {}", decimals(*proxy, 2)));
        }
        let bar = target.map(|e| track.bar(e));
        let marks = bar.into_iter().chain(proxy.map(|e| track.diamond(e)));
        let row = Node::new("tr")
            .push(row_head(name))
            .push(Node::new("td").class("plot").push(track.row(&label, marks)))
            .push(main_cell(optional(*target)));
        if for_proxies {
            row.push(number_cell(optional(*proxy)))
        } else {
            row
        }
    });
    let table = Node::new("table")
        .class("chart")
        .push(node::caption("Implied epochs per domain").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(body));
    let section = node::section("epochs", "How often tokens repeat");
    Some(
        section
            .push(paragraph(intro(known, for_proxies)))
            .push(table),
    )
}

fn intro(known: bool, proxies: bool) -> String {
    let mut text = if known {
        "Bars: how many times the target run sees each domain's tokens at the found mixture."
    } else {
        "For the target it is not known: set the target's tokens in study.toml."
    }
    .to_owned();
    if proxies {
        text.push_str(
            " Diamonds: the most for any proxy, at the edge where it lies beyond the chart.",
        );
    }
    text.push_str(
        " Dashed lines: 1 and 4 epochs. Repeating tokens costs little up to about 4 epochs \
         (Muennighoff et al., 2023); beyond, it costs more than the fit can know unless proxies \
         repeated as much.",
    );
    text
}

fn ticks(scale: &Scale) -> Vec<(f64, String)> {
    let mut all: Vec<(f64, String)> = scale.labels(4);
    // One and four are labelled in any case; a tick too near gives way.
    let near = 0.06 * (scale.high - scale.low);
    all.retain(|(v, _)| RULES.iter().all(|r| (v - r).abs() > near));
    if scale.high < 12.0 {
        all.extend(RULES.map(|r| (r, decimals(r, 0))));
    } else {
        all.push((RULES[1], decimals(RULES[1], 0)));
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

fn optional(epochs: Option<f64>) -> String {
    epochs.map_or_else(|| NONE.to_owned(), |e| decimals(e, 2))
}
