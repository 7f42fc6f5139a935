//! Mixed precision, and when a run falls back to f32.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The precision of matrix products.
///
/// With `bf16` both operands of every product are rounded to bfloat16 (8 bits
/// of mantissa) and the products are added up in f32. Weights, gradients, norms,
/// softmax, loss and AdamW stay in f32: each use rounds a copy of the weights,
/// so that small updates are not lost. GPUs multiply bf16 several times faster
/// than f32, and so do processors with AMX. Other processors round operands in the
/// same way and gain little or nothing
/// ([`Device::note_on`](crate::Device::note_on)).
///
/// A run in bf16 returns to its last checkpoint and continues from there in f32
/// when a loss or a gradient is not finite, or a batch's loss is at least 1 nat
/// above the mean of the 16 steps before. Its last step cannot simply be
/// repeated: the update that did the damage is already in the weights.
///
/// ```
/// use regmix_model::Precision;
///
/// assert_eq!(Precision::default(), Precision::F32);
/// assert_eq!(Precision::Bf16.to_string(), "bf16");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Everything in f32.
    #[default]
    F32,
    /// Matrix products of bf16.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

impl Precision {
    // Serde passes a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

/// Watches the losses of a run in reduced precision.
#[derive(Debug, Default)]
pub(crate) struct SpikeWatch {
    recent: VecDeque<f64>,
}

impl SpikeWatch {
    const STEPS: usize = 16;
    const NATS: f64 = 1.0;

    /// Takes a step's loss and gradient norm. Returns why the run cannot continue
    /// in reduced precision, if it cannot. In the first 16 steps, only values
    /// that are not finite count.
    pub(crate) fn observe(&mut self, loss: f64, gradient_norm: f64) -> Option<String> {
        if !loss.is_finite() || !gradient_norm.is_finite() {
            return Some(format!("loss {loss}, gradient norm {gradient_norm}"));
        }
        let mean = self.recent.iter().sum::<f64>() / self.recent.len() as f64;
        if self.recent.len() == Self::STEPS {
            if loss >= mean + Self::NATS {
                return Some(format!(
                    "the loss rose to {loss:.3} from {mean:.3}, the mean of {} steps",
                    Self::STEPS
                ));
            }
            self.recent.pop_front();
        }
        self.recent.push_back(loss);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_and_infinite_values_are_distinguished_from_noise() {
        let mut watch = SpikeWatch::default();
        for step in 0..40 {
            let noise = if step % 2 == 0 { 0.4 } else { -0.4 };
            assert_eq!(
                watch.observe(5.0 - 0.02 * f64::from(step) + noise, 1.0),
                None
            );
        }
        assert!(watch.observe(5.6, 1.0).unwrap().contains("rose to 5.600"));
        assert!(watch.observe(4.0, f64::INFINITY).is_some());
        let mut early = SpikeWatch::default();
        assert_eq!(early.observe(4.0, 1.0), None);
        assert_eq!(early.observe(9.0, 1.0), None);
        assert!(early.observe(f64::NAN, 1.0).unwrap().contains("NaN"));
    }
}
