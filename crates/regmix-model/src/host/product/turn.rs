//! Transposing squares in registers.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512, _mm256_castpd_ps, _mm256_castps_pd, _mm256_loadu_ps, _mm256_permute2f128_ps,
    _mm256_setzero_ps, _mm256_storeu_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps,
    _mm256_unpacklo_pd, _mm256_unpacklo_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps,
    _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_unpackhi_pd,
    _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

use crate::host::matrix::Strided;

/// Copies `[k, columns]`, whose columns are contiguous, to the first columns of a
/// panel.
#[inline(always)]
pub(super) fn squares<const SIDE: usize, const N: usize>(
    b: Strided<'_>,
    panel: &mut [[f32; N]],
    transpose: impl Fn(&[&[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE],
) {
    let whole = b.cols / SIDE * SIDE;
    for first in (0..whole).step_by(SIDE) {
        let lines: [&[f32]; SIDE] = std::array::from_fn(|i| b.line(first + i));
        for (q, rows) in panel.chunks_mut(SIDE).enumerate() {
            if rows.len() == SIDE {
                let square = lines.map(|line| {
                    let line = &line[q * SIDE..];
                    line.first_chunk().expect("`SIDE` terms remain")
                });
                let turned = transpose(&square);
                for (row, turned) in rows.iter_mut().zip(turned) {
                    row[first..first + SIDE].copy_from_slice(&turned);
                }
            } else {
                for (p, row) in rows.iter_mut().enumerate() {
                    let values = row[first..first + SIDE].iter_mut();
                    for (value, line) in values.zip(lines) {
                        *value = line[q * SIDE + p];
                    }
                }
            }
        }
    }
    for (p, row) in panel.iter_mut().enumerate() {
        for (j, value) in row[..b.cols].iter_mut().enumerate().skip(whole) {
            *value = b.line(j)[p];
        }
    }
}

/// The transpose of 16 lines of 16 numbers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
pub(super) fn sixteen(lines: &[&[f32; 16]; 16]) -> [[f32; 16]; 16] {
    let mut rows = [_mm512_setzero_ps(); 16];
    for (row, line) in rows.iter_mut().zip(lines) {
        // SAFETY: each line holds 16 numbers.
        *row = unsafe { _mm512_loadu_ps(line.as_ptr()) };
    }
    let mut out = [[0.0; 16]; 16];
    for (out, row) in out.iter_mut().zip(registers(rows)) {
        // SAFETY: each row holds 16 numbers.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), row) };
    }
    out
}

/// The transpose of 16 registers of 16 numbers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn registers(rows: [__m512; 16]) -> [__m512; 16] {
    let mut pairs = rows;
    for i in 0..8 {
        let (a, b) = (rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i] = _mm512_unpacklo_ps(a, b);
        pairs[2 * i + 1] = _mm512_unpackhi_ps(a, b);
    }
    let mut fours = pairs;
    for i in 0..4 {
        for side in 0..2 {
            let a = _mm512_castps_pd(pairs[4 * i + side]);
            let b = _mm512_castps_pd(pairs[4 * i + 2 + side]);
            fours[4 * i + 2 * side] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            fours[4 * i + 2 * side + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    // Quarters of four registers: the even ones and the odd ones, twice.
    let mut eights = fours;
    for i in 0..4 {
        for half in 0..2 {
            let (a, b) = (fours[8 * half + i], fours[8 * half + 4 + i]);
            eights[8 * half + i] = _mm512_shuffle_f32x4::<0x88>(a, b);
            eights[8 * half + 4 + i] = _mm512_shuffle_f32x4::<0xdd>(a, b);
        }
    }
    let mut out = eights;
    for i in 0..4 {
        for odd in 0..2 {
            let (a, b) = (eights[4 * odd + i], eights[8 + 4 * odd + i]);
            out[4 * odd + i] = _mm512_shuffle_f32x4::<0x88>(a, b);
            out[8 + 4 * odd + i] = _mm512_shuffle_f32x4::<0xdd>(a, b);
        }
    }
    out
}

/// The transpose of 8 lines of 8 numbers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub(super) fn eight(lines: &[&[f32; 8]; 8]) -> [[f32; 8]; 8] {
    let mut rows = [_mm256_setzero_ps(); 8];
    for (row, line) in rows.iter_mut().zip(lines) {
        // SAFETY: each line holds 8 numbers.
        *row = unsafe { _mm256_loadu_ps(line.as_ptr()) };
    }
    let mut pairs = rows;
    for i in 0..4 {
        let (a, b) = (rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i] = _mm256_unpacklo_ps(a, b);
        pairs[2 * i + 1] = _mm256_unpackhi_ps(a, b);
    }
    let mut fours = pairs;
    for i in 0..2 {
        for side in 0..2 {
            let a = _mm256_castps_pd(pairs[4 * i + side]);
            let b = _mm256_castps_pd(pairs[4 * i + 2 + side]);
            fours[4 * i + 2 * side] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            fours[4 * i + 2 * side + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
    }
    let mut out = [[0.0; 8]; 8];
    for i in 0..4 {
        let low = _mm256_permute2f128_ps::<0x20>(fours[i], fours[4 + i]);
        let high = _mm256_permute2f128_ps::<0x31>(fours[i], fours[4 + i]);
        // SAFETY: each row holds 8 numbers.
        unsafe {
            _mm256_storeu_ps(out[i].as_mut_ptr(), low);
            _mm256_storeu_ps(out[4 + i].as_mut_ptr(), high);
        }
    }
    out
}

/// The transpose of 4 lines of 4 numbers, on every processor.
pub(super) fn four(lines: &[&[f32; 4]; 4]) -> [[f32; 4]; 4] {
    std::array::from_fn(|i| lines.map(|line| line[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_transposed() {
        fn square<const N: usize>() -> [[f32; N]; N] {
            std::array::from_fn(|i| std::array::from_fn(|j| (i * N + j) as f32))
        }
        fn check<const N: usize>(turned: [[f32; N]; N]) {
            let want = std::array::from_fn(|i| std::array::from_fn(|j| (j * N + i) as f32));
            assert_eq!(turned, want);
        }
        check(four(&square().each_ref()));
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                // SAFETY: AVX2 was found.
                check(unsafe { eight(&square().each_ref()) });
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: AVX-512 was found.
                check(unsafe { sixteen(&square().each_ref()) });
            }
        }
    }
}
