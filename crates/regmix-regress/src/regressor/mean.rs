//! The mean of the values, the baseline of all regressors.

use regmix_data::Result;

use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::regressor::model::constant::ConstantModel;
use crate::samples::Samples;

/// The mean of the values, whatever the mixture.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean;

impl Regressor for Mean {
    fn name(&self) -> &str {
        "mean"
    }

    fn fit_with(&self, samples: &Samples<'_>, _: FitContext<'_>) -> Result<Model> {
        Ok(Model::Constant(ConstantModel::of(samples.values())))
    }
}
