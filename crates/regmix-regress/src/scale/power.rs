//! `y = a x^s + b`, the law of single variables in continual pre-training.

use serde::Serialize;

use regmix_data::{Error, Result};

/// A power with a level, by least squares.
///
/// For every exponent of a fine grid (0.02 to 8 of either sign) the other two
/// numbers are exact least squares; the best is refined. There is no start that
/// could be a wrong one. Cost O(400 n).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PowerLaw {
    /// a, in the unit of y.
    pub scale: f64,
    /// s; no unit.
    pub exponent: f64,
    /// b, in the unit of y.
    pub level: f64,
    /// Standard deviation of single points, where there are more than three.
    pub residual_sd: f64,
}

impl PowerLaw {
    /// Fits positive x.
    ///
    /// # Errors
    /// When there are fewer than three different x, or a number is out of range.
    pub fn fit(points: &[(f64, f64)]) -> Result<Self> {
        let mut x: Vec<f64> = points.iter().map(|p| p.0).collect();
        x.sort_by(f64::total_cmp);
        x.dedup();
        let wrong = |p: &&(f64, f64)| !(p.0 > 0.0 && p.0.is_finite() && p.1.is_finite());
        if let Some(p) = points.iter().find(wrong) {
            return Err(Error::input(format!(
                "a point ({}, {}): expected finite numbers, the first positive",
                p.0, p.1
            )));
        }
        if x.len() < 3 {
            return Err(Error::input(format!(
                "{} different values: a power with a level takes three",
                x.len()
            )));
        }
        let middle = (x.iter().map(|x| x.ln()).sum::<f64>() / x.len() as f64).exp();
        let at = |exponent: f64| linear(points, middle, exponent);
        let mut best = (f64::INFINITY, 1.0);
        let mut step = 1.06;
        for sign in [1.0, -1.0] {
            let mut size = 0.02;
            while size < 8.0 {
                let found = at(sign * size).2;
                if found < best.0 {
                    best = (found, sign * size);
                }
                size *= step;
            }
        }
        for _ in 0..30 {
            step = step.sqrt();
            for next in [best.1 * step, best.1 / step] {
                let found = at(next).2;
                if found < best.0 {
                    best = (found, next);
                }
            }
        }
        let (scale, level, squares) = at(best.1);
        let freedom = points.len() as f64 - 3.0;
        Ok(Self {
            scale: scale * middle.powf(-best.1),
            exponent: best.1,
            level,
            residual_sd: match freedom > 0.0 {
                true => (squares / freedom).sqrt(),
                false => f64::NAN,
            },
        })
    }

    /// y at x.
    pub fn value(&self, x: f64) -> f64 {
        self.scale * x.powf(self.exponent) + self.level
    }

    /// The derivative by x.
    pub fn slope(&self, x: f64) -> f64 {
        self.scale * self.exponent * x.powf(self.exponent - 1.0)
    }

    /// The x at which the law reaches y, where there is one.
    pub fn inverse(&self, y: f64) -> Option<f64> {
        let x = ((y - self.level) / self.scale).powf(self.exponent.recip());
        x.is_finite().then_some(x)
    }
}

/// a (in units of the middle) and b by least squares, and the sum of squares.
fn linear(points: &[(f64, f64)], middle: f64, exponent: f64) -> (f64, f64, f64) {
    let n = points.len() as f64;
    let power = |x: f64| (x / middle).powf(exponent);
    let (mx, my) = points
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + power(*x) / n, b + y / n));
    let (mut xx, mut xy) = (0.0, 0.0);
    for (x, y) in points {
        xx += (power(*x) - mx).powi(2);
        xy += (power(*x) - mx) * (y - my);
    }
    let a = if xx > 0.0 { xy / xx } else { 0.0 };
    let b = my - a * mx;
    let squares = (points.iter())
        .map(|(x, y)| (y - a * power(*x) - b).powi(2))
        .sum();
    (a, b, squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_power_is_recovered() {
        for (scale, exponent, level) in [(0.3, -0.4, 2.0), (2.0, 1.7, 1.0), (-1.0, 0.5, 3.0)] {
            let truth = |x: f64| scale * f64::powf(x, exponent) + level;
            let points: Vec<_> = [0.1, 0.25, 0.4, 0.7].map(|x| (x, truth(x))).into();
            let law = PowerLaw::fit(&points).unwrap();
            assert!((law.exponent - exponent).abs() < 2e-3, "{law:?}");
            assert!((law.value(0.55) - truth(0.55)).abs() < 1e-4, "{law:?}");
            assert!(
                (law.inverse(truth(0.3)).unwrap() - 0.3).abs() < 1e-3,
                "{law:?}"
            );
        }
    }

    #[test]
    fn too_few_points_are_refused() {
        let err = PowerLaw::fit(&[(0.1, 2.0), (0.2, 1.0), (0.2, 1.1)]).unwrap_err();
        assert_eq!(
            err.to_string(),
            "2 different values: a power with a level takes three"
        );
    }
}
