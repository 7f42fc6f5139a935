//! Divergence from a reference mixture.

/// `KL(w || q) = Σ w ln (w / q)` in nats. A weight of zero adds nothing.
pub(crate) fn divergence(weights: &[f64], reference: &[f64]) -> f64 {
    (weights.iter().zip(reference))
        .filter(|(w, _)| **w > 0.0)
        .map(|(w, q)| w * (w / q).ln())
        .sum()
}

/// Adds its derivative by each weight, `ln (w / q) + 1`, times a strength.
pub(super) fn add_slopes(strength: f64, weights: &[f64], reference: &[f64], slopes: &mut [f64]) {
    for ((s, w), q) in slopes.iter_mut().zip(weights).zip(reference) {
        // Finite at zero, where the true slope is not.
        *s += strength * ((w.max(1e-300) / q).ln() + 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::Constraints;
    use crate::search::descend::descend;
    use crate::search::options::{DescendOptions, Termination};
    use crate::search::surface::Surface;
    use rand::RngExt;
    use regmix_data::random::stream;
    use regmix_data::{DomainSet, Mixture};

    /// The problem of Olmix' exact proposer: `Σ_k a_k exp(t_k · w) + λ KL`.
    struct LogLinear {
        domains: DomainSet,
        terms: Vec<(f64, Vec<f64>)>,
        strength: f64,
        reference: Vec<f64>,
    }

    impl LogLinear {
        fn new(n: usize, strength: f64, seed: u64) -> Self {
            let mut rng = stream(seed, "olmix", "test");
            let mut uniform = |low: f64, high: f64| low + (high - low) * rng.random::<f64>();
            let terms = (0..n + 2)
                .map(|_| {
                    (
                        uniform(0.05, 0.3),
                        (0..n).map(|_| uniform(-4.0, 1.0)).collect(),
                    )
                })
                .collect();
            let raw: Vec<f64> = (0..n).map(|_| uniform(0.05, 1.0)).collect();
            let sum: f64 = raw.iter().sum();
            Self {
                domains: DomainSet::from_names((0..n).map(|i| format!("d{i}"))).unwrap(),
                terms,
                strength,
                reference: raw.iter().map(|w| w / sum).collect(),
            }
        }

        fn caps(&self) -> Constraints {
            let names: Vec<&str> = self.domains.names().collect();
            let none = Constraints::none(self.domains.clone());
            let capped = none.with_cap(names[0], 0.3).unwrap();
            capped.with_cap(names[1], 0.45).unwrap()
        }

        fn found(&self) -> Vec<f64> {
            let starts = [Mixture::uniform(self.domains.clone())];
            let found = descend(self, &starts, &self.caps(), &DescendOptions::default()).unwrap();
            assert_eq!(found.termination, Termination::Stationary);
            assert!(found.evaluations < 60, "{}", found.evaluations);
            found.mixture.weights().to_vec()
        }
    }

    impl Surface for LogLinear {
        fn domains(&self) -> &DomainSet {
            &self.domains
        }
        fn value(&self, w: &[f64]) -> f64 {
            let along = |t: &[f64]| t.iter().zip(w).map(|(t, w)| t * w).sum::<f64>();
            let sum: f64 = self.terms.iter().map(|(a, t)| a * along(t).exp()).sum();
            sum + self.strength * divergence(w, &self.reference)
        }
        fn gradient(&self, w: &[f64]) -> Option<Vec<f64>> {
            let mut out = vec![0.0; w.len()];
            for (a, t) in &self.terms {
                let e = a * t.iter().zip(w).map(|(t, w)| t * w).sum::<f64>().exp();
                for (o, t) in out.iter_mut().zip(t) {
                    *o += e * t;
                }
            }
            add_slopes(self.strength, w, &self.reference, &mut out);
            Some(out)
        }
    }

    #[test]
    fn the_exact_proposer_agrees_with_a_dense_grid() {
        for seed in 0..4 {
            let problem = LogLinear::new(3, 0.05, seed);
            let caps = problem.caps();
            let found = problem.found();
            let mut best = (f64::INFINITY, vec![]);
            for i in 0..=1000 {
                for j in 0..=1000 - i {
                    let w = [
                        0.001 * f64::from(i),
                        0.001 * f64::from(j),
                        0.001 * f64::from(1000 - i - j),
                    ];
                    if caps.allows(&w) && problem.value(&w) < best.0 {
                        best = (problem.value(&w), w.to_vec());
                    }
                }
            }
            let value = problem.value(&found);
            assert!(
                value <= best.0 + 1e-9 && value > best.0 - 1e-4,
                "{value} {best:?}"
            );
            for (a, b) in found.iter().zip(&best.1) {
                assert!((a - b).abs() < 2e-3, "{found:?} {best:?}");
            }
        }
    }

    #[test]
    fn the_exact_proposer_agrees_with_slow_mirror_descent() {
        for (seed, strength) in [(10, 0.05), (11, 0.05), (12, 0.3)] {
            let problem = LogLinear::new(8, strength, seed);
            let (caps, found) = (problem.caps(), problem.found());
            let mut w = caps.projected(&problem.reference);
            for _ in 0..4000 {
                let g = problem.gradient(&w).unwrap();
                let moved: Vec<f64> = w
                    .iter()
                    .zip(&g)
                    .map(|(w, g)| w * (-0.5 * g).exp())
                    .collect();
                w = caps.projected(&moved);
            }
            let (ours, slow) = (problem.value(&found), problem.value(&w));
            assert!((ours - slow).abs() < 1e-6, "{ours} {slow}");
            for (a, b) in found.iter().zip(&w) {
                assert!((a - b).abs() < 1e-3, "{found:?} {w:?}");
            }
        }
    }
}
