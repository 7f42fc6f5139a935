//! At the size of the target: how well laws of scale predict, how the best mixture moves with
//! size, and what is expected of the target.

use regmix_regress::scale::{
    RankTransfer, ScaleEstimate, ScaleFit, ScaleOptimum, ScaleStep, rank_transfer, verdict,
};

use super::kit::node::{
    self, column, main_cell, multiples, number_cell, paragraph, row_head, wide_cell,
};
use super::kit::number::{NONE, decimals, loss, percent, plural, range, short};
use super::kit::scale::Scale;
use super::kit::svg::{Frame, line, polyline, tooltip};
use super::{Node, Report, laws, scroll};
use crate::check::TargetCheck;
use crate::files::FOUND;

/// What laws of scale say about the target.
#[derive(Debug)]
pub(crate) struct AtTarget {
    /// The laws.
    pub(crate) fit: ScaleFit,
    /// The best mixture at the size and length of the target, and the way there;
    /// none where no size was asked.
    pub(crate) optimum: Option<ScaleOptimum>,
    /// What the found mixture is expected to reach there.
    pub(crate) found: Option<Expected>,
    /// The same of the natural mixture.
    pub(crate) natural: Option<Expected>,
}

/// What a mixture is expected to reach.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The objective, where it is known to be that of the optimum.
    pub(crate) objective: Option<ScaleEstimate>,
    /// Every target's loss.
    pub(crate) losses: Vec<ScaleEstimate>,
}

impl Expected {
    fn objective(expected: Option<&Self>) -> Option<&ScaleEstimate> {
        expected?.objective.as_ref()
    }

    fn loss(expected: Option<&Self>, target: usize) -> Option<&ScaleEstimate> {
        expected?.losses.get(target)
    }
}

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 120.0;

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let at = report.at_target?;
    let transfers = rank_transfer(at.fit.runs());
    let mut out = node::section("sizes", "At the size of the target")
        .push(paragraph(verdict(&transfers)).class("verdict"));
    if let Some(optimum) = &at.optimum {
        out = out.extend(at_optimum(report, at, optimum));
    }
    out = out.extend(laws::nodes(&at.fit));
    if !transfers.is_empty() {
        out = out
            .push(Node::new("h3").text("Ranks of mixtures from one size to another"))
            .push(scroll("Ranks from one size to another", ranks(&transfers)));
    }
    let beside = at.optimum.iter().flat_map(|optimum| &optimum.warnings);
    let warnings = at.fit.warnings().iter().chain(beside);
    let warnings: Vec<Node> = warnings
        .map(|w| Node::new("li").class("warn").text(w))
        .collect();
    if !warnings.is_empty() {
        out = out.push(Node::new("ul").class("notes").extend(warnings));
    }
    Some(out)
}

/// What the laws say at the size and length of the target.
fn at_optimum(report: &Report<'_>, at: &AtTarget, optimum: &ScaleOptimum) -> Vec<Node> {
    let sizes = at.fit.runs().sizes();
    let (largest, longest) = (sizes[sizes.len() - 1], at.fit.runs().token_range().1);
    let dashes = match report.recommendation {
        Some(_) => " Dashes: the mixture that was found with proxies.",
        None => "",
    };
    let highest = optimum.path.iter().flat_map(|step| &step.weights);
    let found = report
        .recommendation
        .map_or(&[][..], |found| found.mixture.weights());
    let y = Scale::from_zero(highest.chain(found).copied());
    let names = optimum.mixture.domains().names();
    let figures = (report.ordered(names).into_iter())
        .map(|(place, name)| figure(report, optimum, y, place, name));
    vec![
        paragraph(format!(
            "Laws of scale, fitted to {} of {}, predict a target of {} parameters after {} tokens: \
             {} times the largest size that was fitted, {} times the longest run.",
            plural(at.fit.runs().runs().len(), "run"),
            plural(sizes.len(), "size"),
            short(optimum.parameters),
            short(optimum.tokens),
            decimals(optimum.parameters / largest, 2),
            decimals(optimum.tokens / longest, 2),
        )),
        Node::new("h3").text("Expected of the target"),
        paragraph(expected_words(report, at, optimum)),
        scroll(
            "Expected losses of the target",
            expected(report, at, optimum),
        ),
        Node::new("h3").text("How the best mixture moves with size"),
        paragraph(format!(
            "Parameters across, on a logarithmic scale, from the smallest runs to the target; share \
             of tokens up. Line: the best mixture by the laws.{dashes}"
        )),
        multiples(figures),
    ]
}

fn expected_words(report: &Report<'_>, at: &AtTarget, optimum: &ScaleOptimum) -> String {
    let moved = optimum.path.last().map_or(0.0, |step| step.moved);
    let gain = match Expected::objective(at.found.as_ref()) {
        Some(found) => format!(
            "; at the target it is expected to be {}{} better than the found one.",
            loss((found.mean - optimum.objective.mean).abs()),
            report.unit_behind(),
        ),
        None => ".".to_owned(),
    };
    let saved = match &optimum.natural {
        Some((_, Some(factor))) => format!(
            " The natural mixture would need {} times as many tokens for the same.",
            decimals(*factor, 2)
        ),
        _ => String::new(),
    };
    format!(
        "Mean and 90% interval{}. Between the smallest runs and the target the best mixture moves \
         by {} of the tokens{gain}{saved}",
        report.unit_listed(),
        percent(moved),
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

fn expected(report: &Report<'_>, at: &AtTarget, optimum: &ScaleOptimum) -> Node {
    let (found, natural) = (at.found.as_ref(), at.natural.as_ref());
    let mut head = Node::new("tr")
        .push(column("", "name"))
        .push(column("Best at target", "n"))
        .push(column("90%", "n wide"));
    if found.is_some() {
        head = head
            .push(column("Found", "n"))
            .push(column("90%", "n wide"));
    }
    let has_natural = natural.is_some() || optimum.natural.is_some();
    if has_natural {
        head = head.push(column("Natural", "n"));
    }
    if report.check.is_some() {
        head = head.push(column("Found, measured", "n"));
    }
    let mean = |estimate: Option<&ScaleEstimate>| {
        number_cell(estimate.map_or_else(|| NONE.to_owned(), |e| loss(e.mean)))
    };
    let interval = |estimate: Option<&ScaleEstimate>| {
        let text = estimate.map_or_else(|| NONE.to_owned(), |e| range(e.low, e.high));
        wide_cell(text)
    };
    let row = |best: &ScaleEstimate, own, there| {
        let mut row = Node::new("tr")
            .push(row_head(&best.name))
            .push(main_cell(loss(best.mean)))
            .push(interval(Some(best)));
        if found.is_some() {
            row = row.push(mean(own)).push(interval(own));
        }
        if has_natural {
            row = row.push(mean(there));
        }
        if let Some(check) = report.check {
            let seen = measured(check, &best.name);
            row = row.push(number_cell(seen.map_or_else(|| NONE.to_owned(), loss)));
        }
        row
    };
    let of_natural = Expected::objective(natural).or(optimum.natural.as_ref().map(|n| &n.0));
    let first = row(&optimum.objective, Expected::objective(found), of_natural);
    let names = optimum.losses.iter().map(|l| l.name.as_str());
    let rows = (report.ordered(names).into_iter()).map(|(i, _)| {
        let there = Expected::loss(natural, i);
        row(&optimum.losses[i], Expected::loss(found, i), there)
    });
    Node::new("table")
        .class("plain")
        .push(node::caption("Expected losses of the target").class("hidden"))
        .push(Node::new("thead").push(head))
        .push(Node::new("tbody").push(first).extend(rows))
}

fn figure(report: &Report<'_>, optimum: &ScaleOptimum, y: Scale, place: usize, name: &str) -> Node {
    let path = &optimum.path;
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
    let found = report.recommendation.and_then(|r| r.mixture.get(name));
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
