//! The mean of the values, the baseline of all regressors.

use regmix_data::{Monitor, Result};

use crate::regressor::interface::Regressor;
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

    fn fit_monitored(
        &self,
        samples: &Samples<'_>,
        _seed: u64,
        _monitor: &dyn Monitor,
    ) -> Result<Model> {
        Ok(Model::Constant(ConstantModel::of(samples.values())))
    }
}
