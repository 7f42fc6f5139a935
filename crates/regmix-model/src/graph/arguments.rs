//! What kernels are given beside tensors.

/// The sizes of attention over sequences that lie below each other.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(all(feature = "kernels", not(feature = "fusion"))),
    expect(dead_code, reason = "only kernels are given them")
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

/// Where a tensor is added to a larger one.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(all(feature = "kernels", not(feature = "fusion"))),
    expect(dead_code, reason = "only kernels are given them")
)]
pub(super) struct Part {
    /// The first number there.
    pub(super) start: usize,
    pub(super) count: usize,
    /// Whether what is there stays, and the part is added to it.
    pub(super) keep: bool,
}

/// The sizes of a plan by which rows are added up: the numbers of all rows, in groups of
/// a token; where the pieces of groups begin among them, and the end; and which piece is
/// the first of every token, and the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Groups {
    pub(super) rows: usize,
    pub(super) pieces: usize,
    pub(super) tokens: usize,
}

/// Numbers of one update of AdamW. The first is 1, or 0 where there is no update.
pub(super) const NUMBERS: usize = 10;
