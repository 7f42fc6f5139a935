//! A run of our own training whose mixture ODM or ADO chooses.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use regmix_data::{Mixture, Result};
use regmix_dynamic::peers::Peer;
use regmix_model::{Steer, training_losses};
use regmix_regress::Constraints;

/// Steers one run by the training losses of every step.
#[derive(Debug)]
pub(super) struct PeerRun {
    fresh: Peer,
    peer: Mutex<Peer>,
    limits: Constraints,
}

impl PeerRun {
    pub(super) fn new(peer: Peer, limits: Constraints) -> Self {
        Self {
            fresh: peer.clone(),
            peer: Mutex::new(peer),
            limits,
        }
    }
}

/// The mean over all steps of what a method chose, in the finished runs of some folders.
pub(super) fn mean_mixture<'a>(
    peer: &Peer,
    limits: &Constraints,
    folders: impl IntoIterator<Item = &'a Path>,
) -> Result<Mixture> {
    let domains = peer.first().domains();
    let limit = |weights: &[f64]| limits.project(weights);
    let mut sum = vec![0.0; domains.len()];
    for folder in folders {
        let mut peer = peer.clone();
        let mut mixture = peer.first().clone();
        for (step, losses) in (1..).zip(training_losses(folder, domains)?) {
            for (sum, weight) in sum.iter_mut().zip(mixture.weights()) {
                *sum += weight;
            }
            mixture = peer.observe(step, &losses, &limit)?;
        }
    }
    Mixture::normalized(domains.clone(), sum)
}

impl Steer for PeerRun {
    fn steps(&self) -> &[u64] {
        &[]
    }

    fn reset(&self) {
        // What a panic left half changed is replaced.
        *self.peer.lock().unwrap_or_else(PoisonError::into_inner) = self.fresh.clone();
    }

    fn observe(&self, _step: u64, _losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>> {
        Ok(None)
    }

    fn takes_steps(&self) -> bool {
        true
    }

    fn after_step(&self, step: u64, losses: &[Option<f64>]) -> Result<Option<Mixture>> {
        let mut peer = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = |weights: &[f64]| self.limits.project(weights);
        peer.observe(step, losses, &limit).map(Some)
    }
}
