//! The shape of a model, and presets.

use regmix_data::{Error, Result};
use serde::{Deserialize, Serialize};

/// The shape of a Llama-like decoder.
///
/// ```
/// use regmix_model::ModelConfig;
///
/// let config = ModelConfig::preset("1m", 50_432)?;
/// let params = config.parameters();
/// assert_eq!(params.non_embedding, 1_312_000);
/// assert_eq!(params.total(), 27_133_184);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// How many token ids the model knows; at least the tokenizer's vocabulary.
    pub vocab_size: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Query heads; divides `d_model` into even head dimensions.
    pub heads: usize,
    /// Key and value heads; divides `heads`. Equal to `heads` for plain
    /// multi-head attention, fewer for grouped queries.
    pub kv_heads: usize,
    /// Inner width of the SwiGLU feed-forward layer.
    pub d_ff: usize,
    /// Tokens the model sees at once.
    pub context: usize,
    /// Base of the rotary position embedding's wavelengths.
    #[serde(default = "default_rope_base")]
    pub rope_base: f32,
    /// Added to the mean square in RMSNorm.
    #[serde(default = "default_norm_eps")]
    pub norm_eps: f32,
    /// Whether the output layer shares the embedding's weights.
    #[serde(default)]
    pub tied: bool,
}

fn default_rope_base() -> f32 {
    10_000.0
}

fn default_norm_eps() -> f32 {
    1e-5
}

/// Parameter counts: "a 1M model" counts only the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Token embedding, plus the output layer where it is not tied.
    pub embedding: usize,
    /// Blocks and norms.
    pub non_embedding: usize,
}

impl std::fmt::Display for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} parameters ({} embedding, {} other)",
            self.total(),
            self.embedding,
            self.non_embedding
        )
    }
}

impl Parameters {
    /// All of them.
    pub fn total(self) -> usize {
        self.embedding + self.non_embedding
    }
}

/// One row of the preset table: name, layers, heads, d_model, d_ff, context.
type Preset = (&'static str, usize, usize, usize, usize, usize);

/// `1m`, `60m` and `1b` are the RegMix paper's; `nano` trains in seconds on a
/// CPU and `micro` is the larger model that its mixture is checked on.
const PRESETS: [Preset; 5] = [
    ("nano", 2, 2, 64, 192, 128),
    ("micro", 4, 4, 128, 384, 128),
    ("1m", 2, 8, 256, 512, 2048),
    ("60m", 10, 8, 768, 1536, 2048),
    ("1b", 22, 16, 2048, 5632, 2048),
];

/// More than any model that this crate could train; counts of bytes and
/// operations stay within 64 bits.
const MOST_PARAMETERS: u128 = 1 << 40;

impl ModelConfig {
    /// Names of the presets, smallest first.
    pub fn preset_names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|p| p.0)
    }

    /// A preset for a vocabulary. The model's vocabulary is padded to a
    /// multiple of 64, as the papers do (GPT-NeoX: 50,277 to 50,304, or 50,432
    /// with their padding of 128 per device).
    ///
    /// # Errors
    /// When there is no preset of that name.
    pub fn preset(name: &str, vocab_size: usize) -> Result<Self> {
        let Some(&(_, layers, heads, d_model, d_ff, context)) =
            PRESETS.iter().find(|p| p.0 == name)
        else {
            let known: Vec<&str> = Self::preset_names().collect();
            return Err(Error::input(format!(
                "unknown preset `{name}`: expected one of {}",
                known.join(", ")
            )));
        };
        Ok(Self {
            vocab_size: vocab_size.next_multiple_of(64),
            layers,
            d_model,
            heads,
            kv_heads: heads,
            d_ff,
            context,
            rope_base: default_rope_base(),
            norm_eps: default_norm_eps(),
            tied: false,
        })
    }

    /// Checks that all fields are in range and fit together.
    ///
    /// # Errors
    /// Names the first field that is wrong, and what was expected.
    pub fn check(&self) -> Result<()> {
        let bad = |field: &str, problem: String| Err(Error::input(problem).field(field));
        for (field, value) in [
            ("vocab_size", self.vocab_size),
            ("layers", self.layers),
            ("d_model", self.d_model),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("d_ff", self.d_ff),
            ("context", self.context),
        ] {
            if value == 0 || value > 1 << 24 {
                return bad(field, format!("{value}: expected 1 to {}", 1 << 24));
            }
        }
        let parameters: u128 = self.count_parameters().iter().sum();
        if parameters > MOST_PARAMETERS {
            return bad(
                "d_model",
                format!(
                    "a model of this shape has {parameters} parameters: expected at most \
                     {MOST_PARAMETERS}"
                ),
            );
        }
        if !self.d_model.is_multiple_of(2 * self.heads) {
            return bad(
                "heads",
                format!(
                    "{} heads do not divide d_model {} into even head dimensions",
                    self.heads, self.d_model
                ),
            );
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return bad(
                "kv_heads",
                format!("{} does not divide heads {}", self.kv_heads, self.heads),
            );
        }
        if !(self.rope_base > 1.0 && self.rope_base.is_finite()) {
            return bad("rope_base", format!("{}: expected above 1", self.rope_base));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return bad("norm_eps", format!("{}: expected in (0, 1)", self.norm_eps));
        }
        Ok(())
    }

    /// Dimension of one head.
    pub fn head_dim(&self) -> usize {
        self.d_model / self.heads
    }

    /// How many parameters the model has.
    ///
    /// The shape must have passed [`ModelConfig::check`]: its parameters can be
    /// counted.
    pub fn parameters(&self) -> Parameters {
        let [embedding, non_embedding] = self.count_parameters().map(|n| n as usize);
        Parameters {
            embedding,
            non_embedding,
        }
    }

    /// Parameters of the embedding and all others, for any shape in range.
    fn count_parameters(&self) -> [u128; 2] {
        let d = self.d_model as u128;
        let kv = self.kv_heads as u128 * self.head_dim() as u128;
        let block = 2 * d * d + 2 * d * kv + 3 * d * self.d_ff as u128 + 2 * d;
        let tables = if self.tied { 1 } else { 2 };
        [
            self.vocab_size as u128 * d * tables,
            self.layers as u128 * block + d,
        ]
    }

    /// Floating-point operations of one training step per token: six per
    /// weight that is multiplied, plus attention's scores and values.
    pub fn train_flops_per_token(&self) -> f64 {
        let multiplied = self.parameters().non_embedding + self.vocab_size * self.d_model;
        let attention = 2 * self.layers * self.context * self.d_model;
        6.0 * (multiplied + attention) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts of RegMix's configurations at GPT-NeoX's vocabulary.
    #[test]
    fn presets_have_the_published_sizes() {
        for (name, non_embedding, total) in [
            ("1m", 1_312_000, 27_133_184),
            ("60m", 58_998_528, 136_462_080),
            ("1b", 1_130_457_088, 1_337_026_560),
        ] {
            let p = ModelConfig::preset(name, 50_432).unwrap().parameters();
            assert_eq!(p.non_embedding, non_embedding, "{name}");
            assert_eq!(p.total(), total, "{name}");
        }
        for name in ModelConfig::preset_names() {
            ModelConfig::preset(name, 1000).unwrap().check().unwrap();
        }
    }

    #[test]
    fn the_demo_target_has_four_times_the_parameters_of_its_proxy() {
        let size = |name| {
            ModelConfig::preset(name, 1024)
                .unwrap()
                .parameters()
                .total()
        };
        assert!(size("micro") >= 4 * size("nano"));
    }

    #[test]
    fn fields_that_do_not_fit_are_named() {
        let good = ModelConfig::preset("nano", 100).unwrap();
        let mut c = good.clone();
        c.heads = 3;
        assert!(c.check().unwrap_err().to_string().contains("`heads`"));
        let mut c = good.clone();
        c.kv_heads = 4;
        assert!(c.check().unwrap_err().to_string().contains("`kv_heads`"));
        let mut c = good;
        c.layers = 0;
        assert_eq!(c.check().unwrap_err().field_name(), Some("layers"));
        let mut c = ModelConfig::preset("1b", 50_432).unwrap();
        (c.d_model, c.d_ff, c.layers) = (1 << 20, 1 << 24, 1 << 24);
        let err = c.check().unwrap_err();
        assert!(
            err.problem().contains("parameters: expected at most"),
            "{err}"
        );
        let err = ModelConfig::preset("2m", 10).unwrap_err();
        assert!(err.problem().contains("unknown preset `2m`"), "{err}");
    }
}
