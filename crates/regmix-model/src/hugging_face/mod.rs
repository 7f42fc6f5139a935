//! Models in Hugging Face's layout: `config.json` of a `LlamaForCausalLM`, and weights
//! in `model.safetensors`, or in several files with an index.
//!
//! This crate's model is a Llama: names, layouts and the pairing of rotary positions are
//! those of Hugging Face, so that nothing is approximated. Configurations with other
//! features are refused.

mod config;
mod weights;

use std::path::Path;

use regmix_data::{Result, artefact};
use serde::Serialize;

use crate::config::ModelConfig;
use crate::parameters;

/// The file that makes a folder a model of Hugging Face.
pub(crate) const CONFIG: &str = "config.json";
const GENERATION_CONFIG: &str = "generation_config.json";

/// The shape and the weights of the model in a folder.
///
/// # Errors
/// When a file is missing or damaged, or the model is not a Llama of this crate's kind.
pub(crate) fn read(folder: &Path) -> Result<(ModelConfig, Vec<Vec<f32>>)> {
    let config = config::read(&folder.join(CONFIG))?;
    let weights = weights::read(folder, &config)?;
    Ok((config, weights))
}

/// Writes a model into a folder and returns the names of the files. `separator` is the
/// token that begins and ends a document.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(
    folder: &Path,
    config: &ModelConfig,
    weights: &[Vec<f32>],
    separator: u32,
) -> Result<Vec<&'static str>> {
    /// What text is generated with, unless the caller says otherwise.
    #[derive(Serialize)]
    struct Generation {
        bos_token_id: u32,
        eos_token_id: u32,
    }
    weights::write(folder, &parameters::list(config), weights)?;
    artefact::write_json(
        folder.join(GENERATION_CONFIG),
        &Generation {
            bos_token_id: separator,
            eos_token_id: separator,
        },
    )?;
    // Last: a folder with it is whole.
    config::write(&folder.join(CONFIG), config, separator)?;
    Ok(vec![CONFIG, GENERATION_CONFIG, weights::FILE])
}
