//! Random streams: one per (seed, run, purpose), the same on every machine.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of one purpose of one run of a study.
///
/// ChaCha8 keyed by the study's seed; the stream number is a hash of run and
/// purpose, so that no two purposes share numbers and adding one changes none
/// of the others.
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
pub fn stream(seed: u64, run: &str, purpose: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(
        run.bytes()
            .chain(std::iter::once(0xff)) // Not in UTF-8: ("ab", "c") differs from ("a", "bc").
            .chain(purpose.bytes()),
    ));
    rng
}

/// FNV-1a over bytes, 64 bits: small, stable, documented. Not for anything an
/// adversary feeds.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
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
    fn runs_and_purposes_do_not_run_together() {
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
