//! SwiGLU (Shazeer 2020, arXiv 2002.05202): `y = g sigmoid(g) u`.

use super::vector::{Op, sigmoid, widest};

/// `y` of gate and up projections, all of one length. O(n).
pub(super) fn forward(gate: &[f32], up: &[f32], y: &mut [f32]) {
    struct Forward<'a>(&'a [f32], &'a [f32], &'a mut [f32]);
    impl Op for Forward<'_> {
        type Output = ();
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            for ((y, g), u) in self.2.iter_mut().zip(self.0).zip(self.1) {
                *y = g * sigmoid::<FMA>(*g) * u;
            }
        }
    }
    widest(Forward(gate, up, y));
}

/// Turns gate and up projections into the gradients with respect to them:
/// `dg = dy u s (1 + g (1 - s))`, `du = dy g s`, with `s = sigmoid(g)`.
pub(super) fn backward(gate: &mut [f32], up: &mut [f32], dy: &[f32]) {
    struct Backward<'a>(&'a mut [f32], &'a mut [f32], &'a [f32]);
    impl Op for Backward<'_> {
        type Output = ();
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            for ((g, u), dy) in self.0.iter_mut().zip(self.1).zip(self.2) {
                let s = sigmoid::<FMA>(*g);
                let down = dy * s;
                let dg = down * *u * (1.0 + *g * (1.0 - s));
                *u = down * *g;
                *g = dg;
            }
        }
    }
    widest(Backward(gate, up, dy));
}
