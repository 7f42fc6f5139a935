//! The output layer together with its cross-entropy, in chunks of rows.
//!
//! As in [`crate::host`]: the loss is the end of the forward pass, so the gradient
//! of a chunk's logits, `softmax - onehot`, is known as soon as the chunk is
//! computed, and both products with it follow at once. `[rows, vocab]` is never
//! held.

use std::ops::Range;

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::kernels::Kernels;
use super::models::{self, apart};
use super::products::{Products, wide};

/// The fewest rows of a chunk.
const LEAST_ROWS: usize = 64;

/// The output layer.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// `[models, d, vocab]`, of the type of operands.
    pub(super) weights: Tensor<3>,
    pub(super) products: Products,
    pub(super) kernels: Option<Kernels>,
    /// How many logits are held at once.
    pub(super) logits: usize,
}

/// The weights of rows in the loss.
#[derive(Debug, Clone)]
pub(super) enum Weights {
    /// The same for all.
    Same(f32),
    /// `[rows, 1]`.
    Each(Box<Tensor<2>>),
}

impl Weights {
    fn chunk(&self, models: usize, rows: Range<usize>) -> Self {
        match self {
            Self::Same(weight) => Self::Same(*weight),
            Self::Each(weights) => {
                let weights = (**weights).clone();
                Self::Each(Box::new(models::part(weights, models, rows)))
            }
        }
    }
}

/// The gradients of a weighted sum of losses, in f32.
pub(super) struct Gradients {
    /// With respect to the rows.
    pub(super) rows: Tensor<2>,
    /// With respect to the weights, `[models, d, vocab]`.
    pub(super) weights: Tensor<3>,
}

/// Rows per chunk.
pub(super) fn chunk_rows(rows: usize, vocab: usize, logits: usize) -> usize {
    let most = logits / vocab;
    if most >= rows {
        return rows;
    }
    (most / LEAST_ROWS * LEAST_ROWS).max(LEAST_ROWS).min(rows)
}

/// The softmax of a chunk before its division.
struct Softmax {
    /// Exponentials of logits less their row's greatest, `[rows, vocab]`.
    exponentials: Tensor<2>,
    /// Their sums, `[rows, 1]`.
    sums: Tensor<2>,
    /// Cross-entropy of every row, `[rows, 1]`.
    losses: Tensor<2>,
}

impl Output {
    /// Logits of rows, `[rows, vocab]`.
    pub(super) fn logits(&self, h: Tensor<2>) -> Tensor<2> {
        self.products.of_rows_wide(h, self.weights.clone())
    }

    fn models(&self) -> usize {
        self.weights.dims()[0]
    }

    /// Rows of every model.
    fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let [models, _, vocab] = self.weights.dims();
        let rows = rows / models;
        let chunk = chunk_rows(rows, models * vocab, self.logits);
        (0..rows)
            .step_by(chunk)
            .map(move |from| from..(from + chunk).min(rows))
    }

    fn softmax(&self, h: Tensor<2>, targets: Tensor<2, Int>) -> Softmax {
        let logits = self.logits(h);
        let top = logits.clone().max_dim(1);
        let target = logits.clone().gather(1, targets) - top.clone();
        let exponentials = (logits - top).exp();
        let sums = exponentials.clone().sum_dim(1);
        Softmax {
            losses: sums.clone().log() - target,
            exponentials,
            sums,
        }
    }

    /// Cross-entropy of every row of `h`, `[rows, d]`, of the type of operands.
    pub(super) fn losses(&self, h: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        let [rows, _] = h.dims();
        let models = self.models();
        let targets = targets.reshape([rows, 1]);
        let losses = self.chunks(rows).map(|chunk| {
            let targets = models::part(targets.clone(), models, chunk.clone());
            let h = models::part(h.clone(), models, chunk);
            self.softmax(h, targets).losses
        });
        models::join(losses.collect(), models).reshape([rows])
    }

    /// The sums of a chunk's losses, and the gradient of the weighted sum with
    /// respect to its logits, of the type of operands. Where every row has its
    /// weight, the first is the weighted sum, too.
    fn chunk_back(
        &self,
        h: Tensor<2>,
        targets: Tensor<2, Int>,
        weights: Weights,
    ) -> (Tensor<1>, Tensor<2>) {
        let models = self.models();
        match weights {
            Weights::Same(weight) => {
                let (losses, gradient) = self.rows_back(h, targets, weight);
                (models::sum(losses, models), gradient)
            }
            Weights::Each(weights) => {
                let (losses, gradient) = self.rows_back(h, targets, 1.0);
                let weighted = wide(gradient) * (*weights).clone();
                let rows = weights.dims()[0];
                let sum = models::sum(losses * weights.reshape([rows]), models);
                (sum, self.products.operand(weighted))
            }
        }
    }

    /// The losses of rows, and the gradient of `weight` times their sum.
    fn rows_back(
        &self,
        h: Tensor<2>,
        targets: Tensor<2, Int>,
        weight: f32,
    ) -> (Tensor<1>, Tensor<2>) {
        let [rows, _] = h.dims();
        if let Some(kernels) = self.kernels {
            let logits = self.products.of_rows(h, self.weights.clone());
            return kernels.cross_entropy(logits, targets.reshape([rows]), weight);
        }
        let softmax = self.softmax(h, targets.clone());
        let ones = Tensor::full(softmax.sums.dims(), -weight, &softmax.sums.device());
        let factor = softmax.sums.recip().mul_scalar(weight);
        let gradient =
            (softmax.exponentials * factor).scatter(1, targets, ones, IndexingUpdateOp::Add);
        let losses = softmax.losses.reshape([rows]);
        (losses, self.products.operand(gradient))
    }

    /// The sum of every model's losses, `[models]`, weighted where every row has its
    /// weight, and the gradients of the weighted sums.
    pub(super) fn backward(
        &self,
        h: Tensor<2>,
        targets: Tensor<1, Int>,
        weights: &Weights,
    ) -> (Tensor<1>, Gradients) {
        let [rows, _] = h.dims();
        let models = self.models();
        let targets = targets.reshape([rows, 1]);
        let mut losses: Option<Tensor<1>> = None;
        let mut dweights: Option<Tensor<3>> = None;
        let mut dhs = Vec::new();
        for chunk in self.chunks(rows) {
            let targets = models::part(targets.clone(), models, chunk.clone());
            let weights = weights.chunk(models, chunk.clone());
            let h = models::part(h.clone(), models, chunk);
            let (loss, gradient) = self.chunk_back(h.clone(), targets, weights);
            losses = Some(plus(losses, loss));
            let weights = self.weights.clone().transpose();
            dhs.push((self.products).of_rows_wide(gradient.clone(), weights));
            let [h, gradient] = [h, gradient].map(|t| apart(t, models));
            dweights = Some((self.products).add_product(dweights, h.transpose(), gradient));
        }
        let gradients = Gradients {
            rows: models::join(dhs, models),
            weights: dweights.expect("there is at least one row"),
        };
        (losses.expect("there is at least one row"), gradients)
    }
}

/// Adds to a sum that may not have begun.
pub(super) fn plus<const D: usize>(sum: Option<Tensor<D>>, t: Tensor<D>) -> Tensor<D> {
    match sum {
        None => t,
        Some(sum) => sum + t,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_as_large_as_the_logits_allow() {
        assert_eq!(chunk_rows(65_536, 50_432, 1 << 27), 2624);
        assert_eq!(chunk_rows(2048, 1024, 1 << 27), 2048);
        assert_eq!(chunk_rows(500, 50_432, 1), 64);
        assert_eq!(chunk_rows(5, 50_432, 1), 5);
    }
}
