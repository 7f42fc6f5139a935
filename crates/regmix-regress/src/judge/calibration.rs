//! Calibration: the factor by which the standard deviations of a regressor are
//! multiplied, so that its 90 % intervals cover 90 % of held-out rows.

use crate::cross_validation::CrossValidation;
use crate::metrics::next_quantile;
use crate::prediction::Z90;

/// Rows that the ratios of all targets count as, beside those of one target:
/// the tenth largest of 24 errors says little.
const SHARED_ROWS: f64 = 40.0;

/// Rows that intervals as they are count as, where the measured ones are
/// narrower. Intervals that are too narrow are made wider without it: cross-validation
/// fits fewer rows than the final fit, so that its errors are no smaller.
const PRIOR_ROWS: f64 = 20.0;

/// Absolute errors in standard deviations, of the rows that `used` picks by
/// repeat and row.
pub(crate) fn ratios(
    measured: &[f64],
    cv: &CrossValidation,
    used: impl Fn(usize, usize) -> bool,
) -> Ratios {
    let ratios: Vec<f64> = (cv.used(measured, used))
        .filter(|(p, _)| p.sd > 0.0)
        .map(|(p, y)| (y - p.mean).abs() / p.sd)
        .filter(|ratio| ratio.is_finite())
        .collect();
    Ratios {
        rows: ratios.len() as f64 / cv.predictions.len().max(1) as f64,
        ratios,
    }
}

/// Errors of one target.
pub(crate) struct Ratios {
    ratios: Vec<f64>,
    /// Rows, however often each was predicted.
    rows: f64,
}

/// The factors that make 90 % intervals cover 90 % of the rows of every
/// target. The quantile of a target is that of a further row, and is drawn
/// towards the one of all targets.
pub(crate) fn calibrations(targets: &[Ratios]) -> Vec<f64> {
    let all: Vec<f64> = targets.iter().flat_map(|t| &t.ratios).copied().collect();
    let shared = next_quantile(&all, 0.9) / Z90;
    targets
        .iter()
        .map(|target| {
            let own = next_quantile(&target.ratios, 0.9) / Z90;
            let usable = |factor: f64| factor > 0.0 && factor.is_finite();
            if !usable(own) || !usable(shared) {
                return 1.0;
            }
            let rows = target.rows;
            let ln = (rows * own.ln() + SHARED_ROWS * shared.ln()) / (rows + SHARED_ROWS);
            let drawn = match ln < 0.0 {
                true => ln * rows / (rows + PRIOR_ROWS),
                false => ln,
            };
            drawn.exp().clamp(0.25, 4.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::coverage90;
    use crate::prediction::Prediction;

    fn judged(n: usize, sd: f64) -> CrossValidation {
        CrossValidation::judged(n, |_| Prediction { mean: 0.0, sd })
    }

    #[test]
    fn calibration_makes_intervals_cover() {
        let measured: Vec<f64> = (0..400).map(|i| f64::from(i % 101) / 50.0 - 1.0).collect();
        let narrow = judged(400, 0.3);
        let factor = calibrations(&[ratios(&measured, &narrow, |_, _| true)])[0];
        let wide: Vec<Prediction> = (0..400)
            .map(|_| Prediction {
                mean: 0.0,
                sd: 0.3 * factor,
            })
            .collect();
        let covered = coverage90(&measured, &wide);
        assert!((0.88..0.92).contains(&covered), "{covered}");
    }

    #[test]
    fn few_rows_rest_on_other_targets_and_do_not_narrow_intervals_much() {
        let measured: Vec<f64> = (0..20).map(|i| f64::from(i) / 10.0 - 1.0).collect();
        let of = |sd: f64| ratios(&measured, &judged(20, sd), |_, _| true);
        let alone = calibrations(&[of(0.3)])[0];
        let beside = calibrations(&[of(0.3), of(0.6), of(0.6), of(0.6)]);
        assert!(beside[0] < alone && beside[0] > beside[1], "{beside:?}");
        assert!(alone > 1.5);
        // Half as wide would do by these rows.
        let (wide, many) = (calibrations(&[of(1.2)])[0], judged(400, 1.2));
        assert!(wide > 0.6 && wide < 1.0, "{wide}");
        let measured: Vec<f64> = (0..400).map(|i| f64::from(i) / 200.0 - 1.0).collect();
        let many = calibrations(&[ratios(&measured, &many, |_, _| true)])[0];
        assert!(many < wide, "{many} {wide}");
    }
}
