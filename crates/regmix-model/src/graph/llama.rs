//! The decoder: RMSNorm, rotary positions, (grouped) attention, SwiGLU.
//!
//! The same computation as Hugging Face's Llama, including its rotate-half
//! pairing, so that both can use the same weights.

use burn::module::{Module, Param};
use burn::tensor::activation::{silu, softmax};
use burn::tensor::{Bool, Device as BurnDevice, FloatDType, Int, Tensor, TensorData};

use crate::config::ModelConfig;
use crate::parameters;
use crate::precision::Precision;

/// Replaces minus infinity in masked scores: its exponential is zero, and the
/// difference of two of them is not NaN.
const MASKED: f32 = -1e30;

/// A Llama-like decoder on a burn device.
#[derive(Module, Debug)]
pub(super) struct Llama {
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

/// What the forward pass needs of the configuration.
#[derive(Debug, Clone)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    norm_eps: f32,
    precision: Precision,
}

/// Per-length tables of the forward pass, made once and reused.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// `[1, 1, tokens, head_dim]`.
    cos: Tensor<4>,
    /// `[1, 1, tokens, head_dim]`.
    sin: Tensor<4>,
    /// `[1, 1, tokens, tokens]`, true above the diagonal.
    future: Tensor<4, Bool>,
}

impl Tables {
    /// For sequences of `tokens` tokens.
    pub(super) fn new(config: &ModelConfig, tokens: usize, device: &BurnDevice) -> Self {
        let half = config.head_dim() / 2;
        let table = |numbers: Vec<f32>| {
            // Both halves of a head turn by the same angles.
            let rows = numbers.chunks(half).flat_map(|row| [row, row].concat());
            let data = TensorData::new(rows.collect::<Vec<f32>>(), [1, 1, tokens, 2 * half]);
            Tensor::from_data(data, device)
        };
        let (cos, sin) = parameters::rotary(config, tokens);
        Self {
            cos: table(cos),
            sin: table(sin),
            future: Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, device)
                .reshape([1, 1, tokens, tokens]),
        }
    }

    /// The same tables on the autodiff side of their device.
    pub(super) fn on(&self, device: &BurnDevice) -> Self {
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
    /// A model with the weights of `values`, in the order of
    /// [`parameters::list`].
    pub(super) fn new(
        config: &ModelConfig,
        values: Vec<Vec<f32>>,
        precision: Precision,
        device: &BurnDevice,
    ) -> Self {
        let shapes = parameters::list(config).into_iter().map(|p| p.shape);
        let mut values = Values {
            rest: shapes.zip(values).collect::<Vec<_>>().into_iter(),
            device,
        };
        // In the order of the list: fields are evaluated in the order written.
        Self {
            embedding: values.next(),
            blocks: (0..config.layers)
                .map(|_| Block {
                    attention_norm: values.next(),
                    query: values.next(),
                    key: values.next(),
                    value: values.next(),
                    output: values.next(),
                    feed_norm: values.next(),
                    gate: values.next(),
                    up: values.next(),
                    down: values.next(),
                })
                .collect(),
            norm: values.next(),
            head: (!config.tied).then(|| values.next()),
            config: Shape {
                heads: config.heads,
                kv_heads: config.kv_heads,
                head_dim: config.head_dim(),
                norm_eps: config.norm_eps,
                precision,
            },
        }
    }

    /// Logits `[batch * tokens, vocab]` of token ids `[batch, tokens]`.
    pub(super) fn forward(&self, ids: Tensor<2, Int>, tables: &Tables) -> Tensor<2> {
        let [batch, tokens] = ids.dims();
        let embedding = self.embedding.val();
        let mut x = embedding.clone().select(0, ids.reshape([batch * tokens]));
        for block in &self.blocks {
            x = block.forward(x, batch, &self.config, tables);
        }
        let x = rms_norm(x, self.norm.val(), self.config.norm_eps);
        match &self.head {
            Some(head) => self.config.multiply(x, head.val()),
            None => self.config.multiply(x, embedding.transpose()),
        }
    }
}

/// The values of a model's parameters, one after the other.
struct Values<'a> {
    rest: std::vec::IntoIter<(Vec<usize>, Vec<f32>)>,
    device: &'a BurnDevice,
}

impl Values<'_> {
    fn next<const D: usize>(&mut self) -> Param<Tensor<D>> {
        let (shape, values) = (self.rest.next()).expect("as many values as parameters");
        let data = TensorData::new(values, shape);
        Param::from_tensor(Tensor::from_data(data, self.device))
    }
}

impl Block {
    /// `x` is `[batch * tokens, d_model]`.
    fn forward(&self, x: Tensor<2>, batch: usize, shape: &Shape, tables: &Tables) -> Tensor<2> {
        let h = rms_norm(x.clone(), self.attention_norm.val(), shape.norm_eps);
        let x = x + self.attend(h, batch, shape, tables);
        let h = rms_norm(x.clone(), self.feed_norm.val(), shape.norm_eps);
        let [gate, up] = [&self.gate, &self.up].map(|w| shape.multiply(h.clone(), w.val()));
        x + shape.multiply(silu(gate) * up, self.down.val())
    }

    fn attend(&self, h: Tensor<2>, batch: usize, shape: &Shape, tables: &Tables) -> Tensor<2> {
        let [rows, width] = h.dims();
        let tokens = rows / batch;
        let dim = shape.head_dim;
        let split =
            |t: Tensor<2>, heads: usize| t.reshape([batch, tokens, heads, dim]).swap_dims(1, 2);
        // The queries are scaled, not the scores: there are fewer of them.
        let scale = 1.0 / (dim as f32).sqrt();
        let [q, k, v] =
            [&self.query, &self.key, &self.value].map(|w| shape.multiply(h.clone(), w.val()));
        let q = split(q, shape.heads);
        let k = split(k, shape.kv_heads);
        let v = split(v, shape.kv_heads);
        let q = rotate(q.mul_scalar(scale), tables);
        let k = shape.repeat_groups(rotate(k, tables));
        let v = shape.repeat_groups(v);
        let scores = shape
            .multiply(q, k.swap_dims(2, 3))
            .mask_fill(tables.future.clone(), MASKED);
        let mixed = shape.multiply(softmax(scores, 3), v);
        let mixed = mixed.swap_dims(1, 2).reshape([rows, width]);
        shape.multiply(mixed, self.output.val())
    }
}

impl Shape {
    /// The product of f32 tensors, as f32. In reduced precision the operands are
    /// rounded first; autodiff rounds the gradients in the same way.
    fn multiply<const D: usize>(&self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        match self.precision {
            Precision::F32 => a.matmul(b),
            Precision::Bf16 => a
                .cast(FloatDType::BF16)
                .matmul(b.cast(FloatDType::BF16))
                .cast(FloatDType::F32),
        }
    }

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
