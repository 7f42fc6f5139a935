//! Mirror descent on the simplex under floors and caps.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::{Error, Mixture, Result};

use super::{Surface, slopes};
use crate::constraints::Constraints;

/// How to descend.
///
/// | field | default | range |
/// |---|---|---|
/// | `max_iterations` | 2000 | 1 or more, per start |
/// | `tolerance` | 1e-6 | positive, unit of the value |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DescendOptions {
    /// Iterations per start.
    pub max_iterations: usize,
    /// Stop when no allowed direction promises a larger gain.
    pub tolerance: f64,
}

impl Default for DescendOptions {
    fn default() -> Self {
        Self {
            max_iterations: 2000,
            tolerance: 1e-6,
        }
    }
}

/// Why a descent stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Termination {
    /// The linearised value can fall by less than the tolerance anywhere in
    /// the allowed region: on a convex surface this is the minimum.
    Stationary,
    /// Steps gained less than a hundredth of the tolerance, 20 times in a
    /// row, or no step gained at all.
    NoProgress,
    /// The limit on iterations was met first.
    MaxIterations,
}

/// What a descent found.
#[derive(Debug, Clone, PartialEq)]
pub struct Descent {
    /// The best mixture over all starts.
    pub mixture: Mixture,
    /// The value there.
    pub value: f64,
    /// Which start led there.
    pub start: usize,
    /// Why that descent stopped.
    pub termination: Termination,
    /// Iterations of that descent.
    pub iterations: usize,
    /// Evaluations of value or derivative, over all starts.
    pub evaluations: usize,
    /// The value that every start led to, in the order of the starts: far
    /// apart, they show that the surface has several valleys.
    pub reached: Vec<f64>,
}

/// Follows the value down from every start and keeps the lowest end.
///
/// Exponentiated gradient with a Kullback-Leibler projection on floors and
/// caps: `w ← proj(w · exp(-η (g - g·w)))`, the step size η found by
/// backtracking on the value. It moves small weights by factors, which suits
/// laws that bend most near zero. Starts are projected on the bounds and
/// mixed with a thousandth of the uniform mixture first, since a weight of
/// zero could never grow. Cost O(starts · iterations · derivative).
///
/// ```
/// use regmix_data::{DomainSet, Mixture};
/// use regmix_regress::{Constraints, search::{descend, DescendOptions, Surface}};
///
/// struct Bowl(DomainSet);
/// impl Surface for Bowl {
///     fn domains(&self) -> &DomainSet { &self.0 }
///     fn value(&self, w: &[f64]) -> f64 { (w[0] - 0.8).powi(2) }
/// }
/// let domains = DomainSet::from_names(["web", "code"])?;
/// let starts = [Mixture::uniform(domains.clone())];
/// let caps = Constraints::none(domains.clone()).with_cap("web", 0.7)?;
/// let found = descend(&Bowl(domains), &starts, &caps, &DescendOptions::default())?;
/// assert!((found.mixture.weights()[0] - 0.7).abs() < 1e-6);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When there is no start, the domains differ, an option is out of range, or
/// the surface is not finite at any start.
pub fn descend(
    surface: &(impl Surface + ?Sized),
    starts: &[Mixture],
    constraints: &Constraints,
    options: &DescendOptions,
) -> Result<Descent> {
    if options.max_iterations == 0 || options.tolerance.is_nan() || options.tolerance <= 0.0 {
        return Err(Error::input(format!(
            "{} iterations to a tolerance of {}: expected positive numbers",
            options.max_iterations, options.tolerance
        )));
    }
    let constraints = constraints.reordered(surface.domains())?;
    let starts = starts
        .iter()
        .map(|s| Ok(s.reordered(surface.domains())?.weights().to_vec()))
        .collect::<Result<Vec<_>>>()?;
    let ends: Vec<End> = starts
        .into_par_iter()
        .map(|start| from_one(surface, &start, &constraints, options))
        .collect();
    let evaluations = ends.iter().map(|e| e.evaluations).sum();
    let reached = ends.iter().map(|e| e.value).collect();
    let best = (ends.into_iter().enumerate())
        .filter(|(_, end)| end.value.is_finite())
        .min_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let Some((start, end)) = best else {
        return Err(
            Error::input("the value is finite at no start: expected at least one")
                .help("give a start inside the range of the proxies"),
        );
    };
    Ok(Descent {
        mixture: Mixture::normalized(surface.domains().clone(), end.weights)?,
        value: end.value,
        start,
        termination: end.termination,
        iterations: end.iterations,
        evaluations,
        reached,
    })
}

struct End {
    weights: Vec<f64>,
    value: f64,
    termination: Termination,
    iterations: usize,
    evaluations: usize,
}

fn from_one(
    surface: &(impl Surface + ?Sized),
    start: &[f64],
    constraints: &Constraints,
    options: &DescendOptions,
) -> End {
    let even = 1.0 / start.len() as f64;
    let inner: Vec<f64> = start.iter().map(|w| 0.999 * w + 0.001 * even).collect();
    let mut w = constraints.projected(&inner);
    let mut value = surface.value(&w);
    let mut evaluations = 1;
    let mut step = 1.0;
    let mut idle = 0;
    let end = |w: Vec<f64>, value, termination, iterations, evaluations| End {
        weights: w,
        value,
        termination,
        iterations,
        evaluations,
    };
    for iteration in 0..options.max_iterations {
        let (g, cost) = slopes(surface, &w);
        evaluations += cost.max(1);
        if g.iter().any(|g| !g.is_finite()) {
            return end(w, value, Termination::NoProgress, iteration, evaluations);
        }
        let level: f64 = g.iter().zip(&w).map(|(g, w)| g * w).sum();
        let corner = constraints.lowest(&g);
        let promise = level - g.iter().zip(&corner).map(|(g, c)| g * c).sum::<f64>();
        if promise <= options.tolerance {
            return end(w, value, Termination::Stationary, iteration, evaluations);
        }
        let before = value;
        // Growing again by 4 after every success keeps the step near the
        // largest that works.
        step = (step * 4.0f64).min(1e6);
        while step > 1e-12 {
            // No weight changes by more than a factor of e² per step: near
            // zero the slope can be as good as infinite.
            let moved: Vec<f64> = (w.iter().zip(&g))
                .map(|(w, g)| w * (-step * (g - level)).clamp(-2.0, 2.0).exp())
                .collect();
            let next = constraints.projected(&moved);
            let reached = surface.value(&next);
            evaluations += 1;
            let along: f64 = g
                .iter()
                .zip(&next)
                .zip(&w)
                .map(|((g, a), b)| g * (a - b))
                .sum();
            if reached < value && reached <= value + 0.1 * along.min(0.0) {
                w = next;
                value = reached;
                break;
            }
            step *= 0.5;
        }
        if before - value <= 0.01 * options.tolerance {
            idle += 1;
            if before == value || idle >= 20 {
                return end(
                    w,
                    value,
                    Termination::NoProgress,
                    iteration + 1,
                    evaluations,
                );
            }
        } else {
            idle = 0;
        }
    }
    end(
        w,
        value,
        Termination::MaxIterations,
        options.max_iterations,
        evaluations,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regmix_data::DomainSet;

    /// Σ a_j / (w_j + 0.1): convex, its minimum has w_j + 0.1 ∝ √a_j.
    struct Wells(DomainSet, Vec<f64>, bool);
    impl Surface for Wells {
        fn domains(&self) -> &DomainSet {
            &self.0
        }
        fn value(&self, w: &[f64]) -> f64 {
            w.iter().zip(&self.1).map(|(w, a)| a / (w + 0.1)).sum()
        }
        fn gradient(&self, w: &[f64]) -> Option<Vec<f64>> {
            let by = |(w, a): (&f64, &f64)| -a / (w + 0.1).powi(2);
            self.2.then(|| w.iter().zip(&self.1).map(by).collect())
        }
    }

    #[test]
    fn the_minimum_of_a_convex_surface_is_found_both_ways() {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let free = Constraints::none(domains.clone());
        let starts = [Mixture::uniform(domains.clone())];
        for analytic in [true, false] {
            let wells = Wells(domains.clone(), vec![1.0, 4.0, 9.0], analytic);
            let found = descend(&wells, &starts, &free, &DescendOptions::default()).unwrap();
            assert_ne!(found.termination, Termination::MaxIterations);
            for (w, root) in found.mixture.weights().iter().zip([1.0, 2.0, 3.0]) {
                assert!((w - (1.3 * root / 6.0 - 0.1)).abs() < 2e-3, "{found:?}");
            }
        }
        let err = descend(
            &Wells(domains, vec![1.0; 3], true),
            &[],
            &free,
            &Default::default(),
        );
        assert!(err.is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_allowed_mixture_is_lower(
            a in prop::collection::vec(0.1f64..5.0, 4),
            cap in 0.3f64..1.0,
            floor in 0.0f64..0.2,
            other in prop::collection::vec(0.01f64..1.0, 4),
        ) {
            let domains = DomainSet::from_names(["a", "b", "c", "d"]).unwrap();
            let bounds = Constraints::none(domains.clone())
                .with_cap("a", cap).unwrap()
                .with_floor("d", floor).unwrap();
            let wells = Wells(domains.clone(), a, true);
            let starts = [Mixture::uniform(domains)];
            let found = descend(&wells, &starts, &bounds, &DescendOptions::default()).unwrap();
            prop_assert!(bounds.allows(found.mixture.weights()));
            let other = bounds.project(&other).unwrap();
            prop_assert!(found.value <= wells.value(other.weights()) + 1e-5);
        }
    }
}
