//! Causal attention with grouped queries, in blocks of query rows.
//!
//! As in [`crate::host`], the scores of one block of rows are held at a time, here
//! of all sequences and heads at once, and keys after a block are not multiplied.
//! The forward pass keeps only the logarithm of each row's sum of exponentials,
//! from which the backward pass computes the probabilities again, as in
//! FlashAttention-2 (Dao 2023, arXiv 2307.08691).
//!
//! The query heads of a group share one product with their keys, in which they
//! lie below each other: keys and values are not repeated, and the products of
//! the backward pass add up the group's gradients.

use std::ops::Range;

use burn::tensor::{Bool, Device as BurnDevice, Tensor};

use super::joined;
use super::kernels::Kernels;
use super::products::{Products, wide};

/// Replaces the scores of future tokens: its exponential is zero, and the
/// difference of two of them is not NaN.
const MASKED: f32 = -1e30;

/// The fewest query rows of a block, unless there are fewer tokens.
const LEAST_ROWS: usize = 64;

/// The mask, and the sizes of blocks.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    /// `[tokens, tokens]`, true above the diagonal.
    future: Tensor<2, Bool>,
    products: Products,
    kernels: Option<Kernels>,
    /// How many scores are held at once.
    scores: usize,
}

/// Queries, `[batch, kv_heads, group, tokens, dim]`, already scaled, and keys and
/// values, `[batch, kv_heads, tokens, dim]`; all of the type of operands.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    pub(super) q: Tensor<5>,
    pub(super) k: Tensor<4>,
    pub(super) v: Tensor<4>,
}

/// Query rows per block for so many sequences times heads.
pub(super) fn block_rows(heads: usize, tokens: usize, scores: usize) -> usize {
    let rows = scores / (heads * tokens).max(1);
    if rows >= tokens {
        return tokens;
    }
    let whole = rows / LEAST_ROWS * LEAST_ROWS;
    whole.max(LEAST_ROWS).min(tokens)
}

impl Attention {
    /// For sequences of at most `tokens` tokens, with at most about `scores`
    /// scores at once.
    pub(super) fn new(
        tokens: usize,
        products: Products,
        scores: usize,
        device: &BurnDevice,
    ) -> Self {
        Self {
            future: Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, device),
            products,
            kernels: Kernels::of(device),
            scores,
        }
    }

    /// Returns the output and the logarithms of the softmax's sums,
    /// `[batch, kv_heads, group, tokens, 1]`, both in f32.
    pub(super) fn forward(&self, inputs: &Inputs) -> (Tensor<5>, Tensor<5>) {
        let mut outs = Vec::new();
        let mut sums = Vec::new();
        for rows in self.blocks(inputs) {
            let values = inputs.v.clone().slice_dim(2, 0..rows.end);
            let (out, sum) = if let Some(kernels) = self.kernels {
                let scores = self.products_of(inputs, &rows);
                let (p, lse) = kernels.softmax(scores, rows.start, rows.len());
                (self.products.wide_product(p, values), lse)
            } else {
                let scores = self.scores(inputs, &rows);
                let top = scores.clone().max_dim(3);
                let p = (scores - top.clone()).exp();
                let sum = p.clone().sum_dim(3);
                let out = self.products.wide_product(self.products.operand(p), values);
                let out = out / sum.clone();
                (out, top + sum.log())
            };
            outs.push(unfolded(out, inputs));
            sums.push(unfolded(sum, inputs));
        }
        (joined::cat(outs, 3), joined::cat(sums, 3))
    }

    /// Returns the gradients with respect to queries, keys and values, in f32.
    /// `dout` is that of the output, of the type of operands; `along` is its
    /// product with the output, added up over each row of a head, shaped as `lse`.
    pub(super) fn backward(
        &self,
        inputs: &Inputs,
        lse: &Tensor<5>,
        dout: &Tensor<5>,
        along: &Tensor<5>,
    ) -> (Tensor<5>, [Tensor<4>; 2]) {
        let mut dqs = Vec::new();
        let mut ends = [Vec::new(), Vec::new()];
        // The gradients of the keys and values before the block that was last.
        let mut open: Option<[Tensor<4>; 2]> = None;
        let blocks: Vec<Range<usize>> = self.blocks(inputs).collect();
        // From the last block, which sees all keys, to the first: the keys of a
        // block are seen by no block before it, and their gradients are then
        // complete.
        for rows in blocks.into_iter().rev() {
            let block = folded(dout, &rows);
            let [k, v] = [&inputs.k, &inputs.v].map(|t| t.clone().slice_dim(2, 0..rows.end));
            let dp = self.products.product(block.clone(), v.swap_dims(2, 3));
            let [lse, along] = [lse, along].map(|t| folded(t, &rows));
            let (p, ds) = if let Some(kernels) = self.kernels {
                let given = [self.products_of(inputs, &rows), dp, lse, along];
                kernels.softmax_back(given, rows.start, rows.len())
            } else {
                let p = (self.scores(inputs, &rows) - lse).exp();
                let ds = p.clone() * (wide(dp) - along);
                (self.products.operand(p), self.products.operand(ds))
            };
            let by = |a, b| self.products.wide_product(a, b);
            let dv = by(p.swap_dims(2, 3), block);
            let dk = by(ds.clone().swap_dims(2, 3), folded(&inputs.q, &rows));
            dqs.push(unfolded(by(ds, k), inputs));
            let parts = match open.take() {
                None => [dk, dv],
                Some([k, v]) => [dk + k, dv + v],
            };
            for (ends, part) in ends.iter_mut().zip(&parts) {
                ends.push(owned(part.clone().slice_dim(2, rows.clone())));
            }
            if rows.start > 0 {
                open = Some(parts.map(|t| t.slice_dim(2, 0..rows.start)));
            }
        }
        dqs.reverse();
        let whole = ends.map(|mut ends| {
            ends.reverse();
            joined::cat(ends, 2)
        });
        (joined::cat(dqs, 3), whole)
    }

    fn blocks(&self, inputs: &Inputs) -> impl Iterator<Item = Range<usize>> + use<> {
        let [batch, kv_heads, group, tokens, _] = inputs.q.dims();
        let rows = block_rows(batch * kv_heads * group, tokens, self.scores);
        (0..tokens)
            .step_by(rows)
            .map(move |from| from..(from + rows).min(tokens))
    }

    /// The scores of a block of rows with all keys up to its last row, not masked, of the
    /// type of operands.
    fn products_of(&self, inputs: &Inputs, rows: &Range<usize>) -> Tensor<4> {
        let keys = inputs.k.clone().slice_dim(2, 0..rows.end);
        (self.products).product(folded(&inputs.q, rows), keys.swap_dims(2, 3))
    }

    /// The masked scores of a block, `[batch, kv_heads, group rows, keys]`, in f32.
    fn scores(&self, inputs: &Inputs, rows: &Range<usize>) -> Tensor<4> {
        let scores = wide(self.products_of(inputs, rows));
        let [batch, kv_heads, folded, keys] = scores.dims();
        let group = folded / rows.len();
        let future = self.future.clone().slice([rows.clone(), 0..rows.end]);
        scores
            .reshape([batch, kv_heads, group, rows.len(), keys])
            .mask_fill(future.reshape([1, 1, 1, rows.len(), keys]), MASKED)
            .reshape([batch, kv_heads, folded, keys])
    }
}

/// Rows of all heads of a group, below each other.
fn folded(t: &Tensor<5>, rows: &Range<usize>) -> Tensor<4> {
    let [batch, kv_heads, group, _, dim] = t.dims();
    let t = t.clone().slice_dim(3, rows.clone());
    t.reshape([batch, kv_heads, group * rows.len(), dim])
}

/// The inverse of [`folded`].
fn unfolded(t: Tensor<4>, inputs: &Inputs) -> Tensor<5> {
    let group = inputs.q.dims()[2];
    let [batch, kv_heads, rows, dim] = t.dims();
    t.reshape([batch, kv_heads, group, rows / group, dim])
}

/// Copies a part of a tensor: as a view it would keep the whole in memory. The copy
/// is made by a reshape that a view cannot have (with one sequence and one head it
/// can, and the whole is small).
pub(super) fn owned(t: Tensor<4>) -> Tensor<4> {
    let shape @ [batch, heads, tokens, dim] = t.dims();
    t.reshape([batch * heads * tokens, dim]).reshape(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_large_as_the_scores_allow() {
        // 32 sequences of 8 heads and 2,048 tokens.
        assert_eq!(block_rows(256, 2048, 1 << 26), 128);
        assert_eq!(block_rows(256, 2048, 1), 64);
        assert_eq!(block_rows(32, 128, 1 << 26), 128);
        assert_eq!(block_rows(1, 70, 1), 64);
        assert_eq!(block_rows(1, 12, 1), 12);
    }
}
