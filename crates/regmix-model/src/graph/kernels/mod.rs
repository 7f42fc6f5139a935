//! Kernels for what burn's operations compute in many passes over memory. One
//! source serves CUDA, Vulkan and wgpu.
//!
//! Each stands beside the same computation on tensors, which is the reference and
//! serves every other device. Rows are contiguous here, and a workgroup computes a
//! row: its threads take every n-th column.

mod adamw;
mod attention;
mod cross_entropy;
#[cfg(feature = "cuda")]
mod cuda;
mod follow;
mod gather;
mod norm;
mod ops;
mod parts;
mod product;
mod rotary;
mod rows;
mod softmax;
mod squares;
mod swiglu;

use super::arguments::{Groups, Part, Rotation, Sizes};
use super::sums::sum_rows;
use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{DType, Device as BurnDevice, FloatDType, Int, Shape, Tensor};
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use ops::KernelOps;

/// A device that computes with these kernels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels(());

/// A tensor that may be overwritten, contiguous.
fn owned(t: CubeTensor) -> CubeTensor {
    let t = into_contiguous(t);
    if t.can_mut() { t } else { t.copy() }
}

/// A tensor without values on the device of another.
fn empty(like: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape, dtype)
}

/// Rows and columns of a tensor whose last dimension is the columns.
fn rows_and_columns(t: &CubeTensor) -> (usize, usize) {
    let shape = t.meta.shape();
    let columns = shape[shape.num_dims() - 1];
    (shape.num_elements() / columns, columns)
}

/// Numbers that a thread reads or writes at once, in rows of so many columns.
fn vector_size(t: &CubeTensor, columns: usize) -> VectorSize {
    let sizes = t.client.io_optimized_vector_sizes(t.dtype.size());
    let fitting = sizes.filter(|size| columns.is_multiple_of(*size));
    fitting.max().unwrap_or(1)
}

/// Workgroups for so many rows; the dimensions of a grid are limited.
fn grid(rows: usize) -> CubeCount {
    const MOST: usize = 32_768;
    let y = rows.div_ceil(MOST);
    CubeCount::Static(rows.div_ceil(y) as u32, y as u32, 1)
}

/// Workgroups of attention: one for every so many rows of every head and sequence.
fn workgroups(sizes: Sizes, heads: usize, rows: usize) -> usize {
    sizes.tokens.div_ceil(rows) * heads * sizes.batch
}

/// The factor of attention's scores.
fn scale(sizes: Sizes) -> f32 {
    1.0 / (sizes.dim as f32).sqrt()
}

/// Threads of a workgroup for rows of so many columns.
fn threads(columns: usize) -> usize {
    columns.next_power_of_two().clamp(32, 256)
}

impl Kernels {
    /// The kernels, if a device computes with them.
    pub(super) fn of(device: &BurnDevice) -> Option<Self> {
        match device.as_dispatch() {
            DispatchDevice::Cube(_) => Some(Self(())),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }

    /// Losses of rows of logits, `[rows, vocab]`, and the gradient of `weight` times
    /// their sum, of the logits' type.
    pub(super) fn cross_entropy(
        self,
        logits: Tensor<2>,
        targets: Tensor<1, Int>,
        weight: f32,
    ) -> (Tensor<1>, Tensor<2>) {
        let (logits, targets) = (logits.into_dispatch(), targets.into_dispatch());
        let (losses, gradient) = Dispatch::cross_entropy(logits, targets, weight);
        (
            Tensor::from_dispatch(losses),
            Tensor::from_dispatch(gradient),
        )
    }

    /// Causal softmax of the scores of query rows `from..from + block`, group by group
    /// below each other, `[batch, kv_heads, group block, keys]`, and the logarithms of
    /// its sums, in f32.
    pub(super) fn softmax(
        self,
        scores: Tensor<4>,
        from: usize,
        block: usize,
    ) -> (Tensor<4>, Tensor<4>) {
        let (p, lse) = Dispatch::softmax(scores.into_dispatch(), from, block);
        (Tensor::from_dispatch(p), Tensor::from_dispatch(lse))
    }

    /// The probabilities of the same scores, and the gradient of the scores. `given` are
    /// the scores, the gradient of the probabilities, the logarithms of the sums, and
    /// the rows' products of output and its gradient.
    pub(super) fn softmax_back(
        self,
        given: [Tensor<4>; 4],
        from: usize,
        block: usize,
    ) -> (Tensor<4>, Tensor<4>) {
        let [scores, dp, lse, along] = given.map(Tensor::into_dispatch);
        let (p, ds) = Dispatch::softmax_back(scores, dp, lse, along, from, block);
        (Tensor::from_dispatch(p), Tensor::from_dispatch(ds))
    }

    /// RMSNorm of rows `x`, as numbers of a type, and the roots. `weight` is
    /// `[models, 1, columns]`.
    pub(super) fn norm(
        self,
        x: Tensor<2>,
        weight: Tensor<3>,
        eps: f32,
        dtype: FloatDType,
    ) -> (Tensor<2>, Tensor<2>) {
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        let (y, root) = Dispatch::norm(x, weight, eps, dtype.into());
        (Tensor::from_dispatch(y), Tensor::from_dispatch(root))
    }

    /// The gradient with respect to the rows, added to `dx`, and that with respect to
    /// the weight. `given` are the rows, the roots, and the gradient of the norm's output.
    pub(super) fn norm_back(
        self,
        given: [Tensor<2>; 3],
        weight: Tensor<3>,
        dx: Tensor<2>,
    ) -> (Tensor<2>, Tensor<3>) {
        let [x, root, dy] = given.map(Tensor::into_dispatch);
        let weight = weight.into_dispatch();
        let (dx, parts) = Dispatch::norm_back(x, weight, root, dy, dx.into_dispatch());
        let dweight = sum_rows(Tensor::from_dispatch(parts));
        (Tensor::from_dispatch(dx), dweight)
    }

    /// SwiGLU, of the type of the projections.
    pub(super) fn swiglu(self, gate_up: Tensor<2>) -> Tensor<2> {
        Tensor::from_dispatch(Dispatch::swiglu(gate_up.into_dispatch()))
    }

    /// SwiGLU again, and the gradients of both projections, side by side.
    pub(super) fn swiglu_back(self, gate_up: Tensor<2>, dy: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let (y, dgate_up) = Dispatch::swiglu_back(gate_up.into_dispatch(), dy.into_dispatch());
        (Tensor::from_dispatch(y), Tensor::from_dispatch(dgate_up))
    }

    /// Rotates heads of rows; `cos` and `sin` are `[tokens, dim]`.
    pub(super) fn rotate(
        self,
        x: Tensor<2>,
        cos: Tensor<2>,
        sin: Tensor<2>,
        rotation: Rotation,
    ) -> Tensor<2> {
        let [x, cos, sin] = [x, cos, sin].map(Tensor::into_dispatch);
        Tensor::from_dispatch(Dispatch::rotate(x, cos, sin, rotation))
    }

    /// Whether [`Kernels::attention`] computes sequences of these sizes with numbers of
    /// the type of `t`, on its device; row by row it does so up to `most_tokens` tokens.
    pub(super) fn has_attention(t: Tensor<1>, sizes: Sizes, most_tokens: usize) -> bool {
        Dispatch::has_attention(t.into_dispatch(), sizes, most_tokens)
    }

    /// Causal attention of rows of queries, keys and values, side by side and rotated;
    /// returns the output of all heads, of their type, and the logarithms of the sums.
    pub(super) fn attention(self, qkv: Tensor<2>, sizes: Sizes) -> (Tensor<2>, Tensor<1>) {
        let (out, lse) = Dispatch::attention(qkv.into_dispatch(), sizes);
        (Tensor::from_dispatch(out), Tensor::from_dispatch(lse))
    }

    /// The gradient of those rows. `given` are they, the gradient of the output, and the
    /// output; `lse` are the logarithms of the sums.
    pub(super) fn attention_back(
        self,
        given: [Tensor<2>; 3],
        lse: Tensor<1>,
        sizes: Sizes,
    ) -> Tensor<2> {
        let [qkv, dout, out] = given.map(Tensor::into_dispatch);
        let lse = lse.into_dispatch();
        Tensor::from_dispatch(Dispatch::attention_back(qkv, dout, out, lse, sizes))
    }

    /// A matrix product as numbers of a type.
    pub(super) fn product<const D: usize>(
        self,
        lhs: Tensor<D>,
        rhs: Tensor<D>,
        dtype: FloatDType,
    ) -> Tensor<D> {
        let (lhs, rhs) = (lhs.into_dispatch(), rhs.into_dispatch());
        Tensor::from_dispatch(Dispatch::product(lhs, rhs, dtype.into()))
    }

    /// A sum in f32 with a matrix product added to it.
    pub(super) fn add_product(self, sum: Tensor<3>, lhs: Tensor<3>, rhs: Tensor<3>) -> Tensor<3> {
        let [sum, lhs, rhs] = [sum, lhs, rhs].map(Tensor::into_dispatch);
        Tensor::from_dispatch(Dispatch::add_product(sum, lhs, rhs))
    }

    /// The names of the kernels of matrix products.
    pub(super) fn ways() -> Vec<&'static str> {
        product::ways().into_iter().map(|(name, _)| name).collect()
    }

    /// A matrix product by one of them.
    pub(super) fn product_by<const D: usize>(
        self,
        lhs: Tensor<D>,
        rhs: Tensor<D>,
        dtype: FloatDType,
        way: usize,
    ) -> Tensor<D> {
        let (lhs, rhs) = (lhs.into_dispatch(), rhs.into_dispatch());
        Tensor::from_dispatch(Dispatch::product_by(lhs, rhs, dtype.into(), way))
    }

    /// `result`, which cannot be read if one of its sources, of the same type, cannot.
    pub(super) fn follow<const R: usize, const D: usize>(
        self,
        result: Tensor<R>,
        sources: [Tensor<D>; 4],
    ) -> Tensor<R> {
        let [a, b, c, d] = sources.map(Tensor::into_dispatch);
        Tensor::from_dispatch(Dispatch::follow(result.into_dispatch(), a, b, c, d))
    }

    /// At most four tensors added to parts of a sum.
    pub(super) fn add_parts(self, sum: Tensor<1>, parts: &[(Tensor<1>, Part)]) -> Tensor<1> {
        // In place of parts that are not there, the first is added nowhere.
        let nothing = Part {
            start: 0,
            count: 0,
            keep: false,
        };
        let tensor = |i: usize| parts.get(i).unwrap_or(&parts[0]).0.clone().into_dispatch();
        let place = |i: usize| parts.get(i).map_or(nothing, |(_, part)| *part);
        let [a, b, c, d] = [0, 1, 2, 3].map(tensor);
        let places = [0, 1, 2, 3].map(place);
        Tensor::from_dispatch(Dispatch::add_parts(sum.into_dispatch(), a, b, c, d, places))
    }

    /// Sums of the rows of every token, `[tokens, columns]`.
    pub(super) fn sum_by_token(
        self,
        x: Tensor<2>,
        plan: Tensor<1, Int>,
        groups: Groups,
    ) -> Tensor<2> {
        let (x, plan) = (x.into_dispatch(), plan.into_dispatch());
        Tensor::from_dispatch(Dispatch::sum_by_token(x, plan, groups))
    }

    /// The sums of squares of every model, `[models]`, by the pieces of a slab.
    pub(super) fn squares(self, g: Tensor<1>, pieces: Tensor<1, Int>, models: usize) -> Tensor<1> {
        let (g, pieces) = (g.into_dispatch(), pieces.into_dispatch());
        Tensor::from_dispatch(Dispatch::squares(g, pieces, models))
    }

    /// New weights and moments, given weights, gradient, mean and mean square, the pieces
    /// of a slab, and the numbers of every model's update.
    pub(super) fn adamw(
        self,
        given: [Tensor<1>; 4],
        pieces: Tensor<1, Int>,
        numbers: Tensor<1>,
    ) -> [Tensor<1>; 3] {
        let [w, g, m, v] = given.map(Tensor::into_dispatch);
        let (pieces, numbers) = (pieces.into_dispatch(), numbers.into_dispatch());
        let (w, m, v) = Dispatch::adamw(w, g, m, v, pieces, numbers);
        [w, m, v].map(Tensor::from_dispatch)
    }
}
