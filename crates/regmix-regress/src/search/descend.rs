//! Descent on the simplex under floors, caps and limits of groups.

use rayon::prelude::*;

use regmix_data::{Error, Mixture, Monitor, Result, Silent};

use crate::constraints::Constraints;
use crate::search::options::DescendOptions;
use crate::search::options::Termination;
use crate::search::surface::Surface;
use crate::search::walk::Walk;

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
    /// Points at which value, derivative or both were computed, over all
    /// starts.
    pub evaluations: usize,
    /// The value that every start led to, or had reached when it was given
    /// up, in the order of the starts.
    pub reached: Vec<f64>,
}

/// Iterations between two comparisons of starts.
const LOOK: usize = 10;

/// Mixtures nearer than this in total variation are in one valley.
const SAME_VALLEY: f64 = 0.05;

/// Follows the value down from every start and keeps the lowest end.
///
/// Quasi-Newton steps in the square roots of the weights, projected on the
/// bounds: small weights move by factors, which suits laws that bend most
/// near zero, and weights that are of no use vanish in few steps. Starts are
/// projected on the bounds and mixed with a thousandth of the uniform mixture
/// first, since a weight of zero could never grow.
///
/// All starts go on for 10 iterations at a time. Then a start whose value is
/// above the lowest one is given up if one of these holds:
///
/// - its distance from the lowest one is below 0.05 in total variation;
/// - its last iterations gained less than its value is above the lowest;
/// - its last iterations gained less than a hundred tolerances.
///
/// On a convex surface this does not change the result. Of several local minima, one
/// that looks worse for a long time may be missed.
///
/// Cost: some tens of derivatives for the best start, 10 to 20 for each of
/// the others, in parallel. Without a derivative each costs 2 D values.
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
    descend_monitored(surface, starts, constraints, options, &Silent)
}

/// [`descend`] with a monitor, which is checked at every step.
///
/// # Errors
/// As [`descend`], and when the monitor asks to stop.
pub fn descend_monitored(
    surface: &(impl Surface + ?Sized),
    starts: &[Mixture],
    constraints: &Constraints,
    options: &DescendOptions,
    monitor: &dyn Monitor,
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
    let mut walks: Vec<Walk<'_, _>> = starts
        .into_par_iter()
        .map(|start| Walk::new(surface, &start, &constraints, options, monitor))
        .collect();
    let mut going: Vec<bool> = walks.iter().map(|w| w.ended.is_none()).collect();
    while going.contains(&true) {
        let gains: Vec<f64> = walks
            .par_iter_mut()
            .zip(&going)
            .map(|(walk, going)| {
                let before = walk.value;
                if *going {
                    let left = options.max_iterations - walk.iterations;
                    walk.advance(left.min(LOOK));
                }
                before - walk.value
            })
            .collect();
        monitor.check()?;
        let Some(lead) = lowest(&walks) else { break };
        for i in 0..walks.len() {
            let (walk, best) = (&walks[i], &walks[lead]);
            let above = walk.value - best.value;
            let promising = i == lead
                || gains[i] > above
                    && gains[i] > 100.0 * options.tolerance
                    && distance(&walk.weights, &best.weights) > SAME_VALLEY;
            going[i] &=
                promising && walk.ended.is_none() && walk.iterations < options.max_iterations;
        }
    }
    let evaluations = walks.iter().map(|w| w.evaluations).sum();
    let reached = walks.iter().map(|w| w.value).collect();
    let Some(start) = lowest(&walks) else {
        return Err(
            Error::input("the value is finite at no start: expected at least one")
                .help("give a start inside the range of the proxies"),
        );
    };
    let best = &walks[start];
    Ok(Descent {
        mixture: Mixture::normalized(surface.domains().clone(), best.weights.clone())?,
        value: best.value,
        start,
        termination: best.ended.unwrap_or(Termination::MaxIterations),
        iterations: best.iterations,
        evaluations,
        reached,
    })
}

/// The walk with the lowest value; the first of equals.
fn lowest<S: Surface + ?Sized>(walks: &[Walk<'_, S>]) -> Option<usize> {
    (0..walks.len())
        .filter(|&i| walks[i].value.is_finite())
        .min_by(|&a, &b| walks[a].value.total_cmp(&walks[b].value))
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
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
        let err = err.unwrap_err().to_string();
        assert!(err.contains("finite at no start"), "{err}");
    }

    /// Two round valleys; the second is the deeper one.
    struct Valleys(DomainSet);
    const BOTTOMS: [([f64; 3], f64); 2] = [([0.7, 0.2, 0.1], 1.0), ([0.1, 0.2, 0.7], 1.1)];
    impl Surface for Valleys {
        fn domains(&self) -> &DomainSet {
            &self.0
        }
        fn value(&self, w: &[f64]) -> f64 {
            let square = |a: &[f64; 3]| a.iter().zip(w).map(|(a, w)| (a - w).powi(2)).sum::<f64>();
            let depth = |(a, d): &([f64; 3], f64)| d * (-8.0 * square(a)).exp();
            -BOTTOMS.iter().map(depth).sum::<f64>()
        }
    }

    #[test]
    fn starts_are_given_up_in_one_valley_but_not_in_different_valleys() {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let free = Constraints::none(domains.clone());
        let at = |w: [f64; 3]| Mixture::new(domains.clone(), w.to_vec()).unwrap();
        let starts = [at([0.6, 0.2, 0.2]), at([0.25, 0.3, 0.45])];
        let found = descend(
            &Valleys(domains.clone()),
            &starts,
            &free,
            &Default::default(),
        )
        .unwrap();
        assert_eq!(found.start, 1);
        assert!((found.mixture.weights()[2] - 0.7).abs() < 0.02, "{found:?}");

        let wells = Wells(domains.clone(), vec![1.0, 4.0, 9.0], true);
        let one = descend(&wells, &starts[..1], &free, &Default::default()).unwrap();
        let many: Vec<Mixture> = starts.iter().cycle().take(8).cloned().collect();
        let found = descend(&wells, &many, &free, &Default::default()).unwrap();
        assert!((found.value - one.value).abs() < 1e-5);
        assert!(found.evaluations <= 8 * 20, "{}", found.evaluations);
        // Starts that are given up had ten iterations, here enough to arrive.
        assert!(found.reached.iter().all(|v| (v - one.value).abs() < 1e-4));
    }

    #[test]
    fn useless_domains_vanish_and_traces_that_help_stay() {
        // The slope of a trace is without bound at zero.
        struct Traces(DomainSet);
        impl Surface for Traces {
            fn domains(&self) -> &DomainSet {
                &self.0
            }
            fn value(&self, w: &[f64]) -> f64 {
                3.0 - w[0] - 0.01 * (w[1] + 1e-9).powf(0.3) + w[2] + 2.0 * w[3]
            }
            fn gradient(&self, w: &[f64]) -> Option<Vec<f64>> {
                Some(vec![-1.0, -0.003 * (w[1] + 1e-9).powf(-0.7), 1.0, 2.0])
            }
        }
        let domains = DomainSet::from_names(["a", "b", "c", "d"]).unwrap();
        let free = Constraints::none(domains.clone());
        let one = Mixture::new(domains.clone(), vec![0.0, 0.0, 0.0, 1.0]).unwrap();
        let found = descend(&Traces(domains), &[one], &free, &Default::default()).unwrap();
        // 0.003 w^-0.7 = 1.
        let trace = 0.003f64.powf(1.0 / 0.7);
        let w = found.mixture.weights();
        assert!(
            (w[1] / trace - 1.0).abs() < 0.1 && w[2] + w[3] < 1e-5,
            "{found:?}"
        );
        assert_eq!(found.termination, Termination::Stationary);
        assert!(found.evaluations < 60, "{found:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_allowed_mixture_is_lower(
            a in prop::collection::vec(0.1f64..5.0, 6),
            cap in 0.3f64..1.0,
            floor in 0.0f64..0.2,
            total in (0.0f64..0.4, 0.0f64..0.6),
            other in prop::collection::vec(0.01f64..1.0, 6),
        ) {
            let domains = DomainSet::from_names(["a", "b", "c", "d", "e", "f"]).unwrap();
            let bounds = Constraints::none(domains.clone())
                .with_cap("a", cap).unwrap()
                .with_floor("d", floor).unwrap()
                .with_group("g", &["a", "b", "c"], total.0, total.0 + total.1).unwrap();
            let wells = Wells(domains.clone(), a, true);
            let starts = [Mixture::uniform(domains.clone()), Mixture::normalized(domains, other.clone()).unwrap()];
            let found = descend(&wells, &starts, &bounds, &DescendOptions::default()).unwrap();
            prop_assert!(bounds.allows(found.mixture.weights()));
            prop_assert!(found.evaluations < 150, "{}", found.evaluations);
            // A convex surface is nowhere below its tangent.
            let slopes = wells.gradient(found.mixture.weights()).unwrap();
            let at = |w: &[f64]| slopes.iter().zip(w).map(|(g, w)| g * w).sum::<f64>();
            let gap = at(found.mixture.weights()) - at(&bounds.lowest(&slopes));
            prop_assert!(gap < 1e-4, "{gap} {found:?}");
            let other = bounds.project(&other).unwrap();
            prop_assert!(found.value <= wells.value(other.weights()) + 1e-5);
        }
    }
}
