//! A model with its optimizer: one step, one evaluation.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device as BurnDevice, Int, Tensor, TensorData};
use regmix_data::{Error, Result, random};

use crate::config::ModelConfig;
use crate::device::Device;
use crate::llama::{Llama, Tables};
use crate::loss::{cross_entropy, cross_entropy_rows};
use crate::optimizer::{AdamW, AdamWConfig};

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
    pub(crate) model: Llama,
    pub(crate) adam: AdamW,
    optimizer: AdamWConfig,
    pub(crate) tables: Tables,
    context: usize,
    vocab_size: usize,
    autodiff: BurnDevice,
    plain: BurnDevice,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// Mean cross-entropy of the batch, nats per token, before the update.
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub gradient_norm: f64,
}

impl StepOutcome {
    /// Whether loss and gradient are numbers. If not, nothing was updated.
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
    /// When the model's or the optimizer's configuration is out of range.
    pub fn new(
        model: &ModelConfig,
        optimizer: AdamWConfig,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        optimizer.check()?;
        let plain = device.burn().clone().inner();
        let autodiff = plain.clone().autodiff();
        let llama = Llama::init(model, &mut random::stream(seed, "model", "init"), &autodiff)?;
        Ok(Self {
            tables: llama.tables(model.context, &plain),
            model: llama,
            adam: AdamW::default(),
            optimizer,
            context: model.context,
            vocab_size: model.vocab_size,
            autodiff,
            plain,
        })
    }

    /// One optimizer step on sequences of `context + 1` tokens, laid end to
    /// end, in micro-batches of at most `micro_batch` sequences.
    ///
    /// # Errors
    /// When `tokens` is not a whole number of sequences, or holds an id that
    /// the model does not know.
    pub fn step(&mut self, tokens: &[u32], micro_batch: usize, lr: f64) -> Result<StepOutcome> {
        let row = self.context + 1;
        self.check(tokens)?;
        let sequences = tokens.len() / row;
        let tables = self.tables.on(&self.autodiff);
        let mut accumulator = GradientsAccumulator::new();
        let mut loss = 0.0;
        for chunk in tokens.chunks(micro_batch.max(1) * row) {
            let (inputs, targets) = self.split(chunk, &self.autodiff);
            let logits = self.model.forward(inputs, &tables);
            let share = (chunk.len() / row) as f64 / sequences as f64;
            let ce = cross_entropy(logits, targets.inner());
            loss += share * f64::from(ce.value.into_scalar::<f32>());
            let surrogate = if share < 1.0 {
                ce.surrogate.mul_scalar(share)
            } else {
                ce.surrogate
            };
            let gradients = GradientsParams::from_grads(surrogate.backward(), &self.model);
            accumulator.accumulate(&self.model, gradients);
        }
        let gradients = accumulator.grads();
        // The model is moved through the update and put back.
        let model = self.model.clone();
        let (model, gradient_norm) = self.adam.step(&self.optimizer, lr, model, gradients);
        self.model = model;
        Ok(StepOutcome {
            loss,
            gradient_norm,
        })
    }

    /// Mean cross-entropy of each sequence, nats per token, without updating
    /// anything. `tokens` is laid out as in [`Trainer::step`].
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn evaluate(&self, tokens: &[u32], micro_batch: usize) -> Result<Vec<f64>> {
        let row = self.context + 1;
        self.check(tokens)?;
        let model = self.model.valid();
        let mut losses = Vec::with_capacity(tokens.len() / row);
        for chunk in tokens.chunks(micro_batch.max(1) * row) {
            let (inputs, targets) = self.split(chunk, &self.plain);
            let logits = model.forward(inputs, &self.tables);
            let rows = cross_entropy_rows(logits, targets).into_data();
            let rows: Vec<f32> = rows.iter::<f32>().collect();
            losses.extend(rows.chunks(self.context).map(|sequence| {
                sequence.iter().map(|&l| f64::from(l)).sum::<f64>() / sequence.len() as f64
            }));
        }
        Ok(losses)
    }

    /// Logits of one sequence of at most `context` tokens, `[tokens][vocab]`.
    ///
    /// # Errors
    /// When the sequence is empty, too long, or holds an unknown id.
    pub fn logits(&self, tokens: &[u32]) -> Result<Vec<Vec<f32>>> {
        if tokens.is_empty() || tokens.len() > self.context {
            return Err(Error::input(format!(
                "{} tokens: expected 1 to {}",
                tokens.len(),
                self.context
            )));
        }
        self.check_ids(tokens)?;
        let ids: Vec<i32> = tokens.iter().map(|&t| t as i32).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [1, tokens.len()]), &self.plain);
        let model = self.model.valid();
        let tables = model.tables(tokens.len(), &self.plain);
        let data = model.forward(ids, &tables).into_data();
        let flat: Vec<f32> = data.iter::<f32>().collect();
        Ok(flat.chunks(self.vocab_size).map(<[f32]>::to_vec).collect())
    }

    pub(crate) fn device(&self) -> &BurnDevice {
        &self.autodiff
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

    /// Back-ends differ in what they do with an id outside the embedding;
    /// none of it is good.
    fn check_ids(&self, tokens: &[u32]) -> Result<()> {
        match tokens.iter().find(|&&t| t as usize >= self.vocab_size) {
            None => Ok(()),
            Some(id) => Err(Error::input(format!(
                "token {id}, expected below the model's vocabulary of {}",
                self.vocab_size
            ))),
        }
    }

    pub(crate) fn split(
        &self,
        chunk: &[u32],
        device: &BurnDevice,
    ) -> (Tensor<2, Int>, Tensor<1, Int>) {
        let row = self.context + 1;
        let rows = chunk.len() / row;
        let mut inputs: Vec<i32> = Vec::with_capacity(rows * self.context);
        let mut targets: Vec<i32> = Vec::with_capacity(rows * self.context);
        for sequence in chunk.chunks_exact(row) {
            inputs.extend(sequence[..self.context].iter().map(|&t| t as i32));
            targets.extend(sequence[1..].iter().map(|&t| t as i32));
        }
        let inputs = TensorData::new(inputs, [rows, self.context]);
        let targets = TensorData::new(targets, [rows * self.context]);
        (
            Tensor::from_data(inputs, device),
            Tensor::from_data(targets, device),
        )
    }
}
