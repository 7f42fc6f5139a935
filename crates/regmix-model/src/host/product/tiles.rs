//! Instructions for bf16: AMX and AVX512-BF16.
//!
//! Both add up in f32 and treat numbers below the normal range as zero. AMX adds
//! the even and the odd terms of 32 apart; the vector instruction adds pair by
//! pair. Their results differ by rounding.
#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid_count, __m512, __m512bh, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_loadu_si512,
    _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_store_si512, _mm512_storeu_ps,
};
use std::sync::OnceLock;

use super::turn;
use crate::host::matrix::Strided;

/// Lines of a tile.
pub(super) const TILE: usize = 16;

/// 32 numbers of bf16: a row of a tile, and a line of the cache.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(super) struct Line([u16; 32]);

/// The operand that a matrix is packed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// The instructions for bf16 that this processor has, and that the system lets
/// this process use. A value is proof that AVX512-BF16 is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tiles {
    /// AMX, and AVX512-BF16 for packing.
    Amx(Proof),
    /// AVX512-BF16.
    Vector(Proof),
}

/// Only made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof(());

impl Tiles {
    /// Those that can be used, the fastest first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let vector = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16");
        let amx = vector && amx_is_granted();
        let proof = Proof(());
        [
            amx.then_some(Self::Amx(proof)),
            vector.then_some(Self::Vector(proof)),
        ]
        .into_iter()
        .flatten()
    }

    /// Prepares this thread for [`Tiles::block`], until what is returned is dropped.
    pub(super) fn begin(self) -> Working {
        if let Self::Amx(_) = self {
            let shapes = Shapes::default();
            // SAFETY: AMX was granted, and the shapes are those of palette 1.
            unsafe {
                asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly))
            };
        }
        Working(self)
    }

    /// Asks for the block of 32 by 32 numbers that is written next: results are
    /// larger than the caches near the processor.
    pub(super) fn prefetch(self, out: &[f32], stride: usize) {
        for row in out.chunks(stride).take(2 * TILE) {
            for line in row.chunks(16).take(2) {
                // SAFETY: a prefetch changes nothing, and the address is a reference.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
            }
        }
    }

    /// Computes a block of 32 by 32 numbers, or adds to it, from two columns of
    /// tiles of the left matrix and two of the right one. [`Tiles::begin`] must be
    /// in force on this thread.
    pub(super) fn block(
        self,
        left: &[Line],
        right: &[Line],
        out: &mut [f32],
        stride: usize,
        add: bool,
    ) {
        assert!(left.len() == right.len() && !left.is_empty());
        assert!(left.len().is_multiple_of(2 * TILE));
        assert!(31 * stride + 32 <= out.len());
        match self {
            // SAFETY: AMX was granted, and the lengths are as the function expects.
            Self::Amx(_) => unsafe { amx_block(left, right, out, stride, add) },
            // SAFETY: the proof says that the processor has these instructions.
            Self::Vector(_) => unsafe { vector_block(left, right, out, stride, add) },
        }
    }
}

/// While it lives, this thread's tiles are configured.
#[derive(Debug)]
pub(super) struct Working(Tiles);

impl Drop for Working {
    fn drop(&mut self) {
        if let Tiles::Amx(_) = self.0 {
            // SAFETY: AMX was granted. Without tiles in use, the system need not
            // save them when it switches threads.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }
}

/// Whether the processor has AMX for bf16 and the kernel lets this process use it.
fn amx_is_granted() -> bool {
    static GRANTED: OnceLock<bool> = OnceLock::new();
    *GRANTED.get_or_init(|| {
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        let features = __cpuid_count(7, 0).edx;
        features & BF16 != 0 && features & TILE != 0 && ask_the_kernel()
    })
}

/// Linux grants the state of tiles to a process that asks.
#[cfg(target_os = "linux")]
fn ask_the_kernel() -> bool {
    const ARCH_REQ_XCOMP_PERM: i32 = 0x1023;
    const XFEATURE_XTILEDATA: i32 = 18;
    // SAFETY: the call takes two numbers and only changes what this process may use.
    unsafe {
        libc::syscall(
            libc::SYS_arch_prctl,
            ARCH_REQ_XCOMP_PERM,
            XFEATURE_XTILEDATA,
        ) == 0
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_the_kernel() -> bool {
    false
}

/// The configuration of the tile registers: all of 16 lines of 64 bytes.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_line: [u16; 16],
    lines: [u8; 16],
}

impl Default for Shapes {
    fn default() -> Self {
        let mut shapes = Self {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            bytes_per_line: [0; 16],
            lines: [0; 16],
        };
        shapes.bytes_per_line[..8].fill(64);
        shapes.lines[..8].fill(16);
        shapes
    }
}

/// # Safety
/// AMX must be granted and configured, `left` and `right` of one length, a multiple
/// of two tiles, and `out` must have 32 rows of 32 numbers.
unsafe fn amx_block(left: &[Line], right: &[Line], out: &mut [f32], stride: usize, add: bool) {
    let tiles = left.len() / (2 * TILE);
    // SAFETY: reads two columns of `tiles` tiles of each operand, and the block of
    // `out`, as the caller promises.
    unsafe {
        let out = out.as_mut_ptr();
        let second = out.add(TILE * stride);
        let bytes = 4 * stride;
        asm!(
            "test {add}, {add}",
            "jz 3f",
            "tileloadd tmm0, [{out} + {bytes}]",
            "tileloadd tmm1, [{out} + {bytes} + 64]",
            "tileloadd tmm2, [{second} + {bytes}]",
            "tileloadd tmm3, [{second} + {bytes} + 64]",
            "jmp 2f",
            "3:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{left0} + {line}]",
            "tileloadd tmm6, [{right0} + {line}]",
            "tileloadd tmm7, [{right1} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{left1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left0}, 1024",
            "add {left1}, 1024",
            "add {right0}, 1024",
            "add {right1}, 1024",
            "dec {tiles}",
            "jnz 2b",
            "tilestored [{out} + {bytes}], tmm0",
            "tilestored [{out} + {bytes} + 64], tmm1",
            "tilestored [{second} + {bytes}], tmm2",
            "tilestored [{second} + {bytes} + 64], tmm3",
            left0 = inout(reg) left.as_ptr() => _,
            left1 = inout(reg) left.as_ptr().add(tiles * TILE) => _,
            right0 = inout(reg) right.as_ptr() => _,
            right1 = inout(reg) right.as_ptr().add(tiles * TILE) => _,
            tiles = inout(reg) tiles => _,
            line = in(reg) 64_usize,
            out = in(reg) out,
            second = in(reg) second,
            bytes = in(reg) bytes,
            add = in(reg) u64::from(add),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// As [`amx_block`], with vectors.
///
/// Vectors are held by loops over places and not by iterators or closures: functions of the
/// standard library do not have this one's instructions, and a vector that is given to one
/// goes through memory.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn vector_block(left: &[Line], right: &[Line], out: &mut [f32], stride: usize, add: bool) {
    /// Rows whose sums are held in registers.
    const ROWS: usize = 8;
    let half = left.len() / 2;
    let (low, high) = right.split_at(half);
    for first in (0..2 * TILE).step_by(ROWS) {
        let left = &left[first / TILE * half..][..half];
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        if add {
            for i in 0..ROWS {
                let row = &out[(first + i) * stride..][..32];
                sums[i] = [load(row), load(&row[16..])];
            }
        }
        for q in 0..half {
            let (low, high) = (bits(&low[q]), bits(&high[q]));
            let tile = &left[q / TILE * TILE + first % TILE..][..ROWS];
            for i in 0..ROWS {
                let terms = _mm512_set1_epi32(tile[i].pair(q % TILE));
                sums[i][0] = dot(sums[i][0], terms, low);
                sums[i][1] = dot(sums[i][1], terms, high);
            }
        }
        for i in 0..ROWS {
            let row = &mut out[(first + i) * stride..][..32];
            // SAFETY: the slice holds 32 numbers.
            unsafe {
                _mm512_storeu_ps(row.as_mut_ptr(), sums[i][0]);
                _mm512_storeu_ps(row.as_mut_ptr().add(16), sums[i][1]);
            }
        }
    }
}

impl Line {
    /// Two numbers side by side.
    #[inline]
    fn pair(&self, i: usize) -> i32 {
        let pair = &self.0[2 * i..][..2];
        // SAFETY: two numbers are the bytes of one of twice the width.
        unsafe { pair.as_ptr().cast::<i32>().read_unaligned() }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn bits(line: &Line) -> __m512i {
    // SAFETY: a line is 64 bytes.
    unsafe { _mm512_loadu_si512(line.0.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn dot(sum: __m512, left: __m512i, right: __m512i) -> __m512 {
    // SAFETY: the types are the same 64 bytes under another name.
    let left = unsafe { std::mem::transmute::<__m512i, __m512bh>(left) };
    // SAFETY: as before.
    let right = unsafe { std::mem::transmute::<__m512i, __m512bh>(right) };
    _mm512_dpbf16_ps(sum, left, right)
}

/// The first 16 numbers, zeros where there are fewer.
#[target_feature(enable = "avx512f")]
#[inline]
fn load(numbers: &[f32]) -> __m512 {
    let mask = if numbers.len() < 16 {
        (1 << numbers.len()) - 1
    } else {
        !0
    };
    // SAFETY: numbers behind the end are masked.
    unsafe { _mm512_maskz_loadu_ps(mask, numbers.as_ptr()) }
}

/// Rounds two times 16 numbers, the nearest even where two are as near.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn round(low: __m512, high: __m512) -> __m512i {
    // SAFETY: the types are the same 64 bytes under another name.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}

/// Packs a matrix in columns of tiles, filled with zeros: `out` is
/// `[rows or columns / 16][terms / 32][16]` lines. The rows of a left matrix, or the
/// columns of a right one, are its 16 lines.
pub(super) fn pack(_proof: Tiles, side: Side, matrix: Strided<'_>, out: &mut [Line]) {
    // SAFETY: the processor has the instructions, as the proof says.
    unsafe {
        if (side == Side::Left) == matrix.by_column {
            pack_pairs(side, matrix, out);
        } else {
            pack_terms(side, matrix, out);
        }
    }
}

/// Packs a matrix whose terms are contiguous.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack_terms(side: Side, matrix: Strided<'_>, out: &mut [Line]) {
    let (lines, terms) = match side {
        Side::Left => (matrix.rows, matrix.cols),
        Side::Right => (matrix.cols, matrix.rows),
    };
    let column = terms.div_ceil(2 * TILE) * TILE;
    for (t, column) in out.chunks_exact_mut(column).enumerate() {
        for (q, tile) in column.chunks_exact_mut(TILE).enumerate() {
            let mut packed = [_mm512_setzero_si512(); TILE];
            for (i, packed) in packed.iter_mut().enumerate() {
                if t * TILE + i < lines {
                    let line = &matrix.line(t * TILE + i)[2 * TILE * q..terms];
                    let (low, high) = line.split_at(line.len().min(16));
                    *packed = round(load(low), load(high));
                }
            }
            store(packed, side == Side::Right, tile);
        }
    }
}

/// Packs a matrix whose rows or columns, of which the terms are, lie next to each
/// other.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pack_pairs(side: Side, matrix: Strided<'_>, out: &mut [Line]) {
    let (lines, terms) = match side {
        Side::Left => (matrix.rows, matrix.cols),
        Side::Right => (matrix.cols, matrix.rows),
    };
    let column = terms.div_ceil(2 * TILE) * TILE;
    /// From 16 numbers of one term and 16 of the next to 16 pairs.
    static PAIRS: [u16; 32] = {
        let mut order = [0; 32];
        let mut i = 0;
        while i < 32 {
            order[i] = (i / 2 + i % 2 * 16) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: the table is 64 bytes.
    let pairs = unsafe { _mm512_loadu_si512(PAIRS.as_ptr().cast()) };
    for q in 0..terms.div_ceil(2 * TILE) {
        for t in 0..lines.div_ceil(TILE) {
            let mut packed = [_mm512_setzero_si512(); TILE];
            for (i, packed) in packed.iter_mut().enumerate() {
                let term = 2 * (q * TILE + i);
                if term < terms {
                    let low = load(&matrix.line(term)[t * TILE..lines]);
                    let high = if term + 1 < terms {
                        load(&matrix.line(term + 1)[t * TILE..lines])
                    } else {
                        _mm512_setzero_ps()
                    };
                    *packed = _mm512_permutexvar_epi16(pairs, round(low, high));
                }
            }
            let tile = &mut out[t * column + q * TILE..][..TILE];
            store(packed, side == Side::Left, tile);
        }
    }
    // Pairs of columns of tiles are multiplied: a last odd one has zeros beside it.
    out[lines.div_ceil(TILE) * column..].fill(Line::default());
}

/// Writes a tile, or its transpose in pairs.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn store(mut packed: [__m512i; TILE], transpose: bool, tile: &mut [Line]) {
    if transpose {
        let mut rows = [_mm512_setzero_ps(); TILE];
        for i in 0..TILE {
            rows[i] = _mm512_castsi512_ps(packed[i]);
        }
        let turned = turn::registers(rows);
        for i in 0..TILE {
            packed[i] = _mm512_castps_si512(turned[i]);
        }
    }
    let tile = &mut tile[..TILE];
    for i in 0..TILE {
        // SAFETY: a line is 64 bytes, aligned to as many.
        unsafe { _mm512_store_si512(tile[i].0.as_mut_ptr().cast(), packed[i]) };
    }
}
