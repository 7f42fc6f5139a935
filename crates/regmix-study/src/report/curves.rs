//! Loss along training, per domain, over all proxies.

use regmix_dynamic::Trajectories;

use super::kit::node::{self, multiples, paragraph};
use super::kit::number::{self, loss, mean, plural, quantile, short};
use super::kit::scale::Scale;
use super::kit::svg::{Frame, banded, tooltip};
use super::{Node, Report};

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 140.0;
/// Places along the tokens at most.
const PLACES: usize = 60;

pub(super) fn section(report: &Report<'_>) -> Option<Node> {
    let table = report.trajectories.filter(|t| !t.is_empty())?;
    let domains = table.domains();
    let figures = (report.ordered(domains.names()).into_iter())
        .filter_map(|(i, name)| figure(name, &Curve::new(table, i)));
    let band = match table.len() {
        1 => "",
        _ => " Band: where 80% of proxies lie, without the lowest and the highest tenth.",
    };
    Some(
        node::section("curves", "Loss curves of the proxies")
            .push(paragraph(format!(
                "Tokens seen across, loss up{}. Line: mean over {}.{band} Every plot has its own \
                 range.",
                report.unit_listed(),
                plural(table.len(), "proxy run")
            )))
            .push(multiples(figures)),
    )
}

/// Mean and band of one domain's loss at some places along the tokens.
struct Curve {
    tokens: Vec<f64>,
    mean: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Curve {
    /// Runs may be evaluated at different places, so each is interpolated
    /// between its own points, and nowhere beyond them.
    fn new(table: &Trajectories, domain: usize) -> Self {
        let runs: Vec<Vec<(f64, f64)>> = (table.iter())
            .map(|(_, points)| {
                (points.iter())
                    .filter_map(|p| Some((p.tokens as f64, *p.loss.get(domain)?)))
                    .filter(|(_, loss)| loss.is_finite())
                    .collect()
            })
            .collect();
        let mut curve = Self {
            tokens: Vec::new(),
            mean: Vec::new(),
            low: Vec::new(),
            high: Vec::new(),
        };
        for tokens in places(&runs) {
            let mut there: Vec<f64> = runs.iter().filter_map(|r| interpolate(r, tokens)).collect();
            if there.is_empty() {
                continue;
            }
            there.sort_by(f64::total_cmp);
            curve.tokens.push(tokens);
            curve.mean.push(mean(there.iter().copied()));
            curve.low.push(quantile(&there, 0.1));
            curve.high.push(quantile(&there, 0.9));
        }
        curve
    }
}

fn places(runs: &[Vec<(f64, f64)>]) -> Vec<f64> {
    let mut all: Vec<f64> = runs.iter().flatten().map(|p| p.0).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    match (all.first(), all.last()) {
        (Some(&first), Some(&last)) if all.len() > PLACES => (0..PLACES)
            .map(|i| first + (last - first) * i as f64 / (PLACES - 1) as f64)
            .collect(),
        _ => all,
    }
}

fn interpolate(run: &[(f64, f64)], tokens: f64) -> Option<f64> {
    let after = run.partition_point(|p| p.0 < tokens);
    let (x1, y1) = *run.get(after)?;
    if x1 == tokens {
        return Some(y1);
    }
    let (x0, y0) = *run.get(after.checked_sub(1)?)?;
    Some(y0 + (y1 - y0) * (tokens - x0) / (x1 - x0))
}

fn figure(name: &str, curve: &Curve) -> Option<Node> {
    let (first, last) = (curve.mean.first()?, curve.mean.last()?);
    let x = Scale::tight(curve.tokens.iter().copied());
    let y = Scale::around(
        curve
            .low
            .iter()
            .chain(&curve.high)
            .chain(&curve.mean)
            .copied(),
    );
    let frame = Frame::new(x, y, WIDTH, HEIGHT);
    let label = format!(
        "{name}: mean loss from {} at {} tokens to {} at {}",
        loss(*first),
        short(curve.tokens[0]),
        loss(*last),
        short(curve.tokens[curve.tokens.len() - 1])
    );
    let across: Vec<(f64, String)> = (x.ticks(2).0.into_iter()).map(|t| (t, short(t))).collect();
    let at = |values: &[f64]| -> Vec<(f64, f64)> {
        (curve.tokens.iter().zip(values))
            .map(|(x, y)| frame.at(*x, *y))
            .collect()
    };
    let mut picture = frame
        .draw(&label, &across, &y.labels(2))
        .push(tooltip(&label));
    if let [point] = at(&curve.mean)[..] {
        picture = picture.push(
            Node::new("circle")
                .class("dot")
                .attr("cx", point.0)
                .attr("cy", point.1)
                .attr("r", 2.5),
        );
    } else {
        picture = picture.extend(banded(&at(&curve.low), &at(&curve.high), &at(&curve.mean)));
    }
    let caption = Node::new("figcaption")
        .push(Node::new("b").text(name))
        .push(Node::new("span").text(format!("ends at {}", number::loss(*last))));
    Some(Node::new("figure").push(picture).push(caption))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_joined_where_they_were_measured() {
        let run = [(10.0, 4.0), (20.0, 3.0)];
        assert_eq!(interpolate(&run, 10.0), Some(4.0));
        assert_eq!(interpolate(&run, 15.0), Some(3.5));
        assert_eq!(interpolate(&run, 20.0), Some(3.0));
        assert_eq!(interpolate(&run, 5.0), None);
        assert_eq!(interpolate(&run, 25.0), None);
        assert_eq!(interpolate(&[], 5.0), None);
    }

    #[test]
    fn many_evaluation_points_are_thinned() {
        let run: Vec<(f64, f64)> = (0..500).map(|i| (f64::from(i), 1.0)).collect();
        let places = places(&[run]);
        assert_eq!(places.len(), PLACES);
        assert_eq!((places[0], places[PLACES - 1]), (0.0, 499.0));
    }
}
