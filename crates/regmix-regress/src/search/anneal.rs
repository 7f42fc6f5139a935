//! Descent on values with kinks, by ever sharper smoothing.

use regmix_data::{DomainSet, Mixture, Monitor, Result};

use crate::constraints::Constraints;
use crate::search::descend::{Descent, descend_monitored};
use crate::search::options::DescendOptions;
use crate::search::surface::Surface;

/// Rounds of smoothing at most.
const ROUNDS: usize = 30;

/// A value that may have kinks (the worst of several), with smooth
/// approximations of it.
pub(crate) trait Smooth: Sync {
    /// How much, and how, the kinks are smoothed.
    type Soft: Sync;

    /// The domains of its mixtures.
    fn domains(&self) -> &DomainSet;

    /// The smoothing to begin with.
    fn softest(&self) -> Self::Soft;

    /// A smoothing whose lowest mixture is nearer to the true one, after a
    /// descent with `soft` to `weights`; and by how much the true value is at
    /// most above its minimum, if it is convex; 0 for a value without kinks.
    fn sharper(&self, weights: &[f64], soft: &Self::Soft) -> (Self::Soft, f64);

    /// The value; the true one without smoothing.
    fn value_at(&self, weights: &[f64], soft: Option<&Self::Soft>) -> f64;

    /// Value and derivative; no derivative where a model has none.
    fn gradient_at(&self, weights: &[f64], soft: Option<&Self::Soft>) -> (f64, Option<Vec<f64>>);
}

/// The value under one smoothing.
struct Softened<'a, S: Smooth + ?Sized>(&'a S, S::Soft);

impl<S: Smooth + ?Sized> Surface for Softened<'_, S> {
    fn domains(&self) -> &DomainSet {
        self.0.domains()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.0.value_at(weights, Some(&self.1))
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        self.0.gradient_at(weights, Some(&self.1)).1
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        self.0.gradient_at(weights, Some(&self.1))
    }
}

/// Descends with one smoothing after the other, each time from the last end,
/// until the true value is within the tolerance of its minimum; and takes the
/// end whose true value is the lowest. The value that is returned is the true
/// one.
pub(crate) fn anneal<S: Smooth + ?Sized>(
    smooth: &S,
    starts: &[Mixture],
    constraints: &Constraints,
    options: &DescendOptions,
    monitor: &dyn Monitor,
) -> Result<Descent> {
    let mut last = round(
        smooth,
        smooth.softest(),
        starts,
        constraints,
        options,
        monitor,
    )?;
    let mut best = last.found.clone();
    for _ in 1..ROUNDS {
        if last.above <= options.tolerance {
            break;
        }
        let starts = [last.found.mixture];
        last = round(smooth, last.next, &starts, constraints, options, monitor)?;
        let iterations = best.iterations + last.found.iterations;
        let evaluations = best.evaluations + last.found.evaluations;
        if last.found.value < best.value {
            best = last.found.clone();
        }
        best = Descent {
            iterations,
            evaluations,
            ..best
        };
    }
    Ok(best)
}

/// A descent with one smoothing.
struct Round<S: Smooth + ?Sized> {
    /// With the true value.
    found: Descent,
    next: S::Soft,
    /// See [`Smooth::sharper`].
    above: f64,
}

fn round<S: Smooth + ?Sized>(
    smooth: &S,
    soft: S::Soft,
    starts: &[Mixture],
    constraints: &Constraints,
    options: &DescendOptions,
    monitor: &dyn Monitor,
) -> Result<Round<S>> {
    let surface = Softened(smooth, soft);
    let mut found = descend_monitored(&surface, starts, constraints, options, monitor)?;
    let (next, above) = smooth.sharper(found.mixture.weights(), &surface.1);
    // A smooth maximum is below the true one even where one part alone is it.
    found.value = smooth.value_at(found.mixture.weights(), None);
    Ok(Round { found, next, above })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::soft_max::SoftMax;
    use proptest::prelude::*;
    use regmix_data::Silent;

    /// The largest of `a_k / (w_k + 0.1) + b · w + c_k`: convex.
    struct Worst {
        domains: DomainSet,
        a: Vec<f64>,
        b: Vec<f64>,
        c: Vec<f64>,
    }

    impl Worst {
        fn values(&self, w: &[f64]) -> Vec<f64> {
            let shared: f64 = self.b.iter().zip(w).map(|(b, w)| b * w).sum();
            (self.a.iter().zip(&self.c).zip(w))
                .map(|((a, c), w)| a / (w + 0.1) + c + shared)
                .collect()
        }

        fn slopes(&self, w: &[f64], shares: &[f64]) -> Vec<f64> {
            (0..w.len())
                .map(|k| self.b[k] - shares[k] * self.a[k] / (w[k] + 0.1).powi(2))
                .collect()
        }
    }

    impl Smooth for Worst {
        type Soft = SoftMax;

        fn domains(&self) -> &DomainSet {
            &self.domains
        }
        fn softest(&self) -> SoftMax {
            SoftMax::new(self.a.len(), 0.05)
        }
        fn sharper(&self, w: &[f64], soft: &SoftMax) -> (SoftMax, f64) {
            soft.sharper(&self.values(w), 0.05)
        }
        fn value_at(&self, w: &[f64], soft: Option<&SoftMax>) -> f64 {
            let values = self.values(w);
            match soft {
                Some(soft) => soft.of(&values),
                None => values.into_iter().fold(f64::NEG_INFINITY, f64::max),
            }
        }
        fn gradient_at(&self, w: &[f64], soft: Option<&SoftMax>) -> (f64, Option<Vec<f64>>) {
            let gradient = soft.map(|soft| self.slopes(w, &soft.shares(&self.values(w))));
            (self.value_at(w, soft), gradient)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_mixture_has_a_better_worst_case(
            a in prop::collection::vec(0.05f64..1.0, 5),
            b in prop::collection::vec(-0.5f64..0.5, 5),
            c in prop::collection::vec(0.0f64..3.0, 5),
            cap in 0.25f64..1.0,
            least in 0.0f64..0.5,
        ) {
            let domains = DomainSet::from_names(["a", "b", "c", "d", "e"]).unwrap();
            let bounds = Constraints::none(domains.clone())
                .with_cap("a", cap).unwrap()
                .with_group("g", &["b", "e"], least, 1.0).unwrap();
            let worst = Worst { domains: domains.clone(), a, b, c };
            let starts = [Mixture::uniform(domains)];
            let found = anneal(&worst, &starts, &bounds, &DescendOptions::default(), &Silent).unwrap();
            let w = found.mixture.weights();
            prop_assert!(bounds.allows(w));
            prop_assert_eq!(found.value, worst.value_at(w, None));
            // By duality the worst case is nowhere below the lowest value of
            // a weighted sum of the parts, for any weights; those of the last
            // round are the best.
            let mut last = round(&worst, worst.softest(), &starts, &bounds, &DescendOptions::default(), &Silent).unwrap();
            let mut bound = f64::NEG_INFINITY;
            for _ in 0..ROUNDS {
                let w = last.found.mixture.weights();
                let shares: Vec<f64> = last.next.weights();
                let slopes = worst.slopes(w, &shares);
                let corner = bounds.lowest(&slopes);
                let sum: f64 = shares.iter().sum();
                let weighted: f64 = shares.iter().zip(worst.values(w)).map(|(p, v)| p * v).sum();
                let fall: f64 = slopes.iter().zip(corner.iter().zip(w)).map(|(s, (x, w))| s * (x - w)).sum();
                bound = bound.max((weighted + fall) / sum);
                let from = [last.found.mixture.clone()];
                last = round(&worst, last.next, &from, &bounds, &DescendOptions::default(), &Silent).unwrap();
            }
            prop_assert!(found.value - bound < 1e-4, "{bound} {found:?}");
            prop_assert!(found.evaluations < 300, "{}", found.evaluations);
        }
    }
}
