//! A model with its optimizer: single steps and evaluations.

use std::borrow::Cow;

use regmix_data::{Error, Result, random};
use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::device::Device;
use crate::device::failure::{Cause, Watch, catch_panics};
use crate::engine::{Engine, Parts, State};
use crate::graph::Graph;
use crate::host::Host;
use crate::optimizer::AdamWConfig;
use crate::parameters;
use crate::precision::Precision;
use crate::stack;

/// A model in training on one device.
///
/// ```
/// use regmix_model::{AdamWConfig, Device, DeviceSpec, ModelConfig, Trainer};
///
/// let config = ModelConfig { context: 8, ..ModelConfig::preset("nano", 64)? };
/// let device = Device::open(DeviceSpec::Cpu)?;
/// let mut trainer = Trainer::new(&config, AdamWConfig::default(), 1, &device)?;
/// // Two sequences of nine tokens: eight inputs, each with the token after it.
/// let batch: Vec<u32> = (0..18).map(|i| i % 7).collect();
/// let first = trainer.step(&batch, 2, 1e-2)?;
/// let second = trainer.step(&batch, 2, 1e-2)?;
/// assert!(second.loss < first.loss);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    /// `None` after the device failed.
    engine: Option<Box<dyn Engine>>,
    /// Why it failed.
    failed: Option<Cause>,
    watch: Watch,
    device: Device,
    optimizer: AdamWConfig,
    context: usize,
    vocab_size: usize,
}

/// The result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// Mean cross-entropy of the batch, nats per token, before the update.
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub gradient_norm: f64,
}

impl StepOutcome {
    /// Whether loss and gradient are finite. If not, nothing was updated.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.gradient_norm.is_finite()
    }
}

impl Trainer {
    /// A model with random weights drawn from the stream (seed, `model`,
    /// `init`): runs of one seed start from the same weights, so that what
    /// differs between them is the mixture.
    ///
    /// # Errors
    /// When the model's or the optimizer's configuration is out of range, or
    /// the device fails.
    pub fn new(
        model: &ModelConfig,
        optimizer: AdamWConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        Self::with_precision(model, optimizer, seed, device, Precision::F32)
    }

    /// As [`Trainer::new`], with a choice of precision.
    ///
    /// # Errors
    /// As [`Trainer::new`], and when the device does not have the precision
    /// ([`Device::check_precision`]).
    pub fn with_precision(
        model: &ModelConfig,
        optimizer: AdamWConfig,
        seed: u64,
        device: &Device,
        precision: Precision,
    ) -> Result<Self> {
        Self::beside_others(model, optimizer, seed, device, precision, 1)
    }

    /// As [`Trainer::with_precision`], for one of `models` models that are trained on the
    /// device at the same time. On a GPU, which a small model does not fill, models with
    /// the same configuration, precision and number of `models` are computed together: a
    /// step, and an evaluation, waits until all of them are at one. **Each must be used by
    /// a thread of its own, and dropped when it is not used any more**; such a model has
    /// no [`Trainer::step_weighted`] and [`Trainer::step_observed`].
    ///
    /// On a CPU, and for models that are large, there is no difference.
    ///
    /// # Errors
    /// As [`Trainer::with_precision`].
    pub fn beside_others(
        model: &ModelConfig,
        optimizer: AdamWConfig,
        seed: u64,
        device: &Device,
        precision: Precision,
        models: usize,
    ) -> Result<Self> {
        optimizer.check()?;
        device.check_precision(precision)?;
        let values = parameters::init(model, &mut random::stream(seed, "model", "init"))?;
        let mut watch = Watch::new();
        let engine: Box<dyn Engine> = match device.burn() {
            None => Box::new(Host::new(model, values, precision)),
            Some(burn) => {
                let together = !device.is_cpu() && stack::suits(model, models);
                let engine = watch.catch_panics(|| -> Box<dyn Engine> {
                    match together {
                        true => {
                            let stacks = device.stacks();
                            Box::new(stacks.join(model, values, precision, burn, models))
                        }
                        false => Box::new(Graph::new(model, values, precision, burn)),
                    }
                });
                engine.map_err(|failure| failure.error(device.spec()))?
            }
        };
        #[cfg(test)]
        let engine = device.faulty(engine, precision, model.context);
        Ok(Self {
            engine: Some(engine),
            failed: None,
            watch,
            device: device.clone(),
            optimizer,
            context: model.context,
            vocab_size: model.vocab_size,
        })
    }

    /// One optimizer step on sequences of `context + 1` tokens, laid end to
    /// end, in micro-batches of at most `micro_batch` sequences.
    ///
    /// # Errors
    /// When `tokens` is not a whole number of sequences, or holds an id that
    /// the model does not know. When the device fails (it has no memory left, it
    /// was lost, its back-end panicked); the trainer cannot be used afterwards.
    pub fn step(&mut self, tokens: &[u32], micro_batch: usize, lr: f64) -> Result<StepOutcome> {
        let row = self.context + 1;
        self.check(tokens)?;
        let optimizer = self.optimizer.clone();
        let chunks = tokens.chunks(micro_batch.max(1) * row);
        let parts: Vec<(&[u32], f64)> = chunks
            .map(|chunk| (chunk, chunk.len() as f64 / tokens.len() as f64))
            .collect();
        self.compute(|engine| {
            let (loss, gradient_norm) = engine.step(&parts, &optimizer, lr);
            StepOutcome {
                loss,
                gradient_norm,
            }
        })
    }

    /// As [`Trainer::step`]; `observe` is given the cross-entropy of every token before
    /// the update, in nats, `context` for each sequence.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn step_observed(
        &mut self,
        tokens: &[u32],
        mut observe: impl FnMut(&[f32]),
        micro_batch: usize,
        lr: f64,
    ) -> Result<StepOutcome> {
        let row = self.context + 1;
        self.check(tokens)?;
        let share = row as f32 / tokens.len() as f32;
        let optimizer = self.optimizer.clone();
        self.compute_parts(|engine| {
            let loss = tokens
                .chunks(micro_batch.max(1) * row)
                .fold(0.0, |sum, chunk| {
                    sum + engine.accumulate_by(chunk, &mut |losses| {
                        observe(losses);
                        vec![share; chunk.len() / row]
                    })
                });
            StepOutcome {
                loss,
                gradient_norm: engine.update(&optimizer, lr),
            }
        })
    }

    /// As [`Trainer::step`], with a weight for every sequence: the loss is the
    /// weighted sum of their mean losses. `weigh` gives the weights, from the
    /// cross-entropy of every token in nats, `context` for each sequence. A batch
    /// of at most `micro_batch` sequences has one forward pass, a larger one two.
    ///
    /// # Errors
    /// As [`Trainer::step`], those of `weigh`, and when it does not give one weight
    /// per sequence; nothing is updated then.
    pub fn step_weighted(
        &mut self,
        tokens: &[u32],
        mut weigh: impl FnMut(&[f32]) -> Result<Vec<f32>>,
        micro_batch: usize,
        lr: f64,
    ) -> Result<StepOutcome> {
        let row = self.context + 1;
        self.check(tokens)?;
        let sequences = tokens.len() / row;
        let mut weigh = |losses: &[f32]| -> Result<Vec<f32>> {
            let weights = weigh(losses)?;
            if weights.len() != sequences {
                return Err(Error::input(format!(
                    "{} weights for {sequences} sequences: expected one each",
                    weights.len()
                )));
            }
            Ok(weights)
        };
        let optimizer = self.optimizer.clone();
        let micro_batch = micro_batch.max(1);
        if sequences > micro_batch {
            let weights = weigh(&self.token_losses(tokens, micro_batch)?)?;
            return self.compute_parts(|engine| {
                let parts = (tokens.chunks(micro_batch * row)).zip(weights.chunks(micro_batch));
                let loss = parts.fold(0.0, |sum, (tokens, weights)| {
                    sum + engine.accumulate_weighted(tokens, weights)
                });
                StepOutcome {
                    loss,
                    gradient_norm: engine.update(&optimizer, lr),
                }
            });
        }
        let mut failed = None;
        let outcome = self.compute_parts(|engine| {
            let loss = engine.accumulate_by(tokens, &mut |losses| match weigh(losses) {
                Ok(weights) => weights,
                Err(e) => {
                    failed = Some(e);
                    vec![f32::NAN; sequences]
                }
            });
            StepOutcome {
                loss,
                // A gradient that is not a number updates nothing.
                gradient_norm: engine.update(&optimizer, lr),
            }
        })?;
        failed.map_or(Ok(outcome), Err)
    }

    /// Cross-entropy of every token in nats, `context` for each sequence, without
    /// updating anything. `tokens` is laid out as in [`Trainer::step`].
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn token_losses(&mut self, tokens: &[u32], micro_batch: usize) -> Result<Vec<f32>> {
        let row = self.context + 1;
        self.check(tokens)?;
        self.compute(|engine| {
            let chunks = tokens.chunks(micro_batch.max(1) * row);
            chunks
                .flat_map(|chunk| engine.token_losses(chunk))
                .collect()
        })
    }

    /// Mean cross-entropy of each sequence, nats per token, without updating
    /// anything. `tokens` is laid out as in [`Trainer::step`].
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn evaluate(&mut self, tokens: &[u32], micro_batch: usize) -> Result<Vec<f64>> {
        let row = self.context + 1;
        self.check(tokens)?;
        self.compute(|engine| {
            let chunks = tokens.chunks(micro_batch.max(1) * row);
            chunks.flat_map(|chunk| engine.losses(chunk)).collect()
        })
    }

    /// Logits of one sequence of at most `context` tokens, `[tokens][vocab]`.
    ///
    /// # Errors
    /// When the sequence is empty, too long, or holds an unknown id.
    pub fn logits(&mut self, tokens: &[u32]) -> Result<Vec<Vec<f32>>> {
        if tokens.is_empty() || tokens.len() > self.context {
            return Err(Error::input(format!(
                "{} tokens: expected 1 to {}",
                tokens.len(),
                self.context
            )));
        }
        self.check_ids(tokens)?;
        let flat = self.compute(|engine| engine.logits(tokens))?;
        Ok(flat.chunks(self.vocab_size).map(<[f32]>::to_vec).collect())
    }

    /// Whether the device failed for want of memory.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.failed == Some(Cause::Memory)
    }

    /// Everything that training is resumed from.
    pub(crate) fn state(&mut self) -> Result<Cow<'_, State>> {
        if self.device.is_host() {
            return Ok(self.engine()?.state());
        }
        self.compute(|engine| engine.state().into_owned())
            .map(Cow::Owned)
    }

    /// Resumes from a state of the same shapes.
    pub(crate) fn restore(&mut self, state: State) -> Result<()> {
        self.compute(|engine| engine.restore(state))
    }

    fn engine(&mut self) -> Result<&mut dyn Engine> {
        match &mut self.engine {
            Some(engine) => Ok(engine.as_mut()),
            None => Err(Error::failed(format!(
                "device `{}` failed in an earlier step",
                self.device.spec()
            ))
            .help("make a new trainer, on another device if necessary")),
        }
    }

    /// As [`Trainer::compute`], for steps whose parts are computed one by one.
    fn compute_parts<T>(&mut self, work: impl FnOnce(&mut dyn Parts) -> T) -> Result<T> {
        let done = self.compute(|engine| engine.parts().map(work))?;
        done.ok_or_else(|| {
            Error::input("a model that is computed together with others has no weighted steps")
                .help("make a trainer for it with `Trainer::with_precision`")
        })
    }

    /// Runs work on the engine. A panic of burn's back-ends becomes an error; a
    /// panic on the CPU is a mistake of this crate and remains a panic.
    fn compute<T>(&mut self, work: impl FnOnce(&mut dyn Engine) -> T) -> Result<T> {
        let host = self.device.is_host();
        if host {
            return Ok(work(self.engine()?));
        }
        self.engine()?;
        let engine = self.engine.as_mut().expect("it was there just now");
        match self.watch.catch_panics(|| work(engine.as_mut())) {
            Ok(done) => Ok(done),
            Err(failure) => {
                // Dropping tensors of a device that failed may panic.
                let engine = self.engine.take();
                catch_panics(|| drop(engine)).ok();
                self.failed = Some(failure.cause());
                Err(failure.error(self.device.spec()))
            }
        }
    }

    fn check(&self, tokens: &[u32]) -> Result<()> {
        let row = self.context + 1;
        if tokens.is_empty() || !tokens.len().is_multiple_of(row) {
            return Err(Error::input(format!(
                "{} tokens: expected a whole number of sequences of {row}",
                tokens.len()
            )));
        }
        self.check_ids(tokens)
    }

    /// Checked here, since back-ends differ in what they do with an id outside
    /// the embedding.
    fn check_ids(&self, tokens: &[u32]) -> Result<()> {
        match tokens.iter().find(|&&t| t as usize >= self.vocab_size) {
            None => Ok(()),
            Some(id) => Err(Error::input(format!(
                "token {id}, expected below the model's vocabulary of {}",
                self.vocab_size
            ))),
        }
    }
}
