//! Dirichlet draws that stay correct for very small concentrations.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma};

use crate::error::{Error, Result};

/// A Dirichlet distribution over weights that sum to 1.
///
/// Concentrations of 0.001 and less are usual here (a rare domain times a
/// small strength), where plain gamma variates underflow to zero, at worst for
/// all domains at once. Draws are therefore made in logarithms:
/// `ln G(a) = ln G(a + 1) + ln(U) / a` (Marsaglia and Tsang 2000).
///
/// ```
/// use regmix_data::{design::Dirichlet, random::stream};
///
/// let rare = Dirichlet::new(&[1e-4, 2e-4, 0.0])?;
/// let w = rare.sample(&mut stream(1, "x", "y"));
/// assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
/// assert_eq!(w[2], 0.0);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dirichlet {
    /// Per domain: a, and the distribution of G(a + 1). `None` where a is zero;
    /// then the weight is zero, too.
    parts: Vec<Option<(f64, Gamma<f64>)>>,
}

impl Dirichlet {
    /// One concentration per domain; zero gives weight zero.
    ///
    /// # Errors
    /// When a concentration is negative or not finite, or none is positive.
    pub fn new(alpha: &[f64]) -> Result<Self> {
        if let Some(a) = alpha.iter().find(|a| !(**a >= 0.0 && a.is_finite())) {
            return Err(Error::input(format!(
                "concentration {a}, expected a finite number that is not negative"
            ))
            .field("alpha"));
        }
        let part = |&a: &f64| {
            (a > 0.0)
                .then(|| Some((a, Gamma::new(a + 1.0, 1.0).ok()?)))
                .flatten()
        };
        let parts: Vec<_> = alpha.iter().map(part).collect();
        if parts.iter().all(Option::is_none) {
            return Err(
                Error::input("no concentration is positive: expected at least one").field("alpha"),
            );
        }
        Ok(Self { parts })
    }

    /// One draw.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f64> {
        let logs: Vec<f64> = (self.parts.iter())
            .map(|part| match part {
                None => f64::NEG_INFINITY,
                Some((a, gamma)) => {
                    // In (0, 1]: the logarithm is finite.
                    let u: f64 = 1.0 - rng.random::<f64>();
                    gamma.sample(rng).max(f64::MIN_POSITIVE).ln() + u.ln() / a
                }
            })
            .collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> = logs.iter().map(|l| (l - top).exp()).collect();
        let sum: f64 = weights.iter().sum();
        for w in &mut weights {
            *w /= sum;
        }
        weights
    }
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
        let dirichlet = Dirichlet::new(&alpha).unwrap();
        let mut rng = stream(3, "test", "moments");
        let n = 200_000;
        let mut sum = [0.0; 4];
        let mut square = [0.0; 4];
        for _ in 0..n {
            for (i, w) in dirichlet.sample(&mut rng).into_iter().enumerate() {
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

    #[test]
    fn unusable_concentrations_are_refused() {
        for alpha in [vec![0.0, 0.0], vec![-1.0, 1.0], vec![f64::NAN], vec![]] {
            assert!(Dirichlet::new(&alpha).unwrap_err().is_input(), "{alpha:?}");
        }
    }
}
