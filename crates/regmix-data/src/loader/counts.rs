//! How many sequences of each domain a block holds.

use crate::mixture::Mixture;

/// Weights as integers that sum to this, so that counts are exact however
/// long a run is.
const WHOLE: u64 = 1 << 40;

/// Assigns sequences to domains, block by block.
///
/// After every block, the number of sequences a domain has had is its share
/// of all sequences so far, rounded down or up: the realised share is never
/// more than one sequence away from the target, and a domain whose share of a
/// block is below one sequence appears once in several blocks.
///
/// In each block a domain first receives the sequences that it is due (its
/// share so far, rounded down). The remaining ones go to the domains whose next
/// sequence is due soonest. This is the earliest-deadline-first rule for unit
/// jobs; since a fractional schedule exists, it meets all deadlines, so every
/// count is one of the two roundings.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    weights: Vec<u64>,
    /// Sequences assigned so far, in all and per domain.
    total: u64,
    given: Vec<u64>,
}

impl Counts {
    pub(super) fn new(mixture: &Mixture) -> Self {
        let weights = integer_weights(mixture.weights());
        Self {
            total: 0,
            given: vec![0; weights.len()],
            weights,
        }
    }

    pub(super) fn reset(&mut self) {
        self.total = 0;
        self.given.fill(0);
    }

    /// Sequences of each domain so far.
    pub(super) fn given(&self) -> &[u64] {
        &self.given
    }

    /// Assigns the next `len` sequences.
    pub(super) fn advance(&mut self, len: u64) {
        self.total += len;
        let mut left = len;
        let mut open = Vec::new();
        for (d, (&weight, given)) in self.weights.iter().zip(&mut self.given).enumerate() {
            let share = u128::from(self.total) * u128::from(weight);
            let floor = (share / u128::from(WHOLE)) as u64;
            let ceil = share.div_ceil(u128::from(WHOLE)) as u64;
            let due = floor.saturating_sub(*given).min(left);
            *given += due;
            left -= due;
            if *given < ceil {
                open.push(d);
            }
        }
        // Next sequence is due when total × weight reaches (given + 1) × WHOLE.
        open.sort_by(|&a, &b| {
            let lhs = u128::from(self.given[a] + 1) * u128::from(self.weights[b]);
            let rhs = u128::from(self.given[b] + 1) * u128::from(self.weights[a]);
            lhs.cmp(&rhs).then(a.cmp(&b))
        });
        for d in open.into_iter().take(left as usize) {
            self.given[d] += 1;
        }
        debug_assert_eq!(self.given.iter().sum::<u64>(), self.total);
    }
}

/// Weights in units of 1 / `WHOLE`, summing to it exactly; a positive weight
/// stays positive.
fn integer_weights(weights: &[f64]) -> Vec<u64> {
    let sum: f64 = weights.iter().sum();
    let mut units: Vec<u64> = weights
        .iter()
        .map(|&w| {
            let unit = (w / sum * WHOLE as f64).round() as u64;
            if w > 0.0 { unit.max(1) } else { 0 }
        })
        .collect();
    // After rounding, the sum is a few units too large or too small. The
    // largest weight takes the difference, which is negligible for it.
    let total: u64 = units.iter().sum();
    if let Some(largest) = units.iter_mut().max() {
        *largest = *largest + WHOLE - total;
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DomainSet;
    use proptest::prelude::*;

    fn mixture(raw: Vec<f64>) -> Mixture {
        let names: Vec<String> = (0..raw.len()).map(|i| format!("d{i}")).collect();
        Mixture::normalized(DomainSet::from_names(names).unwrap(), raw).unwrap()
    }

    #[test]
    fn small_shares_come_up_at_their_rate() {
        // 0.0001 × 2048 is a fifth of a sequence per block.
        let mut counts = Counts::new(&mixture(vec![0.9999, 0.0001]));
        let mut seen = Vec::new();
        for _ in 0..15 {
            counts.advance(2048);
            seen.push(counts.given()[1]);
        }
        assert_eq!(*seen.last().unwrap(), 3);
        assert!(seen[4] >= 1 && seen[9] >= 2);
    }

    proptest! {
        #[test]
        fn every_count_is_its_share_rounded(
            raw in prop::collection::vec(
                prop_oneof![Just(0.0), 1e-9f64..1e-4, 1e-3f64..1.0], 1..20),
            blocks in prop::collection::vec(1u64..3000, 1..40),
        ) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let mut counts = Counts::new(&mixture(raw.clone()));
            let mut total = 0;
            for len in blocks {
                let before = counts.given().to_vec();
                counts.advance(len);
                total += len;
                prop_assert_eq!(counts.given().iter().sum::<u64>(), total);
                for d in 0..raw.len() {
                    prop_assert!(counts.given()[d] >= before[d]);
                    let share = u128::from(total) * u128::from(counts.weights[d]);
                    let given = u128::from(counts.given()[d]);
                    prop_assert!(given >= share / u128::from(WHOLE), "{:?}", counts);
                    prop_assert!(given <= share.div_ceil(u128::from(WHOLE)), "{:?}", counts);
                    if raw[d] == 0.0 { prop_assert_eq!(given, 0); }
                }
            }
        }

        #[test]
        fn integer_weights_are_exact(raw in prop::collection::vec(0.0f64..1.0, 1..40)) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let units = integer_weights(&raw);
            let sum: f64 = raw.iter().sum();
            prop_assert_eq!(units.iter().sum::<u64>(), WHOLE);
            for (u, r) in units.iter().zip(&raw) {
                prop_assert!((*u as f64 / WHOLE as f64 - r / sum).abs() < 1e-10);
            }
        }
    }
}
