//! Rotary positions (Su et al. 2021) in the pairing of Hugging Face: entry `i`
//! of a head is rotated with entry `i + dim / 2`.

use burn::tensor::{Device as BurnDevice, Tensor, TensorData};

use super::arguments::{Rotation, Turn};
use super::joined;
use super::kernels::Kernels;
use crate::config::ModelConfig;
use crate::parameters;

/// Cosines and sines up to the model's context.
#[derive(Debug, Clone)]
pub(super) struct Rotary {
    /// `[tokens, dim]`: both halves of a head turn by the same angles.
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rotary {
    pub(super) fn new(config: &ModelConfig, device: &BurnDevice) -> Self {
        let half = config.head_dim() / 2;
        let table = |numbers: Vec<f32>| {
            let rows = numbers.chunks(half).flat_map(|row| [row, row].concat());
            let data = TensorData::new(rows.collect::<Vec<f32>>(), [config.context, 2 * half]);
            Tensor::from_data(data, device)
        };
        let (cos, sin) = parameters::rotary(config, config.context);
        Self {
            cos: table(cos),
            sin: table(sin),
        }
    }

    /// Rotates the first heads of rows of queries, keys and values, by a kernel.
    pub(super) fn rotate_rows(
        &self,
        kernels: Kernels,
        rows: Tensor<2>,
        rotation: Rotation,
    ) -> Tensor<2> {
        kernels.rotate(rows, self.cos.clone(), self.sin.clone(), rotation)
    }

    /// Rotates `x`, `[batch, heads, tokens, dim]`.
    pub(super) fn rotate(&self, x: Tensor<4>, turn: Turn) -> Tensor<4> {
        let [_, _, tokens, dim] = x.dims();
        let table = |t: &Tensor<2>| {
            t.clone()
                .slice_dim(0, 0..tokens)
                .reshape([1, 1, tokens, dim])
        };
        let low = x.clone().slice_dim(3, 0..dim / 2);
        let high = x.clone().slice_dim(3, dim / 2..dim);
        let halves = match turn {
            Turn::Forward => vec![high.neg(), low],
            Turn::Backward => vec![high, low.neg()],
        };
        x * table(&self.cos) + joined::cat(halves, 3) * table(&self.sin)
    }
}
