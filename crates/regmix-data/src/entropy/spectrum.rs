//! The von Neumann entropy of sequences.

use std::collections::HashMap;

use faer::{Mat, Side};
use rand::Rng;
use rayon::prelude::*;
use rustc_hash::FxBuildHasher;

use super::windows::Windows;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::random::stream;

/// Dimensions of a sequence's vector: those of the paper's.
const DIMENSIONS: usize = 300;

/// Sequences that are compared, spread evenly over a domain.
const SEQUENCES: u64 = 4096;

/// Sequences whose products are added up one after the other. The parts are added in
/// their order, so that the sum does not depend on the number of threads.
const PART: u64 = 256;

/// The entropy in nats of `K / n`, with K the cosines of n sequences; 0 where there is
/// none. It has the eigenvalues of the mean product `v v^T` of unit vectors v, a matrix
/// whose size does not grow with n.
pub(super) fn entropy(windows: &Windows<'_>, monitor: &dyn Monitor) -> Result<f64> {
    let windows = windows.at_most(SEQUENCES);
    let n = windows.len();
    let parts: Vec<u64> = (0..n.div_ceil(PART)).collect();
    let products = (parts.into_par_iter())
        .map(|part| {
            monitor.check()?;
            products(&windows, part * PART..((part + 1) * PART).min(n))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut sum = Products::new();
    for part in &products {
        sum.0.iter_mut().zip(&part.0).for_each(|(sum, x)| *sum += x);
    }
    match n {
        0 => Ok(0.0),
        _ => entropy_of(&sum, n as f64),
    }
}

/// The lower triangle of the sum of products, row by row.
struct Products(Vec<f64>);

impl Products {
    fn new() -> Self {
        Self(vec![0.0; DIMENSIONS * (DIMENSIONS + 1) / 2])
    }

    fn add(&mut self, v: &[f64]) {
        let mut rest = self.0.as_mut_slice();
        for i in 0..v.len() {
            let (row, later) = rest.split_at_mut(i + 1);
            row.iter_mut().zip(v).for_each(|(sum, x)| *sum += v[i] * x);
            rest = later;
        }
    }

    fn get(&self, i: usize, j: usize) -> f64 {
        let (low, high) = (i.min(j), i.max(j));
        self.0[high * (high + 1) / 2 + low]
    }
}

fn products(windows: &Windows<'_>, range: std::ops::Range<u64>) -> Result<Products> {
    let mut sum = Products::new();
    let mut signs = Signs::default();
    let mut buffer = Vec::new();
    for i in range {
        windows.read(i, &mut buffer)?;
        buffer.sort_unstable();
        sum.add(&vector(&buffer, &mut signs));
    }
    Ok(sum)
}

/// The unit vector of a sequence, of which the tokens are sorted.
fn vector(sorted: &[u32], signs: &mut Signs) -> Vec<f64> {
    let mut v = vec![0.0_f32; DIMENSIONS];
    for same in sorted.chunk_by(|a, b| a == b) {
        let weight = (same.len() as f32).sqrt().to_bits();
        let words = signs.of(same[0]);
        for (part, word) in v.chunks_mut(64).zip(words) {
            for (bit, x) in part.iter_mut().enumerate() {
                *x += f32::from_bits(weight ^ (((word >> bit) as u32) << 31));
            }
        }
    }
    let length = v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    // Signs of two tokens may cancel exactly; such a sequence has no direction.
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    v.iter().map(|x| f64::from(*x) * scale).collect()
}

/// The random signs of tokens, as bits. The numbers of a token depend on nothing else.
#[derive(Default)]
struct Signs(HashMap<u32, [u64; DIMENSIONS.div_ceil(64)], FxBuildHasher>);

impl Signs {
    fn of(&mut self, token: u32) -> [u64; DIMENSIONS.div_ceil(64)] {
        *self.0.entry(token).or_insert_with(|| {
            let mut numbers = stream(0, "entropy", &token.to_string());
            std::array::from_fn(|_| numbers.next_u64())
        })
    }
}

fn entropy_of(sum: &Products, n: f64) -> Result<f64> {
    let mean = Mat::from_fn(DIMENSIONS, DIMENSIONS, |i, j| sum.get(i, j) / n);
    let eigenvalues = mean
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|e| Error::failed(format!("eigenvalues were not found: {e:?}")))?;
    // Rounding leaves values around 1e-17, also below 0, where there should be none.
    let terms = eigenvalues.iter().filter(|x| **x > 1e-15);
    Ok(terms.map(|x| -x * x.ln()).sum::<f64>().max(0.0))
}
