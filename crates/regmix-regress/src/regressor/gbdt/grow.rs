//! Growing one tree, leaf by leaf.

use crate::regressor::gbdt::bins::Binned;

/// Child numbers from here on are leaves. No tree has more nodes or leaves.
pub(super) const LEAF: u16 = 256;

/// A question of a tree: weights in bins up to `bin` of the domain go to the
/// first child, others to the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Question {
    pub(super) domain: usize,
    pub(super) bin: usize,
    pub(super) children: [u16; 2],
}

/// A tree as it was grown, with its leaves' rows.
pub(super) struct Grown<'a> {
    /// In the order they were asked, the root first.
    pub(super) questions: &'a [Question],
    leaves: &'a [Leaf],
    order: &'a [u32],
}

impl Grown<'_> {
    /// Per leaf the rows in it, and the sum of what the tree was grown on.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (&[u32], f64)> {
        let rows = |leaf: &Leaf| &self.order[leaf.from..leaf.to];
        self.leaves.iter().map(move |leaf| (rows(leaf), leaf.sum))
    }
}

/// Sum of residuals and number of rows in a bin.
type Cell = [f64; 2];

#[derive(Debug, Clone, Copy)]
struct Split {
    gain: f64,
    domain: usize,
    /// The last bin of the first child.
    bin: usize,
    left_sum: f64,
}

#[derive(Debug)]
struct Leaf {
    from: usize,
    to: usize,
    sum: f64,
    /// Whose child it is, and which.
    parent: Option<(usize, usize)>,
    /// The best way to split it, with its histogram; `None` where there is
    /// no way.
    split: Option<(Split, Vec<Cell>)>,
}

/// Grows trees on the same rows, one after the other; it keeps its memory.
pub(super) struct Grower<'a> {
    bins: &'a Binned,
    max_leaves: usize,
    min_rows: usize,
    order: Vec<u32>,
    aside: Vec<u32>,
    questions: Vec<Question>,
    leaves: Vec<Leaf>,
    spare: Vec<Vec<Cell>>,
}

impl<'a> Grower<'a> {
    pub(super) fn new(bins: &'a Binned, max_leaves: usize, min_rows: usize) -> Self {
        Self {
            bins,
            max_leaves,
            min_rows,
            order: Vec::new(),
            aside: Vec::new(),
            questions: Vec::new(),
            leaves: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Grows a tree that lowers the squares of the residuals: again and again
    /// the leaf is split that gains most, at the place that gains most, until
    /// there are enough leaves or no split gains anything. Cost per split
    /// O(rows of the smaller child · D + bins of all domains).
    pub(super) fn grow(&mut self, residuals: &[f64]) -> Grown<'_> {
        let rows = self.bins.rows();
        self.order.clear();
        self.order.extend(0..rows as u32);
        self.questions.clear();
        for leaf in self.leaves.drain(..) {
            self.spare.extend(leaf.split.map(|s| s.1));
        }
        let mut root = Leaf {
            from: 0,
            to: rows,
            sum: residuals.iter().sum(),
            parent: None,
            split: None,
        };
        if rows >= 2 * self.min_rows {
            let cells = self.count(0, rows, residuals);
            self.look(&mut root, cells);
        }
        self.leaves.push(root);
        while self.leaves.len() < self.max_leaves {
            let gain = |leaf: &Leaf| leaf.split.as_ref().map_or(0.0, |s| s.0.gain);
            let mut best = (0, 0.0);
            for (i, leaf) in self.leaves.iter().enumerate() {
                if gain(leaf) > best.1 {
                    best = (i, gain(leaf));
                }
            }
            if best.1 <= 0.0 {
                break;
            }
            self.split(best.0, residuals);
        }
        Grown {
            questions: &self.questions,
            leaves: &self.leaves,
            order: &self.order,
        }
    }

    fn split(&mut self, at: usize, residuals: &[f64]) {
        let Some((split, mut cells)) = self.leaves[at].split.take() else {
            return;
        };
        let leaf = &self.leaves[at];
        let (from, to, sum, parent) = (leaf.from, leaf.to, leaf.sum, leaf.parent);
        let asked = self.questions.len();
        if let Some((question, side)) = parent {
            self.questions[question].children[side] = asked as u16;
        }
        self.questions.push(Question {
            domain: split.domain,
            bin: split.bin,
            children: [LEAF + at as u16, LEAF + self.leaves.len() as u16],
        });
        let middle = self.partition(from, to, &split);
        let child = |from, to, sum, side| Leaf {
            from,
            to,
            sum,
            parent: Some((asked, side)),
            split: None,
        };
        let mut left = child(from, middle, split.left_sum, 0);
        let mut right = child(middle, to, sum - split.left_sum, 1);
        let (small, large) = if middle - from <= to - middle {
            (&mut left, &mut right)
        } else {
            (&mut right, &mut left)
        };
        // What the smaller child takes out of its parent's histogram leaves
        // the larger child's.
        if small.to - small.from >= 2 * self.min_rows {
            let own = self.count(small.from, small.to, residuals);
            for (cell, own) in cells.iter_mut().zip(&own) {
                cell[0] -= own[0];
                cell[1] -= own[1];
            }
            self.look(small, own);
            self.look(large, cells);
        } else if large.to - large.from >= 2 * self.min_rows {
            for &row in &self.order[small.from..small.to] {
                let residual = residuals[row as usize];
                for &place in self.bins.row(row as usize) {
                    let cell = &mut cells[place as usize];
                    cell[0] -= residual;
                    cell[1] -= 1.0;
                }
            }
            self.look(large, cells);
        } else {
            self.spare.push(cells);
        }
        self.leaves[at] = left;
        self.leaves.push(right);
    }

    /// Moves the rows of the first child before those of the second, both in
    /// the order they had; returns where the second begin.
    fn partition(&mut self, from: usize, to: usize, split: &Split) -> usize {
        let last = (self.bins.starts[split.domain] + split.bin) as u32;
        self.aside.clear();
        let mut middle = from;
        for i in from..to {
            let row = self.order[i];
            if self.bins.row(row as usize)[split.domain] <= last {
                self.order[middle] = row;
                middle += 1;
            } else {
                self.aside.push(row);
            }
        }
        self.order[middle..to].copy_from_slice(&self.aside);
        middle
    }

    /// The histogram of some rows.
    fn count(&mut self, from: usize, to: usize, residuals: &[f64]) -> Vec<Cell> {
        let mut cells = self.spare.pop().unwrap_or_default();
        cells.clear();
        cells.resize(self.bins.len(), [0.0; 2]);
        for &row in &self.order[from..to] {
            let residual = residuals[row as usize];
            for &place in self.bins.row(row as usize) {
                let cell = &mut cells[place as usize];
                cell[0] += residual;
                cell[1] += 1.0;
            }
        }
        cells
    }

    /// Finds the best split of a leaf and leaves the histogram with it.
    fn look(&mut self, leaf: &mut Leaf, cells: Vec<Cell>) {
        let rows = (leaf.to - leaf.from) as f64;
        match best(self.bins, &cells, leaf.sum, rows, self.min_rows as f64) {
            Some(split) => leaf.split = Some((split, cells)),
            None => self.spare.push(cells),
        }
    }
}

/// The split that gains most: `left² / n_left + right² / n_right` minus
/// `sum² / n`, by which the sum of squares falls if each child takes its mean.
fn best(bins: &Binned, cells: &[Cell], sum: f64, rows: f64, min_rows: f64) -> Option<Split> {
    let unsplit = sum * sum / rows;
    let mut found: Option<Split> = None;
    let mut top = unsplit;
    for (domain, range) in bins.starts.windows(2).enumerate() {
        let cells = &cells[range[0]..range[1]];
        let (mut right, mut right_rows) = (0.0, 0.0);
        for bin in (1..cells.len()).rev() {
            right += cells[bin][0];
            right_rows += cells[bin][1];
            if right_rows < min_rows {
                continue;
            }
            let left_rows = rows - right_rows;
            if left_rows < min_rows {
                break;
            }
            let left = sum - right;
            // Multiplied by both numbers of rows: most places are not better,
            // and need no division to know.
            let value = left * left * right_rows + right * right * left_rows;
            let rows = left_rows * right_rows;
            if value > top * rows {
                top = value / rows;
                found = Some(Split {
                    gain: top - unsplit,
                    domain,
                    bin: bin - 1,
                    left_sum: left,
                });
            }
        }
    }
    let mut split = found?;
    // Empty bins beside the place make no difference to these rows, but may
    // win by a rounding error: go to where the first row on the right begins.
    let cells = &cells[bins.starts[split.domain]..bins.starts[split.domain + 1]];
    while split.bin + 2 < cells.len() && cells[split.bin + 1][1] == 0.0 {
        split.bin += 1;
    }
    Some(split)
}
