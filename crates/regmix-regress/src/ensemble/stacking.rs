//! Stacking: the weights of an ensemble from out-of-fold predictions.

use regmix_data::{DomainSet, Mixture, Result};

use crate::constraints::Constraints;
use crate::cross_validation::CrossValidation;
use crate::numeric::slices::dot;
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

/// The weights with which members' predictions `[members][rows]` of measured
/// values have the least squared error over the rows that `used` picks; not
/// negative, with sum 1. Every row counts by the inverse of the variance that
/// members expect there.
fn weights(
    measured: &[f64],
    members: &[Vec<&Prediction>],
    used: impl Fn(usize) -> bool,
) -> Result<Vec<f64>> {
    let k = members.len();
    if k == 1 {
        return Ok(vec![1.0]);
    }
    let mut products = vec![vec![0.0; k]; k];
    let mut total = 0.0;
    for (row, measured) in measured.iter().enumerate().filter(|(row, _)| used(*row)) {
        let here = members.iter().map(|m| m[row]);
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

/// The cross-validation of an ensemble from those of its members, all over
/// the same folds. Weights for a fold are learnt on the other folds.
pub(crate) fn combine(
    given: Option<&[f64]>,
    measured: &[f64],
    members: &[&CrossValidation],
) -> Result<CrossValidation> {
    let first = members[0];
    let mut out = CrossValidation {
        predictions: Vec::with_capacity(first.predictions.len()),
        folds: first.folds.clone(),
        fit_seconds: members.iter().map(|m| m.fit_seconds).sum(),
        score_seconds: members.iter().map(|m| m.score_seconds).sum(),
    };
    for (repeat, folds) in first.folds.iter().enumerate() {
        let predictions: Vec<Vec<&Prediction>> = (members.iter())
            .map(|m| m.predictions[repeat].iter().collect())
            .collect();
        let by_fold = (0..folds.count())
            .map(|fold| match given {
                Some(given) => Ok(given.to_vec()),
                None => weights(measured, &predictions, |row| folds.fold_of(row) != fold),
            })
            .collect::<Result<Vec<_>>>()?;
        let joined = |row: usize| {
            let weights = &by_fold[folds.fold_of(row)];
            let parts: Vec<(f64, Prediction)> = (weights.iter().zip(&predictions))
                .map(|(w, p)| (*w, *p[row]))
                .collect();
            pooled(&parts)
        };
        out.predictions
            .push((0..measured.len()).map(joined).collect());
    }
    Ok(out)
}

/// Weights learnt on all out-of-fold predictions, for members fitted on all
/// rows.
pub(crate) fn final_weights(measured: &[f64], members: &[&CrossValidation]) -> Result<Vec<f64>> {
    let repeats = members[0].predictions.len();
    let measured: Vec<f64> = (0..repeats)
        .flat_map(|_| measured.iter().copied())
        .collect();
    let predictions: Vec<Vec<&Prediction>> = (members.iter())
        .map(|m| m.predictions.iter().flatten().collect())
        .collect();
    weights(&measured, &predictions, |_| true)
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
        let w = final_weights(&measured, &members).unwrap();
        assert!((w[0] - w[1]).abs() < 0.05 && w[2] < 0.02, "{w:?}");
        let cv = combine(None, &measured, &members).unwrap();
        assert!(
            cv.predictions[0]
                .iter()
                .all(|p| (p.mean - 0.2).abs() < 0.15)
        );
        let even = combine(Some(&[1.0 / 3.0; 3]), &measured, &members).unwrap();
        assert!((even.predictions[0][7].mean - 5.4 / 3.0).abs() < 1e-12);
        assert_eq!(even.fit_seconds, 3.0);
    }
}
