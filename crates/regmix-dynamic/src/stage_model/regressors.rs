//! Stage models made of regressors of regmix-regress.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::{Monitor, Result, Unit};
use regmix_regress::regressor::{regressor, score};
use regmix_regress::{Model, Samples};

use crate::config::{DynamicConfig, Outcome};
use crate::dynamics::{Moment, Slopes};
use crate::record::{Transition, Transitions};

/// Models of regmix-regress, one per target; with `per_stage` one per target
/// and stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Regressors {
    outcome: Outcome,
    per_stage: bool,
    reciprocal: bool,
    /// Added to what the models predict, `[stages or 1][targets]`.
    offset: Vec<Vec<f64>>,
    models: Vec<Vec<Model>>,
}

/// Regressors that shrink to the mean of the values, which relies on weights
/// that sum to 1. These inputs do not: values are centred instead.
const CENTRED: [&str; 3] = ["linear", "ridge", "elastic_net"];

/// Laws, and ensembles with laws: they get the reciprocals of the losses, which
/// lower the next loss when they are larger, as weights do.
const LAWS: [&str; 7] = [
    "bimix", "dml", "olmix", "law1", "law2", "ensemble", "stacked",
];

/// Those that can only fall with larger inputs. Useful weights lower the next
/// loss; they raise its fall and the logarithm of the ratio.
const FALLING: [&str; 4] = ["law1", "law2", "ensemble", "stacked"];

impl Regressors {
    pub(super) fn fit(
        rows: &Transitions,
        config: &DynamicConfig,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let names: Vec<&str> = config.regressor.split('+').collect();
        let has = |known: &[&str]| names.iter().any(|n| known.contains(n));
        let mut out = Self {
            outcome: match has(&FALLING) {
                true => Outcome::Next,
                false => config.outcome,
            },
            per_stage: config.per_stage,
            reciprocal: has(&LAWS),
            offset: Vec::new(),
            models: Vec::new(),
        };
        let centred = has(&CENTRED);
        let regressor = regressor(&config.regressor)?;
        let groups = if config.per_stage {
            rows.grid.stages()
        } else {
            1
        };
        let jobs: Vec<(usize, usize)> = (0..groups)
            .flat_map(|g| (0..rows.targets.len()).map(move |t| (g, t)))
            .collect();
        monitor.begin("stage model", jobs.len() as u64, Unit::Items);
        let fitted = (jobs.par_iter())
            .map(|&(group, target)| {
                monitor.check()?;
                let here = || (rows.rows.iter()).filter(move |r| groups == 1 || r.stage == group);
                let inputs: Vec<Vec<f64>> = here()
                    .map(|r| out.inputs(rows.grid.points()[r.stage], &r.state, &r.mixture))
                    .collect();
                let mut values: Vec<f64> = here().map(|r| out.outcome_of(r, target)).collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let offset = if centred { mean } else { 0.0 };
                values.iter_mut().for_each(|v| *v -= offset);
                let samples = Samples::new(inputs.iter().map(Vec::as_slice), values)
                    .and_then(|s| regressor.fit(&s.with_own_domain(own(rows, target)), config.seed))
                    .map_err(|e| e.field(&rows.targets[target]))?;
                monitor.advance(1);
                Ok((offset, samples))
            })
            .collect::<Result<Vec<_>>>()?;
        monitor.end();
        for some in fitted.chunks(rows.targets.len()) {
            let (offset, models) = some.iter().cloned().unzip();
            out.offset.push(offset);
            out.models.push(models);
        }
        Ok(out)
    }

    /// The inputs of a model: weights first, then what is the same for all
    /// mixtures of a stage.
    fn inputs(&self, fraction: f64, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        let mut out = mixture.to_vec();
        out.extend(self.tail(fraction, state));
        out
    }

    fn tail(&self, fraction: f64, state: &[f64]) -> Vec<f64> {
        let time = (!self.per_stage).then_some(fraction);
        let losses = state
            .iter()
            .map(|l| if self.reciprocal { 1.0 / l } else { *l });
        time.into_iter().chain(losses).collect()
    }

    fn outcome_of(&self, row: &Transition, target: usize) -> f64 {
        let (before, after) = (row.state[target], row.next[target]);
        match self.outcome {
            Outcome::Next => after,
            Outcome::Difference => before - after,
            Outcome::LogRatio => (before / after).ln(),
        }
    }

    /// The loss after a stage from the predicted outcome.
    fn loss_after(&self, before: f64, outcome: f64) -> f64 {
        match self.outcome {
            Outcome::Next => outcome,
            Outcome::Difference => before - outcome,
            Outcome::LogRatio => before * (-outcome).exp(),
        }
    }

    /// The derivative of the loss after a stage by the predicted outcome.
    fn outcome_slope(&self, after: f64) -> f64 {
        match self.outcome {
            Outcome::Next => 1.0,
            Outcome::Difference => -1.0,
            Outcome::LogRatio => -after,
        }
    }

    fn group(&self, stage: usize) -> (&[f64], &[Model]) {
        let group = if self.per_stage { stage } else { 0 };
        (&self.offset[group], &self.models[group])
    }

    pub(super) fn next(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        let inputs = self.inputs(at.fraction, state, mixture);
        let (offset, models) = self.group(at.stage);
        (models.iter().zip(offset).zip(state))
            .map(|((model, offset), before)| self.loss_after(*before, offset + model.mean(&inputs)))
            .collect()
    }

    pub(super) fn next_many(&self, at: Moment, state: &[f64], mixtures: &[Vec<f64>]) -> Vec<f64> {
        let (offset, models) = self.group(at.stage);
        let tail = self.tail(at.fraction, state);
        // Trees take the branches on time and losses once for all mixtures.
        let given: Option<Vec<Model>> = models.iter().map(|m| m.given(&tail)).collect();
        let mut out = match &given {
            Some(given) => score(&given.iter().collect::<Vec<_>>(), mixtures),
            None => {
                let rows: Vec<Vec<f64>> = (mixtures.iter())
                    .map(|m| self.inputs(at.fraction, state, m))
                    .collect();
                score(&models.iter().collect::<Vec<_>>(), &rows)
            }
        };
        for row in out.chunks_exact_mut(state.len()) {
            for ((value, offset), before) in row.iter_mut().zip(offset).zip(state) {
                *value = self.loss_after(*before, offset + *value);
            }
        }
        out
    }

    pub(super) fn next_each(
        &self,
        at: Moment,
        states: &[Vec<f64>],
        mixture: &[f64],
    ) -> Vec<Vec<f64>> {
        let (offset, models) = self.group(at.stage);
        let rows: Vec<Vec<f64>> = (states.iter())
            .map(|state| self.inputs(at.fraction, state, mixture))
            .collect();
        let models: Vec<&Model> = models.iter().collect();
        (score(&models, &rows).chunks_exact(models.len()).zip(states))
            .map(|(outcomes, state)| {
                (outcomes.iter().zip(offset).zip(state))
                    .map(|((outcome, offset), before)| self.loss_after(*before, offset + outcome))
                    .collect()
            })
            .collect()
    }

    pub(super) fn slopes(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Option<Slopes> {
        let inputs = self.inputs(at.fraction, state, mixture);
        let after = self.next(at, state, mixture);
        let (_, models) = self.group(at.stage);
        let (d, skip) = (mixture.len(), usize::from(!self.per_stage));
        let mut out = Slopes {
            by_mixture: Vec::with_capacity(models.len()),
            by_state: Vec::with_capacity(models.len()),
        };
        for (t, model) in models.iter().enumerate() {
            let slopes = model.gradient(&inputs)?;
            let factor = self.outcome_slope(after[t]);
            (out.by_mixture).push(slopes[..d].iter().map(|g| factor * g).collect());
            let by_state = (state.iter().enumerate()).map(|(i, loss)| {
                let itself = match self.outcome {
                    _ if i != t => 0.0,
                    Outcome::Next => 0.0,
                    Outcome::Difference => 1.0,
                    Outcome::LogRatio => after[t] / loss,
                };
                let chain = if self.reciprocal {
                    -1.0 / (loss * loss)
                } else {
                    1.0
                };
                itself + factor * slopes[d + skip + i] * chain
            });
            out.by_state.push(by_state.collect());
        }
        Some(out)
    }

    pub(super) fn sd(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        let inputs = self.inputs(at.fraction, state, mixture);
        let (offset, models) = self.group(at.stage);
        (models.iter().zip(offset).zip(state))
            .map(|((model, offset), before)| {
                let outcome = model.predict(&inputs);
                let after = self.loss_after(*before, offset + outcome.mean);
                self.outcome_slope(after).abs() * outcome.sd
            })
            .collect()
    }

    pub(super) fn is_sound(&self, domains: usize, targets: usize, stages: usize) -> bool {
        let groups = if self.per_stage { stages } else { 1 };
        let inputs = domains + targets + usize::from(!self.per_stage);
        self.offset.len() == groups
            && self.models.len() == groups
            && (self.offset.iter()).all(|o| o.len() == targets && o.iter().all(|o| o.is_finite()))
            && (self.models.iter())
                .all(|m| m.len() == targets && m.iter().all(|m| m.check(inputs).is_ok()))
    }
}

/// The domain that a target is the loss of.
fn own(rows: &Transitions, target: usize) -> Option<usize> {
    rows.domains.position(&rows.targets[target])
}
