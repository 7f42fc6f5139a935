//! The power laws with cross terms, `law1` and `law2`.

pub(crate) mod fit;
pub(crate) mod model;
