//! A value over mixtures.

use regmix_data::DomainSet;

/// A value over mixtures that is to be made small.
///
/// Weights are in the order of [`Surface::domains`].
pub trait Surface: Sync {
    /// The domains of its mixtures.
    fn domains(&self) -> &DomainSet;

    /// The value at a mixture, in the unit of the objective.
    fn value(&self, weights: &[f64]) -> f64;

    /// The values at many mixtures, in their order. A surface that is faster
    /// at many than at one at a time overrides this.
    fn values(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        rows.iter().map(|row| self.value(row)).collect()
    }

    /// The derivative by each weight, as if the weights were free; `None`
    /// where there is none, and differences are taken instead.
    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        let _ = weights;
        None
    }

    /// Both at once. A surface whose value and derivative share work overrides
    /// this; searches call nothing else where there is a derivative.
    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        (self.value(weights), self.gradient(weights))
    }
}

/// The derivative, by central differences where the surface has none; and
/// how many evaluations it cost.
pub(crate) fn slopes(surface: &(impl Surface + ?Sized), weights: &[f64]) -> (Vec<f64>, usize) {
    match surface.gradient(weights) {
        Some(gradient) => (gradient, 1),
        None => (
            differences(weights, |at| surface.value(at)),
            2 * weights.len(),
        ),
    }
}

/// The derivative of a function of mixtures by central differences. Cost
/// 2 D values.
pub(crate) fn differences(weights: &[f64], value: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut at = weights.to_vec();
    (0..weights.len())
        .map(|i| {
            // Steps shrink with the weight: near zero the value bends most.
            let h = 1e-4 * weights[i].max(1e-3);
            let low = (weights[i] - h).max(0.0);
            at[i] = weights[i] + h;
            let up = value(&at);
            at[i] = low;
            let down = value(&at);
            at[i] = weights[i];
            (up - down) / (weights[i] + h - low)
        })
        .collect()
}
