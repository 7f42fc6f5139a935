//! Attention that does not hold the scores, where a device has kernels for it.

use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::Sizes;
#[cfg(feature = "cuda")]
use super::cuda;
use super::rows;

/// Whether there are kernels for sequences of these sizes and numbers of the type of a
/// tensor, on its device; row by row they serve up to `most_tokens` tokens.
pub(super) fn available(t: &CubeTensor, sizes: Sizes, most_tokens: usize) -> bool {
    by_matrix_units(t, sizes) || (sizes.tokens <= most_tokens && rows::has_attention(sizes.dim))
}

fn by_matrix_units(t: &CubeTensor, sizes: Sizes) -> bool {
    #[cfg(feature = "cuda")]
    return cuda::has_attention(t, sizes.dim);
    #[cfg(not(feature = "cuda"))]
    {
        let _ = (t, sizes);
        false
    }
}

/// Output of all heads, `[batch tokens, heads dim]`, of the type of `qkv`, and the
/// logarithms of the sums, `[batch heads tokens]`, in f32. A row of `qkv` holds all
/// queries, keys and values, after the rotation.
pub(super) fn forward(qkv: CubeTensor, sizes: Sizes) -> (CubeTensor, CubeTensor) {
    #[cfg(feature = "cuda")]
    if by_matrix_units(&qkv, sizes) {
        return cuda::forward(qkv, sizes);
    }
    rows::forward(qkv, sizes)
}

/// The gradient of queries, keys and values, as `qkv`. `given` are `qkv`, the gradient of
/// the output, the output, and the logarithms of the sums.
pub(super) fn backward(given: [CubeTensor; 4], sizes: Sizes) -> CubeTensor {
    #[cfg(feature = "cuda")]
    if by_matrix_units(&given[0], sizes) {
        return cuda::backward(given, sizes);
    }
    rows::backward(given, sizes)
}
