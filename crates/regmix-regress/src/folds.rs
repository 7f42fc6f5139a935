//! Splits of rows into folds.

use rand::seq::SliceRandom;

use regmix_data::random::stream;
use regmix_data::{Error, Result};

use crate::samples::Samples;

/// A split of rows into folds of nearly equal size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    fold_of: Vec<usize>,
    count: usize,
}

impl Folds {
    /// Shuffles `rows` rows and deals them into `count` folds; with fewer
    /// rows than folds, every row is a fold of its own. `run` names the
    /// repeat, so that each has its own random stream.
    ///
    /// # Errors
    /// When there are fewer than 2 rows or 2 folds.
    pub fn new(rows: usize, count: usize, seed: u64, run: &str) -> Result<Self> {
        if rows < 2 || count < 2 {
            return Err(Error::input(format!(
                "{rows} rows in {count} folds: expected at least 2 of each"
            )));
        }
        let count = count.min(rows);
        let mut order: Vec<usize> = (0..rows).collect();
        order.shuffle(&mut stream(seed, run, "folds"));
        let mut fold_of = vec![0; rows];
        for (place, row) in order.into_iter().enumerate() {
            fold_of[row] = place % count;
        }
        Ok(Self { fold_of, count })
    }

    /// As [`Folds::new`] over the rows of some samples, with runs of the same
    /// mixture in the same fold: one would give away the other.
    ///
    /// # Errors
    /// When there are fewer than 2 rows or 2 folds.
    pub fn of(samples: &Samples<'_>, count: usize, seed: u64, run: &str) -> Result<Self> {
        let group_of = samples.groups();
        let groups = group_of.iter().max().map_or(0, |last| last + 1);
        if groups < 2 {
            // One mixture has no other to give away.
            return Self::new(samples.len(), count, seed, run);
        }
        let folds = Self::new(groups, count, seed, run)?;
        Ok(Self {
            fold_of: group_of.into_iter().map(|g| folds.fold_of[g]).collect(),
            count: folds.count,
        })
    }

    /// The fold that holds a row out.
    pub fn fold_of(&self, row: usize) -> usize {
        self.fold_of[row]
    }

    /// How many folds there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The rows to fit on and the rows held out, in order.
    pub fn split(&self, fold: usize) -> (Vec<usize>, Vec<usize>) {
        (0..self.fold_of.len()).partition(|&i| self.fold_of[i] != fold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_of_one_mixture_are_held_out_together() {
        let rows: Vec<Vec<f64>> = (0..30).map(|i| vec![f64::from(i % 7), 0.5]).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), vec![1.0; 30]).unwrap();
        let folds = Folds::of(&samples, 5, 3, "t").unwrap();
        for i in 0..30 {
            assert_eq!(folds.fold_of(i), folds.fold_of(i % 7));
        }
        assert_eq!(folds.count(), 5);
    }

    proptest! {
        #[test]
        fn folds_partition_the_rows(rows in 2usize..60, count in 2usize..12, seed: u64) {
            let folds = Folds::new(rows, count, seed, "t").unwrap();
            let mut seen = vec![0; rows];
            for fold in 0..folds.count() {
                let (train, held) = folds.split(fold);
                prop_assert_eq!(train.len() + held.len(), rows);
                prop_assert!(!held.is_empty() && !train.is_empty());
                for i in held { seen[i] += 1; }
            }
            prop_assert!(seen.iter().all(|&n| n == 1));
        }
    }
}
