//! From trajectories to a schedule.

use std::collections::BTreeMap;

use rayon::prelude::*;

use regmix_data::{Error, Mixture, Result};
use regmix_regress::{Budget, Constraints, Objective};

use crate::config::{Config, First, State};
use crate::dynamics::Dynamics;
use crate::first::FromStart;
use crate::goal::Goal;
use crate::plan::bounds::{Bounds, available};
use crate::plan::{Plan, Position, Problem};
use crate::schedule::{Schedule, Spread, TargetRun};
use crate::stage_model::StageModel;
use crate::transitions::Transitions;

/// What is wanted of a schedule.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is minimised.
    pub objective: Objective,
    /// The mixture of the first segment, and what draws are around: the
    /// natural one, as a rule.
    pub prior: Mixture,
    /// Floors, caps and limits of groups of every mixture.
    pub constraints: Option<Constraints>,
    /// Tokens there are and tokens wanted: limits the epochs over the whole
    /// schedule. Its `target_tokens` are those of `target`.
    pub budget: Option<Budget>,
    /// The run that the schedule is for.
    pub target: TargetRun,
    /// The choices.
    pub config: Config,
}

/// A stage model with what is wanted: makes schedules and controllers.
///
/// ```
/// use regmix_dynamic::simulator::{World, WorldOptions};
/// use regmix_dynamic::{Config, Planner, Request, Segments, TargetRun, Transitions};
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
/// let config = Config::improved();
/// let runs = Segments::switching(&design, 0.5, &config.grid()?, 1)?;
/// let table = world.proxies(&runs, 600, 30)?;
/// let losses = table.at_stages(&config.grid()?, config.resample, None)?;
/// let planner = Planner::fit(&Transitions::new(&losses, &runs)?, Request {
///     objective: Objective::Mean,
///     prior,
///     constraints: None,
///     budget: None,
///     target: TargetRun { steps: 6_000, tokens: 6_000_000 },
///     config,
/// })?;
/// let schedule = planner.schedule()?;
/// assert_eq!(schedule.segments.len(), 6);
/// // Domains with even numbers early, odd ones late.
/// let even = |leg: usize| -> f64 {
///     let weights = schedule.segments[leg].mixture.weights();
///     weights.iter().step_by(2).sum()
/// };
/// assert!(even(1) > 0.55 && even(5) < 0.45);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Planner {
    pub(crate) model: StageModel,
    pub(crate) goal: Goal,
    pub(crate) request: Request,
    pub(crate) first: Mixture,
    pub(crate) bounds: Bounds,
    rows: Transitions,
    /// The losses that runs report, whatever the state is.
    measured: Vec<String>,
    notes: Vec<String>,
}

impl Planner {
    /// Fits the stage model.
    ///
    /// # Errors
    /// When a choice is out of range, the objective names an unknown target,
    /// the rows have other stage points, the prior or the bounds are over
    /// other domains or clash, the target is too short for the stages, or the
    /// regressor refuses the rows.
    pub fn fit(rows: &Transitions, mut request: Request) -> Result<Self> {
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
        let full = Goal::new(&request.objective, rows.targets())?;
        let measured = rows.targets().to_vec();
        let (rows, goal) = match request.config.state {
            State::Objective => (rows.scalar(&request.objective)?, Goal::itself(full.sign())),
            State::Losses => (rows.clone(), full),
        };
        let mut notes = rows.notes().to_vec();
        let start = grid.points()[0];
        let none = vec![0.0; rows.domains().len()];
        let early = bounds.of_stage(start, &none, 1.0 - start)?;
        let first = if early.allows(request.prior.weights()) {
            request.prior.clone()
        } else {
            notes.push(
                "the prior breaks a bound, so that the first segment is on the nearest mixture \
                 that does not"
                    .to_owned(),
            );
            early.project(request.prior.weights())?
        };
        let planner = Self {
            model: StageModel::fit(&rows, &request.config)?,
            goal,
            request,
            first,
            bounds,
            rows,
            measured,
            notes,
        };
        if planner.sees_no_difference() {
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

    /// Whether the stage model tells no two mixtures of the runs apart, as
    /// trees on few rows do: any plan would be as good as any other.
    fn sees_no_difference(&self) -> bool {
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
            First::Prior => model.grid().points()[0],
            First::Planned => 0.0,
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
    pub(crate) fn problem<'a>(
        &'a self,
        model: &'a StageModel,
        from_start: &'a FromStart<'a>,
    ) -> Problem<'a, dyn Dynamics + 'a> {
        let dynamics: &dyn Dynamics = match self.request.config.first {
            First::Prior => model,
            First::Planned => from_start,
        };
        Problem::new(
            dynamics,
            self.goal.clone(),
            &self.request.prior,
            self.bounds.clone(),
            &self.request.config,
            self.position(model),
        )
    }

    /// Plans the whole run before it starts: Algorithm 1 of RegMix-D, or what
    /// the configuration has in its place.
    ///
    /// Cost: one plan, and two refits with plans for every bootstrap sample (on
    /// resampled runs for the spread, on halves of the runs for the gain), in
    /// parallel. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// When bounds clash, or predictions are not finite.
    pub fn schedule(&self) -> Result<Schedule> {
        let config = &self.request.config;
        let from_start = FromStart::new(&self.model);
        let problem = self.problem(&self.model, &from_start);
        let mut plan = problem.solve()?;
        let refits = (0..config.bootstrap)
            .into_par_iter()
            .map(|number| self.refit(number, &plan))
            .collect::<Vec<_>>();
        let failed = refits.iter().filter(|r| r.is_err()).count();
        let refits: Vec<Refit> = refits.into_iter().flatten().collect();
        let mut notes = self.notes.clone();
        if failed > 0 {
            notes.push(format!(
                "{failed} of {} refits failed and do not count",
                config.bootstrap
            ));
        }
        let gains = match plan.single {
            Some(_) => self.held_out_gains(config.bootstrap / 2),
            None => Vec::new(),
        };
        let gain = (gains.len() > 1).then(|| spread(&gains));
        let mut fell_back = false;
        let single_value = (plan.single.as_ref())
            .map(|single| problem.plan_value(&vec![single.clone(); problem.left()]));
        if let (Some(single), Some(gain)) = (&plan.single, gain)
            && gain.mean < config.static_unless * gain.sd
        {
            plan.mixtures = vec![single.clone(); problem.left()];
            plan.value = single_value.unwrap_or(plan.value);
            fell_back = true;
        }
        let domains = self.model.domains();
        let before = (config.first == First::Prior).then(|| Ok(self.first.clone()));
        let planned =
            (plan.mixtures.iter()).map(|m| Mixture::normalized(domains.clone(), m.clone()));
        let mixtures = before.into_iter().chain(planned);
        let mut out = Schedule::of_mixtures(
            self.model.grid(),
            mixtures.collect::<Result<_>>()?,
            self.request.objective.clone(),
            self.request.target,
        )?;
        out.ramp = config.ramp;
        out.config = config.clone();
        out.runs = self.rows.runs().len();
        out.fell_back = fell_back;
        out.gain = gain;
        self.fill_weights(&mut out, &refits, fell_back);
        self.fill_losses(&mut out, &problem, &plan, &refits);
        out.single = single_value.map(|value| Spread {
            mean: self.goal.sign() * value,
            sd: out.predicted.map_or(0.0, |p| p.sd),
        });
        self.fill_epochs(&mut out)?;
        if fell_back {
            notes.push(
                "the best single mixture is kept: schedules planned on half of the runs do not \
                 clearly beat it by the other half"
                    .to_owned(),
            );
        }
        out.notes = notes;
        Ok(out)
    }

    /// Fits and plans again on resampled runs.
    fn refit(&self, number: usize, plan: &Plan) -> Result<Refit> {
        let config = &self.request.config;
        let rows = self.rows.resampled(config.seed, number);
        let model = StageModel::fit_like(&rows, config, Some(&self.model))?;
        let from_start = FromStart::new(&model);
        let problem = self.problem(&model, &from_start);
        let planned = problem.solve()?;
        Ok(Refit {
            states: problem.rollout(&plan.mixtures),
            value: problem.plan_value(&plan.mixtures),
            single: planned.single,
            mixtures: planned.mixtures,
        })
    }

    fn fill_weights(&self, out: &mut Schedule, refits: &[Refit], fell_back: bool) {
        if refits.len() < 2 {
            return;
        }
        let skip = out.segments.len() - refits[0].mixtures.len();
        for (place, leg) in out.segments.iter_mut().skip(skip).enumerate() {
            for (d, name) in self.model.domains().names().enumerate() {
                let of = |r: &Refit| match (fell_back, &r.single) {
                    (true, Some(single)) => single[d],
                    _ => r.mixtures[place][d],
                };
                let mut values: Vec<f64> = refits.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                let at = |q: f64| values[((values.len() - 1) as f64 * q).round() as usize];
                if let Some(weight) = leg.weights.get_mut(name) {
                    weight.sd = Some(spread(&values).sd);
                    (weight.low, weight.high) = (Some(at(0.05)), Some(at(0.95)));
                }
            }
        }
    }

    /// Predicted losses, with what the stage models say of themselves carried
    /// on from stage to stage, and the spread over refits.
    fn fill_losses(
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
                        Spread {
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
        out.predicted = Some(Spread {
            mean: self.goal.sign() * self.goal.value(&state, baseline),
            sd: self.goal.sd(&sd, &state, baseline).max(refitted),
        });
    }

    fn fill_epochs(&self, out: &mut Schedule) -> Result<()> {
        let Some(budget) = &self.request.budget else {
            return Ok(());
        };
        for name in self.model.domains().names() {
            let tokens = available(budget, name)?;
            if tokens <= 0.0 {
                continue;
            }
            let of = |weight: Option<f64>, all: f64| weight.unwrap_or(0.0) * all / tokens;
            for leg in &mut out.segments {
                let epochs = of(leg.mixture.get(name), leg.tokens as f64);
                leg.epochs.insert(name.to_owned(), epochs);
            }
            let epochs = of(out.mean.get(name), budget.target_tokens);
            out.epochs.insert(name.to_owned(), epochs);
        }
        Ok(())
    }
}

struct Refit {
    /// The losses that this refit predicts for the plan.
    states: Vec<Vec<f64>>,
    value: f64,
    /// What it would have planned itself.
    mixtures: Vec<Vec<f64>>,
    single: Option<Vec<f64>>,
}

fn spread(values: &[f64]) -> Spread {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Spread {
        mean,
        sd: (squares / (n - 1.0).max(1.0)).sqrt(),
    }
}
