//! Regressors judged against each other, and the choice among them.

pub(crate) mod auto;
pub(crate) mod calibration;
pub(crate) mod contestants;
pub(crate) mod league;
pub(crate) mod selection;
