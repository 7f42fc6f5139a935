//! A decision: from the losses at a stage point to the mixtures of the stages
//! that are left.

use std::collections::BTreeMap;

use regmix_data::{Error, Mixture, Result};
use regmix_regress::search::Candidates;

use super::reason::Grounds;
use super::setup::Setup;
use super::state::{ControllerState, Decision};
use crate::config::FirstLosses;
use crate::dynamics::Dynamics;
use crate::plan::{Plan, Position, Problem};
use crate::size::SizeCorrection;
use crate::stage_model::StageModel;

/// The stage that an observation decides, if any.
pub(super) fn stage_due(setup: &Setup, state: &ControllerState, step: u64) -> Option<usize> {
    let passed = setup.steps.partition_point(|s| *s <= step);
    let stage = passed.checked_sub(1)?;
    (stage < setup.model.grid().stages() && stage >= state.next_stage).then_some(stage)
}

/// Decides the mixture of a stage and writes it into the state. `ready` are
/// draws that were made beforehand. On an error the state is half changed.
pub(super) fn decide(
    setup: &Setup,
    state: &mut ControllerState,
    stage: usize,
    step: u64,
    losses: &BTreeMap<String, f64>,
    ready: Option<&Candidates>,
) -> Result<()> {
    let measured = measured_state(setup, losses)?;
    let fraction = fraction_of(setup, stage, step);
    // Online, mixtures change at once, also where the schedule has ramps.
    for (u, w) in state.used.iter_mut().zip(state.in_force.weights()) {
        *u += (fraction - state.since) * w;
    }
    let expected = expected_state(setup, state, stage);
    let first_scale = setup.config.size == SizeCorrection::FirstSegment && state.factors.is_none();
    if first_scale {
        let pairs = expected.iter().zip(&measured);
        state.factors = Some(pairs.map(|(e, m)| e / m).collect());
    }
    let corrected = (setup.config.size).corrected(&measured, state.factors.as_deref())?;
    let position = Position {
        stage,
        fraction,
        state: corrected.clone(),
        used: state.used.clone(),
        previous: state.in_force.weights().to_vec(),
    };
    let problem = setup.problem(position, ready)?;
    let single = match setup.keep_single {
        true => problem.one_mixture()?,
        false => None,
    };
    let to_the_end = single.is_some();
    let plan = match single {
        Some(plan) => plan,
        None => problem.decide()?,
    };
    let (plan, kept) = standing_or_new(setup, &problem, plan, &state.standing)?;
    let domains = setup.model.domains();
    let mixture = Mixture::normalized(domains.clone(), plan.mixtures[0].clone())?;
    let planned = (state.standing.get(&stage))
        .and_then(|p| Mixture::normalized(domains.clone(), p.clone()).ok());
    let reason = Grounds {
        names: setup.model.targets(),
        corrected: &corrected,
        expected: &expected,
        first_scale,
        late: step - setup.steps[stage],
        planned: planned.as_ref(),
        chosen: &mixture,
        kept: kept.then_some(setup.least_gain),
        single: to_the_end,
    }
    .words();
    state.decisions.push(Decision {
        stage,
        step,
        measured: losses.clone(),
        corrected,
        expected,
        distance: planned.as_ref().map(|p| mixture.tv_distance(p)),
        mixture: mixture.clone(),
        planned,
        promised: setup.goal.sign() * plan.value,
        kept_plan: kept,
        reason,
    });
    // A plan of one stage leaves the mixtures of later stages as they were.
    state.standing.retain(|s, _| *s >= stage);
    for (i, planned) in plan.mixtures.into_iter().enumerate() {
        state.standing.insert(stage + i, planned);
    }
    state.predicted = problem.rollout(&[mixture.weights().to_vec()]).pop();
    state.in_force = mixture;
    state.since = fraction;
    state.next_stage = stage + 1;
    Ok(())
}

/// The fraction of training at a step of a stage.
fn fraction_of(setup: &Setup, stage: usize, step: u64) -> f64 {
    // The steps of stage points are rounded: at such a step, training is at
    // the point itself.
    match step == setup.steps[stage] {
        true => setup.model.grid().points()[stage],
        false => step as f64 / setup.target.steps as f64,
    }
}

/// The state of the target as the stage model has it, before the size
/// correction.
fn measured_state(setup: &Setup, losses: &BTreeMap<String, f64>) -> Result<Vec<f64>> {
    let all: Vec<f64> = (setup.losses.iter())
        .map(|name| losses.get(name).copied().unwrap_or(f64::NAN))
        .collect();
    if let Some(state) = (setup.config.state).of_losses(&setup.losses_goal()?, &all) {
        return Ok(state);
    }
    let missing: Vec<&str> = (setup.losses.iter())
        .filter(|name| !losses.contains_key(*name))
        .map(String::as_str)
        .collect();
    Err(Error::input(format!(
        "a decision is due, and losses are missing: {}",
        missing.join(", ")
    ))
    .field("losses")
    .help("report the losses of all domains at the steps of decisions"))
}

/// The state that the stage model expected at a stage point: its prediction
/// at the last decision, or the start of the plan.
pub(super) fn expected_state(setup: &Setup, state: &ControllerState, stage: usize) -> Vec<f64> {
    let start = match setup.config.size {
        // The scale is measured against a proxy on the same mixture.
        SizeCorrection::FirstSegment => FirstLosses::Regression,
        _ => setup.config.start,
    };
    let mut at = match &state.predicted {
        Some(predicted) => predicted.clone(),
        None => setup.model.start(start, setup.first.weights()),
    };
    // Stages that passed without a decision were on the mixture in force.
    for passed in state.next_stage..stage {
        let moment = setup.model.moment(passed);
        at = setup.model.next(moment, &at, state.in_force.weights());
    }
    at
}

/// The new plan if it promises enough more than the standing one, or that one
/// breaks the budget from here on (it was made for ramps, or for losses at
/// other steps), else the standing one; and whether the standing one was kept.
fn standing_or_new(
    setup: &Setup,
    problem: &Problem<'_, StageModel>,
    plan: Plan,
    standing: &BTreeMap<usize, Vec<f64>>,
) -> Result<(Plan, bool)> {
    let from = problem.position.stage;
    let stages = from..from + plan.mixtures.len();
    let old: Option<Vec<Vec<f64>>> = stages.map(|s| standing.get(&s).cloned()).collect();
    let least = setup.least_gain.unwrap_or(f64::INFINITY);
    if let (true, Some(old)) = (least > 0.0, old) {
        let value = problem.plan_value(&old);
        let stands = value.is_finite() && problem.keeps_to_budget(&old);
        if stands && value - plan.value < least {
            let kept = Plan {
                mixtures: old,
                value,
                single: None,
            };
            return Ok((kept, true));
        }
    }
    Ok((plan, false))
}
