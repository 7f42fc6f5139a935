//! The training losses of every step by domain, for steering that takes them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Loader, Place, Result};

use super::journal::{Entry, Journal, each_line};
use super::spec::RunSpec;
use super::steer::{Steer, change};

const FILE: &str = "steps.jsonl";

/// One step.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    step: u64,
    /// Mean losses by domain; `None` where the batch held nothing of it.
    losses: Vec<Option<f64>>,
}

impl Entry for Line {
    fn step(&self) -> u64 {
        self.step
    }

    fn problem(&self, domains: usize) -> Option<String> {
        let mut known = self.losses.iter().flatten();
        let whole = self.losses.len() == domains && known.all(|loss| loss.is_finite());
        (!whole).then(|| format!("expected {domains} losses"))
    }
}

/// The mean training losses of every step of a run that was steered by them, by domain in
/// the order of the corpus; `None` where a batch held nothing of a domain.
///
/// # Errors
/// When they are missing or damaged.
pub fn training_losses(folder: &Path, domains: &DomainSet) -> Result<Vec<Vec<Option<f64>>>> {
    let mut out = Vec::new();
    each_line(&folder.join(FILE), domains.len(), |line: Line, _| {
        out.push(line.losses);
        Ok(true)
    })?;
    Ok(out)
}

/// Passes them to the steering, and its mixtures to the loader.
pub(super) struct StepLosses {
    journal: Journal,
    domains: usize,
}

impl StepLosses {
    /// Opens the record of a run that continues after `step` steps, and repeats what was
    /// seen up to there.
    pub(super) fn resume(
        folder: &Path,
        step: u64,
        steering: &dyn Steer,
        spec: &RunSpec,
        loader: &mut Loader,
    ) -> Result<Self> {
        let domains = loader.sequences_per_epoch().len();
        let repeat = |line: Line| match steering.after_step(line.step, &line.losses)? {
            Some(mixture) => change(line.step, mixture, spec, loader),
            None => Ok(()),
        };
        Ok(Self {
            journal: Journal::resume(folder.join(FILE), step, domains, repeat)?,
            domains,
        })
    }

    /// Means over the sequences of each domain of a batch; `losses` are of tokens, as many
    /// for each of the places.
    pub(super) fn by_domain(&self, losses: &[f32], places: &[Place]) -> Vec<Option<f64>> {
        let context = losses.len() / places.len().max(1);
        let mut sums = vec![(0.0, 0.0); self.domains];
        for (place, own) in places.iter().zip(losses.chunks(context.max(1))) {
            let (sum, tokens) = &mut sums[place.domain];
            *sum += own.iter().map(|loss| f64::from(*loss)).sum::<f64>();
            *tokens += own.len() as f64;
        }
        (sums.into_iter())
            .map(|(sum, tokens)| (tokens > 0.0).then(|| sum / tokens))
            .collect()
    }

    /// Records a step and follows it.
    pub(super) fn add(
        &mut self,
        step: u64,
        losses: Vec<Option<f64>>,
        steering: &dyn Steer,
        spec: &RunSpec,
        loader: &mut Loader,
    ) -> Result<()> {
        let line = Line { step, losses };
        self.journal.add(&line)?;
        match steering.after_step(step, &line.losses)? {
            Some(mixture) => change(step, mixture, spec, loader),
            None => Ok(()),
        }
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        self.journal.sync()
    }
}
