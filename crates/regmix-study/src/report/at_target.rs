//! At the size that counts: how the best mixture moves with size, and what is expected of
//! the target.

use regmix_regress::scale::{
    RankTransfer, ScaleEstimate, ScaleFit, ScaleOptimum, ScaleStep, rank_transfer, verdict,
};

use super::kit::node::{self, column, main_cell, multiples, number_cell, paragraph, row_head};
use super::kit::number::{NONE, UNIT, decimals, loss, percent, plural, range, short};
use super::kit::scale::Scale;
use super::kit::svg::{Frame, line, polyline, tooltip};
use super::{Node, Report, scroll};
use crate::check::TargetCheck;
use crate::files::FOUND;

/// What laws of scale say about the target.
#[derive(Debug)]
pub(crate) struct AtTarget {
    /// The laws.
    pub(crate) fit: ScaleFit,
    /// The best mixture at the size and length of the target, and the way there.
    pub(crate) optimum: ScaleOptimum,
    /// The objective and the losses of the found mixture there.
    pub(crate) found: Expected,
    /// Those of the natural mixture.
    pub(crate) natural: Expected,
}

/// The objective, and every target's loss.
pub(crate) type Expected = (ScaleEstimate, Vec<ScaleEstimate>);

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 120.0;

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let at = report.at_target?;
    let transfers = rank_transfer(at.fit.runs());
    let sizes = at.fit.runs().sizes();
    let (largest, longest) = (sizes[sizes.len() - 1], at.fit.runs().token_range().1);
    let mut out = node::section("sizes", "At the size that counts")
        .push(paragraph(verdict(&transfers)).class("verdict"))
        .push(paragraph(format!(
            "Laws of scale, fitted to {} of {}, predict a target of {} parameters after {} tokens: \
             {} times the largest size that was fitted, {} times the longest run.",
            plural(at.fit.runs().runs().len(), "run"),
            plural(sizes.len(), "size"),
            short(at.optimum.parameters),
            short(at.optimum.tokens),
            decimals(at.optimum.parameters / largest, 2),
            decimals(at.optimum.tokens / longest, 2),
        )))
        .push(Node::new("h3").text("Expected of the target"))
        .push(paragraph(expected_words(at)))
        .push(scroll("Expected losses of the target", expected(report, at)))
        .push(Node::new("h3").text("How the best mixture moves with size"))
        .push(paragraph(
            "Parameters across, on a logarithmic scale, from the smallest runs to the target; share \
             of tokens up. Line: the best mixture by the laws. Dashes: the mixture that was found \
             with proxies.",
        ));
    let highest = at.optimum.path.iter().flat_map(|step| &step.weights);
    let found = report.recommendation.mixture.weights();
    let y = Scale::from_zero(highest.chain(found).copied());
    let names = at.optimum.weights.iter().map(|(name, _)| name.as_str());
    let figures =
        (report.ordered(names).into_iter()).map(|(place, name)| figure(report, at, y, place, name));
    out = out.push(multiples(figures));
    if !transfers.is_empty() {
        out = out
            .push(Node::new("h3").text("Ranks of mixtures from one size to another"))
            .push(scroll("Ranks from one size to another", ranks(&transfers)));
    }
    let warnings = at.fit.warnings().iter().chain(&at.optimum.warnings);
    let warnings: Vec<Node> = warnings
        .map(|w| Node::new("li").class("warn").text(w))
        .collect();
    if !warnings.is_empty() {
        out = out.push(Node::new("ul").class("notes").extend(warnings));
    }
    Some(out)
}

fn expected_words(at: &AtTarget) -> String {
    let gain = at.found.0.mean - at.optimum.objective.mean;
    let moved = at.optimum.path.last().map_or(0.0, |step| step.moved);
    let saved = match &at.optimum.natural {
        Some((_, Some(factor))) => format!(
            " The natural mixture would need {} times as many tokens for the same.",
            decimals(*factor, 2)
        ),
        _ => String::new(),
    };
    format!(
        "Mean and 90% interval, {UNIT}. Between the smallest runs and the target the best mixture \
         moves by {} of the tokens; at the target it is expected to be {} {UNIT} better than the \
         found one.{saved}",
        percent(moved),
        loss(gain),
    )
}

/// The mean over seeds of what the targets on the found mixture measured; by name.
fn measured(check: &TargetCheck, name: &str) -> Option<f64> {
    let own: Vec<f64> = (check.runs.iter())
        .filter(|run| run.arm == FOUND)
        .filter_map(|run| match name {
            OBJECTIVE => Some(run.objective),
            _ => run.loss.get(name).copied(),
        })
        .collect();
    (!own.is_empty()).then(|| own.iter().sum::<f64>() / own.len() as f64)
}

/// The name of the row of the objective.
const OBJECTIVE: &str = "objective";

fn expected(report: &Report<'_>, at: &AtTarget) -> Node {
    let head = Node::new("tr")
        .push(column("", "name"))
        .push(column("Best at target", "n"))
        .push(column("90%", "n wide"))
        .push(column("Found", "n"))
        .push(column("90%", "n wide"))
        .push(column("Natural", "n"))
        .push(column("Found, measured", "n"));
    let row = |best: &ScaleEstimate, found: &ScaleEstimate, natural: &ScaleEstimate| {
        let seen = report.check.and_then(|check| measured(check, &best.name));
        Node::new("tr")
            .push(row_head(&best.name))
            .push(main_cell(loss(best.mean)))
            .push(number_cell(range(best.low, best.high)).class("n wide"))
            .push(number_cell(loss(found.mean)))
            .push(number_cell(range(found.low, found.high)).class("n wide"))
            .push(number_cell(loss(natural.mean)))
            .push(number_cell(seen.map_or_else(|| NONE.to_owned(), loss)))
    };
    let first = row(&at.optimum.objective, &at.found.0, &at.natural.0);
    let names = at.optimum.losses.iter().map(|l| l.name.as_str());
    let rows = (report.ordered(names).into_iter())
        .map(|(i, _)| row(&at.optimum.losses[i], &at.found.1[i], &at.natural.1[i]));
    Node::new("table")
        .class("plain")
        .push(node::caption("Expected losses of the target").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").push(first).extend(rows))
}

fn figure(report: &Report<'_>, at: &AtTarget, y: Scale, place: usize, name: &str) -> Node {
    let path = &at.optimum.path;
    let across = |step: &ScaleStep| step.parameters.log10();
    let x = Scale::tight(path.iter().map(across));
    let frame = Frame::new(x, y, WIDTH, HEIGHT);
    let weights: Vec<f64> = path.iter().map(|step| step.weights[place]).collect();
    let points: Vec<(f64, f64)> = (path.iter().zip(&weights))
        .map(|(step, weight)| frame.at(across(step), *weight))
        .collect();
    let (first, last) = (path.first(), path.last());
    let ends = first.into_iter().chain(last);
    let below: Vec<(f64, String)> = ends
        .map(|step| (across(step), short(step.parameters)))
        .collect();
    let whole = |share: f64| format!("{:.0}%", 100.0 * share);
    let up: Vec<(f64, String)> = y.ticks(2).0.into_iter().map(|t| (t, whole(t))).collect();
    let shares: Vec<String> = weights.iter().map(|w| percent(*w)).collect();
    let label = format!("{name}: {}", shares.join(", "));
    let curve = Node::new("path")
        .class("curve")
        .attr("d", polyline(&points))
        .push(tooltip(&label));
    let mut picture = frame.draw(&label, &below, &up).push(curve);
    let found = report.recommendation.mixture.get(name);
    if let (Some(found), Some(first), Some(last)) = (found, first, last) {
        let from = frame.at(across(first), found);
        picture = picture.push(line("dashes", from, frame.at(across(last), found)));
    }
    let caption = Node::new("figcaption")
        .push(Node::new("b").text(name))
        .push(Node::new("span").text(format!(
            "{} at the target",
            shares.last().map_or(NONE, String::as_str)
        )));
    Node::new("figure").push(picture).push(caption)
}

fn ranks(transfers: &[RankTransfer]) -> Node {
    let head = Node::new("tr")
        .push(column("Parameters", "name"))
        .push(column("Mixtures", "n"))
        .push(column("Spearman", "n"))
        .push(column("Lowest", "n"))
        .push(column("Regret", "n"))
        .push(column("Of best 5", "n"))
        .push(column("Seed noise", "n"));
    let rows = transfers.iter().map(|t| {
        Node::new("tr")
            .push(row_head(&format!(
                "{} to {}",
                short(t.smaller),
                short(t.larger)
            )))
            .push(number_cell(t.mixtures.to_string()))
            .push(number_cell(decimals(t.spearman, 3)))
            .push(number_cell(decimals(t.lowest, 3)))
            .push(number_cell(loss(t.regret)))
            .push(number_cell(loss(t.regret_of_five)))
            .push(number_cell(
                t.seed_noise.map_or_else(|| NONE.to_owned(), loss),
            ))
    });
    Node::new("table")
        .class("plain")
        .push(
            node::caption(
                "Spearman correlation of losses, and what the best mixture of the smaller size \
                 loses at the larger one",
            )
            .class("hidden"),
        )
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").extend(rows))
}
