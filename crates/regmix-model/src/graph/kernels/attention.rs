//! Attention that does not hold the scores, where a device has kernels for it.

use burn_cubecl::tensor::CubeTensor;

use super::super::arguments::Sizes;
use super::cuda;

pub(super) fn available(t: &CubeTensor, dim: usize) -> bool {
    cuda::has_attention(t, dim)
}

pub(super) fn forward(qkv: CubeTensor, sizes: Sizes) -> (CubeTensor, CubeTensor) {
    cuda::forward(qkv, sizes)
}

pub(super) fn backward(given: [CubeTensor; 4], sizes: Sizes) -> CubeTensor {
    cuda::backward(given, sizes)
}
