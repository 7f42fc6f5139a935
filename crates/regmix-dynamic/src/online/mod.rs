//! The online controller: Algorithm 2 of RegMix-D.

mod decide;
#[cfg(feature = "http")]
pub mod http;
mod plausible;
pub mod protocol;
mod reason;
mod setup;
mod state;
mod state_lock;
mod steering;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use regmix_data::sealed::write_sealed;
use regmix_data::{Error, Mixture, Result};
use regmix_regress::search::Candidates;

use self::decide::{decide, stage_due};
use self::setup::Setup;
use crate::schedule::{Planner, Schedule};

pub use self::state::{ControllerState, Decision};
pub use self::state_lock::StateLock;
pub use self::steering::Steering;

/// Chooses the mixtures of a target while it trains, from the losses that it
/// reports.
///
/// Give it the losses of every validation of the target with
/// [`observe`](Self::observe). At the first one at or after a stage point it
/// plans the stages that are left, as the configuration says, and returns the
/// mixture to switch to; at others it returns none. It does not learn: the
/// stage model stays as it was fitted on the proxies, and losses of the target,
/// brought to the proxies' scale ([`SizeCorrection`](crate::SizeCorrection)),
/// are the state that a plan starts from.
///
/// A new plan replaces the standing one if its predicted gain is at least
/// `min_gain` nats. Where the schedule fell back to one mixture
/// ([`Schedule::fell_back`]), plans have one mixture, too, and the gain must be
/// `static_unless` standard deviations of the schedule's measured gain; if that
/// could not be measured, the mixture stays to the end.
///
/// Its answers to unusual observations, none of which causes a panic. A refused
/// one changes nothing but the count of refused ones:
///
/// | observation | answer |
/// |---|---|
/// | same step and losses as the last one | accepted again, no change |
/// | same step, other losses | a correction: the last observation and what it decided are replaced |
/// | an earlier step | refused |
/// | a step after the end of the run | refused |
/// | a loss that is not finite or not positive | refused |
/// | a loss far from what is expected: below half of it or above twice of it, a quarter or four times while the scale of the target is not known | refused, until three observations in a row agree |
/// | a domain that it does not know | refused |
/// | a loss that the state needs is missing, when a decision is due | refused; due again at the next |
/// | several stage points were passed | one decision, for the current stage |
///
/// It is stored as two JSON files: the part that never changes
/// ([`save`](Self::save)), and the small [`ControllerState`], to be written
/// after each observation. A controller that is loaded and
/// [`resume`](Self::resume)d gives the same bits as one that never stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    setup: Setup,
    state: ControllerState,
    ready: Ready,
}

/// Candidates for the next decision, computed beforehand, with its stage. The
/// decision would draw the same ones, so controllers that differ only in them
/// are equal.
#[derive(Debug, Clone, Default)]
struct Ready(Option<(usize, Arc<Candidates>)>);

impl PartialEq for Ready {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// An observation beside the last one.
enum Kind {
    New,
    /// The last one again.
    Repeated,
    /// The last one with other losses.
    Corrected,
}

impl Controller {
    /// A controller for a run that starts on a schedule of `planner`.
    /// `fingerprint` names the study, so that the state of another study is
    /// noticed.
    ///
    /// # Errors
    /// When the schedule has other stages or domains.
    pub fn new(planner: &Planner, schedule: &Schedule, fingerprint: &str) -> Result<Self> {
        Ok(Self::at_start(Setup::new(planner, schedule, fingerprint)?))
    }

    fn at_start(setup: Setup) -> Self {
        Self {
            state: ControllerState::new(&setup),
            ready: Ready::default(),
            setup,
        }
    }

    /// The mixture in force.
    pub fn mixture(&self) -> &Mixture {
        &self.state.in_force
    }

    /// The state of the run, with every decision so far.
    pub fn state(&self) -> &ControllerState {
        &self.state
    }

    /// The fingerprint of the study that it belongs to.
    pub fn fingerprint(&self) -> &str {
        &self.setup.fingerprint
    }

    /// The names of the losses that it knows.
    pub fn losses(&self) -> &[String] {
        &self.setup.losses
    }

    /// The steps at which decisions are due.
    pub fn decision_steps(&self) -> &[u64] {
        &self.setup.steps[..self.setup.steps.len() - 1]
    }

    /// Takes a validation of the target, by domain in nats per token. Returns
    /// the mixture to switch to, or none if the one in force stays.
    ///
    /// # Errors
    /// When the observation is refused, see [`Controller`], or no plan can be
    /// made; the mixture in force then stays, and a decision that was due is
    /// due again at the next observation.
    pub fn observe(
        &mut self,
        step: u64,
        losses: &BTreeMap<String, f64>,
    ) -> Result<Option<Mixture>> {
        // On a copy, so that a failure leaves no trace.
        let mut next = match self.check(step, losses) {
            Err(e) => {
                self.state.refused += 1;
                return Err(e);
            }
            Ok(Kind::Repeated) => return Ok(None),
            Ok(Kind::New) => self.state.without_before(),
            Ok(Kind::Corrected) => self.state.before_last(),
        };
        if let Err(e) = plausible::check(&self.setup, &mut next, step, losses) {
            self.state.refused += 1;
            self.state.doubted = next.doubted;
            return Err(e);
        }
        self.state.doubted = None;
        let due = stage_due(&self.setup, &next, step);
        let before = due.map(|_| Box::new(next.clone()));
        next.last_step = Some(step);
        next.last_losses = losses.clone();
        if let Some(stage) = due {
            let ready = self.ready.0.as_ref().filter(|(s, _)| *s == stage);
            let ready = ready.map(|(_, draws)| &**draws);
            decide(&self.setup, &mut next, stage, step, losses, ready)?;
        }
        next.before = before;
        let changed = next.in_force != self.state.in_force;
        self.state = next;
        Ok(changed.then(|| self.state.in_force.clone()))
    }

    fn check(&self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Kind> {
        let refuse = |problem: String, field: &str| {
            Err(Error::input(problem)
                .field(field)
                .help("the mixture in force stays; report losses in the order of steps, once each"))
        };
        if step > self.setup.target.steps {
            return refuse(
                format!(
                    "step {step} is after the end of the run, {}",
                    self.setup.target.steps
                ),
                "step",
            );
        }
        for (name, loss) in losses {
            if !self.setup.losses.contains(name) {
                let known = self.setup.losses.join(", ");
                return refuse(
                    format!("unknown loss `{name}`: expected one of {known}"),
                    "losses",
                );
            }
            if !(loss.is_finite() && *loss > 0.0) {
                return refuse(
                    format!("loss {loss}: expected a finite positive number"),
                    name,
                );
            }
        }
        match self.state.last_step {
            Some(last) if step < last => refuse(
                format!("step {step} comes after step {last}: expected a later one"),
                "step",
            ),
            Some(last) if step == last && self.state.last_losses == *losses => Ok(Kind::Repeated),
            Some(last) if step == last => Ok(Kind::Corrected),
            _ => Ok(Kind::New),
        }
    }

    /// Makes the draws of the next decision beforehand, to save time then; to be
    /// called while the target trains. Changes no result. Does nothing where
    /// the draws depend on mixtures before that decision (a budget, a trust
    /// region), or nothing is drawn.
    ///
    /// # Errors
    /// When bounds contradict each other.
    pub fn prepare(&mut self) -> Result<()> {
        let stage = self.state.next_stage;
        if !matches!(&self.ready.0, Some((s, _)) if *s == stage) {
            let draws = self.setup.draws(stage)?;
            self.ready = Ready(draws.map(|d| (stage, Arc::new(d))));
        }
        Ok(())
    }

    /// Continues from a state.
    ///
    /// # Errors
    /// When the state belongs to another study, or does not fit.
    pub fn resume(&mut self, state: ControllerState) -> Result<()> {
        state.check(&self.setup)?;
        self.state = state;
        Ok(())
    }

    /// Writes the part that never changes, as JSON, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_sealed(path, &self.setup)
    }

    /// Reads what [`Controller::save`] wrote, at the start of the run.
    ///
    /// # Errors
    /// When the file is missing, damaged or of another version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::at_start(Setup::load(path.as_ref())?))
    }

    /// Writes the state, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_state(&self, path: impl AsRef<Path>) -> Result<()> {
        write_sealed(path, &self.state)
    }

    /// Continues from a state that [`Controller::save_state`] wrote; from the
    /// start where there is no such file.
    ///
    /// # Errors
    /// When the file is damaged or of another study.
    pub fn load_state(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if !path.exists() {
            return Ok(());
        }
        self.resume(ControllerState::load(path)?)
            .map_err(|e| e.in_file(path))
    }
}
