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

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::device::Device;

    /// On every device with kernels, for the script for the software renderer.
    #[test]
    fn every_device_has_the_rotation_of_tensors_in_its_kernel() {
        let config = ModelConfig {
            context: 7,
            ..crate::tests::tiny()
        };
        let (dim, tokens, batch) = (config.head_dim(), 5, 2);
        let (rotated, heads) = (config.heads + config.kv_heads, config.heads + 2);
        for status in Device::survey() {
            let device = Device::open(status.spec).ok();
            let Some(burn) = device.as_ref().and_then(Device::burn) else {
                continue;
            };
            let Some(kernels) = Kernels::of(burn) else {
                continue;
            };
            let rotary = Rotary::new(&config, burn);
            let shape = [batch * tokens, (rotated + heads) * dim];
            let rows = Tensor::<2>::random(shape, Distribution::Default, burn);
            for turn in [Turn::Forward, Turn::Backward] {
                let rotation = Rotation {
                    heads: rotated,
                    tokens,
                    turn,
                };
                let found = rotary.rotate_rows(kernels, rows.clone(), rotation);
                let apart = rows.clone().reshape([batch, tokens, rotated + heads, dim]);
                let apart = apart.swap_dims(1, 2);
                let [first, rest] = [0..rotated, rotated..rotated + heads]
                    .map(|heads| apart.clone().slice_dim(1, heads));
                let expected = Tensor::cat(vec![rotary.rotate(first, turn), rest], 1);
                let expected = expected.swap_dims(1, 2).reshape(shape);
                let gap = (found - expected).abs().max().into_scalar::<f32>();
                assert!(gap < 1e-6, "{}: {gap}", status.spec);
            }
        }
    }
}
