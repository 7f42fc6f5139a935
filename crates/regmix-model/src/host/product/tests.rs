use proptest::prelude::*;

use super::*;
use crate::host::matrix::{Place, matrix, matrix_mut};

/// Every way to compute a product here, and the precision of its operands.
fn every_way() -> Vec<(String, Precision, Products)> {
    let single = |instructions, half| Products {
        instructions,
        half,
        single: single::Packed::default(),
    };
    let mut ways = Vec::new();
    for instructions in Instructions::all() {
        let name = format!("{instructions:?}");
        ways.push((name.clone(), Precision::F32, single(instructions, Half::No)));
        let emulated = single(instructions, Half::Emulated);
        ways.push((format!("{name} emulating"), Precision::Bf16, emulated));
    }
    #[cfg(target_arch = "x86_64")]
    for tiles in tiles::Tiles::all() {
        let half = Half::Tiles(tiles, half::Packed::default());
        let products = single(Instructions::default(), half);
        ways.push((format!("{tiles:?}"), Precision::Bf16, products));
    }
    ways
}

/// Where three matrices lie: bit 0, 1, 2 of `layout` say which are transposed, and
/// all are blocks of larger ones.
struct Case {
    shape: (usize, usize, usize),
    layout: usize,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

const WIDTH: usize = 100;

impl Case {
    fn new((m, k, n): (usize, usize, usize), layout: usize, fill: impl Fn(usize) -> f32) -> Self {
        let size = (m.max(k).max(n) + 4) * (m.max(k).max(n) + WIDTH);
        let values = |step: usize| (0..size).map(|i| fill(i * step)).collect();
        Self {
            shape: (m, k, n),
            layout,
            a: values(7),
            b: values(5),
            c: values(3),
        }
    }

    fn turned(&self, bit: usize) -> bool {
        self.layout >> bit & 1 == 1
    }

    fn place(&self, bit: usize) -> Place {
        let (m, k, n) = self.shape;
        let (rows, cols) = [(m, k), (k, n), (m, n)][bit];
        let (rows, cols) = if self.turned(bit) {
            (cols, rows)
        } else {
            (rows, cols)
        };
        Place {
            width: m.max(k).max(n) + WIDTH,
            rows: (2, 2 + rows),
            cols: (3, 3 + cols),
        }
    }

    fn at(&self, bit: usize, i: usize, j: usize) -> usize {
        let place = self.place(bit);
        let (i, j) = if self.turned(bit) { (j, i) } else { (i, j) };
        (2 + i) * place.width + 3 + j
    }

    fn operand<'a>(&self, data: &'a [f32], bit: usize) -> Matrix<'a> {
        let matrix = self.place(bit).of(data);
        if self.turned(bit) {
            matrix.transpose()
        } else {
            matrix
        }
    }

    /// The product, and a product added to it.
    fn computed(&self, products: &mut Products) -> Vec<f32> {
        let a = self.operand(&self.a, 0);
        let b = self.operand(&self.b, 1);
        let mut c = self.c.clone();
        for write in [Write::Replace, Write::Add] {
            let to = self.place(2).of_mut(&mut c);
            let to = if self.turned(2) { to.transpose() } else { to };
            products.product(to, write, a, b);
        }
        c
    }

    /// The same by plain loops in double precision.
    fn expected(&self, round: impl Fn(f32) -> f32) -> Vec<f64> {
        let (m, k, n) = self.shape;
        let mut c: Vec<f64> = self.c.iter().map(|c| f64::from(*c)).collect();
        for i in 0..m {
            for j in 0..n {
                let terms = (0..k).map(|p| {
                    let (a, b) = (self.a[self.at(0, i, p)], self.b[self.at(1, p, j)]);
                    f64::from(round(a)) * f64::from(round(b))
                });
                c[self.at(2, i, j)] = 2.0 * terms.sum::<f64>();
            }
        }
        c
    }
}

/// Whole numbers that bf16 holds: the results are exact.
#[test]
fn products_of_blocks_are_exact_and_stay_in_their_blocks() {
    let shapes = [
        (1, 1, 1),
        (3, 4, 5),
        (17, 9, 33),
        (40, 64, 70),
        (33, 31, 32),
        (8, 300, 32),
        (250, 5, 16),
        (5, 600, 40),
    ];
    for (name, _, mut products) in every_way() {
        for shape in shapes {
            for layout in 0..8 {
                let case = Case::new(shape, layout, |i| (i % 11) as f32 - 5.0);
                let want: Vec<f32> = case.expected(|x| x).iter().map(|x| *x as f32).collect();
                assert_eq!(
                    case.computed(&mut products),
                    want,
                    "{name} {shape:?} {layout}"
                );
            }
        }
    }
}

/// bf16 as the standard defines it: the nearest, the even one between two.
fn to_bf16(x: f32) -> f32 {
    let (down, up) = (
        x.to_bits() & 0xffff_0000,
        (x.to_bits() & 0xffff_0000) + 0x1_0000,
    );
    let [below, above] =
        [down, up].map(|bits| (f64::from(f32::from_bits(bits)) - f64::from(x)).abs());
    f32::from_bits(match below.total_cmp(&above) {
        std::cmp::Ordering::Less => down,
        std::cmp::Ordering::Greater => up,
        std::cmp::Ordering::Equal => [down, up][(down >> 16 & 1) as usize],
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn products_agree_with_plain_loops(
        m in 1_usize..70, k in 1_usize..600, n in 1_usize..70, layout in 0_usize..8, seed in 0_u32..1000,
    ) {
        let fill = |i: usize| {
            let bits = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503));
            f32::from(((bits >> 8) as u16).cast_signed()) / 8192.0
        };
        let case = Case::new((m, k, n), layout, fill);
        let mut fused: Option<Vec<f32>> = None;
        for (name, precision, mut products) in every_way() {
            let round = |x| if precision == Precision::F32 { x } else { to_bf16(x) };
            let got = case.computed(&mut products);
            for (i, (got, want)) in got.iter().zip(case.expected(round)).enumerate() {
                let gap = (f64::from(*got) - want).abs();
                prop_assert!(gap <= 2e-5 * (k as f64 + want.abs()), "{} {}: {} {}", name, i, got, want);
            }
            // Vectors of every width give the same bits.
            if precision == Precision::F32 && name.contains("Avx") {
                let same = fused.as_ref().is_none_or(|fused| *fused == got);
                prop_assert!(same, "{}", name);
                fused = Some(got);
            }
        }
    }
}

#[test]
fn every_way_rounds_alike() {
    // Halfway cases, odd and even; large ones; below the normal range.
    let numbers = [
        1.0 + 1.0 / 256.0,
        1.0 + 3.0 / 256.0,
        -1.0 - 1.0 / 256.0,
        1.003,
        3.0e38,
        -f32::MAX,
        1e-39,
        0.0,
        f32::INFINITY,
    ];
    let one = [1.0];
    for (name, precision, mut products) in every_way() {
        if precision == Precision::F32 {
            continue;
        }
        for x in numbers {
            let mut out = [0.0];
            let to = matrix_mut(&mut out, 1);
            let [a, b] = [[x], one];
            let (a, b) = (matrix(&a, 1), matrix(&b, 1));
            products.product(to, Write::Replace, a, b);
            let want = match x {
                1e-39 => 0.0,
                // Nearer to what would be the next number.
                x if x == -f32::MAX => f32::NEG_INFINITY,
                x => to_bf16(x),
            };
            assert_eq!(out[0], want, "{name} {x}");
        }
        let mut out = [0.0];
        let nan = [f32::NAN];
        let (a, b) = (matrix(&nan, 1), matrix(&one, 1));
        products.product(matrix_mut(&mut out, 1), Write::Replace, a, b);
        assert!(out[0].is_nan(), "{name}");
    }
}

/// A vector that a function without the instructions receives goes through memory, number by
/// number: products then take a hundred times as long, with the same results.
#[cfg(not(debug_assertions))]
#[test]
fn no_instructions_are_slower_than_plain_code() {
    let case = Case::new((256, 256, 256), 0, |i| (i % 11) as f32 - 5.0);
    let mut ways = every_way();
    let mut best = vec![f64::INFINITY; ways.len()];
    for _ in 0..5 {
        for ((_, _, products), best) in ways.iter_mut().zip(&mut best) {
            let start = std::time::Instant::now();
            case.computed(products);
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    let plain = ways.iter().position(|(name, ..)| name.starts_with("Plain"));
    let limit = 2.0 * best[plain.expect("plain code runs everywhere")];
    for ((name, ..), seconds) in ways.iter().zip(&best) {
        let emulated = name.contains("emulating");
        assert!(
            emulated || *seconds < limit,
            "{name}: {seconds} s, above {limit} s"
        );
    }
}

#[test]
fn nothing_is_multiplied_where_there_are_no_rows_or_terms() {
    for (name, _, mut products) in every_way() {
        let b = [1.0; 6];
        let b = matrix(&b, 3);
        let a = matrix(&[], 2);
        let mut out = [];
        products.product(matrix_mut(&mut out, 3), Write::Replace, a, b);
        assert!(out.is_empty(), "{name}");
    }
}
