//! How far a mixture is beyond what proxies covered.

use regmix_data::Mixture;

use crate::fit::Fit;
use crate::metrics::quantile;
use crate::samples::groups;

/// Differences of weights below this count by their squares: published
/// weights are rounded to so much.
const ROUND: f64 = 1e-3;

/// Distances beyond the limit below this count by their squares.
const EASE: f64 = 1e-2;

/// Where the proxies are.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    proxies: Vec<Vec<f64>>,
    /// How far a mixture may be from the nearest one at no cost.
    limit: f64,
}

/// |x| with its corner rounded over `width`, and its slope.
fn rounded(x: f64, width: f64) -> (f64, f64) {
    match x.abs() < width {
        true => (0.5 * x * x / width, x / width),
        false => (x.abs() - 0.5 * width, x.signum()),
    }
}

/// The distance of every mixture to the nearest other one, in total variation. A
/// mixture that was run several times counts once; alone it has no distance.
pub(crate) fn neighbour_distances(all: &[Mixture]) -> Vec<f64> {
    let group_of = groups(all.iter().map(Mixture::weights));
    let first = |i: &usize| !group_of[..*i].contains(&group_of[*i]);
    let all: Vec<&Mixture> = (0..all.len()).filter(first).map(|i| &all[i]).collect();
    if all.len() == 1 {
        return vec![0.0];
    }
    (0..all.len())
        .map(|i| {
            let others = (0..all.len()).filter(|&j| j != i);
            others
                .map(|j| all[i].tv_distance(all[j]))
                .fold(f64::INFINITY, f64::min)
        })
        .collect()
}

impl Reach {
    /// Where the proxies of a fit are, and the limit of
    /// [`Support`](crate::Support).
    pub(crate) fn of(fit: &Fit) -> Self {
        let proxies = fit.observations().mixtures.mixtures();
        Self {
            proxies: proxies.iter().map(|m| m.weights().to_vec()).collect(),
            limit: quantile(&neighbour_distances(proxies), 0.95),
        }
    }

    /// The nearest proxy and the distance to it.
    fn nearest(&self, weights: &[f64]) -> Option<(&[f64], f64)> {
        let distance = |proxy: &[f64]| {
            let sum: f64 = (weights.iter().zip(proxy))
                .map(|(w, p)| rounded(w - p, ROUND).0)
                .sum();
            0.5 * sum
        };
        (self.proxies.iter())
            .map(|proxy| (&proxy[..], distance(proxy)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Total variation to the nearest proxy beyond the limit, 0 within it;
    /// corners are rounded.
    pub(crate) fn beyond(&self, weights: &[f64]) -> f64 {
        self.nearest(weights)
            .map_or(0.0, |(_, d)| rounded((d - self.limit).max(0.0), EASE).0)
    }

    /// Adds its derivative by each weight, times a strength.
    pub(super) fn add_slopes(&self, strength: f64, weights: &[f64], slopes: &mut [f64]) {
        let Some((proxy, distance)) = self.nearest(weights) else {
            return;
        };
        let steep = rounded((distance - self.limit).max(0.0), EASE).1;
        for ((s, w), p) in slopes.iter_mut().zip(weights).zip(proxy) {
            *s += strength * steep * 0.5 * rounded(w - p, ROUND).1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reach() -> Reach {
        Reach {
            proxies: vec![
                vec![0.5, 0.3, 0.2],
                vec![0.2, 0.2, 0.6],
                vec![0.0, 0.9, 0.1],
            ],
            limit: 0.1,
        }
    }

    #[test]
    fn nothing_within_the_limit_and_the_distance_beyond_it() {
        assert_eq!(reach().beyond(&[0.5, 0.3, 0.2]), 0.0);
        assert_eq!(reach().beyond(&[0.55, 0.3, 0.15]), 0.0);
        // Half a unit from the first proxy, less the limit and the corners.
        let far = reach().beyond(&[1.0, 0.0, 0.0]);
        assert!((far - 0.4).abs() < 0.5 * EASE + ROUND, "{far}");
    }

    #[test]
    fn a_mixture_that_was_run_twice_is_not_its_own_neighbour() {
        let domains = regmix_data::DomainSet::from_names(["a", "b"]).unwrap();
        let at = |a: f64| Mixture::new(domains.clone(), vec![a, 1.0 - a]).unwrap();
        let once = neighbour_distances(&[at(0.25), at(0.5), at(1.0)]);
        assert_eq!(once, [0.25, 0.25, 0.5]);
        let twice = [at(0.25), at(0.5), at(0.25), at(1.0), at(0.5)];
        assert_eq!(neighbour_distances(&twice), once);
        assert_eq!(neighbour_distances(&[at(0.5), at(0.5)]), [0.0]);
    }

    proptest! {
        #[test]
        fn slopes_match_differences(a in 0.02f64..0.9, b in 0.02f64..0.9) {
            let w = [a, (1.0 - a) * b, (1.0 - a) * (1.0 - b)];
            let reach = reach();
            let mut slopes = [0.0; 3];
            reach.add_slopes(2.0, &w, &mut slopes);
            for j in 0..3 {
                let moved = |h: f64| {
                    let mut w = w;
                    w[j] += h;
                    (2.0 * reach.beyond(&w), reach.nearest(&w).map(|n| n.0.to_vec()))
                };
                let (up, down) = (moved(1e-7), moved(-1e-7));
                // Half-way between two proxies there is no one slope.
                if up.1 == down.1 {
                    let numeric = (up.0 - down.0) / 2e-7;
                    prop_assert!((numeric - slopes[j]).abs() < 1e-3, "{} {}", numeric, slopes[j]);
                }
            }
        }
    }
}
