//! The log-linear law of data mixing, `dml` and `olmix`.

pub(crate) mod dml;
pub(crate) mod model;
pub(crate) mod olmix;
mod problem;
#[cfg(test)]
mod tests;
