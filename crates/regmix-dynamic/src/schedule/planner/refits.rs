//! What a plan is told with: spreads over refits, predicted losses, epochs.

use std::collections::BTreeMap;

use regmix_data::Result;
use regmix_regress::Prediction;
use regmix_regress::metrics::mean_and_sd;

use super::Planner;
use crate::dynamics::Dynamics;
use crate::plan::bounds::available;
use crate::plan::{Plan, Problem};
use crate::schedule::Schedule;

impl Planner {
    pub(crate) fn fill_weights(&self, out: &mut Schedule, refits: &[Refit], fell_back: bool) {
        if refits.len() < 2 {
            return;
        }
        let skip = out.segments.len() - refits[0].mixtures.len();
        for (place, segment) in out.segments.iter_mut().skip(skip).enumerate() {
            for (d, name) in self.model.domains().names().enumerate() {
                let of = |r: &Refit| match (fell_back, &r.single) {
                    (true, Some(single)) => single[d],
                    _ => r.mixtures[place][d],
                };
                let mut values: Vec<f64> = refits.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
                if let Some(weight) = segment.weights.get_mut(name) {
                    weight.sd = Some(spread(&values).sd);
                    (weight.low, weight.high) = (Some(at(0.05)), Some(at(0.95)));
                }
            }
        }
    }

    /// Predicted losses, with what the stage models say of themselves carried
    /// on from stage to stage, and the spread over refits.
    pub(crate) fn fill_losses(
        &self,
        out: &mut Schedule,
        problem: &Problem<'_, dyn Dynamics + '_>,
        plan: &Plan,
        refits: &[Refit],
    ) {
        let targets = self.model.targets();
        let mut state = problem.position.state.clone();
        let mut sd = self.model.start_sd(self.first.weights());
        let told = |state: &[f64], sd: &[f64]| {
            (targets.iter().zip(state.iter().zip(sd)))
                .map(|(t, (mean, sd))| {
                    (
                        t.clone(),
                        Prediction {
                            mean: *mean,
                            sd: *sd,
                        },
                    )
                })
                .collect::<BTreeMap<_, _>>()
        };
        let skip = out.segments.len() - plan.mixtures.len();
        if skip > 0 {
            out.segments[0].predicted = told(&state, &sd);
        }
        for (place, mixture) in plan.mixtures.iter().enumerate() {
            let at = problem.moment(place);
            let own = problem.dynamics.sd(at, &state, mixture);
            let carried: Vec<f64> = match problem.dynamics.slopes(at, &state, mixture) {
                Some(slopes) => (slopes.by_state.iter())
                    .map(|row| {
                        row.iter()
                            .zip(&sd)
                            .map(|(g, s)| (g * s).powi(2))
                            .sum::<f64>()
                            .sqrt()
                    })
                    .collect(),
                // Trees have no slope: what was unknown stays so.
                None => sd.clone(),
            };
            state = problem.dynamics.next(at, &state, mixture);
            sd = (0..state.len())
                .map(|t| {
                    let over: Vec<f64> = refits.iter().map(|r| r.states[place][t]).collect();
                    let refitted = if over.len() > 1 {
                        spread(&over).sd
                    } else {
                        0.0
                    };
                    own[t].hypot(carried[t]).max(refitted)
                })
                .collect();
            out.segments[place + skip].predicted = told(&state, &sd);
        }
        let baseline = problem.baseline(plan.mixtures.len() - 1);
        let values: Vec<f64> = refits.iter().map(|r| r.value).collect();
        let refitted = if values.len() > 1 {
            spread(&values).sd
        } else {
            0.0
        };
        out.predicted = Some(Prediction {
            mean: self.goal.value(&state, baseline),
            sd: self.goal.sd(&sd, &state, baseline).max(refitted),
        });
    }

    pub(crate) fn fill_epochs(&self, out: &mut Schedule) -> Result<()> {
        let Some(budget) = &self.request.budget else {
            return Ok(());
        };
        for name in self.model.domains().names() {
            let tokens = available(budget, name)?;
            if tokens <= 0.0 {
                continue;
            }
            let of = |weight: Option<f64>, all: f64| weight.unwrap_or(0.0) * all / tokens;
            for segment in &mut out.segments {
                let epochs = of(segment.mixture.get(name), segment.tokens as f64);
                segment.epochs.insert(name.to_owned(), epochs);
            }
            let epochs = of(out.mean.get(name), budget.target_tokens);
            out.epochs.insert(name.to_owned(), epochs);
        }
        Ok(())
    }
}

/// What a refit on resampled runs says.
pub(crate) struct Refit {
    /// The losses that this refit predicts for the plan.
    pub(crate) states: Vec<Vec<f64>>,
    pub(crate) value: f64,
    /// What it would have planned itself.
    pub(crate) mixtures: Vec<Vec<f64>>,
    pub(crate) single: Option<Vec<f64>>,
}

pub(crate) fn spread(values: &[f64]) -> Prediction {
    let (mean, sd) = mean_and_sd(values);
    let sd = if values.len() > 1 { sd } else { 0.0 };
    Prediction { mean, sd }
}
