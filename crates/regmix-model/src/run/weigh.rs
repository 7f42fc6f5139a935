//! Runs whose sequences do not all count alike.

use std::path::Path;

use regmix_data::{Loader, Monitor, Result};

use super::spec::RunSpec;
use crate::device::Device;
use crate::trainer::{StepOutcome, Trainer};

/// A run that is opened, to train from a step on.
pub struct Opened<'a> {
    /// The run.
    pub spec: &'a RunSpec,
    /// Its folder.
    pub folder: &'a Path,
    /// Steps that were made.
    pub step: u64,
    /// The sequences that it is trained on.
    pub loader: &'a mut Loader,
    /// Where it is trained.
    pub device: &'a Device,
    /// Sequences that are computed at once.
    pub micro_batch: usize,
    /// Is asked whether to stop.
    pub monitor: &'a dyn Monitor,
}

/// A batch of a run.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The step, counted from 0.
    pub step: u64,
    /// Sequences of `context + 1` tokens, end to end.
    pub tokens: &'a [u32],
    /// Where each sequence comes from.
    pub places: &'a [regmix_data::Place],
    /// Sequences to compute at once.
    pub micro_batch: usize,
    /// The learning rate.
    pub lr: f64,
}

/// Makes the steps of a run, with weights of sequences that it chooses.
///
/// The same batches must give the same steps. What it keeps between steps it
/// keeps in the run's folder, so that [`Weigh::open`] can continue from there.
pub trait Weigh: std::fmt::Debug + Send + Sync {
    /// Prepares for the step after `run.step`. Called whenever the run is opened.
    ///
    /// # Errors
    /// When it cannot continue from there, or the monitor asks to stop.
    fn open(&self, run: Opened<'_>) -> Result<()>;

    /// Makes one step.
    ///
    /// # Errors
    /// When the device fails, or a file cannot be written.
    fn step(&self, trainer: &mut Trainer, batch: Batch<'_>) -> Result<StepOutcome>;

    /// Makes what it wrote last; a checkpoint is saved next.
    ///
    /// # Errors
    /// When a file cannot be written.
    fn sync(&self) -> Result<()>;
}
