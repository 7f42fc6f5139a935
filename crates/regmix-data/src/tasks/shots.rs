//! Examples before a question, drawn as lm-evaluation-harness draws them.

use std::path::PathBuf;

use rand_mt::Mt;

use super::row::Row;
use super::{DELIMITER, Question, Task};
use crate::error::{Error, Result};

/// What stands after an example.
const AFTER_EXAMPLE: &str = "\n\n";

/// What to do with too few rows.
const HELP: &str = "ask for fewer examples, or name a file with more rows (`--examples`; in a \
                    study `examples`)";

/// Examples with their answers before every question (few-shot).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shots {
    /// How many.
    pub count: usize,
    /// The rows that they are drawn from, JSON lines in the format of the task; none for
    /// the questions' own file.
    pub examples: Option<PathBuf>,
    /// Of the draws.
    pub seed: u32,
}

impl Shots {
    /// The seed of lm-eval.
    pub const SEED: u32 = 1234;
}

/// Rows that examples are drawn from, for one question after the other.
pub(super) struct Examples<'a> {
    task: Task,
    count: usize,
    pool: &'a [Row],
    /// What each of the pool says before a question.
    texts: Vec<String>,
    draws: PythonRandom,
}

impl<'a> Examples<'a> {
    /// # Errors
    /// When there are too few rows.
    pub(super) fn new(
        task: Task,
        shots: &Shots,
        pool: &'a [Row],
        texts: Vec<String>,
    ) -> Result<Self> {
        let needed = shots.count + usize::from(task.draws_one_more());
        if pool.len() < needed {
            return Err(Error::input(format!(
                "{} rows for {} examples before every question: expected at least {needed}",
                pool.len(),
                shots.count
            ))
            .help(HELP));
        }
        Ok(Self {
            task,
            count: shots.count,
            pool,
            texts,
            draws: PythonRandom::new(shots.seed),
        })
    }

    /// Puts examples before the next question, whose row is `own`.
    ///
    /// # Errors
    /// When all rows but too few are equal to it.
    pub(super) fn put_before(&mut self, question: &mut Question, own: &Row) -> Result<()> {
        let count = self.count;
        let drawn = count + usize::from(self.task.draws_one_more());
        let mut chosen = self.draws.sample(self.pool.len(), drawn);
        chosen.retain(|&i| self.pool[i] != *own);
        if chosen.len() < count {
            // The question itself, or equal rows: lm-eval draws again without them where
            // it looks for them at all.
            let others: Vec<usize> = (0..self.pool.len())
                .filter(|&i| self.pool[i] != *own)
                .collect();
            if others.len() < count {
                return Err(Error::input(format!(
                    "{} rows are not equal to the question: expected {count}",
                    others.len()
                ))
                .help(HELP));
            }
            let places = self.draws.sample(others.len(), count);
            chosen = places.into_iter().map(|i| others[i]).collect();
        }
        chosen.truncate(count);
        let before: String = chosen.iter().map(|&i| self.texts[i].as_str()).collect();
        for request in &mut question.requests {
            request.context.insert_str(0, &before);
        }
        Ok(())
    }
}

/// A question with its answer.
pub(super) fn example(task: Task, question: &Question) -> String {
    let gold = &question.requests[question.gold];
    // Where a text goes on, the answer of lm-eval has a blank of its own besides.
    let blank = if task.is_exact() { DELIMITER } else { "" };
    format!(
        "{}{blank}{}{AFTER_EXAMPLE}",
        gold.context, gold.continuation
    )
}

/// Python's `random.Random`.
struct PythonRandom(Mt);

impl PythonRandom {
    fn new(seed: u32) -> Self {
        Self(Mt::new_with_key([seed]))
    }

    /// A number below `n`: `_randbelow`.
    fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        let bits = u64::BITS - n.leading_zeros();
        loop {
            // More than 32 bits are made of two numbers, the low one first.
            let number = match bits {
                0..=32 => u64::from(self.0.next_u32() >> (32 - bits.max(1))),
                _ => {
                    let low = u64::from(self.0.next_u32());
                    low | u64::from(self.0.next_u32() >> (64 - bits)) << 32
                }
            };
            if number < n {
                return number as usize;
            }
        }
    }

    /// `count` of the numbers below `n`, in the order of the draws: `sample`.
    fn sample(&mut self, n: usize, count: usize) -> Vec<usize> {
        let mut limit = 21;
        if count > 5 {
            let mut power = 1;
            while power < 3 * count {
                power *= 4;
            }
            limit += power;
        }
        if n <= limit {
            let mut pool = Vec::from_iter(0..n);
            return (0..count)
                .map(|i| {
                    let place = self.below(n - i);
                    let found = pool[place];
                    pool[place] = pool[n - i - 1];
                    found
                })
                .collect();
        }
        let mut found = Vec::with_capacity(count);
        while found.len() < count {
            let number = self.below(n);
            if !found.contains(&number) {
                found.push(number);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of CPython 3.11: `Random(1234)`, then `sample(range(n), k)` for
    /// each in turn.
    #[test]
    fn draws_are_those_of_python() {
        let mut random = PythonRandom::new(1234);
        let cases: [(usize, &[usize]); 6] = [
            (7, &[6, 3, 0]),
            (21, &[0, 2, 18, 1, 19]),
            (22, &[3, 11, 7, 0, 20]),
            (100, &[79, 61, 78, 59, 19]),
            (60, &[5, 11, 45, 7, 54, 0]),
            (
                5_000_000,
                &[
                    4_220_171, 4_083_167, 2_095_709, 541_587, 4_538_976, 3_908_240, 575_200,
                    745_989,
                ],
            ),
        ];
        for (n, expected) in cases {
            assert_eq!(random.sample(n, expected.len()), expected, "{n}");
        }
    }
}
