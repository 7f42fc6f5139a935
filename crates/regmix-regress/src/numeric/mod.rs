//! Numerical methods: sums over slices, linear systems and minimisation.

pub(crate) mod factor;
pub(crate) mod lbfgs;
pub(crate) mod slices;
