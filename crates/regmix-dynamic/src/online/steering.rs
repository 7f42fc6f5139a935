//! What chooses the mixtures of a run that reports its losses.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use regmix_data::{Mixture, Result};
use serde::Serialize;

use super::{Controller, ControllerState};

/// What chooses the mixtures of a run that reports its losses, for
/// [`protocol::answer`](super::protocol::answer) and the server of `http`: a [`Controller`],
/// or a [`PeerController`](crate::peers::PeerController).
pub trait Steering: Clone + Debug + Send + 'static {
    /// What changes with observations.
    type State: Clone + PartialEq + Serialize;

    /// Takes losses of the run, by domain in nats per token; NaN where there is none. Returns
    /// the mixture to switch to, or none if the one in force stays.
    ///
    /// # Errors
    /// When the observation is refused: the mixture in force stays.
    fn observe(&mut self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>>;

    /// The mixture in force.
    fn mixture(&self) -> &Mixture;

    /// The state of the run.
    fn state(&self) -> &Self::State;

    /// Goes back to a state that it had.
    fn restore(&mut self, state: Self::State);

    /// The last step that was observed.
    fn last_step(&self) -> Option<u64>;

    /// The steps at which decisions are due; `None` where every step is one.
    fn decision_steps(&self) -> Option<&[u64]>;

    /// The names of the losses that it knows.
    fn losses(&self) -> Vec<&str>;

    /// Writes the state, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn save_state(&self, path: &Path) -> Result<()>;

    /// Continues from a state that was written; from the start where there is no such file.
    ///
    /// # Errors
    /// When the file is damaged or of another run.
    fn load_state(&mut self, path: &Path) -> Result<()>;

    /// Does beforehand what the next decision needs, to save time then. Changes no result.
    ///
    /// # Errors
    /// When the decision cannot be made.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// Takes what a copy has prepared.
    fn take_prepared(&mut self, _copy: Self) {}
}

impl Steering for Controller {
    type State = ControllerState;

    fn observe(&mut self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>> {
        Self::observe(self, step, losses)
    }

    fn mixture(&self) -> &Mixture {
        Self::mixture(self)
    }

    fn state(&self) -> &ControllerState {
        Self::state(self)
    }

    fn restore(&mut self, state: ControllerState) {
        self.state = state;
    }

    fn last_step(&self) -> Option<u64> {
        self.state.last_step
    }

    fn decision_steps(&self) -> Option<&[u64]> {
        Some(Self::decision_steps(self))
    }

    fn losses(&self) -> Vec<&str> {
        Self::losses(self).iter().map(String::as_str).collect()
    }

    fn save_state(&self, path: &Path) -> Result<()> {
        Self::save_state(self, path)
    }

    fn load_state(&mut self, path: &Path) -> Result<()> {
        Self::load_state(self, path)
    }

    fn prepare(&mut self) -> Result<()> {
        Self::prepare(self)
    }

    fn take_prepared(&mut self, copy: Self) {
        self.ready = copy.ready;
    }
}
