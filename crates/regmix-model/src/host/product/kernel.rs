//! The inner loops of products, for several sets of instructions.
//!
//! A block of the result stays in registers while `k` is walked: two vectors wide,
//! and as many rows as leave registers for the operands. `unsafe` is needed for the
//! instructions and for reading without a check of every index; what is read and
//! written is checked once per block.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::turn;
use crate::host::matrix::Strided;
use crate::host::vector::madd;

/// Where a block of sums goes.
#[derive(Debug)]
pub(super) struct Tile<'a> {
    /// From the block's first number on.
    pub(super) out: &'a mut [f32],
    /// Between rows.
    pub(super) stride: usize,
    /// Whether to add to what is there.
    pub(super) add: bool,
}

/// `M` rows of the left matrix: the number `p` of row `i` is at
/// `i between_rows + p between_terms`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) data: &'a [f32],
    pub(super) between_rows: usize,
    pub(super) between_terms: usize,
}

impl Left<'_> {
    /// Whether all numbers of `rows` rows of `terms` numbers are there.
    fn holds(&self, rows: usize, terms: usize) -> bool {
        let last = (rows - 1) * self.between_rows + (terms - 1) * self.between_terms;
        last < self.data.len()
    }
}

impl Tile<'_> {
    /// Whether all numbers of that many rows and columns are there.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.stride + columns <= self.out.len()
    }
}

/// Computes a block of `M` rows and `N` columns from a panel `[k, N]` of the right
/// matrix.
pub(super) trait Kernel<const M: usize, const N: usize> {
    /// Copies `[k, columns]`, whose columns are contiguous, to the first columns of
    /// a panel.
    fn turn(&self, b: Strided<'_>, panel: &mut [[f32; N]]);

    /// `left` is where the `M` rows of the left matrix lie.
    fn block(&self, left: Left<'_>, panel: &[[f32; N]], tile: Tile<'_>);
}

/// A set of instructions that this processor has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Plain(Plain),
}

impl Default for Instructions {
    fn default() -> Self {
        Self::all().next().expect("plain code runs everywhere")
    }
}

impl Instructions {
    /// Those that this processor has, the fastest first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [Avx512::new().map(Self::Avx512), Avx2::new().map(Self::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [];
        let plain = Some(Self::Plain(Plain(())));
        vectors.into_iter().chain([plain]).flatten()
    }
}

/// Proof that the processor has AVX-512.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512(());

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

/// Code for every processor of the target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f");
        found.then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }
}

/// A kernel of `$m` rows and two vectors of `$lanes` numbers.
#[cfg(target_arch = "x86_64")]
macro_rules! kernel {
    (
        $proof:ident, $features:literal, $m:literal, $lanes:literal,
        $zero:ident, $load:ident, $splat:ident, $fma:ident, $add:ident, $store:ident, $transpose:path
    ) => {
        impl Kernel<$m, { 2 * $lanes }> for $proof {
            fn block(&self, left: Left<'_>, panel: &[[f32; 2 * $lanes]], tile: Tile<'_>) {
                #[target_feature(enable = $features)]
                fn compiled(left: Left<'_>, panel: &[[f32; 2 * $lanes]], tile: Tile<'_>) {
                    assert!(!panel.is_empty() && left.holds($m, panel.len()));
                    assert!(tile.holds($m, 2 * $lanes));
                    // Results are larger than the caches near the processor.
                    let mut row = tile.out.as_ptr();
                    for _ in 0..$m {
                        for line in (0..2 * $lanes).step_by(16) {
                            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(line).cast());
                        }
                        row = row.wrapping_add(tile.stride);
                    }
                    let mut sums = [[$zero(); 2]; $m];
                    // As numbers that the compiler does not know to be multiples of one:
                    // from those it would make one pointer that passes all rows, a chain of
                    // additions as long as the products take.
                    let rows: [usize; $m] = std::array::from_fn(|i| i * left.between_rows);
                    let rows = std::hint::black_box(rows);
                    let mut from = left.data.as_ptr();
                    for right in panel {
                        // SAFETY: `right` is two vectors long. The left matrix has
                        // `$m` rows of `panel.len()` terms, as checked above.
                        unsafe {
                            let low = $load(right.as_ptr());
                            let high = $load(right.as_ptr().add($lanes));
                            for i in 0..$m {
                                let x = $splat(*from.add(rows[i]));
                                sums[i][0] = $fma(x, low, sums[i][0]);
                                sums[i][1] = $fma(x, high, sums[i][1]);
                            }
                        }
                        // Behind the last term this points outside, and is not read.
                        from = from.wrapping_add(left.between_terms);
                    }
                    for i in 0..$m {
                        for v in 0..2 {
                            // SAFETY: the tile has `$m` rows of two vectors, as
                            // checked above.
                            unsafe {
                                let out = tile.out.as_mut_ptr();
                                let out = out.add(i * tile.stride + v * $lanes);
                                let sum = if tile.add {
                                    $add($load(out), sums[i][v])
                                } else {
                                    sums[i][v]
                                };
                                $store(out, sum);
                            }
                        }
                    }
                }
                // SAFETY: the processor has the features, as `self` proves.
                unsafe { compiled(left, panel, tile) }
            }

            fn turn(&self, b: Strided<'_>, panel: &mut [[f32; 2 * $lanes]]) {
                #[target_feature(enable = $features)]
                fn compiled(b: Strided<'_>, panel: &mut [[f32; 2 * $lanes]]) {
                    turn::squares(b, panel, |lines, rows, first| {
                        $transpose(lines, rows, first)
                    });
                }
                // SAFETY: the processor has the features, as `self` proves.
                unsafe { compiled(b, panel) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernel!(
    Avx512,
    "avx512f",
    8,
    16,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_storeu_ps,
    turn::sixteen
);
#[cfg(target_arch = "x86_64")]
kernel!(
    Avx2,
    "avx2,fma",
    6,
    8,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_storeu_ps,
    turn::eight
);

impl Kernel<4, 8> for Plain {
    fn turn(&self, b: Strided<'_>, panel: &mut [[f32; 8]]) {
        turn::squares(b, panel, turn::four);
    }

    fn block(&self, left: Left<'_>, panel: &[[f32; 8]], tile: Tile<'_>) {
        /// Whether the target multiplies and adds in one instruction.
        const FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
        let mut sums = [[0.0; 8]; 4];
        for (p, right) in panel.iter().enumerate() {
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = left.data[i * left.between_rows + p * left.between_terms];
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = madd::<FMA>(x, *right, *sum);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (out, sum) in tile.out[i * tile.stride..][..8].iter_mut().zip(sums) {
                *out = if tile.add { *out + sum } else { *sum };
            }
        }
    }
}
