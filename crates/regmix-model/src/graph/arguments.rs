//! What kernels are given beside tensors.

/// The sizes of attention over sequences that lie below each other.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(all(feature = "cuda", not(feature = "fusion"))),
    expect(dead_code, reason = "only CUDA has kernels that are given them")
)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) tokens: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    /// Numbers of a head.
    pub(super) dim: usize,
}

/// Which entries of rows are turned, and how.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(all(feature = "kernels", not(feature = "fusion"))),
    expect(dead_code, reason = "only kernels are given them")
)]
pub(super) struct Rotation {
    /// The first so many heads of a row.
    pub(super) heads: usize,
    /// Tokens of a sequence; the rows of all sequences lie below each other.
    pub(super) tokens: usize,
    pub(super) turn: Turn,
}

/// The direction of the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Forward,
    /// The transposed rotation, for gradients.
    Backward,
}
