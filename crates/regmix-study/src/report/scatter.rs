//! Measured against predicted, one small plot per target.

use regmix_regress::{Fit, OutOfFold, TargetFit, metrics};

use super::kit::node::multiples;
use super::kit::number::{decimals, loss};
use super::kit::scale::Scale;
use super::kit::svg::{Frame, dots, line, tooltip};
use super::{Node, Report, paragraph};

const SIZE: f64 = 180.0;
/// Up to here every dot is an element of its own, with a tooltip.
const WITH_TOOLTIPS: usize = 60;
/// Dots drawn at most; beyond, every k-th run is.
const DRAWN: usize = 1000;
/// Dots per path. A path does not darken where it crosses itself, several
/// do, which shows where runs crowd.
const PER_PATH: usize = 50;

pub(super) fn figures(report: &Report<'_>, fit: &Fit) -> Vec<Node> {
    let targets = fit.targets();
    let word = report.word().as_str();
    let names = targets.iter().map(|t| t.target.as_str());
    let figures = (report.ordered(names).into_iter()).filter_map(|(i, _)| {
        let target = &targets[i];
        let points: Vec<&OutOfFold> = (fit.predictions().iter())
            .filter(|p| p.target == target.target)
            .filter(|p| p.measured.is_finite() && p.predicted.is_finite())
            .collect();
        let word = if target.is_score { "score" } else { word };
        (!points.is_empty()).then(|| figure(word, fit, target, &points))
    });
    vec![
        Node::new("h3").text("Measured against predicted"),
        paragraph(format!(
            "One dot per proxy: predicted {word} across, measured {word} up{}. Dots on the line \
             are right; Spearman's ρ tells how well the order of mixtures is predicted.",
            report.unit_listed(),
        )),
        multiples(figures),
    ]
}

fn figure(word: &str, fit: &Fit, target: &TargetFit, points: &[&OutOfFold]) -> Node {
    let of = |f: fn(&OutOfFold) -> f64| points.iter().map(|p| f(p)).collect::<Vec<f64>>();
    let (measured, predicted) = (of(|p| p.measured), of(|p| p.predicted));
    let rho = (fit.league().get(&target.regressor, &target.target))
        .map_or_else(|| metrics::spearman(&measured, &predicted), |e| e.spearman);
    let scale = Scale::around(measured.iter().chain(&predicted).copied());
    let frame = Frame::new(scale, scale, SIZE, SIZE);
    let ticks = scale.labels(2);
    let rho = decimals(rho, 3);
    let label = format!(
        "{}: measured against predicted {word} of {} runs, Spearman {rho}",
        target.target,
        points.len()
    );
    let ends = [scale.low, scale.high].map(|v| frame.at(v, v));
    let picture = (frame.draw(&label, &ticks, &ticks))
        .push(line("diagonal", ends[0], ends[1]))
        .extend(marks(&frame, points));
    let caption = Node::new("figcaption")
        .push(Node::new("b").text(&target.target))
        .push(Node::new("span").text(format!("ρ {rho} · {}", target.regressor)));
    Node::new("figure").push(picture).push(caption)
}

fn marks(frame: &Frame, points: &[&OutOfFold]) -> Vec<Node> {
    if points.len() <= WITH_TOOLTIPS {
        return (points.iter())
            .map(|p| {
                let (x, y) = frame.at(p.predicted, p.measured);
                Node::new("circle")
                    .class("dot")
                    .attr("cx", x)
                    .attr("cy", y)
                    .attr("r", 2.5)
                    .push(tooltip(format!(
                        "{}: predicted {}, measured {}",
                        p.run,
                        loss(p.predicted),
                        loss(p.measured)
                    )))
            })
            .collect();
    }
    let places: Vec<(f64, f64)> = (points.iter())
        .step_by(points.len().div_ceil(DRAWN))
        .map(|p| frame.at(p.predicted, p.measured))
        .collect();
    (places.chunks(PER_PATH))
        .map(|chunk| Node::new("path").class("dots").attr("d", dots(chunk)))
        .collect()
}
