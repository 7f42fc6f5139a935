//! How the errors of targets go together.

use std::collections::BTreeMap;

use crate::fit::Fit;
use crate::metrics::pearson;

/// The correlation of the out-of-fold errors of every pair of targets, in units
/// of their predicted standard deviation, over the runs that both have; 1 where
/// these are too few.
pub(crate) fn error_correlation(fit: &Fit, targets: &[String]) -> Vec<Vec<f64>> {
    let errors = errors(fit, targets);
    let mut out = vec![vec![1.0; targets.len()]; targets.len()];
    for i in 0..targets.len() {
        for j in 0..i {
            out[i][j] = pair_correlation(&errors[i], &errors[j]);
            out[j][i] = out[i][j];
        }
    }
    out
}

/// Out-of-fold errors of every target, in units of their predicted standard
/// deviation: one per run, NaN where there is none.
fn errors(fit: &Fit, targets: &[String]) -> Vec<Vec<f64>> {
    let runs = fit.observations().mixtures.runs();
    let places: BTreeMap<&str, usize> = runs.iter().map(String::as_str).zip(0..).collect();
    let rows: BTreeMap<&str, usize> = targets.iter().map(String::as_str).zip(0..).collect();
    let mut errors = vec![vec![f64::NAN; runs.len()]; targets.len()];
    for p in fit.predictions() {
        if let (Some(&t), Some(&run)) = (rows.get(&*p.target), places.get(&*p.run)) {
            errors[t][run] = (p.measured - p.predicted) / p.sd.max(1e-12);
        }
    }
    errors
}

/// Correlation over the runs that both have; 1 where they are too few.
fn pair_correlation(a: &[f64], b: &[f64]) -> f64 {
    let both: (Vec<f64>, Vec<f64>) = (a.iter().zip(b))
        .filter(|(a, b)| a.is_finite() && b.is_finite())
        .unzip();
    let rho = pearson(&both.0, &both.1);
    if both.0.len() < Fit::MIN_ROWS || rho.is_nan() {
        1.0
    } else {
        rho
    }
}
