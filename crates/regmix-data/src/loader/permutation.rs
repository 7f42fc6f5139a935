//! A random order that needs no memory.

use rand::Rng;

const ROUNDS: usize = 6;

/// A permutation of `0..n`, computed element by element.
///
/// A balanced Feistel network permutes the smallest power of four that holds
/// `n`; a result that is not below `n` is permuted again until it is, which
/// takes fewer than four rounds on average. So even a corpus of a hundred
/// billion tokens needs no list of its sequences.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permutation {
    n: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// A permutation of `0..n`; `n` must not be 0.
    pub(super) fn new(n: u64, rng: &mut impl Rng) -> Self {
        debug_assert!(n > 0);
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        Self {
            n,
            half_bits: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|_| rng.next_u64()),
        }
    }

    /// The image of `i < n`.
    pub(super) fn get(&self, i: u64) -> u64 {
        debug_assert!(i < self.n);
        let mut x = i;
        loop {
            x = self.network(x);
            if x < self.n {
                return x;
            }
        }
    }

    fn network(&self, x: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// Steele, Lea and Flood's 64-bit finaliser: every input bit reaches every
/// output bit.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_permutation(n in 1u64..3000, seed: u64) {
            let p = Permutation::new(n, &mut stream(seed, "", "test"));
            let mut seen = vec![false; n as usize];
            for i in 0..n {
                seen[p.get(i) as usize] = true;
            }
            prop_assert!(seen.iter().all(|&s| s));
        }
    }

    #[test]
    fn large_ranges_stay_inside() {
        for n in [u64::MAX, (1 << 62) + 1, 1 << 40] {
            let p = Permutation::new(n, &mut stream(1, "", "test"));
            for i in [0, 1, n / 2, n - 1] {
                assert!(p.get(i) < n);
            }
        }
    }

    #[test]
    fn neighbours_are_scattered() {
        // In a random order of 10,000, neighbours are on average a third apart.
        let n = 10_000;
        let p = Permutation::new(n, &mut stream(3, "", "test"));
        let sum: u64 = (1..n).map(|i| p.get(i).abs_diff(p.get(i - 1))).sum();
        let mean = sum as f64 / (n - 1) as f64 / n as f64;
        assert!((mean - 1.0 / 3.0).abs() < 0.02, "{mean}");
    }
}
