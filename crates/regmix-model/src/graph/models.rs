//! Rows of several models, those of one below those of the other.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::kind::Basic;

use super::joined;

/// `[models rows, columns]` as `[models, rows, columns]`.
pub(super) fn apart<K: Basic>(t: Tensor<2, K>, models: usize) -> Tensor<3, K> {
    let [rows, columns] = t.dims();
    t.reshape([models, rows / models, columns])
}

/// The inverse of [`apart`].
pub(super) fn below<K: Basic>(t: Tensor<3, K>) -> Tensor<2, K> {
    let [models, rows, columns] = t.dims();
    t.reshape([models * rows, columns])
}

/// Some rows of every model.
pub(super) fn part<K: Basic>(t: Tensor<2, K>, models: usize, rows: Range<usize>) -> Tensor<2, K> {
    let [all, _] = t.dims();
    match models {
        _ if rows.len() == all / models => t,
        1 => t.slice_dim(0, rows),
        _ => below(apart(t, models).slice_dim(1, rows)),
    }
}

/// Parts of the rows of every model, joined again.
pub(super) fn join(parts: Vec<Tensor<2>>, models: usize) -> Tensor<2> {
    match parts.len() {
        1 => joined::cat(parts, 0),
        _ if models == 1 => joined::cat(parts, 0),
        _ => {
            let parts = parts.into_iter().map(|t| apart(t, models));
            below(joined::cat(parts.collect(), 1))
        }
    }
}

/// The sum of the numbers of every model, `[models]`, which lie one model's after the
/// other's.
pub(super) fn sum(t: Tensor<1>, models: usize) -> Tensor<1> {
    if models == 1 {
        return joined::sum(t);
    }
    let [count] = t.dims();
    let sums = t.clone().reshape([models, count / models]).sum_dim(1);
    joined::follow(sums.reshape([models]), &[t])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device as BurnDevice, TensorData};

    use super::*;

    fn numbers<const D: usize>(t: Tensor<D>) -> Vec<f32> {
        t.into_data().iter().collect()
    }

    #[test]
    fn parts_of_rows_are_joined_to_the_same() {
        for models in [1, 2, 3] {
            let all: Vec<f32> = (0..models * 5 * 2).map(|i| i as f32).collect();
            let data = TensorData::new(all.clone(), [models * 5, 2]);
            let t = Tensor::<2>::from_data(data, &BurnDevice::flex());
            let parts = [0..2, 2..4, 4..5].map(|rows| part(t.clone(), models, rows));
            let last = parts[2].dims();
            assert_eq!(last, [models, 2]);
            let fifth = |model: usize| all[model * 10 + 8..model * 10 + 10].to_vec();
            let expected: Vec<f32> = (0..models).flat_map(fifth).collect();
            assert_eq!(numbers(parts[2].clone()), expected);
            assert_eq!(numbers(join(parts.to_vec(), models)), all);
            assert_eq!(numbers(part(t.clone(), models, 0..5)), all);
            let sums = numbers(sum(t.reshape([models * 10]), models));
            let expected: Vec<f32> = all.chunks(10).map(|c| c.iter().sum()).collect();
            assert_eq!(sums, expected);
        }
    }
}
