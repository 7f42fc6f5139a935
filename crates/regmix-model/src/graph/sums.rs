//! Sums that a device computes many of at once.

use burn::tensor::Tensor;

/// The sum of all rows, in two steps, so that a device has many short sums to
/// compute at once and not a few long ones.
pub(super) fn sum_rows(t: Tensor<2>) -> Tensor<2> {
    let [rows, d] = t.dims();
    let groups = groups(rows);
    t.reshape([groups, rows / groups, d])
        .sum_dim(1)
        .reshape([groups, d])
        .sum_dim(0)
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
    use super::*;

    #[test]
    fn rows_are_summed_in_groups_of_equal_size() {
        assert_eq!([1, 7, 12, 4096, 65_536].map(groups), [1, 1, 3, 64, 256]);
        let t = Tensor::<2>::from_floats(
            [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]],
            &burn::tensor::Device::flex(),
        );
        let sums: Vec<f32> = sum_rows(t).into_data().iter().collect();
        assert_eq!(sums, [16.0, 20.0]);
    }
}
