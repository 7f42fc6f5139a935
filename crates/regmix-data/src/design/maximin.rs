//! A space-filling design.

use super::{Drawn, Floored, Sampler, Space};
use crate::error::Result;
use crate::mixture::Mixture;
use crate::random::Stream;

/// Draws a pool with [`Floored`] and keeps the most spread-out subset: each
/// next mixture is the one of the pool whose nearest kept mixture is farthest
/// away (greedy maximin, at most a factor 2 from the best possible spread;
/// Gonzalez 1985).
///
/// Distance is Hellinger's, between square roots of weights: going from 0 to
/// 0.01 moves as far as going from 0.25 to 0.36, which suits losses that are
/// steep near zero. Cost: O(n * pool * domains).
///
/// | parameter | default | range |
/// |---|---|---|
/// | `source` | [`Floored`] with strengths 2 to 20 | where the pool comes from; it keeps the subset from being corners only |
/// | `pool` | 24 | >= 1: candidates per mixture wanted |
#[derive(Debug, Clone, PartialEq)]
pub struct Maximin {
    /// The sampler of the pool.
    pub source: Floored,
    /// Candidates per mixture wanted.
    pub pool: usize,
}

impl Default for Maximin {
    fn default() -> Self {
        Self {
            source: Floored {
                strengths: [2.0, 20.0],
                ..Floored::default()
            },
            pool: 24,
        }
    }
}

impl Sampler for Maximin {
    fn name(&self) -> &'static str {
        "maximin"
    }

    fn draw(&self, space: &Space, n: usize, rng: &mut Stream) -> Result<Drawn> {
        let candidates = self.source.draw(space, n * self.pool.max(1), rng)?;
        let pool = candidates.mixtures;
        let roots: Vec<Vec<f64>> = pool
            .iter()
            .map(|m| m.weights().iter().map(|w| w.sqrt()).collect())
            .collect();
        let prior: Vec<f64> = space.prior().weights().iter().map(|w| w.sqrt()).collect();
        // The prior counts as kept: the first mixture is the farthest from it.
        let mut nearest: Vec<f64> = roots.iter().map(|r| squared(r, &prior)).collect();
        let mut mixtures: Vec<Mixture> = Vec::with_capacity(n);
        while mixtures.len() < n {
            let next = (0..pool.len())
                .max_by(|&a, &b| nearest[a].total_cmp(&nearest[b]))
                .expect("the pool holds at least n mixtures");
            mixtures.push(pool[next].clone());
            for (near, root) in nearest.iter_mut().zip(&roots) {
                *near = near.min(squared(root, &roots[next]));
            }
        }
        Ok(Drawn {
            accepted: pool.len(),
            tried: candidates.tried,
            mixtures,
        })
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DomainSet;
    use crate::random::stream;

    fn least_distance(mixtures: &[Mixture]) -> f64 {
        let mut least = f64::INFINITY;
        for (i, a) in mixtures.iter().enumerate() {
            for b in &mixtures[..i] {
                let (a, b): (Vec<f64>, Vec<f64>) = (a.weights().iter().zip(b.weights()))
                    .map(|(x, y)| (x.sqrt(), y.sqrt()))
                    .unzip();
                least = least.min(squared(&a, &b).sqrt());
            }
        }
        least
    }

    #[test]
    fn it_spreads_wider_than_floored_draws() {
        let domains = DomainSet::from_names(["a", "b", "c", "d", "e"]).unwrap();
        let prior = Mixture::new(domains, vec![0.5, 0.25, 0.15, 0.07, 0.03]).unwrap();
        let space = Space::new(prior).with_floor(0.005).unwrap();
        for seed in 0..5 {
            let plain = Floored::default()
                .draw(&space, 32, &mut stream(seed, "d", "d"))
                .unwrap();
            let spread = Maximin::default()
                .draw(&space, 32, &mut stream(seed, "d", "d"))
                .unwrap();
            let (p, s) = (
                least_distance(&plain.mixtures),
                least_distance(&spread.mixtures),
            );
            assert!(s > 1.8 * p, "seed {seed}: {s} against {p}");
        }
    }
}
