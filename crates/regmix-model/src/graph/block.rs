//! One transformer block: the forward pass, and the backward pass from the
//! values that it kept.

use burn::tensor::{Device as BurnDevice, Tensor};

use super::Limits;
use super::arguments::{Rotation, Sizes, Turn};
use super::attention::{Attention, Inputs, owned};
use super::joined;
use super::kernels::Kernels;
use super::layout::{ATTENTION_NORM, DOWN, FEED_NORM, GATE_UP, OUTPUT, QUERY_KEY_VALUE};
use super::norm::Norm;
use super::products::{Products, wide};
use super::rotary::Rotary;
use super::swiglu;
use crate::config::ModelConfig;

/// The properties that all blocks of a model share.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    kv_heads: usize,
    /// Query heads per key head.
    group: usize,
    dim: usize,
    norm: Norm,
    products: Products,
    kernels: Option<Kernels>,
    rotary: Rotary,
    attention: Attention,
    /// Kernels that do not hold the scores.
    fused: Option<Kernels>,
}

/// What the backward pass of a block's attention part needs.
pub(super) struct Attended {
    input: Tensor<2>,
    root: Tensor<2>,
    normed: Tensor<2>,
    heads: Heads,
    /// Output of all heads, `[rows, d]`.
    mixed: Tensor<2>,
    batch: usize,
}

/// Queries, keys and values, rotated, with the logarithms of the softmax's sums.
enum Heads {
    Apart(Box<(Inputs, Tensor<5>)>),
    /// Side by side in rows.
    Joined(Box<(Tensor<2>, Tensor<1>)>),
}

/// What the backward pass of a block's feed-forward part needs.
pub(super) struct Fed {
    input: Tensor<2>,
    root: Tensor<2>,
    normed: Tensor<2>,
    gate_up: Tensor<2>,
}

impl Shape {
    pub(super) fn new(
        config: &ModelConfig,
        products: Products,
        limits: Limits,
        device: &BurnDevice,
    ) -> Self {
        Self {
            kv_heads: config.kv_heads,
            group: config.heads / config.kv_heads,
            dim: config.head_dim(),
            norm: Norm::new(config.norm_eps, products, device),
            products,
            kernels: Kernels::of(device),
            rotary: Rotary::new(config, device),
            attention: Attention::new(config.context, products, limits.scores, device),
            fused: Kernels::of(device).filter(|_| {
                let one = Tensor::<1>::zeros([1], device).cast(products.dtype());
                let sizes = Sizes {
                    batch: 1,
                    tokens: config.context,
                    heads: config.heads,
                    kv_heads: config.kv_heads,
                    dim: config.head_dim(),
                };
                Kernels::has_attention(one, sizes, limits.tokens)
            }),
        }
    }

    fn heads(&self) -> usize {
        self.kv_heads * self.group
    }

    /// Adds the block's attention part to `x`, `[batch tokens, d]`, the rows of all
    /// models. `weights` are the block's, as operands, each of all models.
    pub(super) fn attend(
        &self,
        weights: &[Tensor<3>],
        x: Tensor<2>,
        batch: usize,
    ) -> (Tensor<2>, Attended) {
        let (normed, root) = (self.norm).forward(x.clone(), weights[ATTENTION_NORM].clone());
        let projected = (self.products).of_rows(normed.clone(), weights[QUERY_KEY_VALUE].clone());
        let (mixed, heads) = if let Some(kernels) = self.fused {
            let qkv = self.rotate_rows(kernels, projected, batch, Turn::Forward);
            let (mixed, lse) = kernels.attention(qkv.clone(), self.sizes(&qkv, batch));
            (mixed, Heads::Joined(Box::new((qkv, lse))))
        } else {
            let inputs = self.split(projected, batch);
            let (out, lse) = self.attention.forward(&inputs);
            let mixed = self.products.operand(self.rows_of(out));
            (mixed, Heads::Apart(Box::new((inputs, lse))))
        };
        let y = x.clone() + (self.products).of_rows_wide(mixed.clone(), weights[OUTPUT].clone());
        let kept = Attended {
            input: x,
            root,
            normed,
            heads,
            mixed,
            batch,
        };
        (y, kept)
    }

    /// Adds the block's feed-forward part to `x`, `[rows, d]`.
    pub(super) fn feed_forward(&self, weights: &[Tensor<3>], x: Tensor<2>) -> (Tensor<2>, Fed) {
        let (normed, root) = (self.norm).forward(x.clone(), weights[FEED_NORM].clone());
        let gate_up = (self.products).of_rows(normed.clone(), weights[GATE_UP].clone());
        let inner = match self.kernels {
            Some(kernels) => kernels.swiglu(gate_up.clone()),
            None => self.products.operand(swiglu::forward(gate_up.clone())),
        };
        let y = x.clone() + (self.products).of_rows_wide(inner, weights[DOWN].clone());
        let kept = Fed {
            input: x,
            root,
            normed,
            gate_up,
        };
        (y, kept)
    }

    /// The backward pass of [`Shape::feed_forward`]: returns the gradient with
    /// respect to its input, given that of its output, and passes those of the
    /// weights to `add`, by place.
    pub(super) fn feed_forward_back(
        &self,
        weights: &[Tensor<3>],
        kept: Fed,
        dy: Tensor<2>,
        mut add: impl FnMut(usize, Tensor<3>),
    ) -> Tensor<2> {
        let doperand = self.products.operand(dy.clone());
        let down = weights[DOWN].clone().transpose();
        let dinner = self.products.of_rows(doperand.clone(), down);
        let (inner, dgate_up) = match self.kernels {
            Some(kernels) => kernels.swiglu_back(kept.gate_up, dinner),
            None => {
                let (inner, dgate_up) = swiglu::backward(kept.gate_up, wide(dinner));
                (
                    self.products.operand(inner),
                    self.products.operand(dgate_up),
                )
            }
        };
        let [models, ..] = weights[0].dims();
        let by = |a: Tensor<2>, b: &Tensor<2>| self.products.of_weights(a, b, models);
        add(DOWN, by(inner, &doperand));
        add(GATE_UP, by(kept.normed, &dgate_up));
        // Held once, `dy` is overwritten below.
        drop(doperand);
        let gate_up = weights[GATE_UP].clone().transpose();
        let dnormed = self.products.of_rows(dgate_up, gate_up);
        let weight = weights[FEED_NORM].clone();
        let given = [kept.input, kept.root, dnormed];
        let (dx, dweight) = self.norm.backward(given, weight, dy);
        add(FEED_NORM, dweight);
        dx
    }

    /// The backward pass of [`Shape::attend`].
    pub(super) fn attend_back(
        &self,
        weights: &[Tensor<3>],
        kept: Attended,
        dy: Tensor<2>,
        mut add: impl FnMut(usize, Tensor<3>),
    ) -> Tensor<2> {
        let doperand = self.products.operand(dy.clone());
        let output = weights[OUTPUT].clone().transpose();
        let dmixed = self.products.of_rows(doperand.clone(), output);
        let [models, ..] = weights[0].dims();
        let by = |a: Tensor<2>, b: &Tensor<2>| self.products.of_weights(a, b, models);
        add(OUTPUT, by(kept.mixed.clone(), &doperand));
        // Held once, `dy` is overwritten below.
        drop(doperand);
        let dprojected = match (kept.heads, self.fused) {
            (Heads::Joined(joined), Some(kernels)) => {
                let (qkv, lse) = *joined;
                let sizes = self.sizes(&qkv, kept.batch);
                let dqkv = kernels.attention_back([qkv, dmixed, kept.mixed], lse, sizes);
                self.rotate_rows(kernels, dqkv, kept.batch, Turn::Backward)
            }
            (Heads::Apart(apart), _) => {
                let (inputs, lse) = *apart;
                let dprojected = self.heads_back(&inputs, &lse, kept.mixed, dmixed);
                self.products.operand(dprojected)
            }
            (Heads::Joined(..), None) => unreachable!("kernels joined them"),
        };
        add(QUERY_KEY_VALUE, by(kept.normed, &dprojected));
        let projections = weights[QUERY_KEY_VALUE].clone().transpose();
        let dnormed = self.products.of_rows(dprojected, projections);
        let weight = weights[ATTENTION_NORM].clone();
        let given = [kept.input, kept.root, dnormed];
        let (dx, dweight) = self.norm.backward(given, weight, dy);
        add(ATTENTION_NORM, dweight);
        dx
    }

    /// The gradient of the joint projection of queries, keys and values, given that of
    /// the output of all heads, `mixed`.
    fn heads_back(
        &self,
        inputs: &Inputs,
        lse: &Tensor<5>,
        mixed: Tensor<2>,
        dmixed: Tensor<2>,
    ) -> Tensor<2> {
        let [batch, _, tokens, _] = inputs.k.dims();
        let along = (wide(dmixed.clone()) * wide(mixed))
            .reshape([batch * tokens * self.heads(), self.dim])
            .sum_dim(1);
        let along = self.heads_of(along, batch);
        let dout = self.heads_of(dmixed, batch);
        let (dq, [dk, dv]) = self.attention.backward(inputs, lse, &dout, &along);
        self.join_back(dq, dk, dv)
    }

    fn sizes(&self, rows: &Tensor<2>, batch: usize) -> Sizes {
        Sizes {
            batch,
            tokens: rows.dims()[0] / batch,
            heads: self.heads(),
            kv_heads: self.kv_heads,
            dim: self.dim,
        }
    }

    /// Rotates queries and keys that lie side by side in rows.
    fn rotate_rows(
        &self,
        kernels: Kernels,
        rows: Tensor<2>,
        batch: usize,
        turn: Turn,
    ) -> Tensor<2> {
        let rotation = Rotation {
            heads: self.heads() + self.kv_heads,
            tokens: rows.dims()[0] / batch,
            turn,
        };
        self.rotary.rotate_rows(kernels, rows, rotation)
    }

    /// Queries, keys and values of their joint projection.
    fn split(&self, projected: Tensor<2>, batch: usize) -> Inputs {
        let projected = match self.kernels {
            Some(kernels) => self.rotate_rows(kernels, projected, batch, Turn::Forward),
            None => projected,
        };
        let [rows, _] = projected.dims();
        let tokens = rows / batch;
        let mut from = 0;
        let mut next = |heads: usize| {
            let columns = from..from + heads * self.dim;
            from = columns.end;
            let t = projected.clone().slice_dim(1, columns);
            t.reshape([batch, tokens, heads, self.dim]).swap_dims(1, 2)
        };
        let (q, k, v) = (next(self.heads()), next(self.kv_heads), next(self.kv_heads));
        let k = self.rotated(k, Turn::Forward);
        // The queries are scaled, not the scores: there are fewer of them.
        let q = wide(self.rotated(q, Turn::Forward)).mul_scalar(self.scale());
        Inputs {
            q: (self.products.operand(q)).reshape([
                batch,
                self.kv_heads,
                self.group,
                tokens,
                self.dim,
            ]),
            k: owned(self.products.operand(k)),
            v: owned(v),
        }
    }

    /// Queries or keys with their rotation, unless kernels rotate whole rows.
    fn rotated(&self, t: Tensor<4>, turn: Turn) -> Tensor<4> {
        match self.kernels {
            Some(_) => t,
            None => self.rotary.rotate(wide(t), turn),
        }
    }

    /// The inverse of [`Shape::split`], for gradients.
    fn join_back(&self, dq: Tensor<5>, dk: Tensor<4>, dv: Tensor<4>) -> Tensor<2> {
        let [batch, _, tokens, dim] = dk.dims();
        let dq = dq.reshape([batch, self.heads(), tokens, dim]);
        let dq = self.rotated(dq, Turn::Backward).mul_scalar(self.scale());
        let dk = self.rotated(dk, Turn::Backward);
        let parts = [dq, dk, dv]
            .map(|t| t.swap_dims(1, 2).flatten(2, 3))
            .map(|t: Tensor<3>| {
                let [batch, tokens, width] = t.dims();
                t.reshape([batch * tokens, width])
            });
        let rows = joined::cat(parts.into(), 1);
        match self.kernels {
            Some(kernels) => self.rotate_rows(kernels, rows, batch, Turn::Backward),
            None => rows,
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.dim as f32).sqrt()
    }

    /// `[batch, kv_heads, group, tokens, dim]` as `[batch tokens, d]`.
    fn rows_of(&self, t: Tensor<5>) -> Tensor<2> {
        let [batch, _, _, tokens, dim] = t.dims();
        t.permute([0, 3, 1, 2, 4])
            .reshape([batch * tokens, self.heads() * dim])
    }

    /// The inverse of [`Shape::rows_of`], for any number of columns per head.
    fn heads_of(&self, t: Tensor<2>, batch: usize) -> Tensor<5> {
        let shape = t.shape();
        let tokens = shape.num_elements() / self.dim_of(&t) / batch / self.heads();
        let dim = self.dim_of(&t);
        t.reshape([batch, tokens, self.kv_heads, self.group, dim])
            .permute([0, 2, 3, 1, 4])
    }

    /// Columns per head: rows hold all heads, or one number of one head.
    fn dim_of(&self, t: &Tensor<2>) -> usize {
        match t.dims()[1] {
            1 => 1,
            width => width / self.heads(),
        }
    }
}
