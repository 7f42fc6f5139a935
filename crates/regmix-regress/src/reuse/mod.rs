//! Runs that were made before the set of domains changed.

pub(crate) mod earlier;
pub(crate) mod frozen;
pub(crate) mod recast;
