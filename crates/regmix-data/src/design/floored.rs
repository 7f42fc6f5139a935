//! Draws that keep floors and caps without rejection.

use std::collections::BTreeSet;

use rand::RngExt;

use super::{Dirichlet, Drawn, Sampler, Space, check_strengths};
use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::monitor::{Monitor, Silent};
use crate::random::Stream;

/// Draws `w = lo + (1 - sum(lo)) * Dirichlet(q * s)` with a log-uniform
/// strength `s`, then moves weight that exceeds a cap to the domains below
/// their caps, in proportion to their weight above their floors.
///
/// Every draw is used, so a design is found for high floors, too, where the
/// published sampler rejects every draw.
///
/// | parameter | default | range |
/// |---|---|---|
/// | `temperature` | 0.5 | (0, 1]: power applied to the prior |
/// | `strengths` | 0.5 to 10 | 0 < low <= high: low gives few large domains, high gives mixtures near the tempered prior |
#[derive(Debug, Clone, PartialEq)]
pub struct Floored {
    /// Power applied to the prior.
    pub temperature: f64,
    /// Least and greatest Dirichlet strength; drawn log-uniformly.
    pub strengths: [f64; 2],
}

impl Default for Floored {
    fn default() -> Self {
        Self {
            temperature: 0.5,
            strengths: [0.5, 10.0],
        }
    }
}

impl Sampler for Floored {
    fn name(&self) -> &'static str {
        "floored"
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
        check_strengths(&self.strengths, 1, self.temperature)?;
        let base = space.prior().tempered(self.temperature)?;
        let (low, high) = (self.strengths[0].ln(), self.strengths[1].ln());
        let mut mixtures = Distinct::default();
        let mut tried = 0;
        // Draws are continuous, so equal ones mean that floors and caps leave
        // (nearly) a single point.
        while mixtures.all.len() < n && tried < 20 * n + 100 {
            if tried % 1024 == 0 {
                monitor.check()?;
            }
            tried += 1;
            let strength = (low + (high - low) * rng.random::<f64>()).exp();
            let alpha: Vec<f64> = base.weights().iter().map(|q| q * strength).collect();
            let weights = bounded(space, &Dirichlet::new(&alpha)?.sample(rng));
            let mixture = Mixture::normalized(space.prior().domains().clone(), weights)?;
            mixtures.push(mixture);
        }
        let mixtures = mixtures.all;
        if mixtures.len() < n {
            return Err(Error::input(format!(
                "floors and caps leave room for {} distinct mixtures, expected {n}",
                mixtures.len()
            ))
            .help("loosen floors or caps"));
        }
        Ok(Drawn {
            accepted: mixtures.len(),
            mixtures,
            tried,
        })
    }
}

/// Total variation up to which two mixtures are the same.
const SAME: f64 = 1e-9;

/// Mixtures that differ from each other, in the order in which they came.
#[derive(Default)]
struct Distinct {
    all: Vec<Mixture>,
    /// The bits of [`Distinct::position`] of every mixture, with its place. Numbers that are
    /// not negative have the order of their bits.
    order: BTreeSet<(u64, usize)>,
}

impl Distinct {
    /// Adds a mixture, unless there is the same.
    fn push(&mut self, mixture: Mixture) {
        let position = Self::position(&mixture);
        // Weights of the same mixture differ by 2 SAME in all; the rest is rounding.
        let reach = 3.0 * SAME;
        let low = ((position - reach).max(0.0).to_bits(), 0);
        let high = ((position + reach).to_bits(), usize::MAX);
        let mut near = self.order.range(low..=high);
        if near.all(|(_, place)| self.all[*place].tv_distance(&mixture) > SAME) {
            self.order.insert((position.to_bits(), self.all.len()));
            self.all.push(mixture);
        }
    }

    /// A sum of the weights with factors between 0 and 1, by which the same mixtures are
    /// neighbours and others are rarely so.
    fn position(mixture: &Mixture) -> f64 {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let weights = (1_u32..).zip(mixture.weights());
        weights
            .map(|(i, w)| (f64::from(i) * GOLDEN).fract() * w)
            .sum()
    }
}

/// Maps a point of the simplex into the box of floors and caps.
fn bounded(space: &Space, point: &[f64]) -> Vec<f64> {
    let (floor, cap) = (space.floor(), space.cap());
    let free = 1.0 - floor.iter().sum::<f64>();
    let mut weights: Vec<f64> = (floor.iter().zip(point))
        .map(|(lo, p)| lo + free * p)
        .collect();
    // Each pass caps at least one more domain, so it ends.
    for _ in 0..weights.len() {
        let mut excess = 0.0;
        for (w, hi) in weights.iter_mut().zip(cap) {
            if *w > *hi {
                excess += *w - hi;
                *w = *hi;
            }
        }
        if excess <= 0.0 {
            break;
        }
        let share: Vec<f64> = (weights.iter().zip(floor).zip(cap))
            .map(|((w, lo), hi)| if w < hi { w - lo } else { 0.0 })
            .collect();
        let total: f64 = share.iter().sum();
        let room: Vec<f64> = weights.iter().zip(cap).map(|(w, hi)| hi - w).collect();
        let room_total: f64 = room.iter().sum();
        for i in 0..weights.len() {
            weights[i] += if total > 1e-12 {
                excess * share[i] / total
            } else if room_total > 0.0 {
                // All domains below their caps are at their floors.
                excess * room[i] / room_total
            } else {
                0.0
            };
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DomainSet;
    use crate::random::stream;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn floors_and_caps_hold_for_any_feasible_space(
            prior in prop::collection::vec(1e-4f64..1.0, 2..12),
            tightness in 0.0f64..0.95,
            slack in prop::collection::vec(0.05f64..1.0, 12),
            seed in 0u64..1000,
        ) {
            let n = prior.len();
            let domains = DomainSet::from_names((0..n).map(|i| format!("d{i}"))).unwrap();
            let prior = Mixture::normalized(domains, prior).unwrap();
            let floor: Vec<f64> = prior.weights().iter().map(|p| p * tightness).collect();
            let mut cap: Vec<f64> = (floor.iter().zip(&slack)).map(|(lo, s)| lo + s).collect();
            let sum: f64 = cap.iter().sum();
            if sum < 1.05 {
                let lift = (1.05 - sum) / n as f64;
                cap.iter_mut().for_each(|c| *c += lift);
            }
            let space = Space::new(prior).with_caps(cap).unwrap().with_floors(floor).unwrap();
            // One: an extreme prior maps many draws to the same corner, and too
            // few distinct ones are an error of its own.
            let drawn = Floored::default().draw(&space, 1, &mut stream(seed, "t", "t")).unwrap();
            for m in &drawn.mixtures {
                for i in 0..n {
                    let w = m.weights()[i];
                    prop_assert!(w >= space.floor()[i] - 1e-9, "{w} below floor {}", space.floor()[i]);
                    prop_assert!(w <= space.cap()[i] + 1e-9, "{w} above cap {}", space.cap()[i]);
                }
            }
        }
    }

    #[test]
    fn the_same_mixtures_are_found_as_by_comparing_all() {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let mut rng = stream(3, "t", "t");
        let mut all: Vec<Mixture> = Vec::new();
        let mut distinct = Distinct::default();
        for i in 0..600 {
            let mut weights: Vec<f64> = (0..3).map(|_| rng.random::<f64>()).collect();
            if i % 3 > 0 {
                // On either side of the limit around an earlier one.
                weights = all[rng.random_range(0..all.len())].weights().to_vec();
                let moved = rng.random_range(0.0..2.0) * SAME;
                weights[i % 2] += moved;
                weights[2] = (weights[2] - moved).max(0.0);
            }
            let mixture = Mixture::normalized(domains.clone(), weights).unwrap();
            if all.iter().all(|m| m.tv_distance(&mixture) > SAME) {
                all.push(mixture.clone());
            }
            distinct.push(mixture);
        }
        assert!((300..500).contains(&all.len()), "{}", all.len());
        assert_eq!(distinct.all, all);
    }

    #[test]
    fn a_large_design_is_drawn_fast_and_stops_on_request() {
        let domains = DomainSet::from_names((0..5).map(|i| format!("d{i}"))).unwrap();
        let space = Space::new(Mixture::uniform(domains));
        let draw = |monitor: &dyn Monitor| {
            let sampler = Floored::default();
            sampler.draw_monitored(&space, 200_000, &mut stream(1, "t", "t"), monitor)
        };
        let begun = std::time::Instant::now();
        assert_eq!(draw(&Silent).unwrap().mixtures.len(), 200_000);
        // Comparing all of them takes more than a minute.
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        let stop = std::sync::atomic::AtomicBool::new(true);
        assert!(draw(&stop).is_err());
    }

    #[test]
    fn clashing_bounds_are_named() {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let space = || Space::new(Mixture::uniform(domains.clone()));
        let err = space().with_floor(0.6).unwrap_err();
        assert!(err.to_string().contains("floors sum to 1.2"), "{err}");
        let err = space().with_caps(vec![0.4, 0.4]).unwrap_err();
        assert!(err.to_string().contains("caps sum to 0.8"), "{err}");
        let err = space()
            .with_floor(0.2)
            .unwrap()
            .with_caps(vec![0.1, 1.0])
            .unwrap_err();
        assert!(
            err.to_string().contains("`a`: floor 0.2 and cap 0.1"),
            "{err}"
        );
        // One point is left: not enough for two runs.
        let point = space().with_floor(0.5).unwrap();
        let err = Floored::default()
            .draw(&point, 2, &mut stream(1, "t", "t"))
            .unwrap_err();
        assert!(err.to_string().contains("room for 1 distinct"), "{err}");
    }
}
