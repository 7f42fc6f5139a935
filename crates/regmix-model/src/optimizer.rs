//! The settings of AdamW, and the learning rate.

use regmix_data::{Error, Result};
use serde::{Deserialize, Serialize};

/// AdamW (Loshchilov and Hutter 2019) as the papers set it.
///
/// | parameter | default | range |
/// |---|---|---|
/// | `beta1` | 0.9 | [0, 1) |
/// | `beta2` | 0.95 | [0, 1) |
/// | `eps` | 1e-8 | > 0 in single precision: at least about 1e-45 |
/// | `weight_decay` | 0.1 | >= 0; on all parameters |
/// | `clip` | 1.0 | > 0: greatest norm of all gradients together |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Greatest global gradient norm.
    pub clip: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            clip: 1.0,
        }
    }
}

impl AdamWConfig {
    pub(crate) fn check(&self) -> Result<()> {
        for (field, value, ok) in [
            ("beta1", self.beta1, (0.0..1.0).contains(&self.beta1)),
            ("beta2", self.beta2, (0.0..1.0).contains(&self.beta2)),
            ("eps", self.eps, is_positive_f32(self.eps)),
            ("weight_decay", self.weight_decay, self.weight_decay >= 0.0),
            ("clip", self.clip, self.clip as f32 > 0.0),
        ] {
            if !ok || !value.is_finite() {
                return Err(Error::input(format!("{value} is out of range")).field(field));
            }
        }
        Ok(())
    }
}

/// Whether a setting is above 0 and finite in single precision, in which steps are made.
fn is_positive_f32(value: f64) -> bool {
    let single = value as f32;
    single > 0.0 && single.is_finite()
}

/// The learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LearningRateSchedule {
    /// Stays at its peak (the papers' proxies).
    #[default]
    Constant,
    /// Falls along half a cosine to `min_lr` (the papers' targets).
    Cosine,
}

/// The learning rate of a step, counted from 0.
///
/// Rises linearly to `lr` over `warmup` steps, then follows the schedule.
///
/// ```
/// use regmix_model::{LearningRateSchedule, learning_rate};
///
/// let lr = |step| learning_rate(step, 100, 10, 1e-3, 1e-4, LearningRateSchedule::Cosine);
/// assert_eq!(lr(0), 1e-4);
/// assert_eq!(lr(9), 1e-3);
/// assert!((lr(99) - 1e-4).abs() < 1e-6);
/// ```
pub fn learning_rate(
    step: u64,
    steps: u64,
    warmup: u64,
    lr: f64,
    min_lr: f64,
    schedule: LearningRateSchedule,
) -> f64 {
    if step < warmup {
        return lr * (step + 1) as f64 / warmup as f64;
    }
    match schedule {
        LearningRateSchedule::Constant => lr,
        LearningRateSchedule::Cosine => {
            let span = steps.saturating_sub(warmup).max(1) as f64;
            let done = ((step - warmup + 1) as f64 / span).min(1.0);
            min_lr + (lr - min_lr) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_schedule_stays() {
        let lr = |step| learning_rate(step, 100, 10, 2e-3, 0.0, LearningRateSchedule::Constant);
        assert!((lr(4) - 1e-3).abs() < 1e-12);
        assert_eq!(lr(10), 2e-3);
        assert_eq!(lr(99), 2e-3);
        // No warm-up: the peak from the first step.
        assert_eq!(
            learning_rate(0, 5, 0, 1.0, 0.0, LearningRateSchedule::Constant),
            1.0
        );
    }

    #[test]
    fn cosine_passes_its_middle() {
        let lr = learning_rate(54, 110, 0, 1.0, 0.0, LearningRateSchedule::Cosine);
        assert!((lr - 0.5).abs() < 1e-9, "{lr}");
    }

    #[test]
    fn out_of_range_values_are_named() {
        let config = AdamWConfig {
            beta2: 1.0,
            ..AdamWConfig::default()
        };
        assert_eq!(config.check().unwrap_err().field_name(), Some("beta2"));
        // Steps are made in single precision, where these are 0.
        let tiny = |eps, clip| {
            let config = AdamWConfig {
                eps,
                clip,
                ..AdamWConfig::default()
            };
            config.check().map_err(|e| e.to_string())
        };
        assert_eq!(
            tiny(1e-60, 1.0),
            Err("`eps`: 0.000000000000000000000000000000000000000000000000000000000001 is out of range".to_owned())
        );
        assert_eq!(tiny(1e-40, 1e-40), Ok(()));
        assert!(tiny(1e-8, 1e-50).is_err());
    }
}
