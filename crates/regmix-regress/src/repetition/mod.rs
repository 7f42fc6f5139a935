//! Repeated text: its effective tokens, and the limits that it sets.

pub(crate) mod available;
pub(crate) mod budget;
pub(crate) mod effective_tokens;
pub(crate) mod unimax;
