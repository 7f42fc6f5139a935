//! The online controller at the wheel of our own training.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use regmix_data::{Mixture, Result};
use regmix_dynamic::Controller;
use regmix_model::Steer;

/// Steers one run.
#[derive(Debug)]
pub(super) struct Online {
    steps: Vec<u64>,
    fresh: Controller,
    controller: Mutex<Controller>,
}

impl Online {
    pub(super) fn new(controller: Controller) -> Self {
        Self {
            steps: controller.decision_steps().to_vec(),
            fresh: controller.clone(),
            controller: Mutex::new(controller),
        }
    }

    /// Writes what it decided, and why; nothing where it has not run.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let controller = self.lock();
        match controller.state().last_step() {
            Some(_) => controller.save_state(path),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Controller> {
        // A controller changes only when an observation was taken whole.
        (self.controller.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steer for Online {
    fn steps(&self) -> &[u64] {
        &self.steps
    }

    fn reset(&self) {
        self.lock().clone_from(&self.fresh);
    }

    fn observe(&self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>> {
        self.lock().observe(step, losses)
    }
}
