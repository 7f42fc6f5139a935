//! Elementary functions that compilers turn into vector instructions in loops.
//!
//! The standard library's `exp` calls a system library for one number at a time,
//! which took a sixth of a training step.

pub(super) use regmix_data::vector::{Op, widest};

/// Partial sums: four vectors of eight, so that an addition need not wait for
/// the one before. The result depends on the order of summation, so the number
/// is the same for every CPU.
const LANES: usize = 32;

/// Adding this to a float below 2²² in size leaves its nearest integer in the
/// lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// a b + c; rounded once where the CPU has an instruction for it.
#[inline(always)]
pub(super) fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// eˣ with a relative error below 3e-7; 0 below -87, capped above 88.
#[inline(always)]
pub(super) fn exp<const FMA: bool>(x: f32) -> f32 {
    let low = x < -87.0;
    // Comparisons instead of min and max: they keep NaN.
    let x = if low { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = madd::<FMA>(x, std::f32::consts::LOG2_E, ROUNDER);
    let n = shifted - ROUNDER;
    // ln 2 in two parts, so that n ln 2 is exact.
    let r = madd::<FMA>(n, -0.693_359_4, x);
    let r = madd::<FMA>(n, 2.121_944_4e-4, r);
    // The series of eʳ for |r| below ½ ln 2, to r⁷.
    let r2 = r * r;
    let pair = |a: f32, b: f32| madd::<FMA>(r, b, a);
    let high = madd::<FMA>(
        r2,
        pair(1.0 / 720.0, 1.0 / 5040.0),
        pair(1.0 / 24.0, 1.0 / 120.0),
    );
    let middle = madd::<FMA>(r2, high, pair(0.5, 1.0 / 6.0));
    let series = madd::<FMA>(r2, middle, r) + 1.0;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if low { 0.0 } else { series * power }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(super) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
    }
    lanes[0]
}

/// Σ a b.
#[inline(always)]
pub(super) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_whole, a_rest) = a.as_chunks::<LANES>();
    let (b_whole, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a_whole.iter().zip(b_whole) {
        for l in 0..LANES {
            lanes[l] = madd::<FMA>(a[l], b[l], lanes[l]);
        }
    }
    let mut sum = total(lanes);
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum = madd::<FMA>(*a, *b, sum);
    }
    sum
}

/// Σ a b c.
#[inline(always)]
pub(super) fn dot3<const FMA: bool>(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let (a_whole, a_rest) = a.as_chunks::<LANES>();
    let (b_whole, b_rest) = b.as_chunks::<LANES>();
    let (c_whole, c_rest) = c.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for ((a, b), c) in a_whole.iter().zip(b_whole).zip(c_whole) {
        for l in 0..LANES {
            lanes[l] = madd::<FMA>(a[l] * b[l], c[l], lanes[l]);
        }
    }
    let mut sum = total(lanes);
    for ((a, b), c) in a_rest.iter().zip(b_rest).zip(c_rest) {
        sum = madd::<FMA>(*a * *b, *c, sum);
    }
    sum
}

/// The greatest value; minus infinity if there is none. Undefined if one is
/// NaN.
#[inline(always)]
pub(super) fn greatest(a: &[f32]) -> f32 {
    let (whole, rest) = a.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for a in whole {
        for l in 0..LANES {
            lanes[l] = if a[l] > lanes[l] { a[l] } else { lanes[l] };
        }
    }
    let mut greatest = f32::NEG_INFINITY;
    for &a in lanes.iter().chain(rest) {
        greatest = if a > greatest { a } else { greatest };
    }
    greatest
}

/// Replaces every a by e^(scale a - shift), and returns their sum.
#[inline(always)]
pub(super) fn exponentials<const FMA: bool>(a: &mut [f32], scale: f32, shift: f32) -> f32 {
    let (whole, rest) = a.as_chunks_mut::<LANES>();
    let mut lanes = [0.0; LANES];
    for a in whole {
        for l in 0..LANES {
            a[l] = exp::<FMA>(madd::<FMA>(a[l], scale, -shift));
            lanes[l] += a[l];
        }
    }
    let mut sum = total(lanes);
    for a in rest {
        *a = exp::<FMA>(madd::<FMA>(*a, scale, -shift));
        sum += *a;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_over_its_range() {
        for exp in [exp::<false>, exp::<true>] {
            for i in -86_000..88_000 {
                let x = i as f32 * 1e-3;
                let want = f64::from(x).exp();
                let error = f64::from(exp(x)) / want - 1.0;
                assert!(error.abs() < 3e-7, "{x}: {error}");
            }
            assert_eq!(exp(0.0), 1.0);
            assert_eq!(exp(-100.0), 0.0);
            assert_eq!(exp(f32::NEG_INFINITY), 0.0);
            assert!(exp(1e9).is_finite() && exp(f32::NAN).is_nan());
        }
    }

    #[test]
    fn sums_and_maxima_include_every_number() {
        for n in [0, 1, 31, 32, 33, 64, 100] {
            let a: Vec<f32> = (0..n).map(|i| (i as f32 - 40.0) * 0.25).collect();
            let want: f32 = a.iter().map(|x| x * x).sum();
            assert!((dot::<true>(&a, &a) - want).abs() <= 1e-5 * want);
            let cubes: f32 = a.iter().map(|x| x * x * x).sum();
            assert!((dot3::<false>(&a, &a, &a) - cubes).abs() <= 1e-5 * want * 20.0 + 1e-6);
            let top = a.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(greatest(&a), top);
            let mut b = a.clone();
            let sum = exponentials::<true>(&mut b, 2.0, 3.0);
            let want: f32 = a.iter().map(|x| (2.0 * x - 3.0).exp()).sum();
            assert!((sum - want).abs() <= 1e-5 * want);
        }
    }
}
