//! `config.json` of a `LlamaForCausalLM`.
//!
//! | this crate | Hugging Face |
//! |---|---|
//! | `vocab_size` | `vocab_size` |
//! | `layers` | `num_hidden_layers` |
//! | `d_model` | `hidden_size` |
//! | `heads`, `kv_heads` | `num_attention_heads`, `num_key_value_heads` |
//! | `d_ff` | `intermediate_size` |
//! | `context` | `max_position_embeddings` |
//! | `rope_base` | `rope_theta`, or that of `rope_parameters` |
//! | `norm_eps` | `rms_norm_eps` |
//! | `tied` | `tie_word_embeddings` |

use std::path::Path;

use regmix_data::{Error, Result, artefact};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::ModelConfig;

const ARCHITECTURE: &str = "LlamaForCausalLM";
const MODEL_TYPE: &str = "llama";
const ACTIVATION: &str = "silu";

/// The names of sizes here and there.
const NAMES: [(&str, &str); 7] = [
    ("vocab_size", "vocab_size"),
    ("layers", "num_hidden_layers"),
    ("d_model", "hidden_size"),
    ("heads", "num_attention_heads"),
    ("kv_heads", "num_key_value_heads"),
    ("d_ff", "intermediate_size"),
    ("context", "max_position_embeddings"),
];

/// The configuration as it is written. Numbers that are `f32` here stay so in the text.
#[derive(Serialize)]
struct Written {
    architectures: [&'static str; 1],
    model_type: &'static str,
    vocab_size: usize,
    num_hidden_layers: usize,
    hidden_size: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    rope_theta: f32,
    rope_scaling: Option<()>,
    rms_norm_eps: f32,
    tie_word_embeddings: bool,
    hidden_act: &'static str,
    attention_bias: bool,
    attention_dropout: f32,
    mlp_bias: bool,
    bos_token_id: u32,
    eos_token_id: u32,
    torch_dtype: &'static str,
    use_cache: bool,
}

/// Writes the configuration of a model whose documents end with a token.
pub(super) fn write(path: &Path, config: &ModelConfig, separator: u32) -> Result<()> {
    let written = Written {
        architectures: [ARCHITECTURE],
        model_type: MODEL_TYPE,
        vocab_size: config.vocab_size,
        num_hidden_layers: config.layers,
        hidden_size: config.d_model,
        num_attention_heads: config.heads,
        num_key_value_heads: config.kv_heads,
        head_dim: config.head_dim(),
        intermediate_size: config.d_ff,
        max_position_embeddings: config.context,
        rope_theta: config.rope_base,
        rope_scaling: None,
        rms_norm_eps: config.norm_eps,
        tie_word_embeddings: config.tied,
        hidden_act: ACTIVATION,
        attention_bias: false,
        attention_dropout: 0.0,
        mlp_bias: false,
        bos_token_id: separator,
        eos_token_id: separator,
        torch_dtype: "float32",
        use_cache: true,
    };
    artefact::write_json(path, &written)
}

/// Reads the shape of a model.
///
/// # Errors
/// When the file is no such configuration, or has something that this crate's model
/// does not have.
pub(super) fn read(path: &Path) -> Result<ModelConfig> {
    let json: Map<String, Value> = artefact::read_json(path)?;
    shape(&Fields(&json)).map_err(|e| e.in_file(path))
}

fn shape(fields: &Fields<'_>) -> Result<ModelConfig> {
    fields.check_kind()?;
    let heads = fields.size("num_attention_heads", None)?;
    let config = ModelConfig {
        vocab_size: fields.size("vocab_size", None)?,
        layers: fields.size("num_hidden_layers", None)?,
        d_model: fields.size("hidden_size", None)?,
        heads,
        kv_heads: fields.size("num_key_value_heads", Some(heads))?,
        d_ff: fields.size("intermediate_size", None)?,
        context: fields.size("max_position_embeddings", Some(2048))?,
        rope_base: fields.rope_base()?,
        norm_eps: fields.number("rms_norm_eps", 1e-6)? as f32,
        tied: fields.flag("tie_word_embeddings")?,
    };
    config.check().map_err(|e| {
        let own = e.field_name().unwrap_or_default();
        let theirs = NAMES.iter().find(|(name, _)| *name == own);
        match theirs {
            Some((_, name)) => Error::input(e.problem().to_owned()).field(*name),
            None => e,
        }
    })?;
    let width = fields.size("head_dim", Some(config.head_dim()))?;
    if width != config.head_dim() {
        let expected = format!("{}, hidden_size by num_attention_heads", config.head_dim());
        return Err(refused("head_dim", &width.to_string(), &expected));
    }
    Ok(config)
}

/// The fields of a configuration; those that are missing have the defaults of
/// `LlamaConfig`, and `null` counts as missing.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Checks that the model computes what this crate's does.
    fn check_kind(&self) -> Result<()> {
        let named = self.get("model_type").map(Value::to_string);
        if named.as_deref() != Some(&quoted(MODEL_TYPE)) {
            let found = named.as_deref().unwrap_or("missing");
            return Err(refused("model_type", found, &quoted(MODEL_TYPE)));
        }
        if let Some(found) = self.get("architectures")
            && !(found.as_array()).is_some_and(|list| list.contains(&ARCHITECTURE.into()))
        {
            let expected = format!("[{}]", quoted(ARCHITECTURE));
            return Err(refused("architectures", &found.to_string(), &expected));
        }
        if let Some(found) = self.get("hidden_act")
            && found.as_str() != Some(ACTIVATION)
        {
            let expected = quoted(ACTIVATION);
            return Err(refused("hidden_act", &found.to_string(), &expected));
        }
        for name in ["attention_bias", "mlp_bias"] {
            if self.flag(name)? {
                return Err(refused(name, "true", "false"));
            }
        }
        for name in ["quantization_config", "sliding_window"] {
            if let Some(found) = self.get(name) {
                return Err(refused(name, &shortened(found), "none"));
            }
        }
        let whole = self.number("partial_rotary_factor", 1.0)?;
        match whole == 1.0 {
            true => Ok(()),
            false => Err(refused("partial_rotary_factor", &whole.to_string(), "1")),
        }
    }

    /// The base of rotary positions, which are not scaled. Transformers 5 writes it
    /// into `rope_parameters`.
    fn rope_base(&self) -> Result<f32> {
        let mut base = self.number("rope_theta", 10_000.0)?;
        for name in ["rope_scaling", "rope_parameters"] {
            let Some(found) = self.get(name) else {
                continue;
            };
            let expected = "positions that are not scaled, {\"rope_type\": \"default\"}";
            let Some(parts) = found.as_object() else {
                return Err(refused(name, &shortened(found), expected));
            };
            let parts = Fields(parts);
            let kind = parts.get("rope_type").or_else(|| parts.get("type"));
            if kind.is_some_and(|kind| kind.as_str() != Some("default")) {
                return Err(refused(name, &shortened(found), expected));
            }
            base = parts.number("rope_theta", base)?;
            let whole = parts.number("partial_rotary_factor", 1.0)?;
            if whole != 1.0 {
                return Err(refused("partial_rotary_factor", &whole.to_string(), "1"));
            }
        }
        Ok(base as f32)
    }

    fn size(&self, name: &str, default: Option<usize>) -> Result<usize> {
        match (self.get(name), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(refused(name, "missing", "a whole number")),
            (Some(found), _) => (found.as_u64())
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| refused(name, &shortened(found), "a whole number")),
        }
    }

    fn number(&self, name: &str, default: f64) -> Result<f64> {
        match self.get(name) {
            None => Ok(default),
            Some(found) => {
                (found.as_f64()).ok_or_else(|| refused(name, &shortened(found), "a number"))
            }
        }
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(found) => {
                (found.as_bool()).ok_or_else(|| refused(name, &shortened(found), "true or false"))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The beginning of a value that a file may have made long.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

fn refused(field: &str, found: &str, expected: &str) -> Error {
    Error::input(format!("{found}: expected {expected}"))
        .field(field)
        .help("regmix trains Llama models without biases and with plain rotary positions")
}
