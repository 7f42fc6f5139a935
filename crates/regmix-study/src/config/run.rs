//! `[proxy]` and `[target]`.

use std::path::PathBuf;

use regmix_data::{Error, Result};
use regmix_model::{AdamWConfig, LearningRateSchedule, ModelConfig, Precision, TrainConfig};
use serde::{Deserialize, Serialize};

/// `[proxy]` and `[target]`: a model and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSection {
    /// A preset of [`ModelConfig`].
    pub preset: String,
    /// Transformer blocks, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// Width, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_model: Option<usize>,
    /// Heads, instead of the preset's; key and value heads follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Key and value heads, instead of as many as heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// Inner width of the feed-forward layer, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_ff: Option<usize>,
    /// Length of a sequence in tokens, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Model vocabulary, instead of the tokenizer's rounded up to 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// Whether the output layer shares the embedding.
    #[serde(default)]
    pub tied: bool,
    /// Base of the rotary positions, instead of 10000; for `from` a model that has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_base: Option<f32>,
    /// Added to the mean square in RMSNorm, instead of 1e-5; for `from` a model that has
    /// another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm_eps: Option<f32>,
    /// In `[proxy]`: whether every domain is cut, the same for all models of a seed, so
    /// that a proxy sees a domain's text as often as the target would at the same weight
    /// (arXiv 2606.07597). Without it, a proxy sees text once that the target repeats.
    /// See [`StudyConfig::text_share`](super::StudyConfig::text_share).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub match_epochs: bool,
    /// What these models start from, in place of random weights: the folder of a finished
    /// run with kept weights, or of a Llama model in Hugging Face's layout; relative to the
    /// study.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Optimizer steps.
    pub steps: u64,
    /// Sequences per step.
    pub batch_size: usize,
    /// Sequences per forward pass; the whole batch if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// Peak learning rate.
    pub lr: f64,
    /// Learning rate at the end of a cosine.
    #[serde(default)]
    pub min_lr: f64,
    /// Steps of warm-up.
    #[serde(default)]
    pub warmup: u64,
    /// `constant` or `cosine`.
    #[serde(default)]
    pub schedule: LearningRateSchedule,
    /// AdamW and clipping.
    #[serde(default)]
    pub optimizer: AdamWConfig,
    /// Evaluations along the run; the last step is always one.
    #[serde(default = "default_evaluations")]
    pub evaluations: u64,
    /// Validation sequences per domain. One costs about 0.35 of a training
    /// sequence, so that all evaluations take `0.35 * domains * eval_sequences *
    /// evaluations / (steps * batch_size)` of the time of training; the
    /// default stays below 1 % for 17 domains, an evaluation every 100 steps
    /// and 512 sequences a step. `metrics.jsonl` has the share of each run.
    #[serde(default = "default_eval_sequences")]
    pub eval_sequences: usize,
    /// Steps between checkpoints; 0 for none but on interruption.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// Whether the weights of finished runs are kept.
    #[serde(default)]
    pub keep_weights: bool,
    /// `f32` or `bf16`: what matrix products are computed in.
    #[serde(default, skip_serializing_if = "is_f32")]
    pub precision: Precision,
}

// Serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

/// The ends of a first segment and five stages (`[dynamic]`).
fn default_evaluations() -> u64 {
    6
}

fn default_eval_sequences() -> usize {
    32
}

fn default_checkpoint_every() -> u64 {
    100
}

impl RunSection {
    /// The default proxy.
    pub fn proxy() -> Self {
        Self {
            preset: "nano".to_owned(),
            layers: None,
            d_model: None,
            heads: None,
            kv_heads: None,
            d_ff: None,
            context: None,
            vocab_size: None,
            tied: false,
            rope_base: None,
            norm_eps: None,
            match_epochs: false,
            from: None,
            steps: 200,
            batch_size: 16,
            micro_batch: None,
            lr: 4e-3,
            min_lr: 0.0,
            warmup: 20,
            schedule: LearningRateSchedule::Cosine,
            optimizer: AdamWConfig::default(),
            evaluations: default_evaluations(),
            eval_sequences: default_eval_sequences(),
            checkpoint_every: default_checkpoint_every(),
            keep_weights: false,
            precision: Precision::F32,
        }
    }

    /// The default target.
    pub fn target() -> Self {
        Self {
            preset: "micro".to_owned(),
            steps: 400,
            lr: 3e-3,
            ..Self::proxy()
        }
    }

    /// The model for a tokenizer's vocabulary.
    ///
    /// # Errors
    /// When the preset is unknown or the parts do not fit together.
    pub fn model(&self, tokenizer_vocab: u32) -> Result<ModelConfig> {
        let vocab = tokenizer_vocab as usize;
        let mut model = ModelConfig::preset(&self.preset, vocab)?;
        for (value, field) in [
            (self.layers, &mut model.layers),
            (self.d_model, &mut model.d_model),
            (self.d_ff, &mut model.d_ff),
            (self.context, &mut model.context),
            (self.vocab_size, &mut model.vocab_size),
        ] {
            if let Some(value) = value {
                *field = value;
            }
        }
        if let Some(heads) = self.heads {
            model.heads = heads;
            model.kv_heads = heads;
        }
        if let Some(kv_heads) = self.kv_heads {
            model.kv_heads = kv_heads;
        }
        model.tied = self.tied;
        model.rope_base = self.rope_base.unwrap_or(model.rope_base);
        model.norm_eps = self.norm_eps.unwrap_or(model.norm_eps);
        model.check()?;
        if model.vocab_size < vocab {
            return Err(Error::input(format!(
                "the tokenizer knows {vocab} tokens, the model {}: expected a model vocabulary at \
                 least as large",
                model.vocab_size
            ))
            .field("vocab_size")
            .help("leave `vocab_size` out, so that it follows the tokenizer"));
        }
        Ok(model)
    }

    /// Tokens that it is trained on.
    ///
    /// # Errors
    /// As [`RunSection::model`].
    pub fn tokens(&self) -> Result<u64> {
        let context = self.model(1)?.context as u64;
        Ok((self.steps.saturating_mul(self.batch_size as u64)).saturating_mul(context))
    }

    /// How it is trained.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn training(&self) -> Result<TrainConfig> {
        let train = TrainConfig {
            steps: self.steps,
            batch_size: self.batch_size,
            micro_batch: self.micro_batch.unwrap_or(self.batch_size),
            lr: self.lr,
            min_lr: self.min_lr,
            warmup: self.warmup,
            schedule: self.schedule,
            optimizer: self.optimizer.clone(),
            eval_every: (self.steps / self.evaluations.max(1)).max(1),
            eval_sequences: self.eval_sequences,
            checkpoint_every: self.checkpoint_every,
            keep_weights: self.keep_weights,
            precision: self.precision,
        };
        train.check()?;
        Ok(train)
    }
}
