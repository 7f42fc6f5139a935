//! The kernels, as operations of a back-end.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::{Groups, Part, Rotation, Sizes};
use super::{
    adamw, attention, cross_entropy, follow, gather, norm, parts, product, rotary, softmax,
    squares, swiglu,
};

/// The kernels, as operations of a back-end.
#[backend_extension(Cube)]
pub(super) trait KernelOps: Backend {
    /// Losses of rows, and the gradient of `weight` times their sum in place of the
    /// logits.
    fn cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weight: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Softmax in place of a block's scores, and the logarithms of the sums.
    fn softmax(
        scores: FloatTensor<Self>,
        from: usize,
        block: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Probabilities in place of scores, and the gradients of the scores in place of
    /// those of the probabilities.
    fn softmax_back(
        scores: FloatTensor<Self>,
        dp: FloatTensor<Self>,
        lse: FloatTensor<Self>,
        along: FloatTensor<Self>,
        from: usize,
        block: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// RMSNorm of rows as numbers of a type, and the roots.
    fn norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        eps: f32,
        dtype: DType,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradient with respect to the rows, added to `dx`, and that with respect to
    /// the weight, in parts that are yet to be added up.
    fn norm_back(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        root: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        dx: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// SwiGLU of gate and up projection, side by side.
    fn swiglu(gate_up: FloatTensor<Self>) -> FloatTensor<Self>;

    /// SwiGLU, and the gradients of both projections in place of them.
    fn swiglu_back(
        gate_up: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Rotates heads of rows, in place; `cos` and `sin` are `[tokens, dim]`.
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        rotation: Rotation,
    ) -> FloatTensor<Self>;

    /// Whether `attention` computes sequences of these sizes with numbers of the type of
    /// `t`; row by row it does so up to `most_tokens` tokens.
    fn has_attention(t: FloatTensor<Self>, sizes: Sizes, most_tokens: usize) -> bool;

    /// Causal attention of queries, keys and values, side by side in rows, and the
    /// logarithms of the sums.
    fn attention(qkv: FloatTensor<Self>, sizes: Sizes) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradient of queries, keys and values.
    fn attention_back(
        qkv: FloatTensor<Self>,
        dout: FloatTensor<Self>,
        out: FloatTensor<Self>,
        lse: FloatTensor<Self>,
        sizes: Sizes,
    ) -> FloatTensor<Self>;

    /// A matrix product as numbers of a type.
    fn product(lhs: FloatTensor<Self>, rhs: FloatTensor<Self>, dtype: DType) -> FloatTensor<Self>;

    /// A sum in f32 with a matrix product added to it, in place.
    fn add_product(
        sum: FloatTensor<Self>,
        lhs: FloatTensor<Self>,
        rhs: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// A matrix product as numbers of a type, by the kernel of this number.
    fn product_by(
        lhs: FloatTensor<Self>,
        rhs: FloatTensor<Self>,
        dtype: DType,
        way: usize,
    ) -> FloatTensor<Self>;

    /// `result`, marked as not computed if one of four sources is.
    fn follow(
        result: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Four tensors added to parts of `sum`, in place.
    fn add_parts(
        sum: FloatTensor<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        parts: [Part; 4],
    ) -> FloatTensor<Self>;

    /// Sums of the rows of every token.
    fn sum_by_token(
        x: FloatTensor<Self>,
        plan: IntTensor<Self>,
        groups: Groups,
    ) -> FloatTensor<Self>;

    /// The sums of squares of every model, by pieces that are each of one model.
    fn squares(g: FloatTensor<Self>, pieces: IntTensor<Self>, models: usize) -> FloatTensor<Self>;

    /// New weights and moments, each in place.
    fn adamw(
        w: FloatTensor<Self>,
        g: FloatTensor<Self>,
        m: FloatTensor<Self>,
        v: FloatTensor<Self>,
        pieces: IntTensor<Self>,
        numbers: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl KernelOps for CubeBackend {
    fn cross_entropy(
        logits: CubeTensor,
        targets: CubeTensor,
        weight: f32,
    ) -> (CubeTensor, CubeTensor) {
        cross_entropy::launch(logits, targets, weight)
    }

    fn softmax(scores: CubeTensor, from: usize, block: usize) -> (CubeTensor, CubeTensor) {
        softmax::launch(scores, from, block)
    }

    fn softmax_back(
        scores: CubeTensor,
        dp: CubeTensor,
        lse: CubeTensor,
        along: CubeTensor,
        from: usize,
        block: usize,
    ) -> (CubeTensor, CubeTensor) {
        softmax::launch_back([scores, dp, lse, along], from, block)
    }

    fn norm(x: CubeTensor, weight: CubeTensor, eps: f32, dtype: DType) -> (CubeTensor, CubeTensor) {
        norm::launch(x, weight, eps, dtype)
    }

    fn norm_back(
        x: CubeTensor,
        weight: CubeTensor,
        root: CubeTensor,
        dy: CubeTensor,
        dx: CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        norm::launch_back([x, weight, root, dy], dx)
    }

    fn swiglu(gate_up: CubeTensor) -> CubeTensor {
        swiglu::launch(gate_up)
    }

    fn swiglu_back(gate_up: CubeTensor, dy: CubeTensor) -> (CubeTensor, CubeTensor) {
        swiglu::launch_back(gate_up, dy)
    }

    fn rotate(x: CubeTensor, cos: CubeTensor, sin: CubeTensor, rotation: Rotation) -> CubeTensor {
        rotary::launch(x, cos, sin, rotation)
    }

    fn has_attention(t: CubeTensor, sizes: Sizes, most_tokens: usize) -> bool {
        attention::available(&t, sizes, most_tokens)
    }

    fn attention(qkv: CubeTensor, sizes: Sizes) -> (CubeTensor, CubeTensor) {
        attention::forward(qkv, sizes)
    }

    fn attention_back(
        qkv: CubeTensor,
        dout: CubeTensor,
        out: CubeTensor,
        lse: CubeTensor,
        sizes: Sizes,
    ) -> CubeTensor {
        attention::backward([qkv, dout, out, lse], sizes)
    }

    fn product(lhs: CubeTensor, rhs: CubeTensor, dtype: DType) -> CubeTensor {
        product::product(lhs, rhs, dtype)
    }

    fn add_product(sum: CubeTensor, lhs: CubeTensor, rhs: CubeTensor) -> CubeTensor {
        product::add_product(sum, lhs, rhs)
    }

    fn product_by(lhs: CubeTensor, rhs: CubeTensor, dtype: DType, way: usize) -> CubeTensor {
        let (_, way) = &product::ways()[way];
        match product::launch(lhs, rhs, dtype, way) {
            Ok(product) => product,
            Err(why) => panic!("{why}"),
        }
    }

    fn follow(
        result: CubeTensor,
        a: CubeTensor,
        b: CubeTensor,
        c: CubeTensor,
        d: CubeTensor,
    ) -> CubeTensor {
        follow::launch(result, [a, b, c, d])
    }

    fn add_parts(
        sum: CubeTensor,
        a: CubeTensor,
        b: CubeTensor,
        c: CubeTensor,
        d: CubeTensor,
        [of_a, of_b, of_c, of_d]: [Part; 4],
    ) -> CubeTensor {
        parts::launch(sum, [(a, of_a), (b, of_b), (c, of_c), (d, of_d)])
    }

    fn sum_by_token(x: CubeTensor, plan: CubeTensor, groups: Groups) -> CubeTensor {
        gather::launch(x, plan, groups)
    }

    fn squares(g: CubeTensor, pieces: CubeTensor, models: usize) -> CubeTensor {
        squares::launch(g, pieces, models)
    }

    fn adamw(
        w: CubeTensor,
        g: CubeTensor,
        m: CubeTensor,
        v: CubeTensor,
        pieces: CubeTensor,
        numbers: CubeTensor,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        adamw::launch([w, g, m, v], pieces, numbers)
    }
}
