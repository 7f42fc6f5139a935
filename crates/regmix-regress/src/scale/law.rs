//! What every law of scale can do.

use crate::prediction::Prediction;
use crate::scale::units::Setting;

/// A fitted map from mixture, size and length to the loss of one target.
pub trait ScaleLaw {
    /// Its name in tables.
    fn name(&self) -> &str;

    /// The loss at a setting, in the unit of the target. The standard deviation
    /// covers the uncertainty of the fit and the noise of one more run.
    fn predict(&self, at: &Setting<'_>) -> Prediction;

    /// The derivative of the expected loss by each weight, as if the weights
    /// were free.
    fn gradient(&self, at: &Setting<'_>) -> Vec<f64>;
}
