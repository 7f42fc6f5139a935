//! The weights of every step, in the proxy's folder.

use std::path::Path;

use regmix_data::{DomainSet, Error, Mixture, Result};
use serde::{Deserialize, Serialize};

use super::group_dro::{DoremiOptions, GroupDro};
use crate::run::{Entry, Journal, each_line};

const FILE: &str = "doremi.jsonl";

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    step: u64,
    /// Weights after the step's batch.
    weights: Vec<f64>,
    /// Excess losses that gave them.
    excess: Vec<f64>,
}

impl Entry for Line {
    fn step(&self) -> u64 {
        self.step
    }

    fn problem(&self, domains: usize) -> Option<String> {
        let sound = |values: &[f64]| {
            values.len() == domains && values.iter().all(|v| v.is_finite() && *v >= 0.0)
        };
        let whole = sound(&self.weights) && sound(&self.excess);
        (!whole).then(|| format!("expected {domains} weights and excess losses, none below 0"))
    }
}

/// Writes a line after each step.
#[derive(Debug)]
pub(super) struct Record(Journal);

impl Record {
    /// Opens the record of a run that continues after `step` steps, and brings
    /// `dro` to where it was then. Later lines are removed.
    ///
    /// # Errors
    /// When lines up to there are missing or damaged.
    pub(super) fn resume(folder: &Path, step: u64, dro: &mut GroupDro) -> Result<Self> {
        let domains = dro.weights().len();
        let repeat = |line: Line| {
            dro.repeat(&line.weights, &line.excess);
            Ok(())
        };
        Journal::resume(folder.join(FILE), step, domains, repeat).map(Self)
    }

    pub(super) fn add(&mut self, step: u64, dro: &GroupDro) -> Result<()> {
        self.0.add(&Line {
            step,
            weights: dro.weights().to_vec(),
            excess: dro.excess().to_vec(),
        })
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        self.0.sync()
    }
}

/// What a DoReMi proxy found.
#[derive(Debug, Clone, PartialEq)]
pub struct DoremiResult {
    /// The mean of the weights over all steps: DoReMi's mixture.
    pub mixture: Mixture,
    /// The weights after the last step.
    pub last: Mixture,
    /// Steps.
    pub steps: u64,
}

impl DoremiResult {
    /// A weight that one domain must exceed for the weights to have collapsed.
    const COLLAPSED: f64 = 0.9;

    /// Reads the weights that a run left in its folder.
    ///
    /// # Errors
    /// When they are missing, damaged, or over another number of domains.
    pub fn read(folder: &Path, domains: &DomainSet) -> Result<Self> {
        let mut dro = GroupDro::new(domains.len(), DoremiOptions::default());
        let steps = each_line(&folder.join(FILE), domains.len(), |line: Line, _| {
            dro.repeat(&line.weights, &line.excess);
            Ok(true)
        })?;
        if steps == 0 {
            return Err(
                Error::input("no step: expected one line for each").in_file(folder.join(FILE))
            );
        }
        Ok(Self {
            mixture: Mixture::normalized(domains.clone(), dro.mean())?,
            last: Mixture::normalized(domains.clone(), dro.weights().to_vec())?,
            steps,
        })
    }

    /// The domain that has nearly all of the weight in the mixture or at the end,
    /// if one has: such a result is of little use. The natural mixture for the
    /// reference, larger batches and a smaller step size help against it.
    pub fn collapsed(&self) -> Option<&str> {
        [&self.mixture, &self.last].into_iter().find_map(|mixture| {
            let most = mixture.iter().find(|(_, w)| *w > Self::COLLAPSED);
            most.map(|(domain, _)| domain.as_str())
        })
    }
}
