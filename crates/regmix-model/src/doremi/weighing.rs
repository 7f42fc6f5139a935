//! The proxy's steps.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use regmix_data::{Error, Result};

use super::group_dro::{DoremiOptions, GroupDro};
use super::record::Record;
use super::reference::ReferenceLosses;
use crate::run::{Batch, FinishedRun, Opened, TrainedModel, Weigh, stored_spec};
use crate::trainer::{StepOutcome, Trainer};

/// Weighs the domains of a proxy as DoReMi does; see the
/// [module](crate::doremi).
#[derive(Debug)]
pub struct Doremi {
    options: DoremiOptions,
    /// The folder of the reference's run.
    reference: PathBuf,
    active: Mutex<Option<Active>>,
}

/// A run in progress.
#[derive(Debug)]
struct Active {
    dro: GroupDro,
    losses: ReferenceLosses,
    record: Record,
    /// The share with which sequences of each domain are drawn.
    drawn: Vec<f64>,
    context: usize,
}

impl Doremi {
    /// For a proxy whose reference is the finished run in a folder, with its
    /// weights kept.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(reference: impl Into<PathBuf>, options: DoremiOptions) -> Result<Self> {
        options.check()?;
        Ok(Self {
            options,
            reference: reference.into(),
            active: Mutex::new(None),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Active>> {
        // A step that failed ends the run; the next one opens it again.
        (self.active.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    /// The fingerprint of the reference's run, which must be finished and of the
    /// same tokens.
    fn check_reference(&self, run: &Opened<'_>) -> Result<String> {
        let folder = &self.reference;
        let Some(finished) = FinishedRun::read(folder)? else {
            return Err(
                Error::input("the run of the reference model is not finished")
                    .in_file(folder)
                    .help("train it first"),
            );
        };
        let spec =
            stored_spec(folder)?.ok_or_else(|| Error::input("no `run.toml`").in_file(folder))?;
        let (own, other) = (run.spec, &spec);
        if own.corpus != other.corpus || own.model.context != other.model.context {
            return Err(Error::input(format!(
                "the reference model was trained on other tokens or sequences of another length \
                 ({} tokens): expected those of run `{}` ({})",
                other.model.context, own.run, own.model.context
            ))
            .in_file(folder));
        }
        Ok(finished.summary.fingerprint)
    }
}

impl Weigh for Doremi {
    fn open(&self, mut run: Opened<'_>) -> Result<()> {
        let fingerprint = self.check_reference(&run)?;
        let device = run.device;
        let losses = ReferenceLosses::prepare(&mut run, &fingerprint, || {
            TrainedModel::of_run(&self.reference)?.trainer(device)
        })?;
        let drawn = run.spec.mixture.weights().to_vec();
        let mut dro = GroupDro::new(drawn.len(), self.options);
        *self.lock() = Some(Active {
            record: Record::resume(run.folder, run.step, &mut dro)?,
            dro,
            losses,
            drawn,
            context: run.spec.model.context,
        });
        Ok(())
    }

    fn step(&self, trainer: &mut Trainer, batch: Batch<'_>) -> Result<StepOutcome> {
        let mut active = self.lock();
        let active = active
            .as_mut()
            .ok_or_else(|| Error::failed("the run is not open"))?;
        let weigh = |losses: &[f32]| active.weights(&batch, losses);
        trainer.step_weighted(batch.tokens, weigh, batch.micro_batch, batch.lr)
    }

    fn sync(&self) -> Result<()> {
        match self.lock().as_mut() {
            Some(active) => active.record.sync(),
            None => Ok(()),
        }
    }
}

impl Active {
    /// Updates the weights of domains, and gives those of the batch's sequences.
    fn weights(&mut self, batch: &Batch<'_>, losses: &[f32]) -> Result<Vec<f32>> {
        let reference = self.losses.of(batch.places)?;
        self.dro.update(&self.excess(batch, losses, &reference));
        self.record.add(batch.step + 1, &self.dro)?;
        let weights = self.dro.weights();
        let by_sequence: Vec<f64> = (batch.places.iter())
            .map(|place| weights[place.domain] / self.drawn[place.domain])
            .collect();
        let total: f64 = by_sequence.iter().sum();
        Ok(by_sequence.iter().map(|w| (w / total) as f32).collect())
    }

    /// By domain: the mean over its tokens of the loss above the reference's, or 0
    /// where it is below.
    fn excess(&self, batch: &Batch<'_>, losses: &[f32], reference: &[f32]) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0.0); self.drawn.len()];
        let rows = (losses.chunks(self.context)).zip(reference.chunks(self.context));
        for (place, (own, reference)) in batch.places.iter().zip(rows) {
            let above = (own.iter().zip(reference)).map(|(own, r)| f64::from((own - r).max(0.0)));
            let (sum, tokens) = &mut sums[place.domain];
            *sum += above.sum::<f64>();
            *tokens += own.len() as f64;
        }
        (sums.into_iter())
            .map(|(sum, tokens)| (tokens > 0.0).then(|| sum / tokens))
            .collect()
    }
}
