//! Dirichlet draws that stay correct for very small concentrations.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma};

/// One draw from `Dirichlet(alpha)`, as weights that sum to 1.
///
/// Concentrations of 0.001 and less are usual here (a rare domain times a
/// small strength), where a plain Gamma draw underflows to zero for all
/// domains at once. The draw is therefore made in logarithms:
/// `ln G(a) = ln G(a + 1) + ln(U) / a`. A concentration of zero gives weight
/// zero.
///
/// ```
/// use regmix_data::{design::dirichlet, random::stream};
///
/// let w = dirichlet(&[1e-4, 2e-4, 0.0], &mut stream(1, "x", "y"));
/// assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
/// assert_eq!(w[2], 0.0);
/// ```
///
/// # Panics
/// When no concentration is positive and finite.
pub fn dirichlet(alpha: &[f64], rng: &mut impl Rng) -> Vec<f64> {
    let logs: Vec<f64> = alpha
        .iter()
        .map(|&a| {
            if a <= 0.0 {
                return f64::NEG_INFINITY;
            }
            let gamma = Gamma::new(a + 1.0, 1.0).expect("a positive finite shape is valid");
            // 1 - u is in (0, 1], so its logarithm is finite.
            let u: f64 = 1.0 - rng.random::<f64>();
            gamma.sample(rng).ln() + u.ln() / a
        })
        .collect();
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(top.is_finite(), "Dirichlet needs a positive concentration");
    let mut weights: Vec<f64> = logs.iter().map(|l| (l - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    for w in &mut weights {
        *w /= sum;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    /// Mean a_i / A and variance a_i (A - a_i) / (A^2 (A + 1)).
    #[test]
    fn moments_are_those_of_the_dirichlet() {
        let alpha = [0.02, 0.3, 1.0, 2.5];
        let total: f64 = alpha.iter().sum();
        let mut rng = stream(3, "test", "moments");
        let n = 200_000;
        let mut sum = [0.0; 4];
        let mut square = [0.0; 4];
        for _ in 0..n {
            for (i, w) in dirichlet(&alpha, &mut rng).into_iter().enumerate() {
                sum[i] += w;
                square[i] += w * w;
            }
        }
        for i in 0..4 {
            let mean = sum[i] / f64::from(n);
            let var = square[i] / f64::from(n) - mean * mean;
            let want_mean = alpha[i] / total;
            let want_var = want_mean * (1.0 - want_mean) / (total + 1.0);
            assert!((mean - want_mean).abs() < 4.0 * (want_var / f64::from(n)).sqrt());
            assert!((var / want_var - 1.0).abs() < 0.05, "{i}: {var} {want_var}");
        }
    }
}
