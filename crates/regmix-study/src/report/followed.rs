//! What was predicted of targets that had a schedule, and what came.

use regmix_dynamic::{ControllerState, Schedule, SizeCorrection, StageLosses, State, Trajectories};
use regmix_regress::Objective;

use super::Report;
use super::kit::node::{Node, multiples, paragraph};
use super::kit::number::{UNIT, decimals, difference, loss};
use super::kit::scale::Scale;
use super::kit::svg::{Frame, polyline, tooltip};

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 140.0;

/// The objective of a run at a stage point, on the scale of proxies.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    at: f64,
    predicted: f64,
    sd: f64,
    observed: f64,
}

/// One plot per target; nothing where none ran on a schedule.
pub(super) fn parts(report: &Report<'_>, schedule: &Schedule) -> Vec<Node> {
    let Some(table) = report.scheduled.filter(|t| !t.is_empty()) else {
        return Vec::new();
    };
    let figures: Vec<Node> = (courses(report.decisions, schedule, table).iter())
        .filter_map(|(run, places)| figure(run, places))
        .collect();
    if figures.is_empty() {
        return Vec::new();
    }
    let of = match schedule.objective {
        Objective::Worst(_) => "mean loss".to_owned(),
        ref other => format!("{other} loss"),
    };
    let scale = match schedule.config.size {
        SizeCorrection::FirstSegment => {
            "brought to the scale of proxies by what they are at the first point, where the two \
             therefore agree"
        }
        SizeCorrection::None => "as they are",
        _ => "brought to the scale of proxies by the size correction",
    };
    let words = format!(
        "Training across; {of} up, {UNIT}. Line: predicted, of the schedule before training (band: \
         one standard deviation), of the controller at the decision before. Dots: observed in the \
         target, {scale}. Every plot has its own range."
    );
    vec![
        Node::new("h3").text("Predicted and observed in targets"),
        paragraph(words),
        multiples(figures),
    ]
}

/// By run, the stage points that are known of it.
fn courses(
    decisions: &[(String, ControllerState)],
    schedule: &Schedule,
    table: &Trajectories,
) -> Vec<(String, Vec<Place>)> {
    let config = &schedule.config;
    let losses = (config.grid()).and_then(|grid| {
        StageLosses::new(table, &grid, config.resample, Some(schedule.target.steps))
    });
    let Ok(losses) = losses else {
        return Vec::new();
    };
    (losses.runs().iter().enumerate())
        .filter_map(|(place, run)| {
            let places = match decisions.iter().find(|(r, _)| r == run) {
                Some((_, state)) => online(schedule, &losses, place, state)?,
                None => planned(schedule, &losses, place)?,
            };
            Some((run.clone(), places))
        })
        .collect()
}

fn planned(schedule: &Schedule, losses: &StageLosses, run: usize) -> Option<Vec<Place>> {
    let seen = Seen { schedule, losses };
    let predicted: Vec<(Vec<f64>, Vec<f64>)> = (schedule.segments.iter())
        .map(|segment| {
            let one = |name: &String| segment.predicted.get(name).map(|s| (s.mean, s.sd));
            match schedule.config.state {
                State::Losses => losses.targets().iter().map(one).collect::<Option<Vec<_>>>(),
                State::Objective => segment
                    .predicted
                    .values()
                    .next()
                    .map(|s| vec![(s.mean, s.sd)]),
            }
            .map(|all| all.into_iter().unzip())
        })
        .collect::<Option<_>>()?;
    let factors: Option<Vec<f64>> = (schedule.config.size == SizeCorrection::FirstSegment)
        .then(|| {
            let first = seen.state(&losses.losses(run)[0])?;
            Some(
                (predicted.first()?.0.iter().zip(&first))
                    .map(|(p, o)| p / o)
                    .collect(),
            )
        })
        .flatten();
    let places = (losses.grid().points().iter().zip(&predicted)).zip(losses.losses(run));
    // Points at which a target was not evaluated are left out.
    let places = places.filter_map(|((at, (mean, sd)), measured)| {
        Some(Place {
            at: *at,
            predicted: seen.value(mean)?,
            sd: seen.value(sd)?.abs(),
            observed: seen.observed(measured, factors.as_deref())?,
        })
    });
    Some(places.collect())
}

fn online(
    schedule: &Schedule,
    losses: &StageLosses,
    run: usize,
    state: &ControllerState,
) -> Option<Vec<Place>> {
    let seen = Seen { schedule, losses };
    let points = losses.grid().points();
    let place = |at: f64, predicted: &[f64], observed: f64| {
        Some(Place {
            at,
            predicted: seen.value(predicted)?,
            sd: 0.0,
            observed,
        })
    };
    let mut out = (state.decisions().iter())
        .map(|d| {
            place(
                *points.get(d.stage)?,
                &d.expected,
                seen.value(&d.corrected)?,
            )
        })
        .collect::<Option<Vec<_>>>()?;
    if let (Some(predicted), Some(last)) = (state.predicted(), losses.losses(run).last())
        && let Some(observed) = seen.observed(last, state.factors())
    {
        out.extend(place(1.0, predicted, observed));
    }
    Some(out)
}

/// Reads losses as the stage model of a schedule does.
struct Seen<'a> {
    schedule: &'a Schedule,
    losses: &'a StageLosses,
}

impl Seen<'_> {
    /// The state of the stage model from measured losses.
    fn state(&self, measured: &[f64]) -> Option<Vec<f64>> {
        let state = match self.schedule.config.state {
            State::Losses => measured.to_vec(),
            State::Objective => vec![linear(
                &self.schedule.objective,
                self.losses.targets(),
                measured,
            )?],
        };
        state.iter().all(|l| l.is_finite()).then_some(state)
    }

    /// The objective of a state; the mean loss where it is a worst case.
    fn value(&self, state: &[f64]) -> Option<f64> {
        match self.schedule.config.state {
            State::Losses => linear(&self.schedule.objective, self.losses.targets(), state),
            State::Objective => state.first().copied(),
        }
    }

    fn observed(&self, measured: &[f64], factors: Option<&[f64]>) -> Option<f64> {
        let size = &self.schedule.config.size;
        let corrected = size.corrected(&self.state(measured)?, factors).ok()?;
        self.value(&corrected)
    }
}

fn linear(objective: &Objective, names: &[String], losses: &[f64]) -> Option<f64> {
    if names.len() != losses.len() {
        return None;
    }
    let of = |name: &String| names.iter().position(|n| n == name).map(|i| losses[i]);
    match objective {
        Objective::Mean | Objective::Worst(_) => {
            Some(losses.iter().sum::<f64>() / losses.len() as f64)
        }
        Objective::Target(name) => of(name),
        Objective::Weighted(weights) => weights.iter().map(|(name, w)| Some(w * of(name)?)).sum(),
        Objective::Maximize(inner) => linear(inner, names, losses),
    }
}

fn figure(run: &str, places: &[Place]) -> Option<Node> {
    let last = places.last()?;
    let x = Scale::tight([0.0, 1.0]);
    let all = (places.iter()).flat_map(|p| [p.predicted - p.sd, p.predicted + p.sd, p.observed]);
    let frame = Frame::new(x, Scale::around(all), WIDTH, HEIGHT);
    let told: Vec<String> = (places.iter())
        .map(|p| {
            format!(
                "at {}% predicted {}, observed {}",
                decimals(100.0 * p.at, 0),
                loss(p.predicted),
                loss(p.observed)
            )
        })
        .collect();
    let label = format!("{run}: {}", told.join("; "));
    let across = [0.0, 0.5, 1.0].map(|at| (at, format!("{:.0}%", 100.0 * at)));
    let line = |of: &dyn Fn(&Place) -> f64| -> Vec<(f64, f64)> {
        places.iter().map(|p| frame.at(p.at, of(p))).collect()
    };
    let mut picture = frame.draw(&label, &across, &frame.y.labels(2));
    if places.iter().any(|p| p.sd > 0.0) {
        let mut band = line(&|p| p.predicted - p.sd);
        band.extend(line(&|p| p.predicted + p.sd).into_iter().rev());
        picture = picture.push(
            Node::new("path")
                .class("band")
                .attr("d", format!("{}Z", polyline(&band))),
        );
    }
    picture = picture.push(
        Node::new("path")
            .class("curve")
            .attr("d", polyline(&line(&|p| p.predicted)))
            .push(tooltip(&label)),
    );
    let dots = line(&|p| p.observed).into_iter().map(|(x, y)| {
        Node::new("circle")
            .class("seen")
            .attr("cx", x)
            .attr("cy", y)
            .attr("r", 3.0)
    });
    let caption =
        Node::new("figcaption")
            .push(Node::new("b").text(run))
            .push(Node::new("span").text(format!(
                "ends {} from predicted",
                difference(last.observed - last.predicted)
            )));
    Some(Node::new("figure").push(picture.extend(dots)).push(caption))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::{DomainSet, Mixture};
    use regmix_dynamic::{DynamicConfig, Point, RunLength, StageGrid};
    use regmix_regress::Prediction;

    /// Two segments with predicted losses 4 and 3, and a target of half of
    /// them, evaluated at some steps.
    fn places(size: SizeCorrection, steps: &[u64]) -> Vec<Place> {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let even = Mixture::uniform(domains.clone());
        let target = RunLength {
            steps: 20,
            tokens: 200,
        };
        let grid = StageGrid::equal(1).unwrap();
        let mut schedule =
            Schedule::of_mixtures(&grid, vec![even.clone(), even], Objective::Mean, target)
                .unwrap();
        schedule.config = DynamicConfig {
            stages: 1,
            size,
            ..DynamicConfig::improved()
        };
        for (segment, mean) in schedule.segments.iter_mut().zip([4.0, 3.0]) {
            for name in ["a", "b"] {
                let spread = Prediction { mean, sd: 0.1 };
                segment.predicted.insert(name.to_owned(), spread);
            }
        }
        let mut table = Trajectories::new(domains);
        let points = steps.iter().map(|&step| Point {
            step,
            tokens: 10 * step,
            loss: vec![if step == 10 { 2.0 } else { 1.6 }; 2],
        });
        table.push("offline-seed1", points.collect()).unwrap();
        let courses = courses(&[], &schedule, &table);
        courses.into_iter().next().map_or_else(Vec::new, |c| c.1)
    }

    #[test]
    fn targets_are_compared_on_the_scale_of_proxies() {
        let first = places(SizeCorrection::FirstSegment, &[10, 20]);
        let seen: Vec<[f64; 3]> = (first.iter())
            .map(|p| [p.at, p.predicted, p.observed])
            .collect();
        assert_eq!(seen, [[0.5, 4.0, 4.0], [1.0, 3.0, 3.2]]);
        assert!((first[0].sd - 0.1).abs() < 1e-12);
        let plain = places(SizeCorrection::None, &[10, 20]);
        assert_eq!((plain[0].observed, plain[1].observed), (2.0, 1.6));
        // Without the first point nothing tells the scale.
        assert!(places(SizeCorrection::FirstSegment, &[15, 20]).is_empty());
    }
}
