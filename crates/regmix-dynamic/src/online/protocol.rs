//! The controller for any trainer that can write and read JSON: one line in,
//! one line out.
//!
//! | request | answer |
//! |---|---|
//! | `{"step":500,"losses":{"web":3.1,"code":2.2}}` | `{"ok":true,"switch":true,"mixture":{…},…}` |
//! | `{"op":"mixture"}` | the mixture in force |
//! | `{"op":"state"}` | the whole [state](Steering::State), such as a [`ControllerState`](super::ControllerState) |
//! | `{"op":"health"}` | `{"ok":true,…}` with the steps of decisions |
//!
//! The answer to a refused request has `"ok":false`, the reason, a remedy, and
//! the mixture that stays in force.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Mixture, Result};

use super::Steering;

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// A request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    op: Op,
    step: Option<u64>,
    /// A missing loss may be null: JSON has no NaN.
    losses: Option<BTreeMap<String, Option<f64>>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    #[default]
    Observe,
    Mixture,
    State,
    Health,
}

/// An answer.
#[derive(Debug, Serialize)]
struct Answer<'a, T> {
    ok: bool,
    /// Whether to switch to the mixture now.
    switch: bool,
    /// The mixture in force.
    mixture: &'a Mixture,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_step: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_steps: Option<&'a [u64]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// Answers one line; the answer has no line break. Never fails: the answer
/// says what is wrong with a request. The second value is true if and only if
/// the state has changed; it is then to be written.
///
/// ```
/// # use regmix_dynamic::simulator::{World, WorldOptions};
/// # use regmix_dynamic::{Controller, DynamicConfig, Planner, Request, RunLength, Segments, StageLosses, Transitions};
/// # use regmix_data::design::{Maximin, Sampler, Space};
/// # use regmix_data::{Mixture, random::stream};
/// # let world = World::new(WorldOptions { domains: 2, ..WorldOptions::default() })?;
/// # let prior = Mixture::uniform(regmix_dynamic::Dynamics::domains(&world).clone());
/// # let design = Maximin::default()
/// #     .draw(&Space::new(prior.clone()), 16, &mut stream(1, "doc", "design"))?.into_table()?;
/// # let config = DynamicConfig { bootstrap: 0, static_unless: 0.0, ..DynamicConfig::improved() };
/// # let runs = Segments::fixed(&design);
/// # let table = world.proxies(&runs, 600, 30)?;
/// # let losses = StageLosses::new(&table, &config.grid()?, config.resample, None)?;
/// # let planner = Planner::fit(&Transitions::new(&losses, &runs)?, Request {
/// #     objective: regmix_regress::Objective::Mean, prior, constraints: None, budget: None,
/// #     target: RunLength { steps: 600, tokens: 600_000 }, config,
/// # })?;
/// # let mut controller = Controller::new(&planner, &planner.schedule()?, "a study")?;
/// use regmix_dynamic::protocol::answer;
///
/// let (line, changed) = answer(&mut controller, r#"{"step":100,"losses":{"d0":3.5,"d1":3.4}}"#);
/// assert!(changed && line.starts_with(r#"{"ok":true,"switch":true,"mixture":{"d0":"#));
/// let (line, changed) = answer(&mut controller, r#"{"step":50,"losses":{}}"#);
/// assert!(changed && line.contains("step 50 comes after step 100")); // It is counted.
/// # Ok::<(), regmix_data::Error>(())
/// ```
pub fn answer<S: Steering>(controller: &mut S, line: &str) -> (String, bool) {
    let before = controller.state().clone();
    let outcome = parse(line).and_then(|request| carry_out(controller, request));
    let changed = before != *controller.state();
    let (op, switch, error) = match outcome {
        Ok((op, switch)) => (Some(op), switch, None),
        Err(e) => (None, false, Some(e)),
    };
    let answer = Answer {
        ok: error.is_none(),
        switch,
        mixture: controller.mixture(),
        last_step: controller.last_step(),
        decision_steps: (controller.decision_steps()).filter(|_| op == Some(Op::Health)),
        state: (op == Some(Op::State)).then(|| controller.state()),
        help: (error.as_ref()).and_then(|e| e.help_text().map(str::to_owned)),
        error: error.map(|e| e.to_string()),
    };
    // Plain structs of strings and numbers can be written.
    let text = serde_json::to_string(&answer)
        .unwrap_or_else(|e| format!(r#"{{"ok":false,"switch":false,"error":"{e}"}}"#));
    (text, changed)
}

fn parse(line: &str) -> Result<Request> {
    if line.len() > MAX_LINE {
        return Err(Error::input(format!(
            "a line of more than {MAX_LINE} bytes: expected at most as many"
        ))
        .help("report the losses of one step per line"));
    }
    serde_json::from_str(line).map_err(|e| {
        Error::input(format!("not a request: {e}"))
            .help(r#"for example {"step":500,"losses":{"web":3.1}}"#)
    })
}

/// Carries out a request; returns whether to switch to another mixture.
fn carry_out<S: Steering>(controller: &mut S, request: Request) -> Result<(Op, bool)> {
    if request.op != Op::Observe {
        return Ok((request.op, false));
    }
    let (Some(step), Some(losses)) = (request.step, request.losses) else {
        return Err(Error::input(
            "an observation without `step` or `losses`: expected both",
        ));
    };
    let losses = (losses.into_iter())
        .map(|(name, loss)| (name, loss.unwrap_or(f64::NAN)))
        .collect();
    Ok((request.op, controller.observe(step, &losses)?.is_some()))
}
