//! A run of our own training whose mixture ODM, ADO or Aioli chooses.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use regmix_data::{DomainSet, Error, Mixture, Result};
use regmix_dynamic::peers::Peer;
use regmix_model::{FinishedRun, Steer, training_losses};
use regmix_regress::Constraints;

/// Steers one run by the training losses of every step, or by validation losses at the steps
/// that the method names.
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

    fn lock(&self) -> MutexGuard<'_, Peer> {
        // What a panic left half changed is replaced when the run is opened.
        self.peer.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut before = 0;
        let mut add = |step: u64, mixture: &Mixture| {
            for (sum, weight) in sum.iter_mut().zip(mixture.weights()) {
                *sum += (step - before) as f64 * weight;
            }
            before = step;
        };
        let (taken, last) = taken(&peer, folder)?;
        for (step, losses) in taken {
            add(step, &mixture);
            mixture = peer.observe(step, &losses, &limit)?;
        }
        add(last, &mixture);
    }
    Mixture::normalized(domains.clone(), sum)
}

/// Losses of domains at steps.
type Taken = Vec<(u64, Vec<Option<f64>>)>;

/// The losses that a method took in a finished run, and the last step of the run.
fn taken(peer: &Peer, folder: &Path) -> Result<(Taken, u64)> {
    let domains = peer.first().domains();
    let Some(steps) = peer.steps() else {
        let losses = training_losses(folder, domains)?;
        let last = losses.len() as u64;
        return Ok(((1..).zip(losses).collect(), last));
    };
    let gone = || Error::failed("a finished run is gone").in_file(folder);
    let run = FinishedRun::read(folder)?.ok_or_else(gone)?;
    let last = run.lines.last().map_or(0, |line| line.step);
    let due = (run.lines.iter()).filter(|line| steps.binary_search(&line.step).is_ok());
    let taken = due.map(|line| (line.step, in_order(&line.loss, domains)));
    Ok((taken.collect(), last))
}

/// Losses in the order of the domains.
fn in_order(losses: &BTreeMap<String, f64>, domains: &DomainSet) -> Vec<Option<f64>> {
    domains
        .names()
        .map(|name| losses.get(name).copied())
        .collect()
}

impl Steer for PeerRun {
    fn steps(&self) -> &[u64] {
        self.fresh.steps().unwrap_or_default()
    }

    fn reset(&self) {
        *self.lock() = self.fresh.clone();
    }

    fn observe(&self, step: u64, losses: &BTreeMap<String, f64>) -> Result<Option<Mixture>> {
        // Losses are measured at other steps as well.
        if self.steps().binary_search(&step).is_err() {
            return Ok(None);
        }
        let losses = in_order(losses, self.fresh.first().domains());
        self.after(step, &losses).map(Some)
    }

    fn takes_steps(&self) -> bool {
        self.fresh.steps().is_none()
    }

    fn after_step(&self, step: u64, losses: &[Option<f64>]) -> Result<Option<Mixture>> {
        self.after(step, losses).map(Some)
    }
}

impl PeerRun {
    fn after(&self, step: u64, losses: &[Option<f64>]) -> Result<Mixture> {
        let limit = |weights: &[f64]| self.limits.project(weights);
        self.lock().observe(step, losses, &limit)
    }
}
