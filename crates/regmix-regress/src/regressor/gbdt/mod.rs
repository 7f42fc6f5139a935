//! Gradient-boosted regression trees.
//!
//! `bins` turns weights into small integers, `grow` grows one tree on them,
//! `boost` adds up trees, `forest` is the sum of the trees and its form
//! in files, `blocks` evaluates it for many mixtures at once, `error_size`
//! predicts the size of its errors.

mod bins;
mod boost;
mod error_size;
pub(crate) mod fit;
mod forest;
mod grow;
pub(crate) mod model;

#[cfg(test)]
mod tests;
