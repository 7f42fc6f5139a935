//! BiMix: the loss of a domain by its own weight and the length of training.

pub(crate) mod law;
pub(crate) mod optimum;
pub(crate) mod scarcity;
