//! Which weights may move at a point of the allowed region.

use crate::constraints::Constraints;

/// A value this near to a bound counts as on it.
const ON: f64 = 1e-9;

/// Scaled by this, a weight stays on its bound whatever a projection does to
/// the others.
const PUSH: f64 = 100.0;

/// The face of the allowed region that a descent moves along.
///
/// A weight on a bound is held there when the slope pushes it outwards,
/// compared with the weights it competes with; a group on a limit likewise.
/// The weights that are not held form blocks of constant total: one for each
/// held group, and one for all others. Where all slopes of a block are equal,
/// for every block, the point is stationary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Face {
    /// The block of every weight; `None` where it is held.
    blocks: Vec<Option<usize>>,
    /// What every weight is multiplied by before a projection, so that what
    /// is held stays.
    push: Vec<f64>,
    count: usize,
}

/// Mean slope of some weights, by weight.
fn level(places: impl Iterator<Item = usize>, w: &[f64], g: &[f64]) -> Option<f64> {
    let (mut sum, mut mass) = (0.0, 0.0);
    for i in places {
        sum += w[i] * g[i];
        mass += w[i];
    }
    (mass > 0.0).then(|| sum / mass)
}

/// Which bound a value is on: 1 for the cap, -1 for the floor, 0 for none.
fn side(x: f64, floor: f64, cap: f64) -> f64 {
    if x >= cap - ON {
        1.0
    } else if floor > 0.0 && x <= floor + ON {
        -1.0
    } else {
        0.0
    }
}

/// Whether a bound on this side holds a value whose slope is `own` while
/// others' is `level`.
fn holds(side: f64, own: f64, level: f64) -> bool {
    side * (level - own) > 0.0
}

impl Face {
    pub(super) fn at(constraints: &Constraints, w: &[f64], g: &[f64]) -> Self {
        let n = w.len();
        let (floors, caps) = (constraints.floors(), constraints.caps());
        let groups = constraints.groups();
        let sides: Vec<f64> = (0..n).map(|i| side(w[i], floors[i], caps[i])).collect();
        // Weights on a bound may be steep for no use; the others set the level.
        let level_of = |places: &[usize]| {
            level(places.iter().copied().filter(|&i| sides[i] == 0.0), w, g)
                .or_else(|| level(places.iter().copied(), w, g))
                .unwrap_or(0.0)
        };
        let mut block_of = vec![0; n];
        let group_sides: Vec<f64> = (groups.iter())
            .map(|group| side(group.sum(w), group.floor(), group.cap()))
            .collect();
        for (k, group) in groups.iter().enumerate() {
            for &i in group.members().iter().filter(|_| group_sides[k] != 0.0) {
                block_of[i] = k + 1;
            }
        }
        let members = |block_of: &[usize], block: usize| -> Vec<usize> {
            (0..n).filter(|&i| block_of[i] == block).collect()
        };
        let mut push = vec![1.0; n];
        let outer = members(&block_of, 0);
        let outside = if outer.is_empty() {
            level(0..n, w, g).unwrap_or(0.0)
        } else {
            level_of(&outer)
        };
        for (k, group) in groups.iter().enumerate() {
            let inside = level_of(group.members());
            if group.floor() == group.cap() || holds(group_sides[k], inside, outside) {
                for &i in group.members() {
                    push[i] *= PUSH.powf(group_sides[k]);
                }
            } else {
                for &i in group.members() {
                    block_of[i] = 0;
                }
            }
        }
        let levels: Vec<f64> = (0..=groups.len())
            .map(|block| level_of(&members(&block_of, block)))
            .collect();
        let mut blocks = vec![None; n];
        for i in 0..n {
            if floors[i] == caps[i] || holds(sides[i], g[i], levels[block_of[i]]) {
                push[i] *= PUSH.powf(2.0 * sides[i]);
            } else {
                blocks[i] = Some(block_of[i]);
            }
        }
        Self {
            blocks,
            push,
            count: groups.len() + 1,
        }
    }

    pub(super) fn is_free(&self, i: usize) -> bool {
        self.blocks[i].is_some()
    }

    /// Takes from every weight's entry what would change its block's total,
    /// `x - root (x · root) / (root · root)`; zero for held weights. `root`
    /// holds the square roots of the weights.
    pub(super) fn tangent(&self, x: &mut [f64], root: &[f64]) {
        let mut along = vec![(0.0, 0.0); self.count];
        for (i, block) in self.blocks.iter().enumerate() {
            if let Some(block) = block {
                along[*block].0 += x[i] * root[i];
                along[*block].1 += root[i] * root[i];
            }
        }
        for (i, block) in self.blocks.iter().enumerate() {
            x[i] = match block {
                Some(block) if along[*block].1 > 0.0 => {
                    x[i] - root[i] * along[*block].0 / along[*block].1
                }
                _ => 0.0,
            };
        }
    }

    /// Multiplies what is held so that a projection leaves it on its bound.
    pub(super) fn hold(&self, weights: &mut [f64]) {
        for (w, push) in weights.iter_mut().zip(&self.push) {
            *w *= push;
        }
    }
}
