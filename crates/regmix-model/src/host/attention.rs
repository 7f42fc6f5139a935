//! Causal attention with grouped queries, in blocks of query rows.
//!
//! The scores of only one block of one head are held at a time. Products with
//! keys after a block are not computed, and the future tokens within it are left
//! out of the softmax, not filled with a large negative number. The forward pass
//! keeps only the logarithm of each row's sum of exponentials, from which the
//! backward pass computes the probabilities again, as in FlashAttention-2 (Dao
//! 2023, arXiv 2307.08691).
//!
//! O(tokens² d) time; O(heads tokens) memory kept per sequence.

use super::matrix::{Place, Write, matrix, matrix_mut, sized};
use super::product::Products;
use super::vector::{Op, dot, exponentials, greatest, widest};

/// Query rows per block: enough for the products to be efficient, and few
/// enough for the unused half of the diagonal blocks to be small.
const BLOCK: usize = 64;

/// The shape of one attention.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    /// Query heads.
    pub(super) heads: usize,
    /// Key and value heads; divides `heads`.
    pub(super) kv_heads: usize,
    /// Dimension of a head.
    pub(super) dim: usize,
    /// Tokens of a sequence.
    pub(super) tokens: usize,
}

/// Scores and their gradient for one block; reused between calls.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    scores: Vec<f32>,
    gradient: Vec<f32>,
}

/// Size of [`Scratch`] for sequences of that many tokens.
pub(super) fn numbers_held(tokens: u128) -> u128 {
    2 * tokens.min(BLOCK as u128) * tokens
}

impl Heads {
    /// Rows `from..to` of query head `head`.
    fn queries(self, head: usize, from: usize, to: usize) -> Place {
        Place {
            width: self.heads * self.dim,
            rows: (from, to),
            cols: (head * self.dim, (head + 1) * self.dim),
        }
    }

    /// The same rows of the keys or values that query head `head` sees.
    fn keys(self, head: usize, from: usize, to: usize) -> Place {
        let head = head / (self.heads / self.kv_heads);
        Place {
            width: self.kv_heads * self.dim,
            rows: (from, to),
            cols: (head * self.dim, (head + 1) * self.dim),
        }
    }

    fn scale(self) -> f32 {
        1.0 / (self.dim as f32).sqrt()
    }

    /// Blocks of query rows: first row and end.
    fn blocks(self) -> impl DoubleEndedIterator<Item = (usize, usize)> {
        (0..self.tokens.div_ceil(BLOCK))
            .map(move |i| (i * BLOCK, ((i + 1) * BLOCK).min(self.tokens)))
    }
}

/// Attends within every sequence. `q` and `out` are
/// `[sequences tokens, heads dim]`, `k` and `v` `[sequences tokens, kv_heads dim]`;
/// `lse`, `[sequences heads, tokens]`, receives the logarithms of the softmax's
/// sums.
pub(super) fn forward(
    shape: Heads,
    [q, k, v]: [&[f32]; 3],
    out: &mut [f32],
    lse: &mut [f32],
    scratch: &mut Scratch,
    products: &mut Products,
) {
    let Heads {
        heads, dim, tokens, ..
    } = shape;
    let width = heads * dim;
    let sequences = q.len() / (tokens * width);
    for (s, h) in (0..sequences).flat_map(|s| (0..heads).map(move |h| (s, h))) {
        let first = s * tokens;
        for (from, to) in shape.blocks() {
            let (a, b) = (first + from, first + to);
            let (queries, keys) = (shape.queries(h, a, b), shape.keys(h, first, b));
            let scores = sized(&mut scratch.scores, (to - from) * to);
            products.product(
                matrix_mut(scores, to),
                Write::Replace,
                queries.of(q),
                keys.of(k).transpose(),
            );
            let kept = (s * heads + h) * tokens;
            widest(Softmax {
                scores,
                from,
                width: to,
                scale: shape.scale(),
                lse: &mut lse[kept + from..kept + to],
            });
            products.product(
                queries.of_mut(out),
                Write::Replace,
                matrix(scores, to),
                keys.of(v),
            );
        }
    }
}

/// Causal softmax of a block's rows; row `i` sees columns up to `from + i`.
struct Softmax<'a> {
    scores: &'a mut [f32],
    from: usize,
    width: usize,
    scale: f32,
    lse: &'a mut [f32],
}

impl Op for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let rows = self.scores.chunks_exact_mut(self.width).zip(self.lse);
        for (i, (row, lse)) in rows.enumerate() {
            let (seen, future) = row.split_at_mut(self.from + i + 1);
            let shift = self.scale * greatest(seen);
            let sum = exponentials::<FMA>(seen, self.scale, shift);
            let inverse = 1.0 / sum;
            for p in seen {
                *p *= inverse;
            }
            future.fill(0.0);
            *lse = shift + sum.ln();
        }
    }
}

/// Inputs and outputs of the forward pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forward<'a> {
    pub(super) q: &'a [f32],
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) out: &'a [f32],
    pub(super) lse: &'a [f32],
}

/// Overwrites `dq`, `dk`, `dv` with the gradients, given that of the output.
pub(super) fn backward(
    shape: Heads,
    forward: Forward<'_>,
    dout: &[f32],
    [dq, dk, dv]: [&mut [f32]; 3],
    scratch: &mut Scratch,
    products: &mut Products,
) {
    let Heads {
        heads, dim, tokens, ..
    } = shape;
    let width = heads * dim;
    let group = heads / shape.kv_heads;
    let sequences = forward.q.len() / (tokens * width);
    for (s, h) in (0..sequences).flat_map(|s| (0..heads).map(move |h| (s, h))) {
        let first = s * tokens;
        // From the last block, which uses all keys, to the first.
        for (from, to) in shape.blocks().rev() {
            let (a, b) = (first + from, first + to);
            let (queries, keys) = (shape.queries(h, a, b), shape.keys(h, first, b));
            let into = if h % group == 0 && to == tokens {
                Write::Replace
            } else {
                Write::Add
            };
            let query = queries.of(forward.q);
            let key = keys.of(forward.k);
            let dblock = queries.of(dout);
            let scores = sized(&mut scratch.scores, (to - from) * to);
            products.product(
                matrix_mut(scores, to),
                Write::Replace,
                query,
                key.transpose(),
            );
            let gradient = sized(&mut scratch.gradient, (to - from) * to);
            products.product(
                matrix_mut(gradient, to),
                Write::Replace,
                dblock,
                keys.of(forward.v).transpose(),
            );
            let kept = (s * heads + h) * tokens;
            widest(Backward {
                scores,
                gradient,
                from,
                width: to,
                scale: shape.scale(),
                lse: &forward.lse[kept + from..kept + to],
                out: &forward.out[a * width..b * width],
                dout: &dout[a * width..b * width],
                head: h * dim..(h + 1) * dim,
                stride: width,
            });
            let (scores, gradient) = (matrix(scores, to), matrix(gradient, to));
            products.product(keys.of_mut(dv), into, scores.transpose(), dblock);
            products.product(queries.of_mut(dq), Write::Replace, gradient, key);
            products.product(keys.of_mut(dk), into, gradient.transpose(), query);
        }
    }
}

/// Replaces scores by probabilities, and the gradient with respect to these by
/// the one with respect to the scores: `ds = scale p (dp - Σ p dp)`, where the
/// sum over a row equals the product of output and its gradient.
struct Backward<'a> {
    scores: &'a mut [f32],
    gradient: &'a mut [f32],
    from: usize,
    width: usize,
    scale: f32,
    lse: &'a [f32],
    /// Rows of the output and its gradient, all heads.
    out: &'a [f32],
    dout: &'a [f32],
    head: std::ops::Range<usize>,
    stride: usize,
}

impl Op for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let rows = self.scores.chunks_exact_mut(self.width);
        let rows = rows.zip(self.gradient.chunks_exact_mut(self.width));
        let outs = self.out.chunks_exact(self.stride);
        let outs = outs.zip(self.dout.chunks_exact(self.stride));
        for (i, (((p, dp), (out, dout)), lse)) in rows.zip(outs).zip(self.lse).enumerate() {
            let mean = dot::<FMA>(&out[self.head.clone()], &dout[self.head.clone()]);
            let (seen, future) = p.split_at_mut(self.from + i + 1);
            let (dseen, dfuture) = dp.split_at_mut(self.from + i + 1);
            exponentials::<FMA>(seen, self.scale, *lse);
            for (ds, p) in dseen.iter_mut().zip(seen) {
                *ds = self.scale * *p * (*ds - mean);
            }
            future.fill(0.0);
            dfuture.fill(0.0);
        }
    }
}
