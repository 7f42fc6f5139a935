//! Rotary positions (Su et al. 2021) in the pairing of Hugging Face: entry `i`
//! of a head is rotated with entry `i + dim / 2`.

use super::vector::{Op, madd, widest};
use crate::config::ModelConfig;
use crate::parameters;

/// Cosines and sines up to a number of tokens.
#[derive(Debug)]
pub(super) struct Rotary {
    /// `[tokens, half]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// Half a head's dimension.
    half: usize,
}

/// The direction of the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Forward,
    /// The transposed rotation, for gradients.
    Backward,
}

impl Rotary {
    pub(super) fn new(config: &ModelConfig) -> Self {
        let (cos, sin) = parameters::rotary(config, config.context);
        Self {
            cos,
            sin,
            half: config.head_dim() / 2,
        }
    }

    /// Rotates every head of `x`, `[sequences, tokens, width]`, in place.
    pub(super) fn rotate(&self, x: &mut [f32], tokens: usize, width: usize, turn: Turn) {
        widest(Rotate {
            x,
            tokens,
            width,
            tables: self,
            sign: if turn == Turn::Forward { 1.0 } else { -1.0 },
        });
    }
}

struct Rotate<'a> {
    x: &'a mut [f32],
    tokens: usize,
    width: usize,
    tables: &'a Rotary,
    sign: f32,
}

impl Op for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Rotary { cos, sin, half } = self.tables;
        for sequence in self.x.chunks_exact_mut(self.tokens * self.width) {
            let angles = cos.chunks_exact(*half).zip(sin.chunks_exact(*half));
            for (row, (cos, sin)) in sequence.chunks_exact_mut(self.width).zip(angles) {
                for head in row.chunks_exact_mut(2 * half) {
                    let (low, high) = head.split_at_mut(*half);
                    for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                        let s = self.sign * s;
                        let turned = madd::<FMA>(*a, *c, -*b * s);
                        *b = madd::<FMA>(*b, *c, *a * s);
                        *a = turned;
                    }
                }
            }
        }
    }
}
