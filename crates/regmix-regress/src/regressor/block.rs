//! Mixtures column by column, for scoring many at once.

use std::cell::OnceCell;

use crate::vector::{self, Op};

/// Added to weights before the logarithm, so that a domain without weight
/// has one.
pub(crate) const TINY: f64 = 1e-9;

/// Resolution of a weight: published tables round to 0.001, so a weight that
/// reads 0 may be up to 0.0005, and a corpus is sampled in whole
/// sequences.
pub(crate) const RESOLUTION: f64 = 1e-3;

/// Some mixtures stored by domain, with what several models need of them
/// worked out once.
pub(crate) struct Block<'a> {
    rows: Vec<&'a [f64]>,
    /// `[domains][rows]`.
    weights: Vec<f64>,
    ln: OnceCell<Vec<f64>>,
    coarse_ln: OnceCell<Vec<f64>>,
    roots: OnceCell<Vec<f64>>,
}

impl<'a> Block<'a> {
    /// Rows per block that keep a block of some dozen domains in the fastest
    /// caches.
    pub(crate) const ROWS: usize = 128;

    pub(crate) fn of(rows: &[&'a [f64]]) -> Self {
        let domains = rows.first().map_or(0, |r| r.len());
        let mut weights = Vec::with_capacity(domains * rows.len());
        for domain in 0..domains {
            weights.extend(rows.iter().map(|r| r[domain]));
        }
        Self {
            rows: rows.to_vec(),
            weights,
            ln: OnceCell::new(),
            coarse_ln: OnceCell::new(),
            roots: OnceCell::new(),
        }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The mixtures as they were given.
    pub(crate) fn rows(&self) -> &[&'a [f64]] {
        &self.rows
    }

    /// The weights, `[domains][rows]`.
    pub(crate) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// ln(r + 1e-9), `[domains][rows]`.
    pub(crate) fn ln(&self) -> &[f64] {
        self.ln.get_or_init(|| self.logarithms(TINY))
    }

    /// ln(r + 0.001), `[domains][rows]`.
    pub(crate) fn coarse_ln(&self) -> &[f64] {
        self.coarse_ln.get_or_init(|| self.logarithms(RESOLUTION))
    }

    fn logarithms(&self, shift: f64) -> Vec<f64> {
        let mut values = self.weights.clone();
        vector::widest(Logarithms {
            values: &mut values,
            shift,
        });
        values
    }

    /// The cube root of r, `[domains][rows]`.
    pub(crate) fn roots(&self) -> &[f64] {
        self.roots
            .get_or_init(|| self.weights.iter().map(|w| w.cbrt()).collect())
    }
}

/// Replaces numbers by the logarithms of them and a shift.
struct Logarithms<'a> {
    values: &'a mut [f64],
    shift: f64,
}

impl Op for Logarithms<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for x in self.values {
            *x = vector::ln::<FMA>(*x + self.shift);
        }
    }
}
