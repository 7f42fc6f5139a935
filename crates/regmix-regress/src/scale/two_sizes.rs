//! What two sizes leave open.
//!
//! Two sizes show by how much the loss falls from one to the other, and not how that
//! goes on: whether it has nearly reached its floor or keeps its slope. A law then has
//! an exponent that follows from what else is in it.

use std::f64::consts::LN_2;

use rayon::prelude::*;
use regmix_data::{Monitor, Result};

use crate::scale::fitted::FittedLaw;
use crate::scale::runs::ScaleRuns;
use crate::scale::units::Setting;

/// Exponents of size of published laws: Chinchilla's (arXiv 2203.15556) has 0.34, later
/// fits lie on both sides of it.
const EXPONENTS: [f64; 3] = [0.25, 0.34, 0.5];

/// Mixtures at which laws are compared.
const MIXTURES: usize = 16;

/// By how much the logarithm of the loss could be different for an e-fold of the size
/// beyond the two sizes of some runs: the root of the mean square by which it moves when
/// the exponents of size are those of published laws, and the rest is fitted again. It
/// is a standard deviation if each of these is as likely as the others. `laws` are those
/// of every target, fitted to the runs.
pub(crate) fn open_per_e_fold(
    laws: &[Vec<FittedLaw>],
    runs: &ScaleRuns,
    alike: f64,
    monitor: &dyn Monitor,
) -> Result<f64> {
    let largest = runs.sizes().last().copied().unwrap_or(1.0);
    let at = |weights| Setting {
        weights,
        parameters: 2.0 * largest,
        tokens: runs.token_range().1,
    };
    let of_largest = (runs.runs().iter()).filter(|run| run.parameters == largest);
    let settings: Vec<Setting<'_>> = of_largest
        .take(MIXTURES)
        .map(|run| at(&run.weights))
        .collect();
    let jobs: Vec<(f64, usize)> = (EXPONENTS.into_iter())
        .flat_map(|exponent| (0..laws.len()).map(move |target| (exponent, target)))
        .collect();
    let squares = |&(exponent, target): &(f64, usize)| {
        let laws = &laws[target];
        let held = (laws.iter())
            .map(|law| (law.clone()).at_size_exponent(exponent, runs, target, alike, monitor))
            .collect::<Result<Vec<FittedLaw>>>()?;
        let moved = |at: &Setting<'_>| (mean_ln(&held, at) - mean_ln(laws, at)).powi(2);
        Ok(settings.iter().map(moved).sum::<f64>())
    };
    let squares: Vec<f64> = jobs.par_iter().map(squares).collect::<Result<_>>()?;
    let count = (jobs.len() * settings.len()) as f64;
    Ok((squares.iter().sum::<f64>() / count.max(1.0)).sqrt() / LN_2)
}

fn mean_ln(laws: &[FittedLaw], at: &Setting<'_>) -> f64 {
    let all = laws.iter().map(|law| law.ln_value(&law.form(), at));
    all.sum::<f64>() / laws.len() as f64
}
