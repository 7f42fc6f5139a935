//! SwiGLU (Shazeer 2020, arXiv 2002.05202): `y = g sigmoid(g) u`.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use super::joined;
use super::products::wide;

/// Gate and up projection, which lie side by side, in f32.
fn halves(gate_up: Tensor<2>) -> [Tensor<2>; 2] {
    let [_, width] = gate_up.dims();
    let half = |from: usize| wide(gate_up.clone().slice_dim(1, from..from + width / 2));
    [half(0), half(width / 2)]
}

/// `y` of both projections.
pub(super) fn forward(gate_up: Tensor<2>) -> Tensor<2> {
    let [gate, up] = halves(gate_up);
    gate.clone() * sigmoid(gate) * up
}

/// Returns `y` again, which the forward pass does not keep, and the gradients with
/// respect to both projections, side by side: `dg = dy u s (1 + g (1 - s))`,
/// `du = dy g s`, with `s = sigmoid(g)`.
pub(super) fn backward(gate_up: Tensor<2>, dy: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [gate, up] = halves(gate_up);
    let s = sigmoid(gate.clone());
    let silu = gate.clone() * s.clone();
    let slope = s.clone() * (gate * (s.neg().add_scalar(1.0))).add_scalar(1.0);
    let dup = dy.clone() * silu.clone();
    let dgate = dy * up.clone() * slope;
    (silu * up, joined::cat(vec![dgate, dup], 1))
}
