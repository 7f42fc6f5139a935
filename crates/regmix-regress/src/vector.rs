//! Elementary functions written so that compilers turn loops over them into
//! vector instructions, and the dispatch to the widest that the CPU has.
//!
//! The standard library's `exp` and `ln` are calls into a system library,
//! one number at a time. Scoring a million mixtures takes hundreds of
//! millions of them.

use std::any::TypeId;

use pulp::{Arch, Scalar, Simd, WithSimd};

/// Adding this to a double below 2⁵¹ in size leaves its nearest integer in
/// the lowest bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// A computation that is compiled several times, for vectors of different
/// widths. `run` and all that it calls in loops must be `#[inline(always)]`,
/// and loops are best over arrays and slices of known length: iterators that
/// do not melt into a loop keep it from becoming vector instructions.
pub(crate) trait Op {
    type Output;

    /// `FMA` says that the CPU multiplies and adds in one instruction.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs a computation compiled for the widest vectors that the CPU has.
pub(crate) fn widest<O: Op>(op: O) -> O::Output {
    Arch::new().dispatch(Dispatch(op))
}

struct Dispatch<O>(O);

impl<O: Op> WithSimd for Dispatch<O> {
    type Output = O::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> O::Output {
        if TypeId::of::<S>() == TypeId::of::<Scalar>() {
            self.0.run::<false>()
        } else {
            self.0.run::<true>()
        }
    }
}

/// a b + c, rounded once where that is one instruction.
#[inline(always)]
pub(crate) fn madd<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// eˣ with a relative error below 1e-14; 0 below -708, capped above 709.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f64) -> f64 {
    let low = x < -708.0;
    let x = if low { -708.0 } else { x };
    let x = if x > 709.0 { 709.0 } else { x };
    let shifted = madd::<FMA>(x, std::f64::consts::LOG2_E, ROUNDER);
    let n = shifted - ROUNDER;
    // ln 2 in two parts, so that n ln 2 is exact.
    let r = madd::<FMA>(n, -0.693_147_180_369_123_8, x);
    let r = madd::<FMA>(n, -1.908_214_929_270_587_7e-10, r);
    // The series of eʳ for |r| below ½ ln 2, to r¹¹, in independent parts.
    let r2 = r * r;
    let r4 = r2 * r2;
    let pair = |a: f64, b: f64| madd::<FMA>(r, b, a);
    let a = madd::<FMA>(r2, pair(0.5, 1.0 / 6.0), 1.0 + r);
    let b = madd::<FMA>(
        r2,
        pair(1.0 / 720.0, 1.0 / 5040.0),
        pair(1.0 / 24.0, 1.0 / 120.0),
    );
    let c = madd::<FMA>(
        r2,
        pair(1.0 / 3_628_800.0, 1.0 / 39_916_800.0),
        pair(1.0 / 40_320.0, 1.0 / 362_880.0),
    );
    let series = madd::<FMA>(r4, madd::<FMA>(r4, c, b), a);
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    if low { 0.0 } else { series * power }
}

/// ln x for normal positive x, with an absolute error below 1e-14 or a
/// relative one, whichever is larger. Nonsense for other x.
#[inline(always)]
pub(crate) fn ln<const FMA: bool>(x: f64) -> f64 {
    let bits = x.to_bits();
    // Mantissa in [√½, √2): the exponent is taken after moving the boundary.
    let moved = bits.wrapping_add(0x0009_5f61_9980_c433);
    let exponent = moved >> 52;
    let m = f64::from_bits((moved & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_667f_3bcd));
    // An integer below 2⁵² becomes a double by putting it in the mantissa.
    let e = f64::from_bits(exponent | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + 1023.0);
    // 2 artanh((m - 1) / (m + 1)), |s| below 0.172.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let z2 = z * z;
    let z4 = z2 * z2;
    let pair = |a: f64, b: f64| madd::<FMA>(z, b, a);
    let p = madd::<FMA>(z2, pair(1.0 / 7.0, 1.0 / 9.0), pair(1.0 / 3.0, 1.0 / 5.0));
    let q = madd::<FMA>(
        z2,
        pair(1.0 / 15.0, 1.0 / 17.0),
        pair(1.0 / 11.0, 1.0 / 13.0),
    );
    let tail = z * madd::<FMA>(z4, q, p);
    madd::<FMA>(e, std::f64::consts::LN_2, 2.0 * madd::<FMA>(s, tail, s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ends_of_the_range() {
        assert_eq!(exp::<false>(0.0), 1.0);
        assert_eq!(exp::<false>(-800.0), 0.0);
        assert_eq!(exp::<false>(f64::NEG_INFINITY), 0.0);
        assert!(exp::<false>(1000.0).is_finite() && exp::<false>(f64::NAN).is_nan());
        assert_eq!(ln::<false>(1.0), 0.0);
        assert!((ln::<false>(1e-300) - 1e-300f64.ln()).abs() < 1e-12);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn exp_is_close(x in -700.0f64..700.0) {
            prop_assert!((exp::<false>(x) / x.exp() - 1.0).abs() < 1e-14);
            prop_assert!((exp::<true>(x) / x.exp() - 1.0).abs() < 1e-14);
        }

        #[test]
        fn ln_is_close(x in -600.0f64..600.0, near in 0.5f64..2.0) {
            let big = x.exp();
            for ln in [ln::<false>, ln::<true>] {
                prop_assert!((ln(big) - big.ln()).abs() <= 1e-14 * (1.0 + big.ln().abs()));
                prop_assert!((ln(near) - near.ln()).abs() <= 1e-15);
            }
        }
    }
}
