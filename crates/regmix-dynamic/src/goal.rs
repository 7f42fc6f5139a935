//! The objective over a state: the losses of all targets.

use regmix_data::Result;
use regmix_regress::{Evaluator, Objective};

/// The objective over the losses of `targets`; an error names the field.
pub(crate) fn evaluator(objective: &Objective, targets: &[String]) -> Result<Evaluator> {
    objective
        .evaluator(targets)
        .map_err(|e| e.field("objective"))
}
