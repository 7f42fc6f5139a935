//! The noise of one run around a fitted law.

use serde::{Deserialize, Serialize};

use crate::metrics::mean;

/// Noise that grows where the law is steep.
///
/// `var = floor² + steep² · slope²`, with `slope` in loss per unit of weight.
/// Published tables round weights to 0.001, and a corpus is sampled in whole
/// sequences: where the loss falls steeply (a domain with almost no weight)
/// such errors in the weights become errors in the loss. `steep` reads as
/// the size of the error in the weights. With `steep` 0 this is one plain
/// residual standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noise {
    floor: f64,
    steep: f64,
}

impl Noise {
    /// Fits both parts to residuals by maximum likelihood: a grid over their
    /// ratio, the floor in closed form. `freedom` is the number of residual
    /// degrees of freedom (number of rows minus effective parameters).
    pub(crate) fn fit(residuals: &[f64], slopes: &[f64], freedom: f64) -> Self {
        let n = residuals.len() as f64;
        let squares = mean(&slopes.iter().map(|s| s * s).collect::<Vec<_>>());
        let mut best = (f64::INFINITY, 0.0, 0.0);
        for step in 0..=24 {
            // Ratio in units of the mean squared slope, so that the grid does
            // not depend on the unit of the values.
            let ratio = match step {
                0 => 0.0,
                _ if squares > 0.0 => 10f64.powf(-4.0 + 0.33 * f64::from(step)) / squares,
                _ => break,
            };
            let scale = |s: &f64| 1.0 + ratio * s * s;
            let scaled = residuals.iter().zip(slopes).map(|(r, s)| r * r / scale(s));
            let floor2 = scaled.sum::<f64>() / n;
            let logs: f64 = slopes.iter().map(|s| scale(s).ln()).sum();
            let cost = n * floor2.max(1e-300).ln() + logs;
            if cost < best.0 {
                best = (cost, floor2, ratio);
            }
        }
        let widen = n / freedom.max(1.0);
        let floor2 = best.1 * widen;
        Self {
            floor: floor2.sqrt(),
            steep: (floor2 * best.2).sqrt(),
        }
    }

    /// The standard deviation where the law has this slope.
    pub(crate) fn sd(&self, slope: f64) -> f64 {
        self.floor.hypot(self.steep * slope)
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.floor.is_finite() && self.steep.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};
    use regmix_data::random::stream;

    #[test]
    fn both_parts_are_recovered() {
        let mut rng = stream(1, "noise", "test");
        let slopes: Vec<f64> = (0..4000).map(|i| f64::from(i % 20)).collect();
        let residuals: Vec<f64> = slopes
            .iter()
            .map(|s| {
                let z: f64 = StandardNormal.sample(&mut rng);
                z * 0.1f64.hypot(0.02 * s)
            })
            .collect();
        let noise = Noise::fit(&residuals, &slopes, 4000.0);
        assert!((noise.sd(0.0) / 0.1 - 1.0).abs() < 0.2, "{noise:?}");
        assert!(
            (noise.sd(20.0) / 0.1f64.hypot(0.4) - 1.0).abs() < 0.1,
            "{noise:?}"
        );
        let flat = Noise::fit(&residuals, &vec![0.0; 4000], 4000.0);
        assert_eq!(flat.sd(0.0), flat.sd(100.0));
    }
}
