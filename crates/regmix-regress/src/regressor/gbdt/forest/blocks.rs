//! Many mixtures through a forest at once.
//!
//! One row at a time, a tree is a chain of look-ups of which each waits for
//! the last and no branch can be foreseen. Here a bit stands for a row: the
//! answers to a question are one word for 64 rows, and a node hands its rows
//! on to its children by two operations, the same ones for every row.

use crate::regressor::gbdt::forest::{Forest, starts};
use crate::regressor::gbdt::grow::LEAF;

/// Rows in a block: the bits of a word.
const ROWS: usize = 64;

/// Nodes and leaves of a tree. Numbers are taken modulo this, which changes
/// none and saves a check.
const PLACES: usize = 2 * LEAF as usize;

/// `SPREAD[byte]` has bit 0 of its `i`-th byte set where `byte` has bit `i`.
const SPREAD: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[byte] |= 1 << (8 * bit);
            }
            bit += 1;
        }
        byte += 1;
    }
    table
};

impl Forest {
    /// The values at many mixtures, each equal to [`Forest::mean`]. Cost per
    /// 64 rows O(D log n + bounds + nodes), and O(trees) per row.
    pub(in crate::regressor::gbdt) fn means<W: AsRef<[f64]>>(&self, rows: &[W], out: &mut [f64]) {
        let mut answers = vec![0; self.bounds.iter().map(Vec::len).sum()];
        let starts = starts(&self.bounds);
        let small = self.trees().all(|(_, leaves)| leaves.len() <= 32);
        for (rows, out) in rows.chunks(ROWS).zip(out.chunks_mut(ROWS)) {
            self.answer(rows, &starts, &mut answers);
            let sums = if small {
                self.sum::<5, 32>(&answers)
            } else {
                self.sum::<8, 256>(&answers)
            };
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = self.base + self.step * sum as f64;
            }
        }
    }

    /// Per question, which of the rows say yes.
    fn answer<W: AsRef<[f64]>>(&self, rows: &[W], starts: &[usize], answers: &mut [u64]) {
        answers.fill(0);
        for (i, row) in rows.iter().enumerate() {
            for ((bounds, start), w) in self.bounds.iter().zip(starts).zip(row.as_ref()) {
                let yes = bounds.partition_point(|b| w > b);
                if yes > 0 {
                    answers[start + yes - 1] |= 1 << i;
                }
            }
        }
        // Above a bound is above all lower ones.
        for (bounds, start) in self.bounds.iter().zip(starts) {
            let mut above = 0;
            for answer in answers[*start..start + bounds.len()].iter_mut().rev() {
                above |= *answer;
                *answer = above;
            }
        }
    }

    /// Per row the sum of its leaves. Leaves have numbers of up to `DIGITS`
    /// binary digits, and there are `LEAVES = 2^DIGITS` such numbers.
    fn sum<const DIGITS: usize, const LEAVES: usize>(&self, answers: &[u64]) -> [i64; ROWS] {
        let mut sums = [0; ROWS];
        // Which rows are at a node, and from LEAF on, in a leaf.
        let mut at = [0u64; PLACES];
        let mut values = [0i64; LEAVES];
        for (nodes, leaves) in self.trees() {
            at[0] = u64::MAX;
            for (i, node) in nodes.iter().enumerate() {
                let yes = answers[node.question as usize];
                let here = at[i % PLACES];
                at[usize::from(node.children[0]) % PLACES] = here & !yes;
                at[usize::from(node.children[1]) % PLACES] = here & yes;
            }
            let mut rows = [0; LEAVES];
            rows[..leaves.len()].copy_from_slice(&at[usize::from(LEAF)..][..leaves.len()]);
            for (value, leaf) in values.iter_mut().zip(leaves) {
                *value = i64::from(*leaf);
            }
            // The number of a row's leaf, one word per binary digit: the odd
            // ones have a last digit; by twos, the next digit is the last.
            let mut digits = [0; DIGITS];
            for (place, digit) in digits.iter_mut().enumerate() {
                for pair in 0..LEAVES >> (place + 1) {
                    *digit |= rows[2 * pair + 1];
                    rows[pair] = rows[2 * pair] | rows[2 * pair + 1];
                }
            }
            for (eight, sums) in sums.chunks_exact_mut(8).enumerate() {
                // The same numbers, one byte per row.
                let mut numbers = 0;
                for (place, digit) in digits.iter().enumerate() {
                    numbers |= SPREAD[usize::from((digit >> (8 * eight)) as u8)] << place;
                }
                for (sum, number) in sums.iter_mut().zip(numbers.to_le_bytes()) {
                    *sum += values[usize::from(number) % LEAVES];
                }
            }
        }
        sums
    }
}
