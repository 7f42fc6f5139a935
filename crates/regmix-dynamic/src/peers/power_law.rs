//! A power law with a floor through the losses of one domain.

use serde::{Deserialize, Serialize};

/// `L = floor + factor n^-exponent`, n in steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PowerLaw {
    pub(super) floor: f64,
    pub(super) factor: f64,
    pub(super) exponent: f64,
}

/// The bounds of exponents in the authors' code.
const EXPONENTS: [f64; 2] = [0.001, 0.8];
/// The residual of a logarithm from which on it counts linearly.
const HUBER: f64 = 1e-3;
/// Floors that are tried, as shares of the lowest loss.
const FLOORS: usize = 64;

impl PowerLaw {
    /// The law with the least sum of Huber's losses of residuals in the logarithm, among
    /// floors on a grid. For a given floor, exponent and factor follow from a line through
    /// logarithms, which is weighted again until it does not change. `None` with fewer
    /// than three points.
    ///
    /// The authors minimise the same sum from 512 starts; with one parameter on a grid
    /// there is no start to choose.
    pub(super) fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < 3 {
            return None;
        }
        let lowest = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
        let laws = (0..FLOORS).map(|i| {
            let floor = lowest * 0.999 * i as f64 / FLOORS as f64;
            Self::with_floor(points, floor)
        });
        let rated = laws.map(|law| (law.cost(points), law));
        rated.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, law)| law)
    }

    fn with_floor(points: &[(f64, f64)], floor: f64) -> Self {
        const ROUNDS: usize = 5;
        let mut law = Self {
            floor,
            factor: 1.0,
            exponent: 0.0,
        };
        let mut weights = vec![1.0; points.len()];
        for _ in 0..ROUNDS {
            let (mut w, mut x, mut y) = (0.0, 0.0, 0.0);
            let logs = || (points.iter()).map(|(n, loss)| (n.ln(), (loss - floor).ln()));
            for ((a, b), weight) in logs().zip(&weights) {
                w += weight;
                x += weight * a;
                y += weight * b;
            }
            let (x, y) = (x / w, y / w);
            let (mut xx, mut xy) = (0.0, 0.0);
            for ((a, b), weight) in logs().zip(&weights) {
                xx += weight * (a - x).powi(2);
                xy += weight * (a - x) * (b - y);
            }
            let slope = if xx > 0.0 { -xy / xx } else { 0.0 };
            law.exponent = slope.clamp(EXPONENTS[0], EXPONENTS[1]);
            law.factor = (y + law.exponent * x).exp();
            for (weight, point) in weights.iter_mut().zip(points) {
                // Residuals of L count, those of L - floor are fitted.
                let part = (point.1 - floor) / point.1;
                let far = law.residual(*point).abs().max(HUBER);
                *weight = part * part * HUBER / far;
            }
        }
        law
    }

    fn residual(&self, (n, loss): (f64, f64)) -> f64 {
        (self.at(n) / loss).ln()
    }

    fn at(&self, n: f64) -> f64 {
        self.floor + self.factor * n.powf(-self.exponent)
    }

    fn cost(&self, points: &[(f64, f64)]) -> f64 {
        let each = points.iter().map(|point| {
            let r = self.residual(*point).abs();
            match r <= HUBER {
                true => 0.5 * r * r,
                false => HUBER * (r - 0.5 * HUBER),
            }
        });
        each.sum()
    }

    /// How fast the loss falls at n, times n: `exponent (L - floor)`.
    pub(super) fn speed(&self, n: f64) -> f64 {
        self.exponent * self.factor * n.powf(-self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_behind_points_is_found_in_spite_of_outliers() {
        let truth = |n: f64| 2.0 + 5.0 * n.powf(-0.4);
        let mut points: Vec<(f64, f64)> = (1..=60)
            .map(|i| f64::from(10 * i))
            .map(|n| (n, truth(n)))
            .collect();
        let law = PowerLaw::fit(&points).unwrap();
        assert!((law.floor - 2.0).abs() < 0.1, "{law:?}");
        assert!((law.exponent - 0.4).abs() < 0.05, "{law:?}");
        let before = law.speed(600.0);
        assert!(
            (before - 0.4 * 5.0 * 600f64.powf(-0.4)).abs() < 0.02,
            "{before}"
        );
        points[20].1 *= 1.5;
        let after = PowerLaw::fit(&points).unwrap().speed(600.0);
        assert!((after - before).abs() < 0.1 * before, "{after} {before}");
        assert_eq!(PowerLaw::fit(&points[..2]), None);
    }

    #[test]
    fn losses_that_rise_give_the_slowest_law() {
        let points: Vec<(f64, f64)> = (1..=20)
            .map(|i| (f64::from(i), 2.0 + 0.01 * f64::from(i)))
            .collect();
        let law = PowerLaw::fit(&points).unwrap();
        assert_eq!(law.exponent, EXPONENTS[0]);
        assert!(law.speed(20.0).is_finite());
    }
}
