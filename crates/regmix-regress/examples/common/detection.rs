//! How well a score tells two kinds of mixtures apart.

use regmix_data::{Error, Result};
use regmix_regress::Factor;

/// The area under the curve of true against false positives: the probability
/// that a positive has a higher score than a negative, ties counting half.
/// `None` where one kind is missing.
pub(crate) fn auroc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (yes, no) = parted(scores, positive)?;
    let wins: f64 = (yes.iter())
        .flat_map(|a| no.iter().map(move |b| a.total_cmp(b)))
        .map(|order| match order {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    Some(wins / (yes.len() * no.len()) as f64)
}

/// The share of negatives that are flagged by a threshold that flags 95 % of
/// the positives.
pub(crate) fn fpr95(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (yes, no) = parted(scores, positive)?;
    let threshold = quantile(&yes, 0.05);
    Some(no.iter().filter(|s| **s >= threshold).count() as f64 / no.len() as f64)
}

fn parted(scores: &[f64], positive: &[bool]) -> Option<(Vec<f64>, Vec<f64>)> {
    let of = |wanted: bool| -> Vec<f64> {
        (scores.iter().zip(positive))
            .filter(|(_, p)| **p == wanted)
            .map(|(s, _)| *s)
            .collect()
    };
    let (yes, no) = (of(true), of(false));
    (!yes.is_empty() && !no.is_empty()).then_some((yes, no))
}

/// Quantile by linear interpolation between order statistics; NaN for no
/// values.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (place - low as f64) * (sorted[high] - sorted[low])
}

/// Ridge of the logistic regression, per row.
const RIDGE: f64 = 0.02;

/// The coefficients of a logistic regression that gives both kinds the same
/// weight; by Newton's method.
pub(crate) fn logistic(yes: &[Vec<f64>], no: &[Vec<f64>]) -> Result<Vec<f64>> {
    let Some(first) = yes.first() else {
        return Err(Error::input("no positives, expected at least one"));
    };
    let mut found = vec![0.0; first.len()];
    for _ in 0..25 {
        let mut slope: Vec<f64> = found.iter().map(|b| -RIDGE * b).collect();
        let mut rows = Vec::with_capacity(yes.len() + no.len());
        for (kind, truth) in [(yes, 1.0), (no, 0.0)] {
            let weight = 1.0 / kind.len() as f64;
            for x in kind {
                let p = 1.0 / (1.0 + (-weighted(x, &found)).exp());
                for (slope, x) in slope.iter_mut().zip(x) {
                    *slope += weight * (truth - p) * x;
                }
                let scale = (weight * p * (1.0 - p)).sqrt();
                rows.push(x.iter().map(|x| scale * x).collect::<Vec<f64>>());
            }
        }
        let step = Factor::of_rows(&rows, &vec![RIDGE; found.len()])?.solve(&slope);
        for (found, step) in found.iter_mut().zip(step) {
            *found += step;
        }
    }
    Ok(found)
}

/// Σ x b.
pub(crate) fn weighted(x: &[f64], coefficients: &[f64]) -> f64 {
    x.iter().zip(coefficients).map(|(x, b)| x * b).sum()
}
