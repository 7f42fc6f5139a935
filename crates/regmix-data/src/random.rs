//! Random streams: one per (seed, run, purpose), the same on every machine.

use std::convert::Infallible;

use rand::{Rng, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;

/// The random numbers of one purpose, from [`stream`]; a generator for the
/// crate `rand`.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

/// The random numbers of one purpose of one run of a study.
///
/// They come from ChaCha8 keyed by the study's seed; the stream number is a
/// hash of run and purpose. No two purposes share numbers, and adding a
/// purpose changes no other.
///
/// ```
/// use rand::Rng;
/// use regmix_data::random::stream;
///
/// let mut a = stream(42, "run-0001", "init");
/// let mut b = stream(42, "run-0001", "loader");
/// assert_ne!(a.next_u64(), b.next_u64());
/// assert_eq!(stream(42, "x", "y").next_u64(), stream(42, "x", "y").next_u64());
/// ```
pub fn stream(seed: u64, run: &str, purpose: &str) -> Stream {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(
        run.bytes()
            .chain(std::iter::once(0xff)) // Not in UTF-8: ("ab", "c") differs from ("a", "bc").
            .chain(purpose.bytes()),
    ));
    Stream(rng)
}

impl TryRng for Stream {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    #[inline]
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

/// A number below `n`, which is above 0; its bias is below `n / 2^64`. It is written out
/// because what is drawn is part of a study's results, and the library's way may change
/// between versions.
#[cfg(feature = "shards")]
pub(crate) fn below(rng: &mut impl Rng, n: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(n)) >> 64) as u64
}

/// FNV-1a over bytes, 64 bits. It does not resist chosen input.
pub(crate) fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    /// Artefacts of a study depend on these numbers: they must never change.
    #[test]
    fn golden_values() {
        assert_eq!(fnv1a(b"regmix".iter().copied()), 0xa633_1023_e2b3_2d11);
        let mut rng = stream(42, "run-0000", "init");
        assert_eq!(
            [rng.next_u64(), rng.next_u64()],
            [7_429_542_455_116_107_382, 8_623_339_241_664_916_267]
        );
    }

    #[test]
    fn runs_and_purposes_have_their_own_numbers() {
        assert_ne!(
            stream(1, "ab", "c").next_u64(),
            stream(1, "a", "bc").next_u64()
        );
        assert_ne!(
            stream(1, "a", "b").next_u64(),
            stream(2, "a", "b").next_u64()
        );
    }
}
