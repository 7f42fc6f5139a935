//! Tensors joined and summed so that no error of a kernel is lost on the way: see
//! `kernels/follow.rs`. For tensors that this crate computes, in place of burn's
//! `cat` and `sum`.

use burn::tensor::Tensor;

use super::kernels::Kernels;

/// The parts beside or below each other.
pub(super) fn cat<const D: usize>(mut parts: Vec<Tensor<D>>, dim: usize) -> Tensor<D> {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let whole = Tensor::cat(parts.clone(), dim);
    follow(whole, &parts)
}

/// The sum of all numbers, `[1]`.
pub(super) fn sum<const D: usize>(t: Tensor<D>) -> Tensor<1> {
    follow(t.clone().sum(), &[t])
}

/// `result`, which cannot be read if one of its sources cannot.
pub(super) fn follow<const R: usize, const D: usize>(
    mut result: Tensor<R>,
    sources: &[Tensor<D>],
) -> Tensor<R> {
    let Some(kernels) = Kernels::of(&result.device()) else {
        return result;
    };
    for some in sources.chunks(4) {
        let source = |i: usize| some.get(i).unwrap_or(&some[0]).clone();
        result = kernels.follow(result, [0, 1, 2, 3].map(source));
    }
    result
}
