//! The parameters of a model as plain numbers: their order, names, shapes and
//! initial values. Both engines and the checkpoints use this list.

use rand_distr::{Distribution, Normal};
use regmix_data::Result;
use regmix_data::random::Stream;

use crate::config::ModelConfig;

/// One parameter, laid out `[in, out]` in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    /// Hugging Face's name.
    pub(crate) name: String,
    /// One dimension for norms, else two.
    pub(crate) shape: Vec<usize>,
    /// Whether Hugging Face's layout is `[out, in]`.
    pub(crate) transposed: bool,
    /// Standard deviation of the initial values; `None` for ones.
    std: Option<f64>,
}

impl Parameter {
    /// How many numbers it has.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its shape in Hugging Face's layout.
    pub(crate) fn stored_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.transposed {
            shape.reverse();
        }
        shape
    }
}

/// Numbers of parameters per block.
pub(crate) const PER_BLOCK: usize = 9;

/// The output layer, where it is not tied.
pub(crate) const OUTPUT: &str = "lm_head.weight";

/// All parameters: embedding, blocks, last norm, output layer if not tied. burn
/// visits the parameters of its module in this order.
///
/// Initial weights are normal with standard deviation `sqrt(2 / (5 fan_in))` (for
/// the embedding `sqrt(2 / (5 d_model))`), the SwiGLU output
/// `1 / (sqrt(fan_in) layers)`, norms 1: the initialisation of RegMix's
/// training code.
pub(crate) fn list(config: &ModelConfig) -> Vec<Parameter> {
    let d = config.d_model;
    let kv = config.kv_heads * config.head_dim();
    let std = |fan_in: usize| (2.0 / 5.0 / fan_in as f64).sqrt();
    let norm = |name: String| Parameter {
        name: format!("{name}.weight"),
        shape: vec![d],
        transposed: false,
        std: None,
    };
    let matrix = |name: String, rows, cols, std, transposed| Parameter {
        name: format!("{name}.weight"),
        shape: vec![rows, cols],
        transposed,
        std: Some(std),
    };
    let mut all = vec![matrix(
        "model.embed_tokens".into(),
        config.vocab_size,
        d,
        std(d),
        false,
    )];
    for layer in 0..config.layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let down = 1.0 / (config.d_ff as f64).sqrt() / config.layers as f64;
        all.extend([
            norm(name("input_layernorm")),
            matrix(name("self_attn.q_proj"), d, d, std(d), true),
            matrix(name("self_attn.k_proj"), d, kv, std(d), true),
            matrix(name("self_attn.v_proj"), d, kv, std(d), true),
            matrix(name("self_attn.o_proj"), d, d, std(d), true),
            norm(name("post_attention_layernorm")),
            matrix(name("mlp.gate_proj"), d, config.d_ff, std(d), true),
            matrix(name("mlp.up_proj"), d, config.d_ff, std(d), true),
            matrix(name("mlp.down_proj"), config.d_ff, d, down, true),
        ]);
    }
    all.push(norm("model.norm".into()));
    if !config.tied {
        let name = OUTPUT.trim_end_matches(".weight").to_owned();
        all.push(matrix(name, d, config.vocab_size, std(d), true));
    }
    all
}

/// Initial values, in the order of [`list`]; the same for every engine.
///
/// # Errors
/// When the configuration contradicts itself.
pub(crate) fn init(config: &ModelConfig, rng: &mut Stream) -> Result<Vec<Vec<f32>>> {
    config.check()?;
    Ok(list(config)
        .iter()
        .map(|parameter| match parameter.std {
            None => vec![1.0; parameter.count()],
            Some(std) => {
                let normal = Normal::new(0.0, std).expect("a positive standard deviation is valid");
                (0..parameter.count())
                    .map(|_| normal.sample(rng) as f32)
                    .collect()
            }
        })
        .collect())
}

/// Cosines and sines of the rotary positions, `[tokens, head_dim / 2]` each
/// (Su et al. 2021): the angle of pair `i` at position `t` is
/// `t base^(-2 i / head_dim)`.
pub(crate) fn rotary(config: &ModelConfig, tokens: usize) -> (Vec<f32>, Vec<f32>) {
    let half = config.head_dim() / 2;
    let angles = (0..tokens).flat_map(|t| {
        (0..half).map(move |i| {
            let exponent = i as f64 / half as f64;
            t as f64 * f64::from(config.rope_base).powf(-exponent)
        })
    });
    angles
        .map(|angle| (angle.cos() as f32, angle.sin() as f32))
        .unzip()
}
