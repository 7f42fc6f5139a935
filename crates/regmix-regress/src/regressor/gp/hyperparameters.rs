//! Draws of hyperparameters from their posterior.
//!
//! With a few dozen rows, lengthscales and noises are hardly known, and a
//! process that treats the most likely ones as known has intervals that are
//! far too narrow.

use faer::{Mat, Side};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use regmix_data::random::{Stream, stream};
use regmix_data::{Monitor, Result};

use crate::regressor::gp::likelihood::Likelihood;

/// The most rows with which hyperparameters are drawn: with more they are
/// known well enough, and draws cost O(n³) each.
pub(super) const MAX_ROWS_DRAWN: usize = 192;

/// Draws that a model keeps.
const DRAWS: usize = 8;

/// Steps of the chain before each draw.
const STEPS: usize = 8;

/// Length of a step of the chain, in posterior standard deviations.
const STEP: f64 = 0.5;

/// The least curvature of the posterior, half of the prior's: no direction
/// is wider than that.
const LEAST_CURVATURE: f64 = 0.05;

/// Distance of finite differences.
const DIFFERENCE: f64 = 1e-4;

/// Draws from the posterior whose mode is `mode`: a Markov chain (preconditioned
/// Crank-Nicolson, Cotter et al. 2013) in coordinates in which Laplace's
/// approximation around the mode is standard normal. Where that approximation
/// is exact, every step is accepted.
///
/// # Errors
/// When the monitor asks to stop.
pub(super) fn draws(
    likelihood: &mut Likelihood,
    mode: &[f64],
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Vec<Vec<f64>>> {
    let Some(spread) = spread(likelihood, mode) else {
        return Ok(Vec::new());
    };
    let n = mode.len();
    let at = |z: &[f64]| -> Vec<f64> {
        (0..n)
            .map(|i| mode[i] + (0..n).map(|k| spread[(i, k)] * z[k]).sum::<f64>())
            .collect()
    };
    // Minus the logarithm of the posterior over Laplace's approximation.
    let excess = |likelihood: &mut Likelihood, p: &[f64], z: &[f64]| {
        likelihood.value(p) - 0.5 * z.iter().map(|z| z * z).sum::<f64>()
    };
    let mut rng = stream(seed, "gp", "hyperparameters");
    let mut z = vec![0.0; n];
    let mut here = excess(likelihood, mode, &z);
    let mut draws = Vec::with_capacity(DRAWS);
    for step in 0..(DRAWS + 1) * STEPS {
        monitor.check()?;
        let to: Vec<f64> = (z.iter())
            .map(|z| (1.0 - STEP * STEP).sqrt() * z + STEP * normal(&mut rng))
            .collect();
        let p = at(&to);
        let there = excess(likelihood, &p, &to);
        let accepted = rng.random::<f64>() < (here - there).exp();
        if accepted && p.iter().all(|p| p.abs() < 20.0) {
            (z, here) = (to, there);
        }
        if step >= STEPS && (step + 1) % STEPS == 0 {
            draws.push(at(&z));
        }
    }
    Ok(draws)
}

fn normal(rng: &mut Stream) -> f64 {
    StandardNormal.sample(rng)
}

/// A matrix that makes vectors of the posterior's covariance out of standard
/// normal ones, by Laplace's approximation: the inverse square root of the
/// curvature at the mode. `None` where there is no curvature.
fn spread(likelihood: &mut Likelihood, mode: &[f64]) -> Option<Mat<f64>> {
    let n = mode.len();
    let mut gradients = Vec::with_capacity(n);
    for i in 0..n {
        let (mut up, mut down) = (vec![0.0; n], vec![0.0; n]);
        let mut p = mode.to_vec();
        p[i] = mode[i] + DIFFERENCE;
        likelihood.cost(&p, &mut up);
        p[i] = mode[i] - DIFFERENCE;
        likelihood.cost(&p, &mut down);
        let slope = up
            .iter()
            .zip(&down)
            .map(|(u, d)| (u - d) / (2.0 * DIFFERENCE));
        gradients.push(slope.collect::<Vec<f64>>());
    }
    let curvature = Mat::from_fn(n, n, |i, j| 0.5 * (gradients[i][j] + gradients[j][i]));
    let finite = (0..n).all(|i| (0..n).all(|j| curvature[(i, j)].is_finite()));
    let eigen = finite.then(|| curvature.self_adjoint_eigen(Side::Lower).ok())??;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    Some(Mat::from_fn(n, n, |i, k| {
        vectors[(i, k)] / values[k].max(LEAST_CURVATURE).sqrt()
    }))
}
