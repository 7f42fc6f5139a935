//! The other fields of a schedule: spreads over refits, predicted losses,
//! epochs.

use std::collections::BTreeMap;

use regmix_data::Result;
use regmix_regress::Prediction;

use super::Planner;
use super::refits::{Refit, Refits};
use crate::dynamics::Dynamics;
use crate::plan::{Plan, Problem};
use crate::schedule::Schedule;

impl Planner {
    /// How every weight moves over the refits.
    pub(super) fn add_weight_spreads(&self, out: &mut Schedule, refits: &Refits) {
        if refits.all.len() < 2 {
            return;
        }
        let fell_back = out.fell_back;
        let skip = out.segments.len() - refits.all[0].mixtures.len();
        for (place, segment) in out.segments.iter_mut().skip(skip).enumerate() {
            for (d, name) in self.model.domains().names().enumerate() {
                let of = |r: &Refit| match (fell_back, &r.single) {
                    (true, Some(single)) => single[d],
                    _ => r.mixtures[place][d],
                };
                let mut values: Vec<f64> = refits.all.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
                if let Some(weight) = segment.weights.get_mut(name) {
                    (weight.low, weight.high) = (Some(at(0.05)), Some(at(0.95)));
                    weight.sd = Some(refits.sd(values));
                }
            }
        }
    }

    /// Predicted losses. A standard deviation carries that of the stage model
    /// from stage to stage, and is at least the spread over refits. It is at most
    /// the width of the range of the measured losses: a stage model that is less
    /// sure knows nothing.
    pub(super) fn add_predictions(
        &self,
        out: &mut Schedule,
        problem: &Problem<'_, dyn Dynamics + '_>,
        plan: &Plan,
        refits: &Refits,
    ) {
        let targets = self.model.targets();
        let mut state = problem.position.state.clone();
        let mut sd = self.model.start_sd(self.first.weights());
        let widths: Vec<f64> = (0..targets.len())
            .map(|t| self.rows.range(|state| state[t]))
            .map(|(low, high)| high - low)
            .collect();
        let mut cut = false;
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
        let skip = out.segments.len() - plan.mixtures.len();
        if skip > 0 {
            out.segments[0].predicted = by_target(&state, &sd);
        }
        let means = problem.means(0, &problem.position.previous, &plan.mixtures);
        for (place, mixture) in means.iter().enumerate() {
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
                    let refitted =
                        refits.sd(refits.all.iter().map(|r| r.states[place][t]).collect());
                    let sd = own[t].hypot(carried[t]).max(refitted);
                    cut |= sd > widths[t];
                    sd.min(widths[t])
                })
                .collect();
            out.segments[place + skip].predicted = by_target(&state, &sd);
        }
        let baseline = problem.baseline(plan.mixtures.len() - 1);
        let refitted = refits.sd(refits.all.iter().map(|r| r.value).collect());
        out.predicted = Some(Prediction {
            mean: self.goal.value(&state, baseline),
            sd: self.goal.sd(&sd, &state, baseline).max(refitted),
        });
        if cut {
            out.notes.push(
                "standard deviations of predicted losses are cut at the range of the measured \
                 ones: the stage model does not know what some of these mixtures lead to"
                    .to_owned(),
            );
        }
    }

    /// How often every domain is repeated, where the budget is known.
    pub(super) fn add_epochs(&self, out: &mut Schedule) -> Result<()> {
        let Some(budget) = &self.request.budget else {
            return Ok(());
        };
        let means = out.means();
        for (d, name) in self.model.domains().names().enumerate() {
            let tokens = budget.tokens(name)?;
            if tokens <= 0.0 {
                continue;
            }
            let of = |weight: Option<f64>, all: f64| weight.unwrap_or(0.0) * all / tokens;
            for (segment, mean) in out.segments.iter_mut().zip(&means) {
                let epochs = of(Some(mean[d]), segment.tokens as f64);
                segment.epochs.insert(name.to_owned(), epochs);
            }
            let epochs = of(out.mean.get(name), budget.target_tokens);
            out.epochs.insert(name.to_owned(), epochs);
        }
        Ok(())
    }
}
