//! From values to places on an axis, and the ticks beside it.

use super::number;

/// An axis from `low` to `high`, both finite, `low < high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Values beyond this cannot be drawn beside ordinary ones.
const LARGEST: f64 = 1e18;

impl Scale {
    /// Spans the values with a margin on both sides.
    pub(crate) fn around(values: impl IntoIterator<Item = f64>) -> Self {
        match extent(values) {
            Some((low, high)) => {
                let least = (1e-3 * low.abs().max(high.abs())).max(1e-6);
                let margin = (0.06 * (high - low)).max(least);
                Self {
                    low: low - margin,
                    high: high + margin,
                }
            }
            None => Self {
                low: 0.0,
                high: 1.0,
            },
        }
    }

    /// Spans the values, without margin where they differ.
    pub(crate) fn tight(values: impl IntoIterator<Item = f64>) -> Self {
        match extent(values) {
            Some((low, high)) if high > low => Self { low, high },
            Some((low, _)) => Self::around([low]),
            None => Self {
                low: 0.0,
                high: 1.0,
            },
        }
    }

    /// From zero to a bit above the largest value.
    pub(crate) fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        let high = extent(values).map_or(0.0, |(_, high)| high);
        Self {
            low: 0.0,
            high: if high > 0.0 { 1.04 * high } else { 1.0 },
        }
    }

    /// The place of a value, from 0 to 1. Values outside go to the nearer
    /// end, NaN to the low one.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let t = (value - self.low) / (self.high - self.low);
        if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) }
    }

    /// Round values inside the scale, as few as there can be but at least so
    /// many, with the number of decimals that tells them apart.
    pub(crate) fn ticks(&self, least: usize) -> (Vec<f64>, usize) {
        let width = self.high - self.low;
        let mut power = 10f64.powf(width.log10().ceil());
        // Steps of 10, 5, 2 and 1 powers, downwards: three decades hold some
        // that fit at least a dozen times.
        for _ in 0..3 {
            for factor in [1.0, 0.5, 0.2] {
                let step = factor * power;
                let first = (self.low / step - 1e-9).ceil();
                let last = (self.high / step + 1e-9).floor();
                if last - first + 1.0 >= least.clamp(1, 12) as f64 {
                    let n = (last - first) as usize;
                    let places = (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0);
                    // Adding zero turns a negative zero into a plain one.
                    let values = (0..=n).map(|i| (first + i as f64) * step + 0.0);
                    return (values.collect(), places as usize);
                }
            }
            power /= 10.0;
        }
        (vec![self.low, self.high], 0)
    }

    /// [`Scale::ticks`] with their text.
    pub(crate) fn labels(&self, about: usize) -> Vec<(f64, String)> {
        let (values, places) = self.ticks(about);
        (values.into_iter())
            .map(|v| (v, number::decimals(v, places)))
            .collect()
    }
}

fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    (values.into_iter())
        .filter(|v| v.abs() < LARGEST)
        .fold(None, |all, v| match all {
            None => Some((v, v)),
            Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let scale = Scale {
            low: 3.13,
            high: 4.47,
        };
        assert_eq!(
            scale.labels(2).into_iter().map(|l| l.1).collect::<Vec<_>>(),
            ["3.5", "4.0"]
        );
        let (ticks, places) = Scale {
            low: 0.0,
            high: 0.47,
        }
        .ticks(5);
        assert_eq!((ticks.len(), places), (5, 1));
        assert_eq!(
            Scale {
                low: -0.02,
                high: 0.021
            }
            .labels(4)[2]
                .1,
            "0.00"
        );
        assert_eq!(
            Scale {
                low: 3.005,
                high: 3.088
            }
            .labels(3)[0]
                .1,
            "3.02"
        );
    }

    #[test]
    fn odd_values_give_a_usable_scale() {
        for values in [
            vec![],
            vec![f64::NAN],
            vec![f64::INFINITY, f64::NEG_INFINITY],
            vec![0.0],
            vec![3.0, 3.0],
            vec![f64::MAX, -f64::MAX],
            vec![1e17, -1e17],
            vec![1e-300],
        ] {
            for scale in [
                Scale::around(values.clone()),
                Scale::from_zero(values.clone()),
                Scale::tight(values.clone()),
            ] {
                assert!(scale.low < scale.high, "{values:?} gave {scale:?}");
                assert!(scale.low.is_finite() && scale.high.is_finite());
                let ticks = scale.ticks(4).0;
                assert!(ticks.len() < 20 && ticks.iter().all(|t| t.is_finite()));
                for v in [f64::NAN, f64::INFINITY, -1e300, 0.5] {
                    assert!((0.0..=1.0).contains(&scale.place(v)));
                }
            }
        }
    }
}
