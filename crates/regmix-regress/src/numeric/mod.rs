//! Numerical methods: linear systems and minimisation.

pub(crate) mod factor;
pub(crate) mod lbfgs;
