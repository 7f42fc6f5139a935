//! A run of our own training whose mixture the online controller chooses.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use regmix_data::{Mixture, Result};
use regmix_dynamic::Controller;
use regmix_model::Steer;

/// Steers one run, and records every decision of the controller with its reason.
#[derive(Debug)]
pub(super) struct SteeredRun {
    record: PathBuf,
    steps: Vec<u64>,
    fresh: Controller,
    controller: Mutex<Controller>,
}

impl SteeredRun {
    pub(super) fn new(controller: Controller, record: PathBuf) -> Self {
        Self {
            record,
            steps: controller.decision_steps().to_vec(),
            fresh: controller.clone(),
            controller: Mutex::new(controller),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Controller> {
        // A panic elsewhere cannot leave a controller half changed: it changes only
        // after an observation was accepted as a whole.
        (self.controller.lock()).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steer for SteeredRun {
    fn steps(&self) -> &[u64] {
        &self.steps
    }

    fn reset(&self) {
        self.lock().clone_from(&self.fresh);
    }

    fn observe(&self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>> {
        let mut controller = self.lock();
        let mixture = controller.observe(step, losses)?;
        controller.save_state(&self.record)?;
        Ok(mixture)
    }
}
