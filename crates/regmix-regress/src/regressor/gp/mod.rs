//! Exact Gaussian processes with one lengthscale per domain, `gp` and `gp_log`.

pub(crate) mod batch;
pub(crate) mod fit;
mod hyperparameters;
pub(crate) mod inputs;
mod likelihood;
pub(crate) mod model;
#[cfg(test)]
mod tests;
