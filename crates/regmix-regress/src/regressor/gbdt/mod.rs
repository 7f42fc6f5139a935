//! Gradient-boosted regression trees.
//!
//! `bins` turns weights into small integers, `grow` grows one tree on them,
//! `boost` adds up trees, `forest` is what comes out and how it is written,
//! `blocks` evaluates it for many mixtures at once, `spread` says how far off
//! it may be.

mod bins;
mod boost;
pub(crate) mod fit;
mod forest;
mod grow;
pub(crate) mod model;
mod spread;
#[cfg(test)]
mod tests;
