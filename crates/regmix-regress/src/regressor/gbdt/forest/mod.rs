//! A sum of trees: how it is kept in memory and in files.

mod blocks;
mod fixed_inputs;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use crate::regressor::gbdt::bins::Binned;
use crate::regressor::gbdt::grow::{LEAF, Question};
use crate::samples::Samples;

/// A sum of trees of yes-or-no questions, `base + step · Σ leaves`.
///
/// All questions are kept once, as the bounds of each domain: question `q` is
/// whether a weight is above the `q`-th bound of all. Leaves are whole
/// numbers of steps, so a sum of them has no rounding and no order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(super) struct Forest {
    pub(super) base: f64,
    pub(super) step: f64,
    /// Per domain, ascending.
    pub(super) bounds: Vec<Vec<f64>>,
    pub(super) nodes: Vec<Node>,
    pub(super) leaves: Vec<i32>,
    /// Where the nodes and leaves of each tree end.
    pub(super) trees: Vec<(u32, u32)>,
}

/// A question of a tree, and where a no (0) and a yes (1) lead: to a later
/// node of the tree, or from [`LEAF`] on to its leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    pub(super) question: u32,
    pub(super) children: [u16; 2],
}

/// A forest in a file. Trees follow each other in `questions`, each with its
/// root first, then its children, a no before a yes, then theirs. A number
/// there is `4 question + 2 (no leads to a leaf) + (yes leads to a leaf)`:
/// the shape of the trees follows from it. Leaves are in the order in which
/// their parents are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    base: f64,
    step: f64,
    bounds: Vec<Vec<f64>>,
    questions: Vec<u32>,
    leaves: Vec<i32>,
}

impl Written {
    /// A forest without trees.
    pub(super) fn constant(base: f64, domains: usize) -> Self {
        Self {
            base,
            step: 1.0,
            bounds: vec![Vec::new(); domains],
            questions: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// A forest without trees so far, with the bounds of some bins.
    pub(super) fn new(base: f64, step: f64, bins: &Binned) -> Self {
        Self {
            step,
            bounds: bins.bounds.clone(),
            ..Self::constant(base, 0)
        }
    }

    /// Adds a tree; leaves in the order of [`LEAF`] numbers.
    pub(super) fn push(&mut self, asked: &[Question], leaves: &[i32]) {
        let starts = starts(&self.bounds);
        let mut open = VecDeque::from([0]);
        while let Some(at) = open.pop_front() {
            let question = asked[at];
            let children = question.children;
            let mut code = 4 * (starts[question.domain] + question.bin) as u32;
            for (child, bit) in children.into_iter().zip([2, 1]) {
                if child >= LEAF {
                    code += bit;
                    self.leaves.push(leaves[usize::from(child - LEAF)]);
                }
            }
            let nodes = children.into_iter().filter(|c| *c < LEAF);
            open.extend(nodes.map(usize::from));
            self.questions.push(code);
        }
    }

    /// Removes the bounds that no tree uses.
    pub(super) fn compact(mut self) -> Self {
        let mut number = vec![None; self.bounds.iter().map(Vec::len).sum()];
        for code in &self.questions {
            number[(code / 4) as usize] = Some(0);
        }
        for (new, used) in number.iter_mut().flatten().enumerate() {
            *used = new as u32;
        }
        for code in &mut self.questions {
            if let Some(new) = number[(*code / 4) as usize] {
                *code = 4 * new + *code % 4;
            }
        }
        let mut kept = number.iter().map(Option::is_some);
        for bounds in &mut self.bounds {
            bounds.retain(|_| kept.next() == Some(true));
        }
        self
    }
}

/// The number of the first question of each domain.
pub(super) fn starts(bounds: &[Vec<f64>]) -> Vec<usize> {
    let sum = |sum: &mut usize, b: &Vec<f64>| Some(std::mem::replace(sum, *sum + b.len()));
    bounds.iter().scan(0, sum).collect()
}

impl Forest {
    /// Reads a forest, and checks that it is one: numbers are finite, bounds
    /// ascend, questions exist, every tree is complete. What a node leads to
    /// comes after it, by the way that trees are written.
    pub(super) fn read(written: Written) -> Result<Self> {
        let damaged = |what: &str| {
            Err(Error::input(format!("damaged `gbdt` model: {what}")).help("run the fit again"))
        };
        let Written {
            base,
            step,
            bounds,
            questions,
            leaves,
        } = written;
        let ascend = |b: &Vec<f64>| b.windows(2).all(|b| b[0] < b[1]);
        let finite = |b: &Vec<f64>| b.iter().all(|b| b.is_finite());
        if !base.is_finite() || !step.is_normal() || !bounds.iter().all(finite) {
            return damaged("a number that is not finite");
        }
        if !bounds.iter().all(ascend) {
            return damaged("bounds of a domain that do not ascend");
        }
        let known: usize = bounds.iter().map(Vec::len).sum();
        let mut nodes: Vec<Node> = Vec::with_capacity(questions.len());
        let mut trees = Vec::new();
        let (mut first, mut ended) = (0, 0);
        // Where a node is to be put that has been announced: the first first.
        let mut open: VecDeque<(usize, usize)> = VecDeque::new();
        let mut found = 0usize;
        for code in questions {
            let at = nodes.len();
            if let Some((parent, side)) = open.pop_front() {
                nodes[parent].children[side] = (at - first) as u16;
            }
            let question = code / 4;
            let mut children = [0; 2];
            for (side, bit) in [2, 1].into_iter().enumerate() {
                if code & bit != 0 {
                    children[side] = LEAF + (found - ended) as u16;
                    found += 1;
                }
            }
            let inner = (0..2).filter(|side| children[*side] == 0);
            open.extend(inner.map(|side| (at, side)));
            if question as usize >= known {
                return damaged("a question about a bound that is missing");
            }
            if at - first + 1 >= usize::from(LEAF) || found > leaves.len() {
                return damaged("a tree with too many nodes, or too few leaves");
            }
            nodes.push(Node { question, children });
            if open.is_empty() {
                trees.push((nodes.len() as u32, found as u32));
                (first, ended) = (nodes.len(), found);
            }
        }
        if !open.is_empty() || found != leaves.len() {
            return damaged("a tree that is not complete, or leaves without one");
        }
        Ok(Self {
            base,
            step,
            bounds,
            nodes,
            leaves,
            trees,
        })
    }

    pub(super) fn domains(&self) -> usize {
        self.bounds.len()
    }

    /// The nodes and leaves of every tree.
    pub(super) fn trees(&self) -> impl Iterator<Item = (&[Node], &[i32])> {
        let mut from = (0, 0);
        self.trees.iter().map(move |&(nodes, leaves)| {
            let (nodes, leaves) = (nodes as usize, leaves as usize);
            let tree = (&self.nodes[from.0..nodes], &self.leaves[from.1..leaves]);
            from = (nodes, leaves);
            tree
        })
    }

    /// Per question whether a mixture says yes.
    fn answers(&self, weights: &[f64]) -> Vec<bool> {
        let mut answers = Vec::with_capacity(self.bounds.iter().map(Vec::len).sum());
        for (bounds, w) in self.bounds.iter().zip(weights) {
            let yes = bounds.partition_point(|b| w > b);
            answers.resize(answers.len() + yes, true);
            answers.resize(answers.len() + bounds.len() - yes, false);
        }
        answers
    }

    /// The value at one mixture. Cost O(D log n + bounds + trees · depth).
    pub(super) fn mean(&self, weights: &[f64]) -> f64 {
        let answers = self.answers(weights);
        let sum: i64 = self.trees().map(|tree| leaf(tree, &answers)).sum();
        self.base + self.step * sum as f64
    }

    /// How many of the first trees describe some rows best, by squared error;
    /// at least 1.
    pub(super) fn best_rounds(&self, judge: &Samples<'_>) -> usize {
        let answers: Vec<Vec<bool>> = judge.rows().iter().map(|r| self.answers(r)).collect();
        let mut sums = vec![0; judge.len()];
        let mut best = (f64::INFINITY, 1);
        for (round, tree) in self.trees().enumerate() {
            let mut squares = 0.0;
            for ((answers, sum), y) in answers.iter().zip(&mut sums).zip(judge.values()) {
                *sum += leaf(tree, answers);
                squares += (y - self.base - self.step * *sum as f64).powi(2);
            }
            if squares < best.0 {
                best = (squares, round + 1);
            }
        }
        best.1
    }
}

/// The leaf that answers lead to.
#[inline]
fn leaf((nodes, leaves): (&[Node], &[i32]), answers: &[bool]) -> i64 {
    let mut at = 0;
    while at < LEAF {
        let node = &nodes[usize::from(at)];
        at = node.children[usize::from(answers[node.question as usize])];
    }
    i64::from(leaves[usize::from(at - LEAF)])
}

impl TryFrom<Written> for Forest {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        Self::read(written)
    }
}

impl From<Forest> for Written {
    fn from(forest: Forest) -> Self {
        let code = |node: &Node| {
            let leaf = |side: usize| u32::from(node.children[side] >= LEAF);
            4 * node.question + 2 * leaf(0) + leaf(1)
        };
        Self {
            base: forest.base,
            step: forest.step,
            questions: forest.nodes.iter().map(code).collect(),
            bounds: forest.bounds,
            leaves: forest.leaves,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two trees over two domains: a stump, and one of two questions.
    fn written() -> Written {
        Written {
            base: 2.0,
            step: 0.5,
            bounds: vec![vec![0.5], vec![0.1, 0.2]],
            questions: vec![3, 4 + 2, 2 * 4 + 3],
            leaves: vec![-1, 1, 10, 20, 30],
        }
    }

    #[test]
    fn trees_are_read_as_they_are_described() {
        let forest = Forest::read(written()).unwrap();
        assert_eq!(forest.trees().count(), 2);
        for (weights, sum) in [
            ([0.5, 0.1], -1 + 10),
            ([0.6, 0.1], 1 + 10),
            ([0.0, 0.15], -1 + 20),
            ([0.0, 0.2], -1 + 20),
            ([0.0, 0.3], -1 + 30),
        ] {
            assert_eq!(forest.mean(&weights), 2.0 + 0.5 * f64::from(sum));
        }
        let text = serde_json::to_string(&forest).unwrap();
        assert!(text.contains("\"questions\":[3,6,11]"), "{text}");
        assert_eq!(serde_json::from_str::<Forest>(&text).unwrap(), forest);
    }

    #[test]
    fn damage_is_noticed() {
        type Damage = fn(&mut Written);
        let damage: [(&str, Damage); 9] = [
            ("finite", |w| w.base = f64::NAN),
            ("finite", |w| w.step = 0.0),
            ("finite", |w| w.bounds[1][1] = f64::INFINITY),
            ("ascend", |w| w.bounds[1].reverse()),
            ("missing", |w| w.questions[0] = 4 * 3),
            ("complete", |w| w.questions.truncate(2)),
            ("without", |w| w.leaves.push(1)),
            ("few leaves", |w| w.leaves.truncate(4)),
            ("too many", |w| {
                w.questions = vec![1; 256];
                w.leaves = vec![0; 300];
            }),
        ];
        for (what, damage) in damage {
            let mut written = written();
            damage(&mut written);
            let error = Forest::read(written).unwrap_err().to_string();
            assert!(error.contains(what), "{what}: {error}");
        }
    }

    #[test]
    fn unused_bounds_are_removed() {
        let mut written = written();
        written.questions = vec![3, 2 * 4 + 3];
        written.leaves.truncate(4);
        let before = Forest::read(written.clone()).unwrap();
        let after = Forest::read(written.compact()).unwrap();
        assert_eq!(after.bounds, [vec![0.5], vec![0.2]]);
        for weights in [[0.1, 0.1], [0.7, 0.15], [0.7, 0.3]] {
            assert_eq!(before.mean(&weights), after.mean(&weights));
        }
    }

    proptest! {
        /// Any file gives an error or a forest that predicts the same one row at
        /// a time and many at once.
        #[test]
        fn any_forest_that_is_read_predicts(
            questions in prop::collection::vec(0u32..12, 0..12),
            leaves in prop::collection::vec(-9i32..9, 0..12),
            rows in prop::collection::vec(prop::array::uniform2(0.0f64..1.0), 1..150),
        ) {
            let written = Written { questions, leaves, ..written() };
            if let Ok(forest) = Forest::read(written) {
                let mut means = vec![0.0; rows.len()];
                forest.means(&rows, &mut means);
                for (row, mean) in rows.iter().zip(means) {
                    prop_assert_eq!(forest.mean(row), mean);
                }
                let text = serde_json::to_string(&forest).unwrap();
                prop_assert_eq!(serde_json::from_str::<Forest>(&text).unwrap(), forest);
            }
        }
    }
}
