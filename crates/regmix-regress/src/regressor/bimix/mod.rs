//! The power law in a target's own weight, `bimix`.

pub(crate) mod fit;
pub(crate) mod model;
