//! Boosting: tree after tree, each grown on the residuals of those before it.

use regmix_data::{Error, Monitor, Result};

use crate::metrics::mean;
use crate::numeric::slices::range;
use crate::regressor::gbdt::bins::Binned;
use crate::regressor::gbdt::forest::{Forest, Written};
use crate::regressor::gbdt::grow::Grower;
use crate::samples::Samples;

/// How a forest is grown; checked before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) rounds: usize,
    pub(super) rate: f64,
    pub(super) leaves: usize,
    pub(super) min_rows: usize,
    pub(super) bins: usize,
    pub(super) rows_per_bin: usize,
}

/// Leaves hold whole steps, this many binary places below what the first
/// tree's leaves can reach.
const PLACES: i32 = 20;

/// Fits a forest by least squares. Fewer trees than `rounds` are grown where no
/// split gains anything.
///
/// # Errors
/// When the values lie too far apart for their differences to be numbers, or
/// the monitor asks to stop.
pub(super) fn boost(
    samples: &Samples<'_>,
    settings: &Settings,
    monitor: &dyn Monitor,
) -> Result<Forest> {
    let values = samples.values();
    let (low, high) = range(values);
    let base = mean(values);
    if !(high - low).is_finite() || !base.is_finite() {
        return Err(Error::input(format!(
            "values from {low} to {high}: expected differences that are finite"
        )));
    }
    // A leaf in whole steps takes few digits to write, and sums of whole
    // numbers do not depend on their order.
    let places = ((high - low) * settings.rate).log2().floor() as i32;
    let step = 2f64.powi(places.saturating_sub(PLACES));
    if !step.is_normal() {
        return Forest::read(Written::constant(base, samples.domains()));
    }
    let bins = Binned::new(samples.rows(), settings.bins, settings.rows_per_bin);
    let mut written = Written::new(base, step, &bins);
    let mut grower = Grower::new(&bins, settings.leaves, settings.min_rows);
    let mut steps = vec![0i64; values.len()];
    let mut residuals: Vec<f64> = values.iter().map(|y| y - base).collect();
    let mut leaves = Vec::new();
    for _ in 0..settings.rounds {
        monitor.check()?;
        let grown = grower.grow(&residuals);
        if grown.questions.is_empty() {
            break;
        }
        leaves.clear();
        for (rows, sum) in grown.leaves() {
            let leaf = (settings.rate * sum / rows.len() as f64 / step).round() as i32;
            for &row in rows {
                let row = row as usize;
                steps[row] += i64::from(leaf);
                residuals[row] = values[row] - (base + step * steps[row] as f64);
            }
            leaves.push(leaf);
        }
        written.push(grown.questions, &leaves);
    }
    Forest::read(written.compact())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regmix_data::Silent;

    /// Boosting without bins, histograms and steps: every split of every
    /// leaf is tried on the rows themselves.
    fn plain(rows: &[Vec<f64>], values: &[f64], settings: &Settings) -> Vec<f64> {
        let mean =
            |at: &[usize], r: &[f64]| at.iter().map(|&i| r[i]).sum::<f64>() / at.len() as f64;
        let squares = |at: &[usize], r: &[f64]| {
            let m = mean(at, r);
            at.iter().map(|&i| (r[i] - m) * (r[i] - m)).sum::<f64>()
        };
        let all: Vec<usize> = (0..rows.len()).collect();
        let mut predicted = vec![mean(&all, values); rows.len()];
        for _ in 0..settings.rounds {
            let left: Vec<f64> = values.iter().zip(&predicted).map(|(y, p)| y - p).collect();
            let mut leaves = vec![all.clone()];
            while leaves.len() < settings.leaves {
                let mut best = (0.0, 0, Vec::new(), Vec::new());
                for (l, leaf) in leaves.iter().enumerate() {
                    let places =
                        (0..rows[0].len()).flat_map(|j| leaf.iter().map(move |at| (j, *at)));
                    for (j, at) in places {
                        let (a, b): (Vec<usize>, Vec<usize>) =
                            leaf.iter().partition(|&&i| rows[i][j] <= rows[at][j]);
                        if a.len().min(b.len()) < settings.min_rows {
                            continue;
                        }
                        let gain = squares(leaf, &left) - squares(&a, &left) - squares(&b, &left);
                        if gain > best.0 {
                            best = (gain, l, a, b);
                        }
                    }
                }
                if best.2.is_empty() {
                    break;
                }
                leaves[best.1] = best.2;
                leaves.push(best.3);
            }
            for leaf in leaves {
                let value = settings.rate * mean(&leaf, &left);
                leaf.iter().for_each(|&i| predicted[i] += value);
            }
        }
        predicted
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn trees_equal_those_of_a_plain_search(
            cells in prop::collection::vec(0u32..12, 3 * 24),
            values in prop::collection::vec(-1.0f64..1.0, 24),
            leaves in 2usize..8,
            min_rows in 1usize..6,
        ) {
            // One row apart in one place: ties between splits that part the
            // rows differently do not occur with random values.
            let rows: Vec<Vec<f64>> = cells.chunks(3)
                .map(|c| c.iter().map(|x| f64::from(*x) / 12.0).collect())
                .collect();
            let settings = Settings { rounds: 4, rate: 0.3, leaves, min_rows, bins: 255, rows_per_bin: 1 };
            let samples = Samples::new(rows.iter().map(Vec::as_slice), values.clone()).unwrap();
            let forest = boost(&samples, &settings, &Silent).unwrap();
            for (row, wanted) in rows.iter().zip(plain(&rows, &values, &settings)) {
                prop_assert!((forest.mean(row) - wanted).abs() < 1e-5);
            }
        }
    }
}
