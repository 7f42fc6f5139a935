//! AdamW (Loshchilov and Hutter 2019) in one pass over each parameter.

use super::vector::{Op, dot, madd, widest};
use crate::optimizer::AdamWConfig;

/// Σ g². Partial sums are added in double precision, so that millions of small
/// squares are not lost.
pub(super) fn sum_of_squares(gradient: &[f32]) -> f64 {
    struct Squares<'a>(&'a [f32]);
    impl Op for Squares<'_> {
        type Output = f64;
        #[inline(always)]
        fn run<const FMA: bool>(self) -> f64 {
            let chunks = self.0.chunks(4096);
            chunks.map(|c| f64::from(dot::<FMA>(c, c))).sum()
        }
    }
    widest(Squares(gradient))
}

/// The numbers of one update, the same for all weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Update {
    beta1: f32,
    beta2: f32,
    /// 1 - beta, rounded from the exact difference.
    rest1: f32,
    rest2: f32,
    eps: f32,
    decay: f32,
    rate: f32,
    inverse_root2: f32,
    clip: f32,
}

impl Update {
    /// The numbers of update `t`, counted from 1, given the norm of all gradients.
    pub(super) fn new(config: &AdamWConfig, lr: f64, t: u64, norm: f64) -> Self {
        let t = t as f64;
        Self {
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            rest1: (1.0 - config.beta1) as f32,
            rest2: (1.0 - config.beta2) as f32,
            eps: config.eps as f32,
            decay: (1.0 - lr * config.weight_decay) as f32,
            rate: (lr / (1.0 - config.beta1.powf(t))) as f32,
            inverse_root2: (1.0 / (1.0 - config.beta2.powf(t)).sqrt()) as f32,
            clip: if norm > config.clip {
                (config.clip / norm) as f32
            } else {
                1.0
            },
        }
    }

    /// `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`,
    /// `w = (1 - lr decay) w - lr m̂ / (√v̂ + eps)`, with the gradient clipped.
    pub(super) fn apply(self, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        widest(Pass {
            update: self,
            w,
            g,
            m,
            v,
        });
    }
}

struct Pass<'a> {
    update: Update,
    w: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl Op for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let u = self.update;
        let moments = self.m.iter_mut().zip(self.v);
        for ((w, g), (m, v)) in self.w.iter_mut().zip(self.g).zip(moments) {
            let g = g * u.clip;
            *m = madd::<FMA>(u.beta1, *m, u.rest1 * g);
            *v = madd::<FMA>(u.beta2, *v, u.rest2 * g * g);
            let scale = madd::<FMA>(v.sqrt(), u.inverse_root2, u.eps);
            *w = madd::<FMA>(u.decay, *w, -u.rate * *m / scale);
        }
    }
}
