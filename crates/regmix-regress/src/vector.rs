//! Elementary functions that compilers turn into vector instructions in loops.
//!
//! The standard library's `exp` and `ln` are calls into a system library,
//! one number at a time. Scoring a million mixtures takes hundreds of
//! millions of them.

pub(crate) use regmix_data::vector::{Op, widest};

/// Adding this to a double of some thousands leaves its nearest integer, plus
/// the offset of exponents (1023), in the lowest bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0 + 1023.0;

/// The polynomial `1 + f (c₀ + c₁ f + …)` that meets 2ᶠ at the Chebyshev
/// nodes of |f| ≤ ½; its relative error is below 6e-16.
const POWERS: [f64; 10] = [
    0.693_147_180_559_946_2,
    0.240_226_506_959_100_75,
    0.055_504_108_664_651_67,
    0.009_618_129_107_618_665,
    0.001_333_355_820_079_459_2,
    0.000_154_035_304_247_765_29,
    1.525_267_292_485_073_7e-5,
    1.321_545_163_322_143_4e-6,
    1.020_590_541_376_559_5e-7,
    7.070_977_866_508_138e-9,
];

/// a b + c, rounded once where that is one instruction.
#[inline(always)]
pub(crate) fn madd<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// As [`POWERS`], shorter: the relative error is below 2e-10.
const FEWER_POWERS: [f64; 7] = [
    std::f64::consts::LN_2,
    0.240_226_509_222_887_57,
    0.055_504_108_839_096_185,
    0.009_618_056_678_524_637,
    0.001_333_350_238_616_277,
    0.000_154_614_446_985_691_3,
    1.529_732_376_070_107_5e-5,
];

/// 2ˣ with a relative error below 2e-15; 2⁻¹⁰²² below -1022, capped above
/// 1023.
#[inline(always)]
pub(crate) fn exp2<const FMA: bool>(x: f64) -> f64 {
    let (f, power) = split(x);
    // In independent parts.
    let c = &POWERS;
    let f2 = f * f;
    let pair = |a: f64, b: f64| madd::<FMA>(f, b, a);
    let low = madd::<FMA>(f2, pair(c[1], c[2]), pair(1.0, c[0]));
    let middle = madd::<FMA>(f2, pair(c[5], c[6]), pair(c[3], c[4]));
    let high = madd::<FMA>(f2, c[9], pair(c[7], c[8]));
    let f4 = f2 * f2;
    let series = madd::<FMA>(f4, madd::<FMA>(f4, high, middle), low);
    series * power
}

/// As [`exp2`] with a relative error below 2e-10: for scoring, where that is
/// far below what a model knows.
#[inline(always)]
pub(crate) fn rough_exp2<const FMA: bool>(x: f64) -> f64 {
    let (f, power) = split(x);
    let c = &FEWER_POWERS;
    let f2 = f * f;
    let pair = |a: f64, b: f64| madd::<FMA>(f, b, a);
    let low = madd::<FMA>(f2, pair(c[1], c[2]), pair(1.0, c[0]));
    let high = madd::<FMA>(f2, pair(c[5], c[6]), pair(c[3], c[4]));
    madd::<FMA>(f2 * f2, high, low) * power
}

/// What is left of a number after rounding it, and 2 to the power of what it
/// was rounded to.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let x = if x < -1022.0 { -1022.0 } else { x };
    let x = if x > 1023.0 { 1023.0 } else { x };
    let shifted = x + ROUNDER;
    let f = x - (shifted - ROUNDER);
    (f, f64::from_bits(shifted.to_bits() << 52))
}

/// eˣ with a relative error below 1e-15 (1 + |x|); as good as 0 below -708,
/// capped above 709.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f64) -> f64 {
    exp2::<FMA>(x * std::f64::consts::LOG2_E)
}

/// Σ a b over slices of the same length, in eight running sums: one alone
/// would wait for itself.
#[inline(always)]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = (a8.remainder().iter().zip(b8.remainder()))
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f64>() + rest
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
        assert_eq!(exp2::<false>(5.0), 32.0);
        assert!(exp::<false>(-800.0) < 1e-300);
        assert!(exp::<false>(f64::NEG_INFINITY) < 1e-300);
        assert!(exp::<false>(1000.0).is_finite() && exp::<false>(f64::NAN).is_nan());
        assert_eq!(ln::<false>(1.0), 0.0);
        assert!((ln::<false>(1e-300) - 1e-300f64.ln()).abs() < 1e-12);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn exp_is_close(x in -700.0f64..700.0) {
            for found in [exp::<false>(x), exp::<true>(x)] {
                prop_assert!((found / x.exp() - 1.0).abs() < 1e-15 * (1.0 + x.abs()));
            }
            for found in [exp2::<false>(x), exp2::<true>(x)] {
                prop_assert!((found / x.exp2() - 1.0).abs() < 2e-15);
            }
            prop_assert!((rough_exp2::<true>(x) / x.exp2() - 1.0).abs() < 2e-10);
        }

        #[test]
        fn dot_is_the_sum_of_products(v in prop::collection::vec((-2.0f64..2.0, -2.0f64..2.0), 0..40)) {
            let (a, b): (Vec<f64>, Vec<f64>) = v.iter().copied().unzip();
            let plain: f64 = v.iter().map(|(a, b)| a * b).sum();
            prop_assert!((dot(&a, &b) - plain).abs() < 1e-12);
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
