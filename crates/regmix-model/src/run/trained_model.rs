//! Models that were trained: those of finished runs, and those in Hugging Face's layout.

use std::path::{Path, PathBuf};

use regmix_data::{Error, Result};

use super::finished::WEIGHTS;
use super::folder::stored_spec;
use crate::checkpoint;
use crate::config::ModelConfig;
use crate::device::Device;
use crate::engine::State;
use crate::hugging_face;
use crate::parameters;
use crate::trainer::Trainer;

/// A trained model: of a finished run of this crate, or from a folder in Hugging Face's
/// layout. Runs may start from it, for continual pre-training and mid-training; AdamW
/// and the learning rate then start anew.
#[derive(Debug)]
pub struct TrainedModel {
    config: ModelConfig,
    digest: String,
    /// The corpus of the run that it is from.
    corpus: Option<String>,
    weights: Vec<Vec<f32>>,
}

impl TrainedModel {
    /// Reads the model of a folder: one with a `run.toml` is a run, one with a
    /// `config.json` a model in Hugging Face's layout.
    ///
    /// # Errors
    /// When the folder is neither, or as [`TrainedModel::of_run`] and
    /// [`TrainedModel::of_hugging_face`].
    pub fn open(folder: &Path) -> Result<Self> {
        match folder {
            _ if folder.join("run.toml").exists() => Self::of_run(folder),
            _ if Self::is_hugging_face(folder) => Self::of_hugging_face(folder),
            _ => Err(Error::input(
                "no model: expected a folder with a `run.toml` or a `config.json`",
            )
            .in_file(folder)
            .help(
                "name the folder of a finished run, such as old/targets/found-seed1, or of \
                         a Llama model in Hugging Face's layout",
            )),
        }
    }

    /// Whether a folder holds a model in Hugging Face's layout.
    pub fn is_hugging_face(folder: &Path) -> bool {
        folder.join(hugging_face::CONFIG).exists()
    }

    /// Reads the weights that a finished run kept (`keep_weights`) in its folder.
    ///
    /// # Errors
    /// When the folder has no such run, or a file is damaged.
    pub fn of_run(folder: &Path) -> Result<Self> {
        let spec = stored_spec(folder)?.ok_or_else(|| {
            Error::input("no run: expected a folder with a `run.toml`").in_file(folder)
        })?;
        let path = folder.join(WEIGHTS);
        if !path.exists() {
            return Err(Error::input("the weights of the run were not kept")
                .in_file(path)
                .help("train it with `keep_weights = true`"));
        }
        let weights = checkpoint::load_weights(&path, &parameters::list(&spec.model))?;
        Ok(Self::new(spec.model, weights, Some(spec.corpus)))
    }

    /// Reads a model in Hugging Face's layout: the `config.json` of a
    /// `LlamaForCausalLM`, and `model.safetensors`, or several such files with
    /// `model.safetensors.index.json`, of `float32`, `bfloat16` or `float16`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the model has something that models of
    /// this crate do not have; the error names the field or the tensor.
    pub fn of_hugging_face(folder: &Path) -> Result<Self> {
        let (config, weights) = hugging_face::read(folder)?;
        Ok(Self::new(config, weights, None))
    }

    fn new(config: ModelConfig, weights: Vec<Vec<f32>>, corpus: Option<String>) -> Self {
        let mut hash = blake3::Hasher::new();
        for weight in weights.iter().flatten() {
            hash.update(&weight.to_le_bytes());
        }
        Self {
            config,
            digest: hash.finalize().to_hex()[..32].to_owned(),
            corpus,
            weights,
        }
    }

    /// Writes the model in Hugging Face's layout, as a `LlamaForCausalLM`:
    /// `config.json`, `generation_config.json` and `model.safetensors`. `separator` is
    /// the token that ends documents. Returns the files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_hugging_face(&self, folder: &Path, separator: u32) -> Result<Vec<PathBuf>> {
        let names = hugging_face::write(folder, &self.config, &self.weights, separator)?;
        Ok(names.into_iter().map(|name| folder.join(name)).collect())
    }

    /// Its shape.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// A digest of all weights, which names them in [`RunSpec`](crate::RunSpec).
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The fingerprint of the corpus that it was trained on; none for a model in
    /// Hugging Face's layout.
    pub fn corpus(&self) -> Option<&str> {
        self.corpus.as_deref()
    }

    /// Checks that a model has the same shape. Sequences may have another length, since
    /// positions are rotations.
    ///
    /// # Errors
    /// When it has not; the error names the field.
    pub fn check(&self, model: &ModelConfig) -> Result<()> {
        let own = &self.config;
        same("layers", model.layers, own.layers)?;
        same("d_model", model.d_model, own.d_model)?;
        same("heads", model.heads, own.heads)?;
        same("kv_heads", model.kv_heads, own.kv_heads)?;
        same("d_ff", model.d_ff, own.d_ff)?;
        same("vocab_size", model.vocab_size, own.vocab_size)?;
        same("tied", model.tied, own.tied)?;
        same("rope_base", model.rope_base, own.rope_base)?;
        same("norm_eps", model.norm_eps, own.norm_eps)
    }

    /// The state that a run starts from.
    pub(super) fn state(&self) -> State {
        State {
            weights: self.weights.clone(),
            ..State::default()
        }
    }

    /// The model on a device, for sequences of its own length.
    ///
    /// # Errors
    /// When the device fails.
    pub fn trainer(&self, device: &Device) -> Result<Trainer> {
        self.trainer_as(&self.config, device)
    }

    /// The same with a shape that differs in the length of sequences only.
    pub(crate) fn trainer_as(&self, config: &ModelConfig, device: &Device) -> Result<Trainer> {
        let optimizer = crate::AdamWConfig::default();
        let mut trainer = Trainer::new(config, optimizer, 0, device)?;
        trainer.restore(self.state())?;
        Ok(trainer)
    }
}

/// Checks a field of a shape.
fn same<T: PartialEq + std::fmt::Display>(name: &str, found: T, expected: T) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::input(format!(
        "{found}, but the model it starts from has {expected}: expected the same shape"
    ))
    .field(name)
    .help("give the model the shape of the one it starts from; or leave out `from`"))
}
