//! The planner: from rows of transitions to a schedule.

mod annotate;
mod held_out_gain;
mod refits;
#[cfg(test)]
mod tests;

use regmix_data::{Error, Mixture, Monitor, Result, Silent, Unit};
use regmix_regress::{Budget, Constraints, Evaluator, Objective, Prediction, constant_shares};

use self::held_out_gain::HeldOutGains;
use self::refits::OUT_OF_RANGE;
use super::{RunLength, Schedule};
use crate::config::{DynamicConfig, FirstMixture, Lookahead, State};
use crate::dynamics::Dynamics;
use crate::plan::bounds::Bounds;
use crate::plan::{Plan, Position, Problem};
use crate::record::{StageGrid, Transitions};
use crate::stage_model::{FromStart, StageAccuracy, StageModel};

/// What a schedule is to be made for.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is minimised.
    pub objective: Objective,
    /// The mixture of the first segment, and the centre of the draws: usually
    /// the natural mixture.
    pub prior: Mixture,
    /// Floors, caps and limits of groups of every mixture.
    pub constraints: Option<Constraints>,
    /// The tokens that exist and the epochs allowed, over the whole schedule. Its `target_tokens` are those of `target`.
    pub budget: Option<Budget>,
    /// The run that the schedule is for.
    pub target: RunLength,
    /// The choices.
    pub config: DynamicConfig,
}

/// A fitted stage model with a request: makes schedules.
///
/// ```
/// use regmix_dynamic::simulator::{World, WorldOptions};
/// use regmix_dynamic::{DynamicConfig, Planner, Request, RunLength, Segments, StageLosses, Transitions};
/// use regmix_data::design::{Maximin, Sampler, Space};
/// use regmix_data::{Mixture, random::stream};
/// use regmix_regress::Objective;
///
/// // A world in which half of the domains are worth more early, half late.
/// let world = World::new(WorldOptions { drift: 1.0, ..WorldOptions::default() })?;
/// let prior = Mixture::uniform(regmix_dynamic::Dynamics::domains(&world).clone());
/// let design = Maximin::default()
///     .draw(&Space::new(prior.clone()), 64, &mut stream(1, "doc", "design"))?
///     .into_table()?;
/// let config = DynamicConfig::improved();
/// let runs = Segments::switching(&design, 0.5, &config.grid()?, 1)?;
/// let table = world.proxies(&runs, 600, 30)?;
/// let losses = StageLosses::new(&table, &config.grid()?, config.resample, None)?;
/// let planner = Planner::fit(&Transitions::new(&losses, &runs)?, Request {
///     objective: Objective::Mean,
///     prior,
///     constraints: None,
///     budget: None,
///     target: RunLength { steps: 6_000, tokens: 6_000_000 },
///     config,
/// })?;
/// let schedule = planner.schedule()?;
/// assert_eq!(schedule.segments.len(), 6);
/// // Domains with even numbers early, odd ones late.
/// let even = |segment: usize| -> f64 {
///     let weights = schedule.segments[segment].mixture.weights();
///     weights.iter().step_by(2).sum()
/// };
/// assert!(even(1) > 0.55 && even(5) < 0.45);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Planner {
    pub(crate) model: StageModel,
    pub(crate) goal: Evaluator,
    pub(crate) request: Request,
    pub(crate) first: Mixture,
    pub(crate) bounds: Bounds,
    rows: Transitions,
    /// The lowest and the highest value of the objective that was measured.
    measured_range: (f64, f64),
    /// The names of the losses that runs report, also where the state is the
    /// objective.
    measured: Vec<String>,
    notes: Vec<String>,
}

impl Planner {
    /// Fits the stage model.
    ///
    /// # Errors
    /// When a choice is out of range, the objective names an unknown target,
    /// the rows have other stage points, the prior or the bounds are over
    /// other domains or contradict each other, the target is too short for the
    /// stages, or the regressor refuses the rows.
    pub fn fit(rows: &Transitions, request: Request) -> Result<Self> {
        Self::fit_monitored(rows, request, &Silent)
    }

    /// [`Planner::fit`], with progress and a way to stop.
    ///
    /// # Errors
    /// As [`Planner::fit`], and when `monitor` asks to stop.
    pub fn fit_monitored(
        rows: &Transitions,
        mut request: Request,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        request.config.check()?;
        let grid = request.config.grid()?;
        if *rows.grid() != grid {
            return Err(Error::input(format!(
                "rows at stage points {:?}, expected {:?} as in the configuration",
                rows.grid().points(),
                grid.points()
            ))
            .field("points"));
        }
        grid.steps(request.target.steps)?;
        request.prior = request.prior.reordered(rows.domains())?;
        let constraints = match &request.constraints {
            Some(c) => c.reordered(rows.domains())?,
            None => Constraints::none(rows.domains().clone()),
        };
        if let Some(budget) = &mut request.budget {
            budget.target_tokens = request.target.tokens as f64;
        }
        let bounds = Bounds::new(constraints, request.budget.as_ref())?;
        let state = request.config.state;
        let objective =
            (request.objective.evaluator(rows.targets())).map_err(|e| e.field("objective"))?;
        let measured = rows.targets().to_vec();
        let rows = match state {
            State::Objective => rows.scalar(&request.objective)?,
            State::Losses => rows.clone(),
        };
        let mut notes = rows.notes().to_vec();
        let first = first_mixture(&bounds, &request, &grid, &mut notes)?;
        let bounds = holding_constant_shares(bounds, &rows, &mut notes)?;
        let goal = state.goal(objective);
        let planner = Self {
            model: StageModel::fit_monitored(&rows, &request.config, monitor)?,
            measured_range: rows.range(|state| goal.mean_or_sum(state)),
            goal,
            request,
            first,
            bounds,
            rows,
            measured,
            notes,
        };
        if planner.predicts_one_value() {
            let config = &planner.request.config;
            return Err(Error::input(format!(
                "`{}` predicts the same for all mixtures: {} runs are too few for it",
                config.regressor,
                planner.rows.runs().len()
            ))
            .field("regressor")
            .help("train more proxies, or choose `smooth` or `ridge`"));
        }
        Ok(planner)
    }

    /// Whether the stage model predicts the same for the mixtures of all runs,
    /// as trees on few rows do: any plan would be as good as any other.
    fn predicts_one_value(&self) -> bool {
        (0..self.model.grid().stages()).all(|stage| {
            let mut rows = self.rows.rows().iter().filter(|r| r.stage == stage);
            let Some(first) = rows.next() else {
                return true;
            };
            let at = self.model.moment(stage);
            let next = |mixture: &[f64]| self.model.next(at, &first.state, mixture);
            let same = next(&first.mixture);
            rows.all(|r| next(&r.mixture) == same)
        })
    }

    /// The stage model.
    pub fn model(&self) -> &StageModel {
        &self.model
    }

    /// The rows it was fitted on: as given, or with one number as state.
    pub fn rows(&self) -> &Transitions {
        &self.rows
    }

    pub(crate) fn measured_targets(&self) -> &[String] {
        &self.measured
    }

    /// Where planning starts: at the first stage point, or at step 0.
    fn position(&self, model: &StageModel) -> Position {
        let prior = self.first.weights();
        let at = match self.request.config.first {
            FirstMixture::Prior => model.grid().points()[0],
            FirstMixture::Planned => 0.0,
        };
        Position {
            stage: 0,
            fraction: at,
            state: model.start(self.request.config.start, prior),
            used: prior.iter().map(|w| at * w).collect(),
            previous: prior.to_vec(),
        }
    }

    /// What is planned by a model: from the first stage point, or from step 0
    /// where the first mixture is planned too, by `from_start` of that model.
    fn problem<'a>(
        &'a self,
        model: &'a StageModel,
        from_start: &'a FromStart<'a>,
        monitor: &'a dyn Monitor,
    ) -> Problem<'a, dyn Dynamics + 'a> {
        let dynamics: &dyn Dynamics = match self.request.config.first {
            FirstMixture::Prior => model,
            FirstMixture::Planned => from_start,
        };
        Problem::new(
            dynamics,
            self.goal.clone(),
            &self.request.prior,
            self.bounds.clone(),
            &self.request.config,
            self.position(model),
        )
        .with_ramp(self.request.config.ramp)
        .with_monitor(monitor)
    }

    /// Plans the whole run before it starts: Algorithm 1 of RegMix-D, or what
    /// the configuration has in its place.
    ///
    /// A schedule has to show its gain over the best single mixture on runs
    /// that it was not planned on (`static_unless`). Where the gain is not
    /// clear, or cannot be measured, the single mixture is kept and
    /// [`Schedule::fell_back`] says so; with `static_unless = 0` a schedule
    /// whose gain cannot be measured is kept. A note says why it could not be
    /// measured.
    ///
    /// Cost: one plan, and two refits with plans for every bootstrap sample (on
    /// resampled runs for the standard deviations, on halves of the runs for
    /// the gain), in parallel. The result does not depend on the number of
    /// threads.
    ///
    /// # Errors
    /// When bounds contradict each other, or predictions are not finite.
    pub fn schedule(&self) -> Result<Schedule> {
        self.schedule_monitored(&Silent)
    }

    /// [`Planner::schedule`], with progress and a way to stop.
    ///
    /// # Errors
    /// As [`Planner::schedule`], and when `monitor` asks to stop.
    pub fn schedule_monitored(&self, monitor: &dyn Monitor) -> Result<Schedule> {
        let config = &self.request.config;
        let from_start = FromStart::new(&self.model);
        let problem = self.problem(&self.model, &from_start, monitor);
        let splits = config.bootstrap / 2;
        let plans = 1 + config.bootstrap + splits;
        monitor.begin("plans", plans as u64, Unit::Items);
        let mut plan = problem.solve()?;
        monitor.advance(1);
        let mut notes = self.notes.clone();
        let refits = self.refits(&plan, &mut notes, monitor)?;
        let held_out = match plan.single {
            Some(_) => self.held_out_gains(splits, monitor)?,
            None => HeldOutGains::default(),
        };
        monitor.end();
        let gain = held_out.gain();
        let mut fell_back = false;
        let single_value = (plan.single.as_ref())
            .map(|single| problem.plan_value(&vec![single.clone(); problem.left()]));
        if let Some(single) = &plan.single {
            fell_back = match gain {
                Some(gain) => gain.mean < config.static_unless * gain.sd,
                None => config.static_unless > 0.0,
            };
            if fell_back {
                plan.mixtures = vec![single.clone(); problem.left()];
                plan.value = single_value.unwrap_or(plan.value);
            }
        } else if config.lookahead == Lookahead::Run {
            notes.push(
                "no single mixture keeps to all limits: there is nothing to measure the gain of \
                 the schedule against"
                    .to_owned(),
            );
        }
        notes.extend(held_out.note(fell_back));
        if !(problem.rollout(&plan.mixtures).iter()).all(|state| self.can_be(state)) {
            notes.push(format!(
                "{OUT_OF_RANGE}: the stage model does not describe these runs, and the schedule is \
                 a guess"
            ));
        }
        let mut out = self.unannotated(&plan)?;
        out.fell_back = fell_back;
        out.gain = gain;
        self.add_weight_spreads(&mut out, &refits);
        self.add_predictions(&mut out, &problem, &plan, &refits);
        out.single = single_value.map(|value| Prediction {
            mean: self.goal.sign() * value,
            sd: out.predicted.map_or(0.0, |p| p.sd),
        });
        self.add_epochs(&mut out)?;
        out.notes.splice(0..0, notes);
        Ok(out)
    }

    /// A schedule with the mixtures of a plan, and no predictions yet.
    fn unannotated(&self, plan: &Plan) -> Result<Schedule> {
        let config = &self.request.config;
        let domains = self.model.domains();
        let before = (config.first == FirstMixture::Prior).then(|| Ok(self.first.clone()));
        let planned =
            (plan.mixtures.iter()).map(|m| Mixture::normalized(domains.clone(), m.clone()));
        let mixtures = before.into_iter().chain(planned);
        let mut out = Schedule::of_mixtures(
            self.model.grid(),
            mixtures.collect::<Result<_>>()?,
            self.request.objective.clone(),
            self.request.target,
        )?
        .with_ramp(config.ramp)?;
        out.config = config.clone();
        out.runs = self.rows.runs().len();
        Ok(out)
    }

    /// How good the stage model is on runs that it was not fitted on.
    ///
    /// # Errors
    /// As [`StageAccuracy::cross_validate`], and when `monitor` asks to stop.
    pub fn accuracy(&self, folds: usize, monitor: &dyn Monitor) -> Result<Vec<StageAccuracy>> {
        let config = &self.request.config;
        StageAccuracy::cross_validate(&self.rows, config, folds, monitor)
    }

    /// The predicted objective at the end of a schedule on the scale of the
    /// target, by the size correction; absent where that is not known before
    /// training, or the objective is a worst case.
    pub fn at_target(&self, schedule: &Schedule) -> Option<Prediction> {
        let end = &schedule.segments.last()?.predicted;
        let of = |get: fn(&Prediction) -> f64| -> Option<Vec<f64>> {
            (self.model.targets().iter())
                .map(|t| end.get(t).map(get))
                .collect()
        };
        let size = &self.request.config.size;
        let (mean, sd) = (of(|s| s.mean)?, of(|s| s.sd)?);
        let here = size.at_target(&mean)?;
        let above: Vec<f64> = mean.iter().zip(&sd).map(|(m, s)| m + s).collect();
        let spread: Vec<f64> = (size.at_target(&above)?.iter().zip(&here))
            .map(|(a, h)| (a - h).abs())
            .collect();
        (!self.goal.is_worst()).then(|| Prediction {
            mean: self.goal.value(&here, None),
            sd: self.goal.sd(&spread, &here, None),
        })
    }
}

/// The bounds with every domain that had the same share in all runs held at it:
/// the stage model cannot know what a change does. A limit of the user's comes
/// first.
fn holding_constant_shares(
    mut bounds: Bounds,
    rows: &Transitions,
    notes: &mut Vec<String>,
) -> Result<Bounds> {
    let domains = rows.domains();
    let mixtures = (rows.rows().iter())
        .map(|row| Mixture::normalized(domains.clone(), row.mixture.clone()))
        .collect::<Result<Vec<_>>>()?;
    for fixed in constant_shares(&mixtures) {
        let (mut floors, mut caps) = (vec![0.0; domains.len()], vec![1.0; domains.len()]);
        (floors[fixed.domain], caps[fixed.domain]) = (fixed.share, fixed.share);
        let exists = (bounds.budget.as_ref()).is_none_or(|b| fixed.share <= b[fixed.domain]);
        let own = &bounds.constraints;
        let allowed =
            own.floors()[fixed.domain] <= fixed.share && fixed.share <= own.caps()[fixed.domain];
        match bounds.tightened(&floors, &caps) {
            Ok(held) if exists && allowed => {
                bounds.constraints = held;
                notes.push(fixed.words);
            }
            _ => notes.push(format!(
                "domain `{}` had the same share in every run ({:.1} %), which the limits do not \
                 allow: what another share does is a guess",
                domains[fixed.domain],
                100.0 * fixed.share
            )),
        }
    }
    Ok(bounds)
}

/// The mixture of the first segment: the prior, or a mixture near it that keeps
/// to all bounds and leaves room for the stages, with a note.
fn first_mixture(
    bounds: &Bounds,
    request: &Request,
    grid: &StageGrid,
    notes: &mut Vec<String>,
) -> Result<Mixture> {
    let (prior, points) = (&request.prior, grid.points());
    let none = vec![0.0; prior.weights().len()];
    // The first stage begins with a ramp away from it.
    let share = points[0] + 0.5 * request.config.ramp * (points[1] - points[0]);
    let shares = (share, 1.0 - share);
    let early = bounds.of_stage(shares.0, &none, shares.1)?;
    let near = match early.allows(prior.weights()) {
        true => prior.clone(),
        false => early.project(prior.weights())?,
    };
    let weights = near.weights().to_vec();
    let kept = bounds.leaving_room(&early, weights, shares, &none, request.config.trust);
    if kept == prior.weights() {
        return Ok(near);
    }
    notes.push(
        "the prior breaks a bound, so that the first segment is on a mixture near it that does not"
            .to_owned(),
    );
    Mixture::normalized(prior.domains().clone(), kept)
}
