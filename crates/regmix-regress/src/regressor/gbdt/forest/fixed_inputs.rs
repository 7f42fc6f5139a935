//! A forest with given values of its last inputs.

use crate::regressor::gbdt::forest::{Forest, Node, starts};
use crate::regressor::gbdt::grow::LEAF;

impl Forest {
    /// The forest over the inputs that are left when the last ones have the
    /// values of `tail`: every question about those is answered once and for
    /// all, and trees shrink to the questions that stay open. Its values are
    /// those of the whole forest up to rounding. Cost O(nodes).
    pub(in crate::regressor::gbdt) fn given(&self, tail: &[f64]) -> Self {
        let open = self.domains().saturating_sub(tail.len());
        let starts = starts(&self.bounds);
        let first = starts.get(open).copied().unwrap_or(usize::MAX);
        let answers: Vec<bool> = (self.bounds[open..].iter().zip(tail))
            .flat_map(|(bounds, value)| bounds.iter().map(move |b| value > b))
            .collect();
        let mut out = Self {
            base: self.base,
            step: self.step,
            bounds: self.bounds[..open].to_vec(),
            nodes: Vec::new(),
            leaves: Vec::new(),
            trees: Vec::new(),
        };
        let mut settled = 0i64;
        let mut order: Vec<u16> = Vec::new();
        for (nodes, leaves) in self.trees() {
            // Where a way leads once what is known has been answered.
            let follow = |mut at: u16| loop {
                if at >= LEAF {
                    break at;
                }
                let node = &nodes[usize::from(at)];
                match (node.question as usize).checked_sub(first) {
                    None => break at,
                    Some(known) => at = node.children[usize::from(answers[known])],
                }
            };
            let root = follow(0);
            if root >= LEAF {
                settled += i64::from(leaves[usize::from(root - LEAF)]);
                continue;
            }
            let kept = out.leaves.len();
            order.clear();
            order.push(root);
            let mut next = 0;
            while let Some(&at) = order.get(next) {
                let node = &nodes[usize::from(at)];
                let children = node.children.map(|child| {
                    let child = follow(child);
                    if child >= LEAF {
                        out.leaves.push(leaves[usize::from(child - LEAF)]);
                        LEAF + (out.leaves.len() - 1 - kept) as u16
                    } else {
                        order.push(child);
                        (order.len() - 1) as u16
                    }
                });
                out.nodes.push(Node {
                    question: node.question,
                    children,
                });
                next += 1;
            }
            let ends = (out.nodes.len() as u32, out.leaves.len() as u32);
            out.trees.push(ends);
        }
        out.base += out.step * settled as f64;
        out
    }
}

#[cfg(test)]
mod tests {
    use crate::regressor::gbdt::fit::Gbdt;
    use crate::regressor::interface::Regressor;
    use crate::samples::Samples;
    use rand::RngExt;
    use regmix_data::random::stream;

    #[test]
    fn what_is_given_is_answered() {
        let mut rng = stream(1, "given", "test");
        let rows: Vec<Vec<f64>> = (0..300)
            .map(|_| (0..5).map(|_| rng.random::<f64>()).collect())
            .collect();
        let value = |r: &Vec<f64>| r[0] * (1.0 + r[4]) + (3.0 * r[3]).sin() + r[1];
        let samples = Samples::new(
            rows.iter().map(Vec::as_slice),
            rows.iter().map(value).collect(),
        );
        let gbdt = Gbdt {
            rounds: 100,
            learning_rate: 0.1,
            ..Gbdt::default()
        };
        let model = gbdt.fit(&samples.unwrap(), 0).unwrap();
        for tail in [vec![], vec![0.2], vec![0.7, 0.1], vec![9.0, -1.0, 0.5]] {
            let part = model.given(&tail).unwrap();
            let open = 5 - tail.len();
            assert!(part.check(open).is_ok());
            let short: Vec<Vec<f64>> = rows.iter().map(|r| r[..open].to_vec()).collect();
            let means = part.means(&short);
            for (short, mean) in short.iter().zip(means) {
                let whole = [short.as_slice(), &tail].concat();
                assert!((model.mean(&whole) - mean).abs() < 1e-12);
                let (a, b) = (model.predict(&whole), part.predict(short));
                assert!((a.sd - b.sd).abs() < 1e-9 * a.sd && (a.mean - b.mean).abs() < 1e-12);
            }
        }
        assert!(model.given(&[0.5; 5]).is_none());
    }
}
