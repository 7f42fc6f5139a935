//! Stacking: the weights of an ensemble from out-of-fold predictions.

use regmix_data::{DomainSet, Mixture, Result};

use crate::constraints::Constraints;
use crate::cross_validation::CrossValidation;
use crate::folds::Folds;
use crate::numeric::slices::{add, dot};
use crate::prediction::Prediction;
use crate::regressor::model::ensemble::pooled;
use crate::search::descend::descend;
use crate::search::options::DescendOptions;
use crate::search::surface::Surface;

/// The squared error of a weighted mean of members.
struct Error {
    names: DomainSet,
    /// Σ over rows of the members' errors, pairwise.
    products: Vec<Vec<f64>>,
}

impl Surface for Error {
    fn domains(&self) -> &DomainSet {
        &self.names
    }

    fn value(&self, w: &[f64]) -> f64 {
        (self.products.iter().zip(w))
            .map(|(row, own)| own * dot(row, w))
            .sum()
    }

    fn gradient(&self, w: &[f64]) -> Option<Vec<f64>> {
        Some(self.products.iter().map(|row| 2.0 * dot(row, w)).collect())
    }
}

/// The weights with which members' out-of-fold predictions of measured values
/// have the least squared error over the rows that `used` picks, by all
/// repeats; not negative, with sum 1. Every row counts by the inverse of the
/// variance that members expect there.
pub(crate) fn weights(
    measured: &[f64],
    members: &[&CrossValidation],
    used: impl Fn(usize) -> bool,
) -> Result<Vec<f64>> {
    let k = members.len();
    if k == 1 {
        return Ok(vec![1.0]);
    }
    let mut products = vec![vec![0.0; k]; k];
    let mut total = 0.0;
    let repeats = 0..members[0].predictions.len();
    let rows = repeats.flat_map(|repeat| (0..measured.len()).map(move |row| (repeat, row)));
    for (repeat, row) in rows.filter(|(_, row)| used(*row)) {
        let measured = measured[row];
        let here = members.iter().map(|m| m.predictions[repeat][row]);
        let variance = here.clone().map(|p| p.sd * p.sd).sum::<f64>() / k as f64;
        let errors: Vec<f64> = here.map(|p| measured - p.mean).collect();
        for (products, a) in products.iter_mut().zip(&errors) {
            for (product, b) in products.iter_mut().zip(&errors) {
                *product += a * b / variance.max(1e-12);
            }
        }
        total += 1.0;
    }
    for product in products.iter_mut().flatten() {
        *product /= total;
    }
    let names = DomainSet::from_names((0..k).map(|i| format!("m{i}")))?;
    let found = descend(
        &Error {
            names: names.clone(),
            products,
        },
        &[Mixture::uniform(names.clone())],
        &Constraints::none(names),
        &DescendOptions {
            tolerance: 1e-4,
            ..DescendOptions::default()
        },
    )?;
    Ok(found.mixture.weights().to_vec())
}

/// With fewer rows than these, weights depend much on the draw of folds.
const FEW_ROWS: usize = 64;

/// The number of repeats of the cross-validation from which weights are learnt,
/// where so many are asked for: at least two if rows are few. In a single draw, the
/// errors of a few runs at the edge decide, and these depend on which other runs
/// are held out with them. What is chosen by the mean over several draws varies
/// less (Krstajic et al. 2014, doi 10.1186/1758-2946-6-10).
pub(crate) fn repeats(rows: usize, asked: usize) -> usize {
    match rows < FEW_ROWS {
        true => asked.max(2),
        false => asked,
    }
}

/// Rows that the mean weights of all targets count as, beside the rows of a
/// target.
const SHARED_ROWS: f64 = 4.0;

/// What is known of the weights of an ensemble's members for one target.
#[derive(Debug, Clone)]
pub(crate) struct Learnt {
    /// For members fitted on all rows.
    pub(crate) all: Vec<f64>,
    /// `[repeats][folds]`, of the repeats that are judged: learnt on the rows of the
    /// other folds, by all repeats.
    by_fold: Vec<Vec<Vec<f64>>>,
}

impl Learnt {
    /// Weights that are given, the same everywhere, or learnt from the
    /// members' cross-validations, all over the same folds. The first `judged`
    /// repeats judge the ensemble.
    pub(crate) fn of(
        given: Option<Vec<f64>>,
        measured: &[f64],
        members: &[&CrossValidation],
        judged: usize,
    ) -> Result<Self> {
        let learn = |used: &dyn Fn(usize) -> bool| match &given {
            Some(given) => Ok(given.clone()),
            None => weights(measured, members, used),
        };
        let by_fold = |folds: &Folds| {
            (0..folds.count())
                .map(|fold| learn(&|row| folds.fold_of(row) != fold))
                .collect::<Result<_>>()
        };
        Ok(Self {
            by_fold: (members[0].folds.iter().take(judged))
                .map(by_fold)
                .collect::<Result<_>>()?,
            all: learn(&|_| true)?,
        })
    }

    /// Draws the weights of several targets, with so many rows each, towards
    /// their mean: weights learnt from few rows are mostly noise. All must
    /// have the same members, over the same folds.
    pub(crate) fn share(some: &mut [&mut Self], rows: usize) {
        let own = rows as f64 / (rows as f64 + SHARED_ROWS);
        let places: Vec<(usize, usize)> = some.first().map_or(Vec::new(), |first| {
            (first.by_fold.iter().enumerate())
                .flat_map(|(r, folds)| (0..folds.len()).map(move |f| (r, f)))
                .collect()
        });
        let draw = |of: &mut dyn FnMut(&mut Self) -> &mut Vec<f64>, some: &mut [&mut Self]| {
            let share = 1.0 / some.len() as f64;
            let mut mean: Vec<f64> = Vec::new();
            for learnt in some.iter_mut() {
                let weights = of(learnt);
                mean.resize(weights.len(), 0.0);
                add(&mut mean, share, weights);
            }
            for learnt in some.iter_mut() {
                for (w, mean) in of(learnt).iter_mut().zip(&mean) {
                    *w = own * *w + (1.0 - own) * mean;
                }
            }
        };
        draw(&mut |l| &mut l.all, some);
        for (repeat, fold) in places {
            draw(&mut |l| &mut l.by_fold[repeat][fold], some);
        }
    }

    /// The cross-validation of the ensemble from those of its members.
    pub(crate) fn combine(&self, members: &[&CrossValidation]) -> CrossValidation {
        let first = members[0];
        let of_repeat = |repeat: usize, folds: &Folds| -> Vec<Prediction> {
            (0..first.predictions[repeat].len())
                .map(|row| {
                    let weights = &self.by_fold[repeat][folds.fold_of(row)];
                    let parts: Vec<(f64, Prediction)> = (weights.iter().zip(members))
                        .map(|(w, m)| (*w, m.predictions[repeat][row]))
                        .collect();
                    pooled(&parts)
                })
                .collect()
        };
        let folds = &first.folds[..self.by_fold.len()];
        CrossValidation {
            predictions: (folds.iter().enumerate())
                .map(|(repeat, folds)| of_repeat(repeat, folds))
                .collect(),
            folds: folds.to_vec(),
            fit_seconds: members.iter().map(|m| m.fit_seconds).sum(),
            score_seconds: members.iter().map(|m| m.score_seconds).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(errors: impl Fn(usize) -> f64) -> CrossValidation {
        CrossValidation::judged(40, |i| Prediction {
            mean: errors(i),
            sd: 1.0,
        })
    }

    #[test]
    fn errors_that_cancel_share_the_weight_and_bad_members_get_none() {
        let measured = vec![0.0; 40];
        let up = judged(|i| (i as f64).sin() + 0.2);
        let down = judged(|i| -(i as f64).sin() + 0.2);
        let bad = judged(|_| 5.0);
        let members = [&up, &down, &bad];
        let w = weights(&measured, &members, |_| true).unwrap();
        assert!((w[0] - w[1]).abs() < 0.05 && w[2] < 0.02, "{w:?}");
        let cv = (Learnt::of(None, &measured, &members, 1).unwrap()).combine(&members);
        assert!(
            cv.predictions[0]
                .iter()
                .all(|p| (p.mean - 0.2).abs() < 0.15)
        );
        let given = Learnt::of(Some(vec![1.0 / 3.0; 3]), &measured, &members, 1).unwrap();
        let even = given.combine(&members);
        assert!((even.predictions[0][7].mean - 5.4 / 3.0).abs() < 1e-12);
        assert_eq!(even.fit_seconds, 3.0);
    }

    /// Two repeats as one.
    fn both(a: &CrossValidation, b: &CrossValidation) -> CrossValidation {
        CrossValidation {
            predictions: [&a.predictions[..], &b.predictions[..]].concat(),
            folds: vec![a.folds[0].clone(), Folds::new(40, 5, 1, "t").unwrap()],
            ..*a
        }
    }

    #[test]
    fn weights_are_learnt_on_the_other_rows_of_all_repeats() {
        let measured = vec![0.0; 40];
        let folds = Folds::new(40, 5, 0, "t").unwrap();
        // Of two members, the second errs twice as much, and in fold 3 not at all.
        let wave = |i: usize, turn: f64| (i as f64 * 1.3 + turn).sin();
        let second = |i: usize, turn: f64| match folds.fold_of(i) {
            3 => 0.0,
            _ => 2.0 * wave(i, turn + 2.0),
        };
        let a = both(&judged(|i| wave(i, 0.0)), &judged(|i| wave(i, 0.4)));
        let b = both(&judged(|i| second(i, 0.0)), &judged(|i| second(i, 0.4)));
        let learnt = Learnt::of(None, &measured, &[&a, &b], 1).unwrap();
        // w = (bb - ab) / (aa + bb - 2 ab), over the rows of the other folds in both repeats.
        let (mut aa, mut ab, mut bb) = (0.0, 0.0, 0.0);
        for i in (0..40).filter(|&i| folds.fold_of(i) != 3) {
            for turn in [0.0, 0.4] {
                let (a, b) = (wave(i, turn), second(i, turn));
                (aa, ab, bb) = (aa + a * a, ab + a * b, bb + b * b);
            }
        }
        let expected = (bb - ab) / (aa + bb - 2.0 * ab);
        assert!((0.1..0.99).contains(&expected), "{expected}");
        assert!(
            (learnt.by_fold[0][3][0] - expected).abs() < 1e-3,
            "{learnt:?}"
        );
        assert!((learnt.all[0] - expected).abs() > 0.01, "{learnt:?}");
        // One repeat alone judges the ensemble.
        let cv = learnt.combine(&[&a, &b]);
        assert_eq!((cv.predictions.len(), cv.folds.len()), (1, 1));
        assert_eq!(learnt.by_fold.len(), 1);
    }

    #[test]
    fn weights_are_drawn_towards_those_of_other_targets() {
        let measured = vec![0.0; 40];
        let good = judged(|i| 0.1 * (i as f64).sin());
        let bad = judged(|_| 5.0);
        let learnt = |members: [&CrossValidation; 2]| Learnt::of(None, &measured, &members, 1);
        let (mut a, mut b) = (
            learnt([&good, &bad]).unwrap(),
            learnt([&bad, &good]).unwrap(),
        );
        assert!(a.all[0] > 0.98 && b.all[0] < 0.02);
        Learnt::share(&mut [&mut a, &mut b], 4);
        // Four rows of its own, and four of the mean of both targets.
        for weights in [&a.all, &a.by_fold[0][3]] {
            assert!((weights[0] - 0.75).abs() < 0.02, "{weights:?}");
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        assert!((b.all[0] - 0.25).abs() < 0.02);
    }
}
