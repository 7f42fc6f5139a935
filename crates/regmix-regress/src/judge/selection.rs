//! The choice of a regressor by cross-validation, and the judgement of that
//! choice.

use regmix_data::Result;

use crate::cross_validation::CrossValidation;
use crate::metrics::quantile;
use crate::prediction::{Prediction, Z90};

/// Errors up to this factor above the lowest count as equal.
const TIE: f64 = 1.001;

/// Runs at which measured and nominal intervals weigh the same in a
/// calibration.
const DOUBT: f64 = 20.0;

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
            for (repeat, predictions) in cv.predictions.iter().enumerate() {
                for (row, (p, y)) in predictions.iter().zip(measured).enumerate() {
                    if used(repeat, row) {
                        sum += (y - p.mean).abs();
                        n += 1.0;
                    }
                }
            }
            sum / n
        })
        .collect();
    let lowest = (errors.iter().copied().filter(|e| e.is_finite())).fold(f64::INFINITY, f64::min);
    let good = |e: &f64| e.is_finite() && *e <= lowest * TIE;
    errors.iter().position(good)
}

/// The factor that makes 90 % intervals cover 90 % of the rows that `used`
/// picks, drawn towards 1 where those are few.
pub(crate) fn calibration(
    measured: &[f64],
    cv: &CrossValidation,
    used: impl Fn(usize, usize) -> bool,
) -> f64 {
    let mut ratios = Vec::new();
    for (repeat, predictions) in cv.predictions.iter().enumerate() {
        for (row, (p, y)) in predictions.iter().zip(measured).enumerate() {
            if used(repeat, row) && p.sd > 0.0 {
                ratios.push((y - p.mean).abs() / p.sd);
            }
        }
    }
    let rows = ratios.len() as f64 / cv.predictions.len().max(1) as f64;
    let factor = quantile(&ratios, 0.9) / Z90;
    if !(factor > 0.0 && factor.is_finite()) {
        return 1.0;
    }
    (factor.ln() * rows / (rows + DOUBT)).exp().clamp(0.25, 4.0)
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
    use crate::metrics::coverage90;

    fn judged(n: usize, of: impl Fn(usize) -> Prediction) -> CrossValidation {
        CrossValidation {
            predictions: vec![(0..n).map(of).collect()],
            folds: vec![Folds::new(n, 5, 0, "t").unwrap()],
            fit_seconds: 1.0,
            score_seconds: 1.0,
        }
    }

    #[test]
    fn the_choice_for_a_fold_does_not_look_at_it() {
        let measured = vec![0.0; 50];
        let folds = Folds::new(50, 5, 0, "t").unwrap();
        // Perfect in fold 0 only; a choice that saw fold 0 might prefer it.
        let lucky = judged(50, |i| Prediction {
            mean: if folds.fold_of(i) == 0 { 0.0 } else { 1.0 },
            sd: 1.0,
        });
        let steady = judged(50, |_| Prediction { mean: 0.9, sd: 1.0 });
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

    #[test]
    fn calibration_makes_intervals_cover() {
        let measured: Vec<f64> = (0..400).map(|i| f64::from(i % 101) / 50.0 - 1.0).collect();
        let narrow = judged(400, |_| Prediction { mean: 0.0, sd: 0.3 });
        let factor = calibration(&measured, &narrow, |_, _| true);
        let wide: Vec<Prediction> = (0..400)
            .map(|_| Prediction {
                mean: 0.0,
                sd: 0.3 * factor,
            })
            .collect();
        let covered = coverage90(&measured, &wide);
        assert!((0.8..0.95).contains(&covered), "{covered}");
        let few = judged(8, |_| Prediction { mean: 0.0, sd: 0.3 });
        assert!(calibration(&measured[..8], &few, |_, _| true) < factor);
    }
}
