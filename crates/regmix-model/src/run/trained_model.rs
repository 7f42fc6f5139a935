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
/// and the learning rate schedule then start from the beginning.
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

    /// The model whose weights are the mean of those of several models, by `shares`, which
    /// sum to 1 (model merging; as a substitute for training on a mixture: DeMix). It is of
    /// use for models that were trained from the same one.
    ///
    /// # Errors
    /// When there is no model, their shapes or corpora differ, or the shares are not as many
    /// as the models, not finite, or do not sum to 1.
    pub fn merged(models: &[Self], shares: &[f64]) -> Result<Self> {
        let sum: f64 = shares.iter().sum();
        let Some(first) = models.first().filter(|_| shares.len() == models.len()) else {
            let (models, shares) = (models.len(), shares.len());
            return Err(Error::input(format!(
                "{shares} shares of {models} models: expected one for each of at least one"
            )));
        };
        // The sum of infinite ones is no number near 1.
        if (sum - 1.0).abs() > 1e-6 || sum.is_nan() {
            return Err(Error::input(format!(
                "shares that sum to {sum}: expected 1"
            )));
        }
        let mut weights: Vec<Vec<f64>> =
            (first.weights.iter()).map(|w| vec![0.0; w.len()]).collect();
        for (model, share) in models.iter().zip(shares) {
            first.check(&model.config)?;
            if model.corpus != first.corpus {
                return Err(Error::input(
                    "models of different corpora: expected one corpus",
                ));
            }
            for (sums, own) in weights.iter_mut().zip(&model.weights) {
                for (sum, own) in sums.iter_mut().zip(own) {
                    *sum += share * f64::from(*own);
                }
            }
        }
        let rounded = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
        let weights = weights.into_iter().map(rounded).collect();
        Ok(Self::new(
            first.config.clone(),
            weights,
            first.corpus.clone(),
        ))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A model with weights drawn by a seed.
    fn model(layers: usize, seed: u64, corpus: &str) -> TrainedModel {
        let config = ModelConfig {
            layers,
            d_model: 8,
            heads: 2,
            kv_heads: 2,
            d_ff: 16,
            vocab_size: 11,
            context: 4,
            rope_base: 10_000.0,
            norm_eps: 1e-5,
            tied: true,
        };
        let mut rng = regmix_data::random::stream(seed, "test", "weights");
        let weights = parameters::init(&config, &mut rng).unwrap();
        TrainedModel::new(config, weights, Some(corpus.to_owned()))
    }

    #[test]
    fn merged_weights_are_the_mean_by_shares() {
        let models = [1, 2, 3].map(|seed| model(1, seed, "a"));
        let merged = TrainedModel::merged(&models, &[0.25, 0.0, 0.75]).unwrap();
        let at = |model: &TrainedModel| f64::from(model.weights[1 + 2][5]);
        let expected = 0.25 * at(&models[0]) + 0.75 * at(&models[2]);
        assert!((at(&merged) - expected).abs() < 1e-7);
        assert_eq!(merged.corpus(), Some("a"));
        let alone = TrainedModel::merged(&models, &[0.0, 1.0, 0.0]).unwrap();
        assert_eq!(alone.digest(), models[1].digest());
    }

    #[test]
    fn models_that_have_no_mean_are_refused() {
        let refused = |models: &[TrainedModel], shares: &[f64]| {
            TrainedModel::merged(models, shares)
                .unwrap_err()
                .to_string()
        };
        let two = [model(1, 1, "a"), model(1, 2, "a")];
        assert_eq!(
            refused(&two, &[1.0]),
            "1 shares of 2 models: expected one for each of at least one"
        );
        assert_eq!(
            refused(&two, &[0.5, 0.4]),
            "shares that sum to 0.9: expected 1"
        );
        assert_eq!(
            refused(&two, &[f64::NAN, 1.0]),
            "shares that sum to NaN: expected 1"
        );
        assert!(refused(&[], &[]).starts_with("0 shares of 0 models"));
        let other = [model(1, 1, "a"), model(2, 2, "a")];
        assert!(refused(&other, &[0.5, 0.5]).contains("layers"));
        let other = [model(1, 1, "a"), model(1, 2, "b")];
        assert!(refused(&other, &[0.5, 0.5]).contains("different corpora"));
    }
}
