//! Sums that a device computes many of at once.

use burn::tensor::Tensor;

/// So few rows are summed in one step.
const FEW: usize = 64;

/// The sum of all rows of every model, `[models, 1, d]`; of many in two steps, so that a
/// device has many short sums to compute at once and not a few long ones.
pub(super) fn sum_rows(t: Tensor<3>) -> Tensor<3> {
    let [models, rows, d] = t.dims();
    if rows <= FEW {
        return t.sum_dim(1);
    }
    let groups = groups(rows);
    t.reshape([models * groups, rows / groups, d])
        .sum_dim(1)
        .reshape([models, groups, d])
        .sum_dim(1)
}

/// The largest divisor that is at most the square root.
fn groups(rows: usize) -> usize {
    (1..=rows.isqrt())
        .rev()
        .find(|g| rows.is_multiple_of(*g))
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn rows_are_summed_in_groups_of_equal_size() {
        assert_eq!([1, 7, 12, 4096, 65_536].map(groups), [1, 1, 3, 64, 256]);
        for rows in [4, 90] {
            let numbers: Vec<f32> = (0..4 * rows).map(|i| (i % (2 * rows)) as f32).collect();
            let data = TensorData::new(numbers, [2, rows, 2]);
            let t = Tensor::<3>::from_data(data, &burn::tensor::Device::flex());
            let sums: Vec<f32> = sum_rows(t).into_data().iter().collect();
            let even = (rows * (rows - 1)) as f32;
            assert_eq!(sums, [even, even + rows as f32].repeat(2));
        }
    }
}
