//! The expected improvement over the best value so far.

use std::f64::consts::PI;

/// Expected improvement, `E max(best - Y, 0) = s (z Φ(z) + φ(z))` with
/// `z = (best - mean) / s` and Y normal (Jones, Schonlau and Welch 1998). It
/// keeps its relative precision where improvement is all but impossible, so
/// that such mixtures, too, have an order.
pub(super) fn expected_improvement(best: f64, mean: f64, sd: f64) -> f64 {
    if sd.is_nan() || sd <= 0.0 {
        return (best - mean).max(0.0);
    }
    let z = (best - mean) / sd;
    let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    if z < -TAIL {
        sd * density * (1.0 + z * mills(-z))
    } else {
        sd * (z * below(z, density) + density)
    }
}

/// Where the series gives way to the continued fraction.
const TAIL: f64 = 3.0;

/// Φ(z) for z ≥ -3: `½ + φ(z) Σ_k z^(2k+1) / (1·3·…·(2k+1))`.
fn below(z: f64, density: f64) -> f64 {
    if z > 8.0 {
        return 1.0;
    }
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 + density * sum
}

/// (1 - Φ(x)) / φ(x) for x > 3, by `1 / (x + 1 / (x + 2 / (x + …)))`.
fn mills(x: f64) -> f64 {
    1.0 / (1..80).rev().fold(x, |rest, k| x + f64::from(k) / rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        // z Φ(z) + φ(z), to ten digits.
        for (z, expected) in [
            (0.0, 0.398_942_280_4),
            (1.0, 1.083_315_470_6),
            (-1.0, 0.083_315_470_6),
            (-2.5, 2.004_137e-3),
            (9.0, 9.0),
        ] {
            let found = expected_improvement(z, 0.0, 1.0);
            assert!((found / expected - 1.0).abs() < 1e-6, "{z}: {found}");
        }
        assert_eq!(expected_improvement(1.0, 0.4, 0.0), 0.6);
        assert_eq!(expected_improvement(1.0, 1.4, 0.0), 0.0);
    }

    #[test]
    fn it_is_the_integral() {
        for z in [-6.0, -3.1, -2.9, -0.5, 2.0] {
            // The integral of (z - y) φ(y) up to z.
            let h = 1e-4;
            let sum: f64 = (0..200_000)
                .map(|i| {
                    let y = z - h * (f64::from(i) + 0.5);
                    (z - y) * (-0.5 * y * y).exp() / (2.0 * PI).sqrt() * h
                })
                .sum();
            let found = expected_improvement(z, 0.0, 1.0);
            assert!((found / sum - 1.0).abs() < 1e-5, "{z}: {found} {sum}");
        }
    }

    proptest! {
        #[test]
        fn a_lower_mean_and_more_doubt_are_better(z in -20.0f64..10.0, s in 0.1f64..3.0) {
            let here = expected_improvement(z, 0.0, s);
            // Up to rounding: far above zero neither matters.
            let least = here * (1.0 - 1e-12);
            prop_assert!(here > 0.0 || z / s < -37.0);
            prop_assert!(expected_improvement(z, -0.1, s) >= least);
            prop_assert!(expected_improvement(z, 0.0, 1.1 * s) >= least);
        }
    }
}
