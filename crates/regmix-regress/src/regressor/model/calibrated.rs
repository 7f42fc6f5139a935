//! A model with corrected intervals.

use serde::{Deserialize, Serialize};

use crate::regressor::model::Model;

/// A model with its standard deviation times a factor, so that intervals
/// cover as many held-out measurements as they say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibratedModel {
    pub(super) factor: f64,
    pub(super) model: Box<Model>,
}

impl CalibratedModel {
    /// The factor.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// The model as it was fitted.
    pub fn model(&self) -> &Model {
        &self.model
    }
}
