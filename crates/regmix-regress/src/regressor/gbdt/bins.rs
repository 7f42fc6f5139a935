//! Weights as small integers: the bins that trees are grown on.

/// The rows of a fit, each weight replaced by the number of its bin.
///
/// Trees ask only on which side of a bound a weight lies, so there is nothing
/// to lose in ordering the weights of a domain once and working with bins.
pub(crate) struct Binned {
    /// Per domain the bounds between its bins, ascending: bin `b` holds the
    /// weights above `bounds[b - 1]`, up to and including `bounds[b]`.
    pub(crate) bounds: Vec<Vec<f64>>,
    /// Per domain the place of its bin 0 among the bins of all domains, and
    /// at the end how many there are.
    pub(crate) starts: Vec<usize>,
    /// `[rows][domains]`: the place of a weight's bin among all.
    cells: Vec<u32>,
    rows: usize,
}

impl Binned {
    /// Chooses at most `bins` bins per domain with about equally many rows in
    /// each, and at least `rows_per_bin`. Weights of zero share a bin with no
    /// other, since a domain without weight differs in kind from all others. Cost
    /// O(D n log n).
    pub(crate) fn new(rows: &[&[f64]], bins: usize, rows_per_bin: usize) -> Self {
        let domains = rows.first().map_or(0, |r| r.len());
        let mut bounds = Vec::with_capacity(domains);
        let mut starts = vec![0];
        for j in 0..domains {
            let mut column: Vec<f64> = rows.iter().map(|r| r[j]).collect();
            column.sort_by(f64::total_cmp);
            let found = bounds_of(&column, bins, rows_per_bin);
            starts.push(starts[j] + found.len() + 1);
            bounds.push(found);
        }
        let cells = rows
            .iter()
            .flat_map(|row| {
                row.iter().zip(&bounds).zip(&starts).map(|((w, b), start)| {
                    let bin = b.partition_point(|bound| w > bound);
                    (start + bin) as u32
                })
            })
            .collect();
        Self {
            bounds,
            starts,
            cells,
            rows: rows.len(),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn domains(&self) -> usize {
        self.bounds.len()
    }

    /// The bins of all domains together.
    pub(crate) fn len(&self) -> usize {
        self.starts[self.domains()]
    }

    /// The places of a row's bins, one per domain.
    #[inline]
    pub(crate) fn row(&self, row: usize) -> &[u32] {
        let d = self.domains();
        &self.cells[row * d..(row + 1) * d]
    }
}

/// Weights that differ by no more than this share are the same: normalising
/// leaves such differences.
const ROUNDING: f64 = 1e-12;

/// Bounds between the bins of sorted, not negative weights.
fn bounds_of(sorted: &[f64], bins: usize, rows_per_bin: usize) -> Vec<f64> {
    let zeros = sorted.partition_point(|w| *w <= 0.0);
    let mut distinct: Vec<(f64, usize)> = Vec::new();
    for &w in &sorted[zeros..] {
        match distinct.last_mut() {
            Some((last, count)) if w - *last <= ROUNDING * w => {
                *last = w;
                *count += 1;
            }
            _ => distinct.push((w, 1)),
        }
    }
    let mut bounds = Vec::new();
    if zeros > 0
        && let Some((smallest, _)) = distinct.first()
    {
        bounds.push(between(0.0, *smallest));
    }
    let counts: Vec<usize> = distinct.iter().map(|d| d.1).collect();
    // One bin is kept for zero, whether or not there are any.
    for end in ends(&counts, bins - 1, rows_per_bin) {
        bounds.push(between(distinct[end].0, distinct[end + 1].0));
    }
    bounds
}

/// Which of the distinct values, with these counts, are the last of their
/// bin; the very last is left out.
fn ends(counts: &[usize], bins: usize, rows_per_bin: usize) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    let last = counts.len().saturating_sub(1);
    let mut ends = Vec::new();
    let mut filled = 0;
    if counts.len() <= bins {
        for (i, count) in counts[..last].iter().enumerate() {
            filled += count;
            if filled >= rows_per_bin {
                ends.push(i);
                filled = 0;
            }
        }
        return ends;
    }
    let bins = bins.min(total / rows_per_bin.max(1)).max(1);
    // Values that fill a bin alone get one; the others share what is left.
    let fair = total as f64 / bins as f64;
    let alone = |i: usize| counts[i] as f64 >= fair;
    let taken: usize = (0..counts.len()).filter(|&i| alone(i)).count();
    let mut bins_left = bins.saturating_sub(taken);
    let shared = (0..counts.len()).filter(|&i| !alone(i));
    let mut rows_left: usize = shared.map(|i| counts[i]).sum();
    let mut size = rows_left as f64 / bins_left as f64;
    for (i, count) in counts[..last].iter().enumerate() {
        if ends.len() + 1 >= bins {
            break;
        }
        filled += count;
        if !alone(i) {
            rows_left -= count;
        }
        let full = filled as f64 >= size;
        if alone(i) || full || (alone(i + 1) && filled as f64 >= (0.5 * size).max(1.0)) {
            ends.push(i);
            filled = 0;
            if !alone(i) {
                bins_left = bins_left.saturating_sub(1);
                size = rows_left as f64 / bins_left as f64;
            }
        }
    }
    ends
}

/// A number from `low` on and below `high`, near their middle, that is short
/// to write: fitted models are full of them.
fn between(low: f64, high: f64) -> f64 {
    let middle = low + (high - low) / 2.0;
    let digits = (0.5 * (high - low)).log10().floor();
    let short = if (-22.0..=0.0).contains(&digits) {
        // Powers of ten up to 22 are exact, so the quotient prints short.
        let scale = 10f64.powi(-digits as i32);
        (middle * scale).round() / scale
    } else {
        middle
    };
    if low <= short && short < high {
        short
    } else {
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_has_a_bin_of_its_own_and_bins_are_filled() {
        let column = [0.0, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
        let rows: Vec<&[f64]> = column.chunks(1).collect();
        let binned = Binned::new(&rows, 255, 3);
        // 0 | .1 .1 .2 | .3 .4 .5 | .6
        assert_eq!(binned.bounds, [vec![0.05, 0.25, 0.55]]);
        let bins: Vec<u32> = (0..8).map(|i| binned.row(i)[0]).collect();
        assert_eq!(bins, [0, 1, 1, 1, 2, 2, 2, 3]);
        assert_eq!((binned.rows(), binned.domains(), binned.len()), (8, 1, 4));
    }

    #[test]
    fn frequent_values_get_bins_of_their_own() {
        // 60 rows in 4 bins: the value that has 40 of them fills one.
        let counts = [5, 40, 5, 5, 5];
        assert_eq!(ends(&counts, 4, 1), [0, 1, 3]);
        assert_eq!(ends(&[1; 12], 4, 1), [2, 5, 8]);
        assert_eq!(ends(&[1; 12], 4, 6), [5]);
        assert!(ends(&[], 4, 1).is_empty() && ends(&[9], 4, 1).is_empty());
    }

    #[test]
    fn bounds_are_short() {
        assert_eq!(between(0.012_345_678, 0.013_456_789), 0.0129);
        assert_eq!(between(0.0, 0.000_998_003_992_015_968), 0.0005);
        let next = f64::from_bits(0.3f64.to_bits() + 1);
        assert_eq!(between(0.3, next), 0.3);
    }

    proptest! {
        #[test]
        fn bins_keep_the_order(
            column in prop::collection::vec(prop_oneof![Just(0.0), 0.0f64..1.0, Just(0.25)], 1..120),
            bins in 2usize..40,
            rows_per_bin in 1usize..5,
        ) {
            let rows: Vec<&[f64]> = column.chunks(1).collect();
            let binned = Binned::new(&rows, bins, rows_per_bin);
            prop_assert!(binned.len() <= bins);
            prop_assert!(binned.bounds[0].windows(2).all(|b| b[0] < b[1]));
            for i in 0..column.len() {
                for j in 0..column.len() {
                    let (a, b) = (binned.row(i)[0], binned.row(j)[0]);
                    if column[i] <= column[j] { prop_assert!(a <= b); }
                    if column[i] == 0.0 && column[j] > 0.0 { prop_assert!(a < b); }
                }
            }
        }
    }
}
