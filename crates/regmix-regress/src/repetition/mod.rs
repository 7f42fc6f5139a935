//! Repeated text: what it is worth, and the limits it sets.

pub(crate) mod available;
pub(crate) mod budget;
pub(crate) mod effective_tokens;
pub(crate) mod unimax;
