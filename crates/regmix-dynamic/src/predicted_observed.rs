//! Predicted and observed losses of targets that trained on a schedule.

use regmix_data::Result;
use regmix_regress::{Evaluator, Prediction};

use crate::config::State;
use crate::online::ControllerState;
use crate::record::{StageLosses, Trajectories};
use crate::schedule::Schedule;
use crate::size::SizeCorrection;

/// The objective of a target at a stage point, on the scale of the proxies;
/// the mean loss where the objective is a worst case.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StagePoint {
    /// The fraction of training.
    pub at: f64,
    /// What the schedule predicted before training; with a controller, what it
    /// predicted at the decision before, without a standard deviation (0).
    pub predicted: Prediction,
    /// The observed value of the target, after the size correction.
    pub observed: f64,
}

/// Predictions for one target and its observations, stage point by stage
/// point.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictedObserved {
    /// The run of the target.
    pub run: String,
    /// The stage points at which both are known, in order.
    pub points: Vec<StagePoint>,
}

impl PredictedObserved {
    /// One entry per target of `table` that trained on the schedule.
    /// `controllers` holds the states of those that a controller steered; what
    /// these recorded is taken as it is.
    ///
    /// # Errors
    /// When the trajectories have no losses at the stage points, or the
    /// objective names an unknown target.
    pub fn of_targets(
        schedule: &Schedule,
        table: &Trajectories,
        controllers: &[(String, ControllerState)],
    ) -> Result<Vec<Self>> {
        let config = &schedule.config;
        let steps = Some(schedule.target.steps);
        let losses = StageLosses::new(table, &config.grid()?, config.resample, steps)?;
        let scale = ProxyScale {
            schedule,
            losses: &losses,
            objective: schedule.objective.evaluator(losses.targets())?,
        };
        Ok((losses.runs().iter().enumerate())
            .filter_map(|(place, run)| {
                let points = match controllers.iter().find(|(r, _)| r == run) {
                    Some((_, state)) => scale.steered(place, state)?,
                    None => scale.planned(place)?,
                };
                let run = run.clone();
                Some(Self { run, points })
            })
            .collect())
    }
}

/// Reads losses of targets as the stage model of a schedule does.
struct ProxyScale<'a> {
    schedule: &'a Schedule,
    losses: &'a StageLosses,
    objective: Evaluator,
}

impl ProxyScale<'_> {
    /// A target that kept to the schedule.
    fn planned(&self, run: usize) -> Option<Vec<StagePoint>> {
        let predicted = self.predicted_states()?;
        let measured = self.losses.losses(run);
        let factors: Option<Vec<f64>> = match self.schedule.config.size {
            SizeCorrection::FirstSegment => self.state(&measured[0]).and_then(|first| {
                let pairs = predicted.first()?.iter().zip(&first);
                Some(pairs.map(|(p, o)| p.mean / o).collect())
            }),
            _ => None,
        };
        let points = (self.losses.grid().points().iter().zip(&predicted)).zip(measured);
        // Points at which the target was not evaluated are left out.
        let points = points.filter_map(|((at, state), measured)| {
            let part =
                |get: fn(&Prediction) -> f64| -> Vec<f64> { state.iter().map(get).collect() };
            Some(StagePoint {
                at: *at,
                predicted: Prediction {
                    mean: self.value(&part(|p| p.mean))?,
                    sd: self.value(&part(|p| p.sd))?.abs(),
                },
                observed: self.observed(measured, factors.as_deref())?,
            })
        });
        Some(points.collect())
    }

    /// The state of the stage model at every stage point, as the schedule
    /// predicted it.
    fn predicted_states(&self) -> Option<Vec<Vec<Prediction>>> {
        let of_segment = |predicted: &std::collections::BTreeMap<String, Prediction>| {
            let one = |name: &String| predicted.get(name).copied();
            match self.schedule.config.state {
                State::Losses => self.losses.targets().iter().map(one).collect(),
                State::Objective => predicted.values().next().map(|p| vec![*p]),
            }
        };
        let segments = self.schedule.segments.iter();
        segments.map(|s| of_segment(&s.predicted)).collect()
    }

    /// A target that a controller steered: its decisions, and the end of
    /// training.
    fn steered(&self, run: usize, state: &ControllerState) -> Option<Vec<StagePoint>> {
        let points = self.losses.grid().points();
        let point = |at: f64, predicted: &[f64], observed: f64| {
            let mean = self.value(predicted)?;
            Some(StagePoint {
                at,
                predicted: Prediction { mean, sd: 0.0 },
                observed,
            })
        };
        let mut out = (state.decisions().iter())
            .map(|d| {
                let observed = self.value(&d.corrected)?;
                point(*points.get(d.stage)?, &d.expected, observed)
            })
            .collect::<Option<Vec<_>>>()?;
        if let (Some(predicted), Some(last)) = (state.predicted(), self.losses.losses(run).last())
            && let Some(observed) = self.observed(last, state.factors())
        {
            out.extend(point(1.0, predicted, observed));
        }
        Some(out)
    }

    fn state(&self, measured: &[f64]) -> Option<Vec<f64>> {
        (self.schedule.config.state).of_losses(&self.objective, measured)
    }

    /// The objective of a state.
    fn value(&self, state: &[f64]) -> Option<f64> {
        match self.schedule.config.state {
            State::Losses if state.len() != self.losses.targets().len() => None,
            State::Losses => Some(self.objective.mean_or_sum(state)),
            State::Objective => state.first().copied(),
        }
    }

    fn observed(&self, measured: &[f64], factors: Option<&[f64]>) -> Option<f64> {
        let size = &self.schedule.config.size;
        let corrected = size.corrected(&self.state(measured)?, factors).ok()?;
        self.value(&corrected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DynamicConfig;
    use crate::record::{Point, StageGrid};
    use crate::schedule::RunLength;
    use regmix_data::{DomainSet, Mixture};
    use regmix_regress::Objective;

    /// Two segments with predicted losses 4 and 3, and a target with half of
    /// them, evaluated at some steps.
    fn points(size: SizeCorrection, steps: &[u64]) -> Vec<StagePoint> {
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
                let predicted = Prediction { mean, sd: 0.1 };
                segment.predicted.insert(name.to_owned(), predicted);
            }
        }
        let mut table = Trajectories::new(domains);
        let points = steps.iter().map(|&step| Point {
            step,
            tokens: 10 * step,
            loss: vec![if step == 10 { 2.0 } else { 1.6 }; 2],
        });
        table.push("offline-seed1", points.collect()).unwrap();
        let all = PredictedObserved::of_targets(&schedule, &table, &[]).unwrap_or_default();
        all.into_iter().next().map_or_else(Vec::new, |t| t.points)
    }

    #[test]
    fn targets_are_compared_on_the_scale_of_proxies() {
        let first = points(SizeCorrection::FirstSegment, &[10, 20]);
        let found: Vec<[f64; 3]> = (first.iter())
            .map(|p| [p.at, p.predicted.mean, p.observed])
            .collect();
        assert_eq!(found, [[0.5, 4.0, 4.0], [1.0, 3.0, 3.2]]);
        assert!((first[0].predicted.sd - 0.1).abs() < 1e-12);
        let plain = points(SizeCorrection::None, &[10, 20]);
        assert_eq!((plain[0].observed, plain[1].observed), (2.0, 1.6));
        // Without the first point there is no scale.
        assert!(points(SizeCorrection::FirstSegment, &[15, 20]).is_empty());
    }
}
