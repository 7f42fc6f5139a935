//! Cross-entropy.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Mean cross-entropy in nats per token, with a graph for its gradient.
///
/// `logits` is `[rows, vocab]`, `targets` `[rows]`. The gradient of
/// cross-entropy is known in closed form, `(softmax - onehot) / rows`. It is
/// computed here once, without a graph, and passed to autodiff as a constant
/// factor of the logits: `sum(logits * gradient)` has exactly that gradient.
/// This saves the passes of differentiating a log-softmax.
pub(super) struct CrossEntropy {
    /// The loss itself, `[1]`, without a graph.
    pub(super) value: Tensor<1>,
    /// A tensor to call `backward` on; its value has no meaning.
    pub(super) surrogate: Tensor<1>,
}

pub(super) fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> CrossEntropy {
    let [rows, _] = logits.dims();
    let (shifted, total) = shifted(logits.clone().inner());
    let targets = targets.reshape([rows, 1]);
    let value = (total.clone().log() - shifted.clone().gather(1, targets.clone())).mean();
    let ones = Tensor::ones([rows, 1], &value.device());
    let gradient = (shifted.exp() / total)
        .scatter(1, targets, -ones, IndexingUpdateOp::Add)
        .div_scalar(rows as f32);
    CrossEntropy {
        value,
        surrogate: (logits * Tensor::from_inner(gradient)).sum(),
    }
}

/// Cross-entropy of every row, `[rows]`, without a graph.
pub(super) fn cross_entropy_rows(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    let (shifted, total) = shifted(logits);
    let target = shifted.gather(1, targets.reshape([rows, 1]));
    (total.log() - target).reshape([rows])
}

/// Logits less their row's greatest, and the sum of their exponentials.
fn shifted(logits: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let shifted = logits.clone() - logits.max_dim(1);
    let total = shifted.clone().exp().sum_dim(1);
    (shifted, total)
}
