//! Choosing the mixtures of the stages that are left.

pub(crate) mod bounds;
mod joint;
mod ramp;
mod surface;
#[cfg(test)]
mod tests;

use regmix_data::{Error, Mixture, Monitor, Result, Silent};
use regmix_regress::search::{Candidates, DescendOptions, Surface, descend, simulate};
use regmix_regress::{Baseline, Constraints, Evaluator};

use self::bounds::Bounds;
use self::surface::{OneStage, Static};
use crate::config::{DynamicConfig, Lookahead, Search};
use crate::dynamics::{Dynamics, Moment};

/// How far a plan that was made before may exceed the budget, as a part of it:
/// decisions come some steps late.
const OVER: f64 = 0.01;

/// Sweeps over the stages, and the gain below which there is no further one.
const SWEEPS: usize = 12;
const GAIN: f64 = 1e-6;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Position {
    /// The stage that begins.
    pub(crate) stage: usize,
    /// The fraction of training that is done.
    pub(crate) fraction: f64,
    /// The losses, on the scale of the dynamics.
    pub(crate) state: Vec<f64>,
    /// The share of all tokens of the run that every domain has taken.
    pub(crate) used: Vec<f64>,
    /// The mixture in force before.
    pub(crate) previous: Vec<f64>,
}

/// What is to be planned.
pub(crate) struct Problem<'a, D: ?Sized> {
    pub(crate) dynamics: &'a D,
    pub(crate) goal: Evaluator,
    pub(crate) prior: &'a Mixture,
    pub(crate) bounds: Bounds,
    pub(crate) config: &'a DynamicConfig,
    pub(crate) position: Position,
    /// The losses at the end of every stage that a worst case is against.
    baseline: Option<Vec<Vec<f64>>>,
    /// The share of a stage over which its mixture moves from the one before.
    ramp: f64,
    /// Draws for the first stage, made beforehand.
    draws: Option<&'a Candidates>,
    monitor: &'a dyn Monitor,
}

/// A plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// A mixture for every stage that is left.
    pub(crate) mixtures: Vec<Vec<f64>>,
    /// The goal at the end.
    pub(crate) value: f64,
    /// The best plan of one mixture only.
    pub(crate) single: Option<Vec<f64>>,
}

impl<'a, D: Dynamics + ?Sized> Problem<'a, D> {
    pub(crate) fn new(
        dynamics: &'a D,
        goal: Evaluator,
        prior: &'a Mixture,
        bounds: Bounds,
        config: &'a DynamicConfig,
        position: Position,
    ) -> Self {
        let mut out = Self {
            dynamics,
            goal,
            prior,
            bounds,
            config,
            position,
            baseline: None,
            ramp: 0.0,
            draws: None,
            monitor: &Silent,
        };
        let against = match out.goal.baseline() {
            Some(Baseline::Natural) => Some(prior.weights().to_vec()),
            Some(Baseline::Uniform) => {
                let n = prior.weights().len();
                Some(vec![1.0 / n as f64; n])
            }
            Some(Baseline::None) | None => None,
        };
        out.baseline = against.map(|m| out.rollout(&vec![m; out.left()]));
        out
    }

    /// Uses given draws for the first stage, which must be within its bounds.
    pub(crate) fn with_draws(mut self, draws: Option<&'a Candidates>) -> Self {
        self.draws = draws;
        self
    }

    /// Plans mixtures of which each is reached over this share of its stage.
    pub(crate) fn with_ramp(mut self, ramp: f64) -> Self {
        self.ramp = ramp;
        self
    }

    /// Lets `monitor` stop it between searches.
    pub(crate) fn with_monitor(mut self, monitor: &'a dyn Monitor) -> Self {
        self.monitor = monitor;
        self
    }

    /// How many mixtures are to be chosen.
    pub(crate) fn left(&self) -> usize {
        self.dynamics.grid().stages() - self.position.stage
    }

    pub(crate) fn moment(&self, place: usize) -> Moment {
        if place == 0 {
            return Moment {
                stage: self.position.stage,
                fraction: self.position.fraction,
            };
        }
        self.dynamics.moment(self.position.stage + place)
    }

    /// The share of training of the stage in a place.
    pub(crate) fn share(&self, place: usize) -> f64 {
        let (from, to) = self.dynamics.grid().span(self.position.stage + place);
        if place == 0 {
            to - self.position.fraction
        } else {
            to - from
        }
    }

    fn value(&self, place: usize, state: &[f64]) -> f64 {
        self.goal.smooth_cost(state, self.baseline(place))
    }

    pub(crate) fn baseline(&self, place: usize) -> Option<&[f64]> {
        self.baseline.as_ref().map(|b| b[place].as_slice())
    }

    /// The losses at the end of every stage.
    pub(crate) fn rollout(&self, mixtures: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut states: Vec<Vec<f64>> = Vec::with_capacity(mixtures.len());
        let means = self.means(0, &self.position.previous, mixtures);
        for (place, mean) in means.iter().enumerate() {
            let before = states.last().unwrap_or(&self.position.state);
            let next = self.dynamics.next(self.moment(place), before, mean);
            states.push(next);
        }
        states
    }

    /// The goal at the end of a plan.
    pub(crate) fn plan_value(&self, mixtures: &[Vec<f64>]) -> f64 {
        let states = self.rollout(mixtures);
        let last = states.last().unwrap_or(&self.position.state);
        self.value(mixtures.len() - 1, last)
    }

    /// The goal at the end of the mixtures from a place on, and its
    /// derivative by each of them: the chain rule, from the end backwards.
    /// `before` is the mixture before the first of them.
    fn slopes(
        &self,
        place: usize,
        state: &[f64],
        before: &[f64],
        mixtures: &[Vec<f64>],
    ) -> (f64, Option<Vec<Vec<f64>>>) {
        let mut states = vec![state.to_vec()];
        let means = self.means(place, before, mixtures);
        for (i, mean) in means.iter().enumerate() {
            let next = self.dynamics.next(self.moment(place + i), &states[i], mean);
            states.push(next);
        }
        let last = place + mixtures.len() - 1;
        let end = &states[mixtures.len()];
        let value = self.value(last, end);
        let mut by_state = self.goal.slopes(end, self.baseline(last));
        let mut out = vec![Vec::new(); mixtures.len()];
        for (i, mean) in means.iter().enumerate().rev() {
            let at = self.moment(place + i);
            let Some(slopes) = self.dynamics.slopes(at, &states[i], mean) else {
                return (value, None);
            };
            out[i] = times_rows(&by_state, &slopes.by_mixture);
            by_state = times_rows(&by_state, &slopes.by_state);
        }
        self.by_mixtures(place, &mut out);
        (value, Some(out))
    }

    /// Plans all stages that are left.
    pub(crate) fn solve(&self) -> Result<Plan> {
        if self.left() == 0 {
            return Err(Error::input(
                "no stage is left: expected at least one to plan",
            ));
        }
        // Where bounds are as tight as rounding, one mixture may keep to them all
        // the same.
        let stay = |single: &Vec<f64>| vec![single.clone(); self.left()];
        let greedy = self.greedy(self.left());
        if self.config.lookahead == Lookahead::Stage {
            let mixtures = match greedy {
                Ok(mixtures) => mixtures,
                Err(e) => self.single()?.as_ref().map(stay).ok_or(e)?,
            };
            return Ok(Plan {
                value: self.plan_value(&mixtures),
                mixtures,
                single: None,
            });
        }
        let single = self.single()?;
        let mut candidates: Vec<_> = single.as_ref().map(stay).into_iter().collect();
        match greedy {
            Err(e) if candidates.is_empty() => return Err(e),
            greedy => candidates.extend(greedy),
        }
        if self.config.search == Search::Descend
            && let Some(joint) = joint::improve(self, &candidates)?
        {
            candidates.extend(self.repaired(&joint));
        }
        let mut best: Option<Plan> = None;
        for candidate in candidates {
            let value = self.plan_value(&candidate);
            if value.is_finite() && best.as_ref().is_none_or(|b| value < b.value) {
                best = Some(Plan {
                    mixtures: candidate,
                    value,
                    single: single.clone(),
                });
            }
        }
        let Some(mut best) = best else {
            return Err(
                Error::failed("the predicted losses of every plan are not finite")
                    .help("keep nearer to the proxies with `trust`, or choose another regressor"),
            );
        };
        self.sweep(&mut best)?;
        Ok(best)
    }

    /// Plans what has to be decided now: all stages that are left, or with
    /// `lookahead = "stage"` the next one only.
    pub(crate) fn decide(&self) -> Result<Plan> {
        if self.config.lookahead == Lookahead::Run || self.left() == 0 {
            return self.solve();
        }
        let mixtures = self.greedy(1)?;
        Ok(Plan {
            value: self.plan_value(&mixtures),
            mixtures,
            single: None,
        })
    }

    /// The best plan of one mixture to the end; `None` where no mixture keeps
    /// to all limits.
    pub(crate) fn one_mixture(&self) -> Result<Option<Plan>> {
        let Some(single) = self.single()? else {
            return Ok(None);
        };
        let mixtures = vec![single.clone(); self.left()];
        Ok(Some(Plan {
            value: self.plan_value(&mixtures),
            mixtures,
            single: Some(single),
        }))
    }

    /// The best mixture to keep until the end; `None` where no mixture keeps
    /// to the trust region and all limits.
    fn single(&self) -> Result<Option<Vec<f64>>> {
        let p = &self.position;
        let whole: f64 = (0..self.left()).map(|i| self.drawn(i)).sum();
        let Ok(bounds) = self.bounds.of_stage(whole, &self.used(), 0.0) else {
            return Ok(None);
        };
        let Ok(bounds) = self.bounds.near(&bounds, &[&p.previous], self.config.trust) else {
            return Ok(None);
        };
        let surface = Static { problem: self };
        Ok(Some(self.search(&surface, &bounds, 0, &[&p.previous])?))
    }

    /// Algorithm 1 of RegMix-D: for each stage in turn the mixture with the
    /// lowest goal at its end.
    fn greedy(&self, stages: usize) -> Result<Vec<Vec<f64>>> {
        let (mut state, mut used) = (self.position.state.clone(), self.used());
        let mut out: Vec<Vec<f64>> = Vec::new();
        for place in 0..stages {
            let before = out.last().unwrap_or(&self.position.previous);
            let bounds = self.next_bounds(place, &used, before)?;
            let surface = OneStage {
                problem: self,
                state: &state,
                before,
                place,
                later: &[],
            };
            let found = self.search(&surface, &bounds, place, &[before])?;
            let mixture = self.leaving_room(place, &bounds, &used, found);
            let mean = self.mean(place, before, &mixture);
            state = self.dynamics.next(self.moment(place), &state, &mean);
            self.take(&mut used, place, &mixture);
            out.push(mixture);
        }
        Ok(out)
    }

    /// Bounds of a stage whose later stages are not chosen yet.
    fn next_bounds(&self, place: usize, used: &[f64], before: &[f64]) -> Result<Constraints> {
        let (share, later) = self.shares_from(place);
        let bounds = self.bounds.of_stage(share, used, later)?;
        self.bounds.near(&bounds, &[before], self.config.trust)
    }

    /// A mixture found within the bounds of a stage, or one near it that leaves
    /// room for the stages after it.
    fn leaving_room(
        &self,
        place: usize,
        bounds: &Constraints,
        used: &[f64],
        found: Vec<f64>,
    ) -> Vec<f64> {
        let shares = self.shares_from(place);
        (self.bounds).leaving_room(bounds, found, shares, used, self.config.trust)
    }

    /// The shares of training that are drawn from the mixture of a stage and
    /// from all after it.
    fn shares_from(&self, place: usize) -> (f64, f64) {
        let later = (place + 1..self.left()).map(|i| self.drawn(i)).sum();
        (self.drawn(place), later)
    }

    fn take(&self, used: &mut [f64], place: usize, mixture: &[f64]) {
        let share = self.drawn(place);
        for (u, w) in used.iter_mut().zip(mixture) {
            *u += share * w;
        }
    }

    /// Whether mixtures for the next stages take no more than the budget of the
    /// run, up to a hundredth of it.
    pub(crate) fn keeps_to_budget(&self, mixtures: &[Vec<f64>]) -> bool {
        let mut used = self.used();
        for (place, mixture) in mixtures.iter().enumerate() {
            self.take(&mut used, place, mixture);
        }
        let mut limits = self.bounds.budget.iter().flatten().zip(used);
        limits.all(|(limit, used)| used <= (1.0 + OVER) * limit + GAIN)
    }

    /// The nearest plan that keeps to all bounds.
    fn repaired(&self, mixtures: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let mut used = self.used();
        let mut out: Vec<Vec<f64>> = Vec::new();
        for (place, mixture) in mixtures.iter().enumerate() {
            let before = out.last().unwrap_or(&self.position.previous);
            let bounds = self.next_bounds(place, &used, before)?;
            let weights: Vec<f64> = mixture.iter().map(|w| w.max(0.0)).collect();
            let near = bounds.cleared(bounds.project(&weights)?.weights());
            let near = self.leaving_room(place, &bounds, &used, near);
            self.take(&mut used, place, &near);
            out.push(near);
        }
        Ok(out)
    }

    /// Improves one mixture after the other by the goal at the end of the run,
    /// with the others fixed, until nothing is gained.
    fn sweep(&self, plan: &mut Plan) -> Result<()> {
        for _ in 0..SWEEPS {
            let before = plan.value;
            for place in (0..self.left()).rev() {
                let mut taken = self.used();
                for (i, mixture) in plan.mixtures.iter().enumerate() {
                    if i != place {
                        self.take(&mut taken, i, mixture);
                    }
                }
                let bounds = self.bounds.of_stage(self.drawn(place), &taken, 0.0);
                let earlier = match place {
                    0 => &self.position.previous,
                    _ => &plan.mixtures[place - 1],
                };
                let mut around: Vec<&[f64]> = vec![earlier];
                around.extend(plan.mixtures.get(place + 1).map(Vec::as_slice));
                // Rounding may leave no mixture where bounds are tight.
                let Ok(bounds) =
                    bounds.and_then(|b| self.bounds.near(&b, &around, self.config.trust))
                else {
                    continue;
                };
                let states = self.rollout(&plan.mixtures[..place]);
                let surface = OneStage {
                    problem: self,
                    state: states.last().unwrap_or(&self.position.state),
                    before: earlier,
                    place,
                    later: &plan.mixtures[place + 1..],
                };
                let found = self.search(&surface, &bounds, place, &[&plan.mixtures[place]])?;
                let value = surface.value(&found);
                if value < plan.value {
                    plan.value = value;
                    plan.mixtures[place] = found;
                }
            }
            if before - plan.value < GAIN {
                break;
            }
        }
        Ok(())
    }

    /// The mixture with the lowest value under some bounds.
    fn search(
        &self,
        surface: &impl Surface,
        bounds: &Constraints,
        place: usize,
        starts: &[&[f64]],
    ) -> Result<Vec<f64>> {
        self.monitor.check()?;
        let domains = self.dynamics.domains();
        let even = Mixture::uniform(domains.clone());
        let sloped = || surface.gradient(even.weights()).is_some();
        let found = if self.config.search == Search::Descend && sloped() {
            let mut all = vec![self.prior.clone(), even];
            for start in starts {
                all.push(Mixture::normalized(domains.clone(), start.to_vec())?);
            }
            descend(surface, &all, bounds, &DescendOptions::default())?.mixture
        } else {
            let options = self.config.simulate(self.position.stage + place);
            match self.draws.filter(|_| place == 0) {
                Some(draws) => draws.search(surface)?.mixture,
                None => simulate(surface, self.prior, bounds, &options)?.mixture,
            }
        };
        Ok(bounds.cleared(found.weights()))
    }
}

/// The row vector `left · rows`.
fn times_rows(left: &[f64], rows: &[Vec<f64>]) -> Vec<f64> {
    let mut out = vec![0.0; rows.first().map_or(0, Vec::len)];
    for (p, row) in left.iter().zip(rows) {
        for (o, r) in out.iter_mut().zip(row) {
            *o += p * r;
        }
    }
    out
}
