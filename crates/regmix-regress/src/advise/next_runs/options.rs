//! How to choose the next runs.

use regmix_data::{Error, Result};

use crate::constraints::Constraints;
use crate::objective::Objective;

/// How to choose the next runs.
///
/// | field | default | range |
/// |---|---|---|
/// | `runs` | 16 | 1 or more: how many to propose |
/// | `objective` | mean of all targets | targets of the fit |
/// | `constraints` | none | feasible |
/// | `candidates` | 4096 | `runs` to 100 000: mixtures to choose from, where no pool is given |
/// | `explore` | 0.5 | 0 to 1: share of candidates drawn widely, the others near the optimum |
/// | `apart` | 0.02 | 0 to below 1: least total variation between any two runs, old or new |
/// | `seed` | 0 | any: draws and fits |
#[derive(Debug, Clone, PartialEq)]
pub struct NextOptions {
    /// How many runs to propose.
    pub runs: usize,
    /// What is to be minimised in the end.
    pub objective: Objective,
    /// Floors, caps and limits of groups.
    pub constraints: Option<Constraints>,
    /// Mixtures to choose from.
    pub candidates: usize,
    /// Share of candidates drawn widely.
    pub explore: f64,
    /// Least total variation between any two runs.
    pub apart: f64,
    /// Seed of draws and fits.
    pub seed: u64,
}

impl Default for NextOptions {
    fn default() -> Self {
        Self {
            runs: 16,
            objective: Objective::Mean,
            constraints: None,
            candidates: 4096,
            explore: 0.5,
            apart: 0.02,
            seed: 0,
        }
    }
}

/// The most candidates: their covariance with the runs is held in memory.
const MAX_CANDIDATES: usize = 100_000;

impl NextOptions {
    pub(super) fn check(&self) -> Result<()> {
        if self.runs == 0 {
            return Err(Error::input("0 runs, expected at least 1").field("runs"));
        }
        if !(self.runs..=MAX_CANDIDATES).contains(&self.candidates) {
            return Err(Error::input(format!(
                "{} candidates, expected at least as many as runs ({}) and at most \
                 {MAX_CANDIDATES}",
                self.candidates, self.runs
            ))
            .field("candidates"));
        }
        if !(0.0..=1.0).contains(&self.explore) {
            return Err(Error::input(format!(
                "{}, expected a share between 0 and 1",
                self.explore
            ))
            .field("explore"));
        }
        if !(0.0..1.0).contains(&self.apart) {
            return Err(Error::input(format!(
                "{}, expected a total variation of at least 0 and below 1",
                self.apart
            ))
            .field("apart"));
        }
        Ok(())
    }
}
