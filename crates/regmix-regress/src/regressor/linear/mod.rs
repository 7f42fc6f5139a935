//! Linear models in the weights: `linear`, `ridge` and `elastic_net`.

pub(crate) mod elastic_net;
pub(crate) mod least_squares;
pub(crate) mod model;
