//! The tensors in which the engine holds the parameters.
//!
//! Matrices that are multiplied with the same input lie side by side in one
//! tensor: queries, keys and values, and gate and up projection. One large
//! product fills a device better than several small ones. AdamW, which treats
//! every number by itself, is not affected.

use crate::config::ModelConfig;
use crate::parameters;

/// Places of a block's tensors among its six.
pub(super) const ATTENTION_NORM: usize = 0;
pub(super) const QUERY_KEY_VALUE: usize = 1;
pub(super) const OUTPUT: usize = 2;
pub(super) const FEED_NORM: usize = 3;
pub(super) const GATE_UP: usize = 4;
pub(super) const DOWN: usize = 5;

/// Numbers of tensors per block.
const PER_BLOCK: usize = 6;

pub(super) const EMBEDDING: usize = 0;

/// The place of a block's first tensor.
pub(super) fn block(layer: usize) -> usize {
    1 + layer * PER_BLOCK
}

/// The place of the last norm.
pub(super) fn last_norm(config: &ModelConfig) -> usize {
    block(config.layers)
}

/// The place of the output layer, unless it is tied.
pub(super) fn head(config: &ModelConfig) -> Option<usize> {
    (!config.tied).then(|| last_norm(config) + 1)
}

/// A tensor: its rows, and the columns of the parameters in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Joined {
    pub(super) rows: usize,
    columns: Vec<usize>,
}

impl Joined {
    pub(super) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns.iter().sum()]
    }

    /// How many numbers it holds.
    pub(super) fn count(&self) -> usize {
        self.shape().iter().product()
    }
}

/// All tensors, in the order of [`parameters::list`]. A norm has one row.
pub(super) fn list(config: &ModelConfig) -> Vec<Joined> {
    let mut all = Vec::new();
    let mut rest = parameters::list(config).into_iter().map(|p| p.shape);
    let mut join = |count: usize| {
        let shapes: Vec<Vec<usize>> = rest.by_ref().take(count).collect();
        let columns = shapes.iter().map(|s| s[s.len() - 1]).collect();
        let rows = if shapes[0].len() == 2 {
            shapes[0][0]
        } else {
            1
        };
        all.push(Joined { rows, columns });
    };
    join(1);
    for _ in 0..config.layers {
        for count in [1, 3, 1, 1, 2, 1] {
            join(count);
        }
    }
    join(1);
    if !config.tied {
        join(1);
    }
    all
}

/// Joins the values of parameters into those of tensors.
pub(super) fn join(layout: &[Joined], values: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let mut values = values.into_iter();
    (layout.iter())
        .map(|tensor| {
            let mut parts: Vec<Vec<f32>> = values.by_ref().take(tensor.columns.len()).collect();
            if let [whole] = parts.as_mut_slice() {
                return std::mem::take(whole);
            }
            let mut joined = Vec::with_capacity(parts.iter().map(Vec::len).sum());
            for row in 0..tensor.rows {
                for (part, columns) in parts.iter().zip(&tensor.columns) {
                    joined.extend_from_slice(&part[row * columns..(row + 1) * columns]);
                }
            }
            joined
        })
        .collect()
}

/// Splits the values of tensors into those of parameters.
pub(super) fn split(layout: &[Joined], values: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let mut all = Vec::new();
    for (tensor, values) in layout.iter().zip(values) {
        let [_, width] = tensor.shape();
        if tensor.columns.len() == 1 {
            all.push(values);
            continue;
        }
        let mut from = 0;
        for columns in &tensor.columns {
            let rows = values.chunks_exact(width);
            all.push(
                rows.flat_map(|row| row[from..from + columns].to_vec())
                    .collect(),
            );
            from += columns;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_parameters_are_split_into_the_same() {
        for tied in [false, true] {
            let config = ModelConfig {
                kv_heads: 1,
                tied,
                ..ModelConfig::preset("nano", 70).unwrap()
            };
            let mut next = 0.0;
            let values: Vec<Vec<f32>> = (parameters::list(&config).iter())
                .map(|p| {
                    let values = (0..p.count()).map(|_| {
                        next += 1.0;
                        next
                    });
                    values.collect()
                })
                .collect();
            let layout = list(&config);
            assert_eq!(
                layout.len(),
                head(&config).map_or(last_norm(&config), |h| h) + 1
            );
            let joined = join(&layout, values.clone());
            for (tensor, values) in layout.iter().zip(&joined) {
                assert_eq!(values.len(), tensor.shape().iter().product::<usize>());
            }
            // Query, key and value of the first row lie side by side.
            let three = &joined[block(0) + QUERY_KEY_VALUE];
            assert_eq!(layout[block(0) + QUERY_KEY_VALUE].shape(), [64, 128]);
            assert_eq!(three[..64], values[2][..64]);
            assert_eq!(three[64..96], values[3][..32]);
            assert_eq!(three[96..128], values[4][..32]);
            assert_eq!(split(&layout, joined), values);
        }
    }
}
