//! The decoder: RMSNorm, rotary positions, (grouped) attention, SwiGLU.
//!
//! The same computation as Hugging Face's Llama, rotate-half pairing included,
//! so that weights can move between the two.

use burn::module::{Module, Param};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Bool, Device as BurnDevice, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use regmix_data::Result;

use crate::config::ModelConfig;

/// Stands for minus infinity in masked scores: its exponential is zero, and
/// the difference of two of them is not NaN.
const MASKED: f32 = -1e30;

/// A Llama-like decoder on a burn device.
#[derive(Module, Debug)]
pub(crate) struct Llama {
    /// `[vocab, d_model]`.
    embedding: Param<Tensor<2>>,
    blocks: Vec<Block>,
    /// `[d_model]`.
    norm: Param<Tensor<1>>,
    /// `[d_model, vocab]`; absent when tied to the embedding.
    head: Option<Param<Tensor<2>>>,
    #[module(skip)]
    config: Shape,
}

#[derive(Module, Debug)]
struct Block {
    attention_norm: Param<Tensor<1>>,
    query: Param<Tensor<2>>,
    key: Param<Tensor<2>>,
    value: Param<Tensor<2>>,
    output: Param<Tensor<2>>,
    feed_norm: Param<Tensor<1>>,
    gate: Param<Tensor<2>>,
    up: Param<Tensor<2>>,
    down: Param<Tensor<2>>,
}

/// What the forward pass needs to know.
#[derive(Debug, Clone)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    norm_eps: f32,
    rope_base: f32,
}

/// Per-length tables of the forward pass, made once and reused.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    /// `[1, 1, tokens, head_dim]`.
    cos: Tensor<4>,
    /// `[1, 1, tokens, head_dim]`.
    sin: Tensor<4>,
    /// `[1, 1, tokens, tokens]`, true above the diagonal.
    future: Tensor<4, Bool>,
}

impl Tables {
    /// The same tables on the autodiff side of their device.
    pub(crate) fn on(&self, device: &BurnDevice) -> Self {
        if !device.is_autodiff() {
            return self.clone();
        }
        Self {
            cos: Tensor::from_inner(self.cos.clone()),
            sin: Tensor::from_inner(self.sin.clone()),
            future: Tensor::from_inner(self.future.clone()),
        }
    }
}

impl Llama {
    /// A model with random weights, the same on every device.
    ///
    /// Weights are normal with standard deviation `sqrt(2 / (5 fan_in))` (for
    /// the embedding `sqrt(2 / (5 d_model))`), the SwiGLU output
    /// `1 / (sqrt(fan_in) layers)`, norms 1: the initialisation of RegMix's
    /// training code.
    ///
    /// # Errors
    /// When the configuration does not fit together.
    pub(crate) fn init(
        config: &ModelConfig,
        rng: &mut ChaCha8Rng,
        device: &BurnDevice,
    ) -> Result<Self> {
        config.check()?;
        let d = config.d_model;
        let kv = config.kv_heads * config.head_dim();
        let mut matrix = |rows: usize, cols: usize, std: f64| {
            let normal = Normal::new(0.0, std).expect("a positive standard deviation is valid");
            let values: Vec<f32> = (0..rows * cols)
                .map(|_| normal.sample(rng) as f32)
                .collect();
            Param::from_tensor(Tensor::from_data(
                TensorData::new(values, [rows, cols]),
                device,
            ))
        };
        let ones = || Param::from_tensor(Tensor::ones([d], device));
        let std = |fan_in: usize| (2.0 / 5.0 / fan_in as f64).sqrt();
        let embedding = matrix(config.vocab_size, d, std(d));
        let blocks = (0..config.layers)
            .map(|_| Block {
                attention_norm: ones(),
                query: matrix(d, d, std(d)),
                key: matrix(d, kv, std(d)),
                value: matrix(d, kv, std(d)),
                output: matrix(d, d, std(d)),
                feed_norm: ones(),
                gate: matrix(d, config.d_ff, std(d)),
                up: matrix(d, config.d_ff, std(d)),
                down: matrix(
                    config.d_ff,
                    d,
                    1.0 / (config.d_ff as f64).sqrt() / config.layers as f64,
                ),
            })
            .collect();
        Ok(Self {
            embedding,
            blocks,
            norm: ones(),
            head: (!config.tied).then(|| matrix(d, config.vocab_size, std(d))),
            config: Shape {
                heads: config.heads,
                kv_heads: config.kv_heads,
                head_dim: config.head_dim(),
                norm_eps: config.norm_eps,
                rope_base: config.rope_base,
            },
        })
    }

    /// Tables for sequences of `tokens` tokens.
    pub(crate) fn tables(&self, tokens: usize, device: &BurnDevice) -> Tables {
        let half = self.config.head_dim / 2;
        let mut cos = Vec::with_capacity(tokens * 2 * half);
        let mut sin = Vec::with_capacity(tokens * 2 * half);
        for t in 0..tokens {
            for i in 0..2 * half {
                let exponent = (i % half) as f64 / half as f64;
                let angle = t as f64 * f64::from(self.config.rope_base).powf(-exponent);
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        let shape = [1, 1, tokens, 2 * half];
        Tables {
            cos: Tensor::from_data(TensorData::new(cos, shape), device),
            sin: Tensor::from_data(TensorData::new(sin, shape), device),
            future: Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, device)
                .reshape([1, 1, tokens, tokens]),
        }
    }

    /// Logits `[batch * tokens, vocab]` of token ids `[batch, tokens]`.
    pub(crate) fn forward(&self, ids: Tensor<2, Int>, tables: &Tables) -> Tensor<2> {
        let [batch, tokens] = ids.dims();
        let embedding = self.embedding.val();
        let mut x = embedding.clone().select(0, ids.reshape([batch * tokens]));
        for block in &self.blocks {
            x = block.forward(x, batch, &self.config, tables);
        }
        let x = rms_norm(x, self.norm.val(), self.config.norm_eps);
        match &self.head {
            Some(head) => x.matmul(head.val()),
            None => x.matmul(embedding.transpose()),
        }
    }

    /// Hugging Face's name of every parameter, in the order in which burn
    /// visits them, and whether it is stored transposed.
    pub(crate) fn parameter_names(&self) -> Vec<(String, bool)> {
        let mut names = vec![("model.embed_tokens.weight".to_owned(), false)];
        for i in 0..self.blocks.len() {
            for (name, transposed) in [
                ("input_layernorm", false),
                ("self_attn.q_proj", true),
                ("self_attn.k_proj", true),
                ("self_attn.v_proj", true),
                ("self_attn.o_proj", true),
                ("post_attention_layernorm", false),
                ("mlp.gate_proj", true),
                ("mlp.up_proj", true),
                ("mlp.down_proj", true),
            ] {
                names.push((format!("model.layers.{i}.{name}.weight"), transposed));
            }
        }
        names.push(("model.norm.weight".to_owned(), false));
        if self.head.is_some() {
            names.push(("lm_head.weight".to_owned(), true));
        }
        names
    }
}

impl Block {
    /// `x` is `[batch * tokens, d_model]`.
    fn forward(&self, x: Tensor<2>, batch: usize, shape: &Shape, tables: &Tables) -> Tensor<2> {
        let h = rms_norm(x.clone(), self.attention_norm.val(), shape.norm_eps);
        let x = x + self.attend(h, batch, shape, tables);
        let h = rms_norm(x.clone(), self.feed_norm.val(), shape.norm_eps);
        let inner = silu(h.clone().matmul(self.gate.val())) * h.matmul(self.up.val());
        x + inner.matmul(self.down.val())
    }

    fn attend(&self, h: Tensor<2>, batch: usize, shape: &Shape, tables: &Tables) -> Tensor<2> {
        let [rows, width] = h.dims();
        let tokens = rows / batch;
        let dim = shape.head_dim;
        let split =
            |t: Tensor<2>, heads: usize| t.reshape([batch, tokens, heads, dim]).swap_dims(1, 2);
        // The scale goes to the queries, which are fewer than the scores.
        let scale = 1.0 / (dim as f32).sqrt();
        let q = split(h.clone().matmul(self.query.val()), shape.heads);
        let k = split(h.clone().matmul(self.key.val()), shape.kv_heads);
        let v = split(h.matmul(self.value.val()), shape.kv_heads);
        let q = rotate(q.mul_scalar(scale), tables);
        let k = shape.repeat_groups(rotate(k, tables));
        let v = shape.repeat_groups(v);
        let scores = q
            .matmul(k.swap_dims(2, 3))
            .mask_fill(tables.future.clone(), MASKED);
        softmax(scores, 3)
            .matmul(v)
            .swap_dims(1, 2)
            .reshape([rows, width])
            .matmul(self.output.val())
    }
}

impl Shape {
    /// Gives every query head its own copy of its group's keys or values:
    /// `[batch, kv_heads, tokens, dim]` to `[batch, heads, tokens, dim]`.
    fn repeat_groups(&self, t: Tensor<4>) -> Tensor<4> {
        let group = self.heads / self.kv_heads;
        if group == 1 {
            return t;
        }
        let [batch, kv_heads, tokens, dim] = t.dims();
        t.reshape([batch, kv_heads, 1, tokens, dim])
            .repeat_dim(2, group)
            .reshape([batch, self.heads, tokens, dim])
    }
}

/// Rotates each pair `(x[i], x[i + dim / 2])` by its position's angle (Su et
/// al. 2021, in the pairing of Hugging Face).
fn rotate(x: Tensor<4>, tables: &Tables) -> Tensor<4> {
    let [batch, heads, tokens, dim] = x.dims();
    let low = x.clone().slice([0..batch, 0..heads, 0..tokens, 0..dim / 2]);
    let high = x
        .clone()
        .slice([0..batch, 0..heads, 0..tokens, dim / 2..dim]);
    let turned = Tensor::cat(vec![high.neg(), low], 3);
    x * tables.cos.clone() + turned * tables.sin.clone()
}

/// `x / sqrt(mean(x^2) + eps) * weight` over the last dimension (Zhang and
/// Sennrich 2019).
fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f32) -> Tensor<2> {
    let scale = x
        .clone()
        .square()
        .mean_dim(1)
        .add_scalar(eps)
        .sqrt()
        .recip();
    x * scale * weight.unsqueeze()
}
