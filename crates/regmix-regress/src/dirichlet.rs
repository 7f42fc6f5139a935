//! Dirichlet draws that survive small concentrations.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma};

use regmix_data::{Error, Result};

/// Dirichlet(alpha · prior): mixtures scattered around a prior.
///
/// With a small alpha times weight, gamma variates underflow to zero, at
/// worst all of them. They are therefore drawn as logarithms,
/// `ln G(a) = ln G(a + 1) + ln(U) / a` (Marsaglia and Tsang 2000),
/// and normalised from the largest.
#[derive(Debug, Clone)]
pub(crate) struct Dirichlet {
    /// Per domain: a, and the distribution of G(a + 1). None where the prior
    /// is zero: the weight then is zero as well.
    parts: Vec<Option<(f64, Gamma<f64>)>>,
}

impl Dirichlet {
    /// `prior` sums to 1; `alpha` is the concentration.
    pub(crate) fn new(prior: &[f64], alpha: f64) -> Result<Self> {
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::input(format!(
                "concentration {alpha}, expected a positive finite number"
            ))
            .field("alpha"));
        }
        let part = |&p: &f64| {
            let a = alpha * p;
            if a > 0.0 {
                Gamma::new(a + 1.0, 1.0).ok().map(|g| (a, g))
            } else {
                None
            }
        };
        let parts: Vec<_> = prior.iter().map(part).collect();
        if parts.iter().all(Option::is_none) {
            return Err(Error::input(
                "the prior has no positive weight: expected at least one",
            ));
        }
        Ok(Self { parts })
    }

    /// One mixture; sums to 1.
    pub(crate) fn sample(&self, rng: &mut impl Rng) -> Vec<f64> {
        let logs: Vec<f64> = self
            .parts
            .iter()
            .map(|part| match part {
                None => f64::NEG_INFINITY,
                Some((a, gamma)) => {
                    // In (0, 1]: the logarithm is finite.
                    let u = 1.0 - rng.random::<f64>();
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
    use regmix_data::random::stream;

    #[test]
    fn moments_match_the_distribution() {
        let prior = [0.6, 0.3, 0.1, 0.0];
        let mut rng = stream(1, "dirichlet", "test");
        let draw = Dirichlet::new(&prior, 2.0).unwrap();
        let n = 20_000;
        let rows: Vec<Vec<f64>> = (0..n).map(|_| draw.sample(&mut rng)).collect();
        for (j, p) in prior.iter().enumerate() {
            let column: Vec<f64> = rows.iter().map(|r| r[j]).collect();
            let m = crate::metrics::mean(&column);
            let v = crate::metrics::variance(&column);
            assert!((m - p).abs() < 0.01, "mean {m} of {p}");
            assert!(
                (v - p * (1.0 - p) / 3.0).abs() < 0.005,
                "variance {v} of {p}"
            );
        }
    }

    #[test]
    fn tiny_concentrations_still_sum_to_one() {
        let draw = Dirichlet::new(&[0.5, 0.5], 1e-5).unwrap();
        let mut rng = stream(2, "dirichlet", "test");
        let mut first = 0;
        for _ in 0..200 {
            let w = draw.sample(&mut rng);
            assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            first += usize::from(w[0] > 0.5);
        }
        // Nearly all weight is on one domain, each about half of the time.
        assert!((60..140).contains(&first), "{first}");
        assert!(Dirichlet::new(&[0.5, 0.5], 0.0).is_err());
    }
}
