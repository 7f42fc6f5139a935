//! The power law by which errors fall with the number of runs.

/// `E(n) = floor + scale · n^(-exponent)`, all not negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Decay {
    pub(super) floor: f64,
    pub(super) scale: f64,
    pub(super) exponent: f64,
}

/// The mean error at a number of runs, and the standard error of that mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) runs: f64,
    pub(super) error: f64,
    pub(super) doubt: f64,
}

/// Exponents that are tried, in hundredths: below, errors hardly fall; above,
/// they are at their floor after the first size.
const EXPONENTS: std::ops::RangeInclusive<u32> = 5..=200;

/// A mean is taken to be known no better than to this part of itself.
const LEAST_DOUBT: f64 = 0.01;

impl Decay {
    /// The least squares fit, each mean weighted by its standard error: for
    /// every exponent the best floor and scale that are not negative, of
    /// those the best. `None` where the errors do not fall.
    pub(super) fn fit(points: &[Measured]) -> Option<Self> {
        let mut best: Option<(f64, Self)> = None;
        for exponent in EXPONENTS.map(|e| 0.01 * f64::from(e)) {
            let (floor, scale) = line(points, exponent);
            let decay = Self {
                floor,
                scale,
                exponent,
            };
            let cost: f64 = (points.iter())
                .map(|p| ((decay.at(p.runs) - p.error) / doubt(p)).powi(2))
                .sum();
            if cost.is_finite() && best.as_ref().is_none_or(|b| cost < b.0) {
                best = Some((cost, decay));
            }
        }
        best.map(|b| b.1).filter(|decay| decay.scale > 0.0)
    }

    pub(super) fn at(&self, runs: f64) -> f64 {
        self.floor + self.scale * runs.powf(-self.exponent)
    }

    /// Root mean squared miss, as a part of the errors themselves.
    pub(super) fn miss(&self, points: &[Measured]) -> f64 {
        let squares = (points.iter()).map(|p| (self.at(p.runs) / p.error - 1.0).powi(2));
        (squares.sum::<f64>() / points.len() as f64).sqrt()
    }
}

fn doubt(point: &Measured) -> f64 {
    point.doubt.max(LEAST_DOUBT * point.error)
}

/// Floor and scale for an exponent: a straight line in `n^(-exponent)`, with
/// what would be negative held at 0.
fn line(points: &[Measured], exponent: f64) -> (f64, f64) {
    let (mut one, mut x, mut xx, mut y, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for p in points {
        let weight = doubt(p).powi(-2);
        let power = p.runs.powf(-exponent);
        one += weight;
        x += weight * power;
        xx += weight * power * power;
        y += weight * p.error;
        xy += weight * power * p.error;
    }
    let scale = (one * xy - x * y) / (one * xx - x * x);
    let floor = (y - scale * x) / one;
    if scale <= 0.0 {
        (y / one, 0.0)
    } else if floor < 0.0 {
        (0.0, xy / xx)
    } else {
        (floor, scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(of: impl Fn(f64) -> f64) -> Vec<Measured> {
        ([16.0, 32.0, 64.0, 102.0].iter())
            .map(|&runs| Measured {
                runs,
                error: of(runs),
                doubt: 0.02 * of(runs),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_known_decay_is_found(floor in 0.0f64..0.5, scale in 0.5f64..5.0, hundredths in 20u32..150) {
            let exponent = 0.01 * f64::from(hundredths);
            let truth = Decay { floor, scale, exponent };
            let points = points(|n| truth.at(n));
            let found = Decay::fit(&points).unwrap();
            prop_assert!(found.miss(&points) < 1e-6, "{found:?}");
            prop_assert!((found.at(256.0) / truth.at(256.0) - 1.0).abs() < 1e-4);
        }

        #[test]
        fn more_runs_are_never_worse_and_errors_never_negative(
            errors in prop::collection::vec(0.01f64..1.0, 4),
        ) {
            let mut next = errors.iter();
            let some: Vec<Measured> = (points(|n| 1.0 / n).into_iter())
                .map(|p| Measured { error: *next.next().unwrap(), ..p })
                .collect();
            if let Some(decay) = Decay::fit(&some) {
                prop_assert!(decay.at(256.0) <= decay.at(128.0) && decay.at(1e9) >= 0.0);
            }
        }
    }

    #[test]
    fn errors_that_grow_have_no_decay() {
        assert_eq!(Decay::fit(&points(|n| 0.01 * n)), None);
    }
}
