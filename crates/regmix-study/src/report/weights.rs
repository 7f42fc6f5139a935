//! The found weights beside the natural ones, with what limits them.

use regmix_regress::search::Termination;
use regmix_regress::{Bound, Recommendation, WeightSpread};

use super::answer::{models_alone, optimism};
use super::kit::node;
use super::kit::node::{column, main_cell, number_cell, paragraph, row_head, wide_cell};
use super::kit::number::{decimals, list, loss, maybe_percent, percent, plural};
use super::kit::scale::Scale;
use super::kit::track::Track;
use super::{Node, Report};

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let found = report.recommendation?;
    let mut intro = "Share of tokens per domain. Bars: the found mixture.".to_owned();
    if found.weights.iter().any(|w| w.low.is_some()) {
        intro.push_str(&format!(
            " Whiskers: 5th to 95th percentile of the optimum over {}.",
            plural(found.provenance.refits, "bootstrap refit")
        ));
    } else {
        intro.push_str(match found.provenance.refits_dropped {
            0 => " No bootstrap was run, so there are no error bars.",
            _ => {
                " Too few bootstrap refits stayed in the range of what was measured for error bars."
            }
        });
    }
    if found.weights.iter().any(|w| w.natural.is_some()) {
        intro.push_str(" Diamonds: the natural mixture, the corpus as it is.");
    }
    Some(
        node::section("mixture", "The mixture")
            .push(paragraph(intro))
            .push(table(report, &found.weights))
            .push(Node::new("ul").class("notes").extend(notes(report, found))),
    )
}

fn table(report: &Report<'_>, all: &[WeightSpread]) -> Node {
    let ends = |w: &WeightSpread| [Some(w.weight), w.natural, w.high];
    let scale = Scale::from_zero(all.iter().flat_map(ends).flatten());
    let (ticks, places) = scale.ticks(4);
    let places = places.saturating_sub(2);
    let ticks = ticks
        .into_iter()
        .map(|t| (t, format!("{}%", decimals(100.0 * t, places))));
    let track = Track::new(scale, ticks.collect());
    let head = Node::new("tr")
        .push(column("Domain", "name"))
        .push(column("", "plot").push(track.axis("Share of tokens in percent")))
        .push(column("Weight", "n"))
        .push(column("5–95%", "n wide"));
    let natural = all.iter().any(|w| w.natural.is_some());
    let head = match natural {
        true => head.push(column("Natural", "n")),
        false => head,
    };
    let rows = (report.domains().into_iter())
        .filter_map(|name| all.iter().find(|w| w.domain == name))
        .map(|w| row(&track, w, natural));
    Node::new("table")
        .class("chart")
        .push(node::caption("Found and natural weights per domain").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}

fn row(track: &Track, w: &WeightSpread, with_natural: bool) -> Node {
    let interval = match (w.low, w.high) {
        (Some(low), Some(high)) if low.is_finite() && high.is_finite() => Some((low, high)),
        _ => None,
    };
    let interval_text = interval.map_or_else(
        || super::kit::number::NONE.to_owned(),
        |(low, high)| {
            let low = percent(low);
            format!("{}–{}", low.trim_end_matches('%'), percent(high))
        },
    );
    let mut label = format!("{}: {}", w.domain, percent(w.weight));
    if interval.is_some() {
        label.push_str(&format!(", 5 to 95% of refits {interval_text}"));
    }
    if let Some(natural) = w.natural {
        label.push_str(&format!(", natural {}", percent(natural)));
    }
    let mut marks = vec![track.bar(w.weight)];
    if let Some((low, high)) = interval {
        marks.extend(track.whisker(low, high));
    }
    marks.extend(w.natural.map(|natural| track.diamond(natural)));
    let row = Node::new("tr")
        .push(row_head(&w.domain))
        .push(Node::new("td").class("plot").push(track.row(&label, marks)))
        .push(main_cell(percent(w.weight)))
        .push(wide_cell(interval_text));
    match with_natural {
        true => row.push(number_cell(maybe_percent(w.natural))),
        false => row,
    }
}

/// What a person should know before using the mixture.
fn notes(report: &Report<'_>, found: &Recommendation) -> Vec<Node> {
    let item = |text: String| Node::new("li").text(text);
    let mut out = vec![support(found), item(binding(found))];
    out.extend(
        [models_alone(report, found), optimism(report, found)]
            .into_iter()
            .flatten()
            .map(item),
    );
    out.extend((found.unidentified.iter()).map(|what| item(what.clone()).class("warn")));
    if matches!(found.termination, Some(Termination::MaxIterations)) {
        out.push(
            item("The search stopped at its limit on iterations, not at a minimum.".to_owned())
                .class("warn"),
        );
    }
    out
}

fn support(found: &Recommendation) -> Node {
    let s = &found.support;
    let mut distances = format!(
        "the nearest proxy ({}) differs in {} of the tokens; proxies differ from their own \
         nearest neighbour in {} (median)",
        s.nearest_run,
        percent(s.distance),
        percent(s.typical)
    );
    // Earlier versions had no leverage.
    if s.leverage_limit > 0.0 {
        distances.push_str(&format!(
            "; the leverage, which is what the mixtures of the proxies leave open there, is {} \
             against at most {} at 95% of the proxies",
            decimals(s.leverage, 2),
            decimals(s.leverage_limit, 2)
        ));
    }
    if let Some(limit) = s.sd_limit.filter(|_| s.unsure) {
        distances.push_str(&format!(
            "; the models are unsure, with a standard deviation of {} against at most {} at 95% of \
             the proxies",
            loss(s.sd),
            loss(limit)
        ));
    }
    if s.out_of_distribution {
        Node::new("li").class("warn").text(format!(
            "Out of distribution: {distances}. The prediction is an extrapolation and its \
             interval is too narrow."
        ))
    } else {
        Node::new("li").text(format!("Within what proxies covered: {distances}."))
    }
}

fn binding(found: &Recommendation) -> String {
    let at = |bound: Bound| -> Vec<String> {
        (found.binding.iter().filter(|b| b.bound == bound))
            .map(|b| b.name.clone())
            .collect()
    };
    let mut parts = Vec::new();
    for (bound, words) in [
        (Bound::Cap, "the cap on"),
        (Bound::Floor, "the floor on"),
        (Bound::GroupCap, "the cap on the group"),
        (Bound::GroupFloor, "the floor on the group"),
    ] {
        let names = at(bound);
        if !names.is_empty() {
            parts.push(format!("{words} {}", list(&names)));
        }
    }
    if parts.is_empty() {
        "No floor or cap holds the mixture back.".to_owned()
    } else {
        format!(
            "Bounds hold the mixture back: {}. Relaxing them would improve the prediction.",
            list(&parts)
        )
    }
}
