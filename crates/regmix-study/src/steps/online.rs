//! The online controller at the wheel of our own training.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use regmix_data::{Mixture, Result};
use regmix_dynamic::Controller;
use regmix_model::Steer;

/// Steers one run, and keeps a record of what it decided, and why.
#[derive(Debug)]
pub(super) struct Online {
    record: PathBuf,
    steps: Vec<u64>,
    fresh: Controller,
    controller: Mutex<Controller>,
}

impl Online {
    pub(super) fn new(controller: Controller, record: PathBuf) -> Self {
        Self {
            record,
            steps: controller.decision_steps().to_vec(),
            fresh: controller.clone(),
            controller: Mutex::new(controller),
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
        let mut controller = self.lock();
        let mixture = controller.observe(step, losses)?;
        controller.save_state(&self.record)?;
        Ok(mixture)
    }
}
