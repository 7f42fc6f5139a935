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
/// panel. `transpose` writes a square to the columns of rows from the given one on.
#[inline(always)]
pub(super) fn squares<const SIDE: usize, const N: usize>(
    b: Strided<'_>,
    panel: &mut [[f32; N]],
    transpose: impl Fn([&[f32; SIDE]; SIDE], &mut [[f32; N]; SIDE], usize),
) {
    let whole = b.cols / SIDE * SIDE;
    for first in (0..whole).step_by(SIDE) {
        let lines: [&[f32]; SIDE] = std::array::from_fn(|i| b.line(first + i));
        let (squares, rest) = panel.as_chunks_mut::<SIDE>();
        let behind = squares.len() * SIDE;
        for (q, rows) in squares.iter_mut().enumerate() {
            let square = lines.map(|line| {
                let line = &line[q * SIDE..];
                line.first_chunk().expect("`SIDE` terms remain")
            });
            transpose(square, rows, first);
        }
        for (p, row) in rest.iter_mut().enumerate() {
            let values = row[first..first + SIDE].iter_mut();
            for (value, line) in values.zip(lines) {
                *value = line[behind + p];
            }
        }
    }
    for (p, row) in panel.iter_mut().enumerate() {
        for (j, value) in row[..b.cols].iter_mut().enumerate().skip(whole) {
            *value = b.line(j)[p];
        }
    }
}

/// The transpose of 16 lines of 16 numbers, to columns of `rows` from `first` on.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn sixteen<const N: usize>(
    lines: [&[f32; 16]; 16],
    rows: &mut [[f32; N]; 16],
    first: usize,
) {
    let mut vectors = [_mm512_setzero_ps(); 16];
    for i in 0..16 {
        // SAFETY: each line holds 16 numbers.
        vectors[i] = unsafe { _mm512_loadu_ps(lines[i].as_ptr()) };
    }
    let turned = registers(vectors);
    for i in 0..16 {
        let to = &mut rows[i][first..][..16];
        // SAFETY: the slice holds 16 numbers.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), turned[i]) };
    }
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

/// The transpose of 8 lines of 8 numbers, to columns of `rows` from `first` on.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn eight<const N: usize>(lines: [&[f32; 8]; 8], rows: &mut [[f32; N]; 8], first: usize) {
    let mut vectors = [_mm256_setzero_ps(); 8];
    for i in 0..8 {
        // SAFETY: each line holds 8 numbers.
        vectors[i] = unsafe { _mm256_loadu_ps(lines[i].as_ptr()) };
    }
    let mut pairs = vectors;
    for i in 0..4 {
        let (a, b) = (vectors[2 * i], vectors[2 * i + 1]);
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
    for i in 0..4 {
        let low = _mm256_permute2f128_ps::<0x20>(fours[i], fours[4 + i]);
        let high = _mm256_permute2f128_ps::<0x31>(fours[i], fours[4 + i]);
        for (row, turned) in [(i, low), (4 + i, high)] {
            let to = &mut rows[row][first..][..8];
            // SAFETY: the slice holds 8 numbers.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), turned) };
        }
    }
}

/// The transpose of 4 lines of 4 numbers, on every processor.
pub(super) fn four<const N: usize>(lines: [&[f32; 4]; 4], rows: &mut [[f32; N]; 4], first: usize) {
    for (i, row) in rows.iter_mut().enumerate() {
        for (value, line) in row[first..][..4].iter_mut().zip(lines) {
            *value = line[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_transposed() {
        /// Two columns of squares, of which the second is written.
        fn check<const SIDE: usize, const N: usize>(
            transpose: impl Fn([&[f32; SIDE]; SIDE], &mut [[f32; N]; SIDE], usize),
        ) {
            let square: [[f32; SIDE]; SIDE] =
                std::array::from_fn(|i| std::array::from_fn(|j| (i * SIDE + j) as f32));
            let mut rows = [[-1.0; N]; SIDE];
            transpose(square.each_ref(), &mut rows, SIDE);
            for (i, row) in rows.iter().enumerate() {
                for (j, value) in row.iter().enumerate() {
                    let want = j.checked_sub(SIDE).map_or(-1.0, |j| square[j][i]);
                    assert_eq!(*value, want);
                }
            }
        }
        check::<4, 8>(four);
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                // SAFETY: AVX2 was found.
                check::<8, 16>(|lines, rows, first| unsafe { eight(lines, rows, first) });
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: AVX-512 was found.
                check::<16, 32>(|lines, rows, first| unsafe { sixteen(lines, rows, first) });
            }
        }
    }
}
