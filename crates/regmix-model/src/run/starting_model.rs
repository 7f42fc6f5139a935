//! Weights that runs start from, in place of random ones.

use std::path::Path;

use regmix_data::{Error, Result};

use super::finished::WEIGHTS;
use super::folder::stored_spec;
use crate::checkpoint;
use crate::config::ModelConfig;
use crate::device::Device;
use crate::engine::State;
use crate::parameters;
use crate::trainer::Trainer;

/// The model of a finished run, which other runs start from: for continual
/// pre-training and mid-training. AdamW and the learning rate start anew.
#[derive(Debug)]
pub struct StartingModel {
    config: ModelConfig,
    digest: String,
    corpus: String,
    seed: u64,
    weights: Vec<Vec<f32>>,
}

impl StartingModel {
    /// Reads the weights that a finished run kept (`keep_weights`) in its folder.
    ///
    /// # Errors
    /// When the folder has no such run, or a file is damaged.
    pub fn of_run(folder: &Path) -> Result<Self> {
        let spec = stored_spec(folder)?.ok_or_else(|| {
            Error::input("no run: expected a folder with a `run.toml`")
                .in_file(folder)
                .help("name the folder of a finished run, such as old/targets/found-seed1")
        })?;
        let path = folder.join(WEIGHTS);
        if !path.exists() {
            return Err(Error::input("the weights of the run were not kept")
                .in_file(path)
                .help("train it with `keep_weights = true`"));
        }
        let weights = checkpoint::load_weights(&path, &parameters::list(&spec.model))?;
        let mut hash = blake3::Hasher::new();
        for weight in weights.iter().flatten() {
            hash.update(&weight.to_le_bytes());
        }
        Ok(Self {
            config: spec.model,
            corpus: spec.corpus,
            digest: hash.finalize().to_hex()[..32].to_owned(),
            seed: spec.seed,
            weights,
        })
    }

    /// A digest of all weights, which names them in [`RunSpec`](crate::RunSpec).
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The fingerprint of the corpus that it was trained on.
    pub fn corpus(&self) -> &str {
        &self.corpus
    }

    /// Checks that a model has the same shape. Sequences may have another length, since
    /// positions are rotations.
    ///
    /// # Errors
    /// When it has not; the error names the field.
    pub fn check(&self, model: &ModelConfig) -> Result<()> {
        let own = &self.config;
        let field = |name: &str, found: usize, expected: usize| match found == expected {
            true => Ok(()),
            false => Err(Error::input(format!(
                "{found}, but the model it starts from has {expected}: expected the same shape"
            ))
            .field(name)
            .help("give the model the shape of the one it starts from; or leave out `from`")),
        };
        field("layers", model.layers, own.layers)?;
        field("d_model", model.d_model, own.d_model)?;
        field("heads", model.heads, own.heads)?;
        field("kv_heads", model.kv_heads, own.kv_heads)?;
        field("d_ff", model.d_ff, own.d_ff)?;
        field("vocab_size", model.vocab_size, own.vocab_size)?;
        field("tied", usize::from(model.tied), usize::from(own.tied))?;
        let mut same = own.clone();
        same.context = model.context;
        match same == *model {
            true => Ok(()),
            false => Err(Error::input(
                "the model it starts from differs in a constant: expected the same",
            )
            .field("from")),
        }
    }

    /// The state that a run starts from.
    pub(super) fn state(&self) -> State {
        State {
            weights: self.weights.clone(),
            ..State::default()
        }
    }

    /// The model on a device.
    pub(crate) fn trainer(&self, device: &Device) -> Result<Trainer> {
        let optimizer = crate::AdamWConfig::default();
        let mut trainer = Trainer::new(&self.config, optimizer, self.seed, device)?;
        trainer.restore(self.state())?;
        Ok(trainer)
    }
}
