//! Whether an observed loss can be that of the run.
//!
//! A loss is plausible between half of the smallest and twice the largest of
//! what is expected: the loss before, and what the stage model predicts for the
//! next stage point. Until the scale of the target is known, the predictions
//! may be off by a factor of four; before the first stage point, a loss may also
//! be that of a model which has learnt nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use super::decide::expected_state;
use super::setup::Setup;
use super::state::ControllerState;
use crate::config::State;

/// How far a loss may be from what is expected, as a factor.
const NEAR: f64 = 2.0;
/// The same while the scale of the target is not known.
const UNKNOWN_SCALE: f64 = 4.0;
/// The loss of a model that has learnt nothing: the logarithm of the size of a
/// vocabulary, here of 160,000.
const UNTRAINED: f64 = 12.0;
/// No loss is above this, however often it is reported.
const IMPOSSIBLE: f64 = 1000.0;
/// Implausible losses in a row that are believed, and how far they may differ
/// from one to the next, as a factor.
const BELIEVED: u32 = 3;
const AGREE: f64 = 1.25;

/// Observations that were refused as implausible, the last of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doubted {
    pub(super) step: u64,
    losses: BTreeMap<String, f64>,
    /// How many there were in a row that agree.
    times: u32,
}

impl Doubted {
    /// Whether another observation is later and much the same.
    fn is_confirmed_by(&self, step: u64, losses: &BTreeMap<String, f64>) -> bool {
        let near = |(name, loss): (&String, &f64)| {
            let before = self.losses.get(name);
            before.is_none_or(|b| (1.0 / AGREE..=AGREE).contains(&(loss / b)))
        };
        step > self.step && losses.iter().all(near)
    }
}

/// Refuses losses that cannot be, and remembers them in the state: several
/// observations in a row that agree are believed.
pub(super) fn check(
    setup: &Setup,
    state: &mut ControllerState,
    step: u64,
    losses: &BTreeMap<String, f64>,
) -> Result<()> {
    let Some(error) = implausible(setup, state, step, losses) else {
        state.doubted = None;
        return Ok(());
    };
    let times = match &state.doubted {
        Some(before) if before.is_confirmed_by(step, losses) => before.times + 1,
        // The same report again says nothing new.
        Some(before) if before.step == step && before.losses == *losses => before.times,
        _ => 1,
    };
    if times >= BELIEVED && losses.values().all(|l| *l <= IMPOSSIBLE) {
        state.doubted = None;
        return Ok(());
    }
    state.doubted = Some(Doubted {
        step,
        losses: losses.clone(),
        times,
    });
    Err(error)
}

fn implausible(
    setup: &Setup,
    state: &ControllerState,
    step: u64,
    losses: &BTreeMap<String, f64>,
) -> Option<Error> {
    let (expected, scale) = expected_losses(setup, state);
    for (name, &loss) in losses {
        let prediction = expected.get(name).copied();
        let last = state.last_losses.get(name).copied();
        let untrained = (step < setup.steps[0]).then_some(UNTRAINED);
        let predictions = prediction.into_iter().flat_map(|p| [p / scale, p * scale]);
        let others = last.into_iter().chain(untrained);
        let (low, high) = (predictions.chain(others.flat_map(|l| [l / NEAR, l * NEAR])))
            .fold((f64::INFINITY, 0.0), |(low, high), l| {
                (f64::min(low, l), f64::max(high, l))
            });
        if (low..=high).contains(&loss) || low > high && loss <= IMPOSSIBLE {
            continue;
        }
        let about = prediction.or(last).unwrap_or(UNTRAINED);
        return Some(
            Error::input(format!(
                "loss {loss} cannot be: about {about:.4} is expected, and {low:.4} to {high:.4} is \
                 believed"
            ))
            .field(name)
            .help(format!(
                "the mixture in force stays; report this step again with the right loss. If it is \
                 right, go on: {BELIEVED} observations in a row that agree are believed"
            )),
        );
    }
    None
}

/// The losses that are expected at the next stage point, and by which factor
/// they may be wrong.
fn expected_losses(setup: &Setup, state: &ControllerState) -> (BTreeMap<String, f64>, f64) {
    let expected = expected_state(setup, state, state.next_stage);
    let at_target = match &state.factors {
        Some(factors) => Some(expected.iter().zip(factors).map(|(e, f)| e / f).collect()),
        None => setup.config.size.at_target(&expected),
    };
    let scale = match at_target {
        Some(_) => NEAR,
        None => UNKNOWN_SCALE,
    };
    let values: Vec<f64> = at_target.unwrap_or(expected);
    let usable = |value: &f64| *value > 0.0 && value.is_finite();
    let named = (setup.losses.iter().enumerate())
        .filter_map(|(i, name)| {
            let value = match setup.config.state {
                State::Losses => values.get(i),
                // The objective stands for every loss.
                State::Objective => values.first(),
            };
            Some((name.clone(), value.copied().filter(usable)?))
        })
        .collect();
    let wide = setup.config.state == State::Objective;
    (named, if wide { UNKNOWN_SCALE } else { scale })
}
