//! Mixtures by rule, that need no proxy.

use regmix_data::{DomainSet, Error, Mixture, Result};

use crate::repetition::available::check_available;

/// As even as repetition allows: UniMax (Chung et al., arXiv 2304.09151).
///
/// Domains are gone through from the smallest to the largest. Each gets an
/// even share of the tokens that are left, or `max_epochs` times its own
/// tokens if that is less; what it cannot take goes to the larger ones. The
/// weights are proportional to what each gets, so that small domains are
/// repeated `max_epochs` times and large ones have equal weights.
///
/// `available` are tokens per domain in their order, `budget` the tokens of
/// the run. Where all domains together are too small for the budget, each is
/// repeated `max_epochs` times and the weights are the natural ones. Cost
/// O(D log D).
///
/// It does not use any loss. It is hard to beat for many domains of similar
/// value (languages), and loses where a large domain is of little use.
///
/// ```
/// use regmix_data::DomainSet;
/// use regmix_regress::unimax;
///
/// let domains = DomainSet::from_names(["web", "books", "law"])?;
/// // 4 epochs of law are 40 of 300 tokens; the rest is shared evenly.
/// let mixture = unimax(domains, &[1000.0, 500.0, 10.0], 300.0, 4.0)?;
/// assert_eq!(mixture.weights(), [130.0 / 300.0, 130.0 / 300.0, 40.0 / 300.0]);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When a number is negative or not finite, the budget or the number of
/// epochs is zero, the lengths differ, or there are no tokens at all.
pub fn unimax(
    domains: DomainSet,
    available: &[f64],
    budget: f64,
    max_epochs: f64,
) -> Result<Mixture> {
    let positive = |x: f64| x > 0.0 && x.is_finite();
    if !positive(budget) || !positive(max_epochs) {
        return Err(Error::input(format!(
            "a budget of {budget} tokens and {max_epochs} epochs: expected positive numbers"
        )));
    }
    check_available(&domains, available)?;
    let mut order: Vec<usize> = (0..available.len()).collect();
    order.sort_by(|&a, &b| available[a].total_cmp(&available[b]));
    let mut taken = vec![0.0; available.len()];
    let mut left = budget;
    for (done, &i) in order.iter().enumerate() {
        let even = left / (available.len() - done) as f64;
        taken[i] = even.min(max_epochs * available[i]);
        left -= taken[i];
    }
    Mixture::normalized(domains, taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::Constraints;
    use proptest::prelude::*;

    fn domains(n: usize) -> DomainSet {
        DomainSet::from_names((0..n).map(|i| format!("d{i}"))).unwrap()
    }

    #[test]
    fn too_little_text_gives_the_natural_mixture() {
        let all = unimax(domains(3), &[6.0, 3.0, 1.0], 1000.0, 4.0).unwrap();
        assert_eq!(all.weights(), [0.6, 0.3, 0.1]);
        let one = unimax(domains(2), &[6.0, 0.0], 1000.0, 4.0).unwrap();
        assert_eq!(one.weights(), [1.0, 0.0]);
        for (available, budget, epochs, expected) in [
            (&[0.0, 0.0][..], 1.0, 4.0, "sum"),
            (&[1.0, f64::NAN], 1.0, 4.0, "NaN available tokens"),
            (&[1.0], 1.0, 4.0, "available tokens of 1 domains"),
            (&[1.0, 1.0], 0.0, 4.0, "a budget of 0 tokens"),
            (&[1.0, 1.0], 1.0, -4.0, "-4 epochs"),
        ] {
            let err = unimax(domains(2), available, budget, epochs).unwrap_err();
            assert!(err.to_string().contains(expected), "{err}");
        }
    }

    proptest! {
        /// Where there is text enough, the mixture keeps to the caps of
        /// repetition, and is as even as they allow: domains below their cap
        /// are level, and no other is above them.
        #[test]
        fn it_is_the_most_even_mixture_under_the_caps(
            available in prop::collection::vec(0.0f64..10.0, 1..12),
            share in 0.01f64..1.0,
            epochs in 0.5f64..8.0,
        ) {
            let all: f64 = available.iter().sum();
            prop_assume!(all > 1e-6);
            let budget = share * epochs * all;
            let n = available.len();
            let mixture = unimax(domains(n), &available, budget, epochs).unwrap();
            let caps = Constraints::from_epochs(domains(n), &available, budget, epochs).unwrap();
            prop_assert!(caps.allows(mixture.weights()));
            let free: Vec<f64> = (mixture.weights().iter().zip(caps.caps()))
                .filter(|(w, cap)| **w < *cap - 1e-9)
                .map(|(w, _)| *w)
                .collect();
            for level in &free {
                prop_assert!((level - free[0]).abs() < 1e-9);
                prop_assert!(mixture.weights().iter().all(|w| *w <= level + 1e-9));
            }
        }
    }
}
