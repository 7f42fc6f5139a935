//! A space-filling design.

use super::{Drawn, Floored, Sampler, Space};
use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::monitor::{Monitor, Silent};
use crate::random::Stream;

/// Draws a pool with [`Floored`] and keeps the most spread-out subset: each
/// next mixture is the one of the pool whose nearest kept mixture is farthest
/// away (greedy maximin, at most a factor 2 from the best possible spread;
/// Gonzalez 1985).
///
/// Distance is that of [`Metric`]. Cost: O(n * pool * domains).
///
/// | parameter | default | range |
/// |---|---|---|
/// | `source` | [`Floored`] with strengths 2 to 20 | where the pool comes from; it keeps the subset from being corners only |
/// | `pool` | 24 | >= 1: candidates per mixture wanted |
/// | `metric` | [`Metric::Roots`] | the distance |
#[derive(Debug, Clone, PartialEq)]
pub struct Maximin {
    /// The sampler of the pool.
    pub source: Floored,
    /// Candidates per mixture wanted.
    pub pool: usize,
    /// The distance.
    pub metric: Metric,
}

/// A distance between mixtures that a design is spread by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// Hellinger's, between square roots of weights: going from 0 to 0.01
    /// moves as far as going from 0.25 to 0.36, which suits losses that are
    /// steep near zero.
    #[default]
    Roots,
    /// Between square roots of weights and weights side by side: small domains
    /// count by their roots, large ones by their weights as well.
    RootsAndWeights,
}

impl Metric {
    /// A mixture as a point whose squared distances to others are those of the
    /// metric.
    fn point(self, mixture: &Mixture) -> Vec<f64> {
        let roots = mixture.weights().iter().map(|w| w.sqrt());
        match self {
            Self::Roots => roots.collect(),
            Self::RootsAndWeights => roots.chain(mixture.weights().iter().copied()).collect(),
        }
    }
}

impl Default for Maximin {
    fn default() -> Self {
        Self {
            source: Floored {
                strengths: [2.0, 20.0],
                ..Floored::default()
            },
            pool: 24,
            metric: Metric::default(),
        }
    }
}

impl Sampler for Maximin {
    fn name(&self) -> &'static str {
        "maximin"
    }

    fn draw(&self, space: &Space, n: usize, rng: &mut Stream) -> Result<Drawn> {
        self.draw_monitored(space, n, rng, &Silent)
    }

    fn draw_monitored(
        &self,
        space: &Space,
        n: usize,
        rng: &mut Stream,
        monitor: &dyn Monitor,
    ) -> Result<Drawn> {
        let wanted = n.saturating_mul(self.pool.max(1));
        let candidates = self.source.draw_monitored(space, wanted, rng, monitor)?;
        let pool = candidates.mixtures;
        // The prior counts as kept: the first mixture is the farthest from it.
        let kept = [self.metric.point(space.prior())];
        let points: Vec<Vec<f64>> = pool.iter().map(|m| self.metric.point(m)).collect();
        let mixtures: Vec<Mixture> = (spread_out(&points, &kept, n, monitor)?.into_iter())
            .map(|i| pool[i].clone())
            .collect();
        Ok(Drawn {
            accepted: pool.len(),
            tried: candidates.tried,
            mixtures,
        })
    }
}

/// Chooses which of the given mixtures to run: `n` places in `candidates`, in the
/// order of choice, each as far as possible from those before it and from
/// `have`, the mixtures that were run already. Without any, the first is the
/// one farthest from the middle of all. The earlier ones are then the best choice
/// of fewer runs.
///
/// Distance is [`Metric::RootsAndWeights`]. On published runs it needed fewer
/// runs for the same error than random choice, distances of weights or of roots
/// alone, and D- and I-optimal choice for linear models of both (benches/RESULTS.md,
/// "Choosing runs from a pool").
///
/// ```
/// use regmix_data::{DomainSet, Mixture, design};
///
/// let domains = DomainSet::from_names(["web", "code"])?;
/// let candidates: Vec<Mixture> = [0.1, 0.12, 0.5, 0.9]
///     .into_iter()
///     .map(|web| Mixture::new(domains.clone(), vec![web, 1.0 - web]))
///     .collect::<Result<_, _>>()?;
/// assert_eq!(design::choose(&candidates, &candidates[3..], 2)?, [0, 2]);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When fewer than `n` candidates differ from each other and from what was run.
pub fn choose(candidates: &[Mixture], have: &[Mixture], n: usize) -> Result<Vec<usize>> {
    let metric = Metric::RootsAndWeights;
    let points: Vec<Vec<f64>> = candidates.iter().map(|m| metric.point(m)).collect();
    let mut kept: Vec<Vec<f64>> = have.iter().map(|m| metric.point(m)).collect();
    let distinct = {
        let all: Vec<Vec<f64>> = kept.iter().chain(&points).cloned().collect();
        let new = |i: usize| all[..i].iter().all(|p| squared(p, &all[i]) > SAME);
        (kept.len()..all.len()).filter(|&i| new(i)).count()
    };
    if distinct < n {
        return Err(Error::input(format!(
            "{distinct} of {} candidates differ from each other and from the {} runs that are \
             there: expected at least the {n} that are wanted",
            candidates.len(),
            have.len()
        )));
    }
    if let (true, Some(first)) = (kept.is_empty(), points.first()) {
        let mean = |j: usize| points.iter().map(|p| p[j]).sum::<f64>() / points.len() as f64;
        kept.push((0..first.len()).map(mean).collect());
    }
    spread_out(&points, &kept, n, &Silent)
}

/// Squared distance up to which two mixtures are the same.
const SAME: f64 = 1e-12;

/// The places of `n` points, each the farthest from `kept` and those before it.
fn spread_out(
    points: &[Vec<f64>],
    kept: &[Vec<f64>],
    n: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<usize>> {
    let nearest_kept = |p: &Vec<f64>| {
        let distances = kept.iter().map(|k| squared(p, k));
        distances.fold(f64::INFINITY, f64::min)
    };
    let mut nearest: Vec<f64> = points.iter().map(nearest_kept).collect();
    let mut chosen = Vec::with_capacity(n);
    while chosen.len() < n {
        monitor.check()?;
        let Some(next) = (0..points.len()).max_by(|&a, &b| nearest[a].total_cmp(&nearest[b]))
        else {
            break;
        };
        chosen.push(next);
        for (near, point) in nearest.iter_mut().zip(points) {
            *near = near.min(squared(point, &points[next]));
        }
    }
    Ok(chosen)
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

    #[test]
    fn candidates_are_chosen_around_what_was_run() {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let mixture = |w: [f64; 3]| Mixture::new(domains.clone(), w.to_vec()).unwrap();
        let candidates = [
            mixture([1.0, 0.0, 0.0]),
            mixture([0.0, 1.0, 0.0]),
            mixture([0.0, 0.0, 1.0]),
            mixture([0.34, 0.33, 0.33]),
            mixture([1.0, 0.0, 0.0]),
        ];
        let mut corners = choose(&candidates, &[], 3).unwrap();
        corners.sort_unstable();
        // Either of the two that are the same.
        assert!(corners == [0, 1, 2] || corners == [1, 2, 4], "{corners:?}");
        let rest = choose(&candidates, &candidates[..2], 2).unwrap();
        assert_eq!(rest, [2, 3]);
        let err = choose(&candidates, &candidates[..1], 4).unwrap_err();
        assert_eq!(
            err.to_string(),
            "3 of 5 candidates differ from each other and from the 1 runs that are there: expected \
             at least the 4 that are wanted"
        );
    }

    #[test]
    fn metrics_choose_different_mixtures() {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let space = Space::new(Mixture::new(domains, vec![0.8, 0.2]).unwrap());
        let draw = |metric| {
            let sampler = Maximin {
                metric,
                ..Maximin::default()
            };
            let drawn = sampler.draw(&space, 6, &mut stream(1, "d", "d")).unwrap();
            drawn
                .mixtures
                .iter()
                .map(|m| m.weights()[0])
                .collect::<Vec<_>>()
        };
        let roots = draw(Metric::Roots);
        assert_ne!(roots, draw(Metric::RootsAndWeights));
        assert_eq!(roots, draw(Metric::default()));
    }
}
