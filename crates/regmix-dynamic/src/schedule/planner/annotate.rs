//! What a schedule holds besides its mixtures: spreads over refits, predicted
//! losses, epochs.

use std::collections::BTreeMap;

use regmix_data::Result;
use regmix_regress::Prediction;
use regmix_regress::metrics::mean_and_sd;

use super::Planner;
use super::refits::Refit;
use crate::dynamics::Dynamics;
use crate::plan::{Plan, Problem};
use crate::record::LossRange;
use crate::schedule::Schedule;

impl Planner {
    /// How every weight moves over the refits.
    pub(super) fn add_weight_spreads(&self, out: &mut Schedule, refits: &[Refit]) {
        if refits.len() < 2 {
            return;
        }
        let fell_back = out.fell_back;
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
                    weight.sd = Some(sd_of(&values));
                    (weight.low, weight.high) = (Some(at(0.05)), Some(at(0.95)));
                }
            }
        }
    }

    /// Predicted losses. A standard deviation carries that of the stage model
    /// from stage to stage, and is at least the spread over refits.
    pub(super) fn add_predictions(
        &self,
        out: &mut Schedule,
        problem: &Problem<'_, dyn Dynamics + '_>,
        plan: &Plan,
        refits: &[Refit],
    ) {
        let targets = self.model.targets();
        let mut state = problem.position.state.clone();
        let mut sd = self.model.start_sd(self.first.weights());
        let by_target = |state: &[f64], sd: &[f64]| {
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
        let range = LossRange::of(self.rows());
        let skip = out.segments.len() - plan.mixtures.len();
        if skip > 0 {
            out.segments[0].predicted = by_target(&state, &sd);
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
                // Trees have no derivatives: the uncertainty of the state stays.
                None => sd.clone(),
            };
            state = problem.dynamics.next(at, &state, mixture);
            sd = (0..state.len())
                .map(|t| {
                    let over: Vec<f64> = refits.iter().map(|r| r.states[place][t]).collect();
                    let refitted = sd_of(&over);
                    // No more is unknown than what losses there are.
                    own[t].hypot(carried[t]).max(refitted).min(range.width(t))
                })
                .collect();
            out.segments[place + skip].predicted = by_target(&state, &sd);
        }
        let baseline = problem.baseline(plan.mixtures.len() - 1);
        let values: Vec<f64> = refits.iter().map(|r| r.value).collect();
        let refitted = sd_of(&values);
        out.predicted = Some(Prediction {
            mean: self.goal.value(&state, baseline),
            sd: self.goal.sd(&sd, &state, baseline).max(refitted),
        });
    }

    /// How often every domain is repeated, where the budget is known.
    pub(super) fn add_epochs(&self, out: &mut Schedule) -> Result<()> {
        let Some(budget) = &self.request.budget else {
            return Ok(());
        };
        for name in self.model.domains().names() {
            let tokens = budget.tokens(name)?;
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

/// The standard deviation over refits; 0 for fewer than two.
fn sd_of(values: &[f64]) -> f64 {
    if values.len() > 1 {
        mean_and_sd(values).1
    } else {
        0.0
    }
}
