//! The choice of a regressor by cross-validation, and the judgement of that
//! choice.

use regmix_data::Result;

use super::calibration::calibration;
use crate::cross_validation::CrossValidation;
use crate::prediction::Prediction;

/// Errors up to this factor above the lowest count as equal.
const TIE: f64 = 1.001;

/// The place of the regressor with the lowest mean absolute error over the
/// rows that `used` picks of every repeat; the first one within 0.1 % of it.
/// `None` where no regressor has finite errors.
///
/// Squares would let a handful of runs decide, those with a weight so near
/// zero that its rounding alone moves the loss.
pub(crate) fn lowest_error(
    measured: &[f64],
    judged: &[&CrossValidation],
    used: impl Fn(usize, usize) -> bool,
) -> Option<usize> {
    let errors: Vec<f64> = (judged.iter())
        .map(|cv| {
            let (mut sum, mut n) = (0.0, 0.0);
            for (p, y) in cv.used(measured, &used) {
                sum += (y - p.mean).abs();
                n += 1.0;
            }
            sum / n
        })
        .collect();
    let lowest = (errors.iter().copied().filter(|e| e.is_finite())).fold(f64::INFINITY, f64::min);
    let good = |e: &f64| e.is_finite() && *e <= lowest * TIE;
    errors.iter().position(good)
}

/// The out-of-fold predictions of the automatic choice. For every fold, the
/// regressor and the calibration are chosen on the other folds, so that the
/// choice is judged on rows it has not seen.
pub(crate) fn automatic(measured: &[f64], judged: &[&CrossValidation]) -> Result<CrossValidation> {
    let first = judged[0];
    let mut out = CrossValidation {
        predictions: Vec::with_capacity(first.predictions.len()),
        folds: first.folds.clone(),
        fit_seconds: judged.iter().map(|cv| cv.fit_seconds).sum(),
        score_seconds: 0.0,
    };
    for (repeat, folds) in first.folds.iter().enumerate() {
        let mut here = vec![Prediction::NONE; measured.len()];
        for fold in 0..folds.count() {
            let others = |r: usize, row: usize| r == repeat && folds.fold_of(row) != fold;
            let Some(best) = lowest_error(measured, judged, others) else {
                continue;
            };
            let factor = calibration(measured, judged[best], others);
            out.score_seconds +=
                judged[best].score_seconds / (folds.count() * first.folds.len()) as f64;
            for row in folds.split(fold).1 {
                let p = judged[best].predictions[repeat][row];
                here[row] = Prediction {
                    sd: factor * p.sd,
                    ..p
                };
            }
        }
        out.predictions.push(here);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folds::Folds;

    #[test]
    fn the_choice_for_a_fold_does_not_look_at_it() {
        let measured = vec![0.0; 50];
        let folds = Folds::new(50, 5, 0, "t").unwrap();
        // Perfect in fold 0 only; a choice that saw fold 0 might prefer it.
        let lucky = CrossValidation::judged(50, |i| Prediction {
            mean: if folds.fold_of(i) == 0 { 0.0 } else { 1.0 },
            sd: 1.0,
        });
        let steady = CrossValidation::judged(50, |_| Prediction { mean: 0.9, sd: 1.0 });
        let auto = automatic(&measured, &[&lucky, &steady]).unwrap();
        for i in (0..50).filter(|&i| folds.fold_of(i) == 0) {
            assert_eq!(auto.predictions[0][i].mean, 0.9, "{i}");
        }
        // Over all folds the lucky one has the lower error.
        assert_eq!(
            lowest_error(&measured, &[&lucky, &steady], |_, _| true),
            Some(0)
        );
    }
}
