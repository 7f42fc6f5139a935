//! Calibration: the factor by which the standard deviations of a regressor are
//! multiplied, so that its 90 % intervals cover 90 % of held-out rows.

use crate::cross_validation::CrossValidation;
use crate::metrics::quantile;
use crate::prediction::Z90;

/// Runs at which measured and nominal intervals weigh the same in a
/// calibration.
const PRIOR_RUNS: f64 = 20.0;

/// The factor that makes 90 % intervals cover 90 % of the rows that `used`
/// picks, drawn towards 1 where those are few.
pub(crate) fn calibration(
    measured: &[f64],
    cv: &CrossValidation,
    used: impl Fn(usize, usize) -> bool,
) -> f64 {
    let ratios: Vec<f64> = (cv.used(measured, used))
        .filter(|(p, _)| p.sd > 0.0)
        .map(|(p, y)| (y - p.mean).abs() / p.sd)
        .collect();
    let rows = ratios.len() as f64 / cv.predictions.len().max(1) as f64;
    let factor = quantile(&ratios, 0.9) / Z90;
    if !(factor > 0.0 && factor.is_finite()) {
        return 1.0;
    }
    (factor.ln() * rows / (rows + PRIOR_RUNS))
        .exp()
        .clamp(0.25, 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::coverage90;
    use crate::prediction::Prediction;

    #[test]
    fn calibration_makes_intervals_cover() {
        let measured: Vec<f64> = (0..400).map(|i| f64::from(i % 101) / 50.0 - 1.0).collect();
        let narrow = CrossValidation::judged(400, |_| Prediction { mean: 0.0, sd: 0.3 });
        let factor = calibration(&measured, &narrow, |_, _| true);
        let wide: Vec<Prediction> = (0..400)
            .map(|_| Prediction {
                mean: 0.0,
                sd: 0.3 * factor,
            })
            .collect();
        let covered = coverage90(&measured, &wide);
        assert!((0.8..0.95).contains(&covered), "{covered}");
        let few = CrossValidation::judged(8, |_| Prediction { mean: 0.0, sd: 0.3 });
        assert!(calibration(&measured[..8], &few, |_, _| true) < factor);
    }
}
