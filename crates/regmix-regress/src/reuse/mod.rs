//! Runs that were made before the set of domains changed.

mod earlier;
mod frozen;
mod recast;

pub use earlier::Earlier;
pub(crate) use earlier::together;
pub use frozen::Frozen;
pub use recast::{Recast, recast};
