//! The part of a controller that changes with observations.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::sealed::read_sealed;
use regmix_data::{Error, Mixture, Result};

use super::setup::Setup;
use crate::dynamics::Dynamics;

/// The layout of the file.
const VERSION: u32 = 1;

/// How far refused losses may differ from one observation to the next to agree,
/// as a factor.
const AGREE: f64 = 1.25;

/// Observations that were refused as implausible, the last of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Doubted {
    pub(super) step: u64,
    pub(super) losses: BTreeMap<String, f64>,
    /// How many there were in a row that agree.
    pub(super) times: u32,
}

impl Doubted {
    /// Whether another observation is later and much the same.
    pub(super) fn is_confirmed_by(&self, step: u64, losses: &BTreeMap<String, f64>) -> bool {
        let near = |(name, loss): (&String, &f64)| {
            let before = self.losses.get(name);
            before.is_none_or(|b| (1.0 / AGREE..=AGREE).contains(&(loss / b)))
        };
        step > self.step && losses.iter().all(near)
    }
}

/// The state of an online run, written after each observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerState {
    version: u32,
    fingerprint: String,
    /// The first stage that has no decision yet.
    pub(super) next_stage: usize,
    /// The mixture in force.
    pub(super) in_force: Mixture,
    /// The fraction of training since which it is in force.
    pub(super) since: f64,
    /// The share of all tokens that every domain took before that.
    pub(super) used: Vec<f64>,
    /// Factors from the target's losses to the proxies' scale, once measured.
    pub(super) factors: Option<Vec<f64>>,
    /// The predicted state at the end of the current stage.
    pub(super) predicted: Option<Vec<f64>>,
    /// The mixtures planned for the current stage and those to come.
    pub(super) standing: BTreeMap<usize, Vec<f64>>,
    pub(super) last_step: Option<u64>,
    pub(super) last_losses: BTreeMap<String, f64>,
    /// Observations that were refused.
    pub(super) refused: u64,
    pub(super) decisions: Vec<Decision>,
    /// What was last refused as implausible, until a plausible loss comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) doubted: Option<Doubted>,
    /// The state before the last observation, where that was decided on: a
    /// correction of the observation starts from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Box<ControllerState>>,
}

/// A decision with its reason, and the losses and predictions that it was
/// based on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The stage that begins.
    pub stage: usize,
    /// The step of the observation.
    pub step: u64,
    /// The observed losses.
    pub measured: BTreeMap<String, f64>,
    /// The state of the stage model: losses on the proxies' scale, or the
    /// objective's value.
    pub corrected: Vec<f64>,
    /// The prediction of that state at the decision before.
    pub expected: Vec<f64>,
    /// The distance of the mixture from the one that was planned for this stage,
    /// total variation; absent where none was planned.
    pub distance: Option<f64>,
    /// The mixture that was chosen.
    pub mixture: Mixture,
    /// The mixture that was planned for this stage; absent where none was.
    #[serde(default)]
    pub planned: Option<Mixture>,
    /// The predicted objective on the proxies' scale at the end of the run, or
    /// of the stage with `lookahead = "stage"`.
    pub promised: f64,
    /// Whether the standing plan was kept, since the predicted gain of a new
    /// one was too small.
    pub kept_plan: bool,
    /// The reason in words, for a person.
    #[serde(default)]
    pub reason: String,
}

impl ControllerState {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            version: VERSION,
            fingerprint: setup.fingerprint.clone(),
            next_stage: 0,
            in_force: setup.first.clone(),
            since: 0.0,
            used: vec![0.0; setup.first.weights().len()],
            factors: None,
            predicted: None,
            standing: setup.schedule.iter().cloned().enumerate().collect(),
            last_step: None,
            last_losses: BTreeMap::new(),
            refused: 0,
            decisions: Vec::new(),
            doubted: None,
            before: None,
        }
    }

    /// The decisions so far.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// The mixture in force.
    pub fn mixture(&self) -> &Mixture {
        &self.in_force
    }

    /// The last step that was observed.
    pub fn last_step(&self) -> Option<u64> {
        self.last_step
    }

    /// The predicted state at the end of the current stage, on the scale of the
    /// proxies; absent before the first decision.
    pub fn predicted(&self) -> Option<&[f64]> {
        self.predicted.as_deref()
    }

    /// The factors from the target's losses to the proxies' scale, once they
    /// were measured at the first stage point.
    pub fn factors(&self) -> Option<&[f64]> {
        self.factors.as_deref()
    }

    /// How many observations were refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The same without the state before.
    pub(super) fn without_before(&self) -> Self {
        Self {
            before: None,
            ..self.clone()
        }
    }

    /// The state without the last observation.
    pub(super) fn before_last(&self) -> Self {
        match &self.before {
            Some(before) => Self {
                refused: self.refused,
                ..(**before).clone()
            },
            None => Self {
                last_losses: BTreeMap::new(),
                ..self.clone()
            },
        }
    }

    /// Reads what [`Controller::save_state`](super::Controller::save_state) wrote.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or of another version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let remedy =
            "go back to an older copy of the state, or move it away to start the run again";
        read_sealed(path, VERSION, remedy)
    }

    pub(super) fn check(&self, setup: &Setup) -> Result<()> {
        let wrong = |what: String, help: &str| Err(Error::input(what).help(help));
        if self.fingerprint != setup.fingerprint {
            return wrong(
                format!(
                    "the state of another study, `{}`: expected `{}`",
                    self.fingerprint, setup.fingerprint
                ),
                "give the state that this controller wrote, or move it away to start again",
            );
        }
        let (d, t) = (setup.model.domains(), setup.model.targets().len());
        let finite = |v: &[f64]| v.iter().all(|v| v.is_finite());
        let sizes = self.in_force.domains() == d
            && self.used.len() == d.len()
            && finite(&self.used)
            && self
                .factors
                .as_ref()
                .is_none_or(|f| f.len() == t && finite(f))
            && self
                .predicted
                .as_ref()
                .is_none_or(|p| p.len() == t && finite(p))
            && self
                .standing
                .values()
                .all(|m| m.len() == d.len() && finite(m))
            && (0.0..=1.0).contains(&self.since)
            && self.next_stage <= setup.model.grid().stages();
        if !sizes {
            return wrong(
                "damaged state".to_owned(),
                "go back to an older copy of it, or move it away to start the run again",
            );
        }
        match &self.before {
            Some(before) => before.check(setup),
            None => Ok(()),
        }
    }
}
