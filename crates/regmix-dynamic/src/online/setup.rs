//! The part of a controller that never changes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::sealed::read_sealed;
use regmix_data::{Error, Mixture, Result};
use regmix_regress::search::Candidates;
use regmix_regress::{Constraints, Evaluator, Group, Objective};

use crate::config::{DynamicConfig, Search, State};
use crate::dynamics::Dynamics;
use crate::plan::bounds::Bounds;
use crate::plan::{Position, Problem};
use crate::schedule::{Planner, RunLength, Schedule};
use crate::stage_model::StageModel;

/// The layout of the file.
const VERSION: u32 = 2;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    version: u32,
    pub(super) fingerprint: String,
    pub(super) target: RunLength,
    /// The steps of the stage points.
    pub(super) steps: Vec<u64>,
    objective: Objective,
    prior: Mixture,
    pub(super) first: Mixture,
    limits: Limits,
    pub(super) config: DynamicConfig,
    /// The names of the losses that are reported.
    pub(super) losses: Vec<String>,
    pub(super) model: StageModel,
    /// The mixtures of the schedule, after the first.
    pub(super) schedule: Vec<Vec<f64>>,
    /// Whether one mixture is to be kept, since the gain of a schedule was not
    /// clear.
    pub(super) keep_single: bool,
    /// Nats by which a new plan must be predicted to be better than the standing
    /// one to replace it; none where such predictions cannot be trusted.
    pub(super) least_gain: Option<f64>,
    /// The objective over the state; made from the rest after reading.
    #[serde(skip, default = "unset_goal")]
    pub(super) goal: Evaluator,
}

const AGAIN: &str = "make the controller again, with `regmix schedule --redo`";

fn damaged(what: &str) -> Error {
    Error::input(format!("damaged controller: {what}")).help(AGAIN)
}

fn unset_goal() -> Evaluator {
    Evaluator::of_value(1.0)
}

/// Constraints in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    floors: Vec<f64>,
    caps: Vec<f64>,
    groups: Vec<Group>,
    /// The share of all tokens that every domain may take.
    budget: Option<Vec<f64>>,
}

impl Setup {
    pub(super) fn new(planner: &Planner, schedule: &Schedule, fingerprint: &str) -> Result<Self> {
        let model = planner.model.clone();
        let domains = model.domains();
        let mixtures = (schedule.segments.iter())
            .map(|s| Ok(s.mixture.reordered(domains)?.weights().to_vec()))
            .collect::<Result<Vec<_>>>()?;
        if mixtures.len() != model.grid().stages() + 1 || schedule.target != planner.request.target
        {
            return Err(Error::input(format!(
                "a schedule of {} segments for {:?}: expected {} for {:?}",
                mixtures.len(),
                schedule.target,
                model.grid().stages() + 1,
                planner.request.target
            ))
            .help("make the schedule with this planner"));
        }
        let config = &planner.request.config;
        // Where the gain of the schedule was not clear, a later change must
        // promise the gain that the schedule would have had to show.
        let least_gain = match (schedule.fell_back, schedule.gain) {
            (false, _) => Some(config.min_gain),
            (true, Some(gain)) => Some(config.min_gain.max(config.static_unless * gain.sd)),
            (true, None) => None,
        };
        let bounds = &planner.bounds.constraints;
        let limits = Limits {
            floors: bounds.floors().to_vec(),
            caps: bounds.caps().to_vec(),
            groups: bounds.groups().to_vec(),
            budget: planner.bounds.budget.clone(),
        };
        Ok(Self {
            version: VERSION,
            fingerprint: fingerprint.to_owned(),
            target: planner.request.target,
            steps: model.grid().steps(planner.request.target.steps)?,
            objective: planner.request.objective.clone(),
            prior: planner.request.prior.clone(),
            first: schedule.segments[0].mixture.reordered(domains)?,
            limits,
            config: config.clone(),
            losses: planner.measured_targets().to_vec(),
            schedule: mixtures[1..].to_vec(),
            keep_single: schedule.fell_back,
            least_gain,
            goal: planner.goal.clone(),
            model,
        })
    }

    /// The objective over the losses that are reported.
    pub(super) fn losses_goal(&self) -> Result<Evaluator> {
        (self.objective.evaluator(&self.losses)).map_err(|e| e.field("objective"))
    }

    pub(super) fn load(path: &Path) -> Result<Self> {
        let mut setup: Self = read_sealed(path, VERSION, AGAIN)?;
        (setup.make_goal().and_then(|()| setup.check())).map_err(|e| e.in_file(path))?;
        Ok(setup)
    }

    /// Checks what was read from a file.
    fn check(&self) -> Result<()> {
        self.config.check()?;
        self.model.check()?;
        let domains = self.model.domains();
        if self.prior.domains() != domains || self.first.domains() != domains {
            return Err(damaged(
                "mixtures over other domains than the stage model's",
            ));
        }
        if self.config.grid()? != *self.model.grid()
            || self.steps != self.model.grid().steps(self.target.steps)?
        {
            return Err(damaged("steps that are not those of the stage points"));
        }
        let weights = |m: &Vec<f64>| Mixture::normalized(domains.clone(), m.clone()).is_ok();
        if self.schedule.len() != self.model.grid().stages() || !self.schedule.iter().all(weights) {
            return Err(damaged("mixtures of the schedule that are not valid"));
        }
        if self
            .least_gain
            .is_some_and(|g| !(g.is_finite() && g >= 0.0))
        {
            return Err(damaged("a least gain that is negative or not finite"));
        }
        let known = match self.config.state {
            State::Losses => self.losses == self.model.targets(),
            State::Objective => self.model.targets().len() == 1,
        };
        if !known {
            return Err(damaged("losses that are not the stage model's"));
        }
        self.losses_goal()?;
        self.bounds()?;
        Ok(())
    }

    fn bounds(&self) -> Result<Bounds> {
        let domains = self.model.domains().clone();
        let l = &self.limits;
        if l.budget.as_ref().is_some_and(|b| b.len() != domains.len()) {
            return Err(damaged("a budget over other domains"));
        }
        let constraints = Constraints::from_parts(domains, &l.floors, &l.caps, &l.groups)
            .map_err(|e| damaged(&format!("bounds that are not valid: {e}")))?;
        Ok(Bounds {
            constraints,
            budget: l.budget.clone(),
        })
    }

    /// The planning problem from a position on.
    pub(super) fn problem<'a>(
        &'a self,
        position: Position,
        ready: Option<&'a Candidates>,
    ) -> Result<Problem<'a, StageModel>> {
        let problem = Problem::new(
            &self.model,
            self.goal.clone(),
            &self.prior,
            self.bounds()?,
            &self.config,
            position,
        );
        Ok(problem.with_draws(ready))
    }

    /// The draws of a stage, where they do not depend on earlier mixtures.
    pub(super) fn draws(&self, stage: usize) -> Result<Option<Candidates>> {
        let draws = self.config.search == Search::Simulate
            && self.config.trust.is_none()
            && self.limits.budget.is_none()
            && stage < self.model.grid().stages();
        if !draws {
            return Ok(None);
        }
        let options = self.config.simulate(stage);
        Candidates::draw(&self.prior, &self.bounds()?.constraints, &options).map(Some)
    }

    #[cfg(test)]
    pub(super) fn set_budget(&mut self, budget: Option<Vec<f64>>) {
        self.limits.budget = budget;
    }

    /// Sets the objective over the stage model's state.
    fn make_goal(&mut self) -> Result<()> {
        self.goal = self.config.state.goal(self.losses_goal()?);
        Ok(())
    }
}
