//! Linear regression on the weights, plain and shrunk.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2};

use regmix_data::{Error, Result};

use crate::folds::Folds;
use crate::metrics::mean;
use crate::numeric::slices::{add, dot};
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::linear::model::{LinearModel, inner_products, is_wide};
use crate::regressor::model::Model;
use crate::samples::Samples;

/// Ordinary least squares on the weights.
///
/// A penalty of 1e-9 per row keeps unused and collinear domains finite: the
/// β of a domain that no proxy used is the mean of the values. Cost
/// O(n D²). It has no parameters; [`LinearModel`] has the equation.
///
/// Wins as a quick look, and where few rows lie close together. Fails away
/// from the middle: a loss falls ever less with weight, a line does not, and
/// its best mixture is always a corner or a limit.
///
/// ```
/// use regmix_regress::{Samples, regressor::{Linear, Regressor}};
///
/// // The third domain is never used.
/// let rows: Vec<Vec<f64>> = (0..9).map(|i| vec![i as f64 / 8.0, 1.0 - i as f64 / 8.0, 0.0]).collect();
/// let losses = rows.iter().map(|w| 2.0 * w[0] + 4.0 * w[1]).collect();
/// let model = Linear.fit(&Samples::new(rows.iter().map(Vec::as_slice), losses)?, 0)?;
/// assert!((model.mean(&[1.0, 0.0, 0.0]) - 2.0).abs() < 1e-6);
/// assert!((model.mean(&[0.0, 0.0, 1.0]) - 3.0).abs() < 1e-6);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Linear;

impl Regressor for Linear {
    fn name(&self) -> &str {
        "linear"
    }

    fn fit_with(&self, samples: &Samples<'_>, _: FitContext<'_>) -> Result<Model> {
        let penalty = 1e-9 * samples.len() as f64;
        let coefficients = least_squares(samples, penalty)?;
        LinearModel::new(samples, coefficients, penalty).map(Model::Linear)
    }
}

/// Least squares with squared coefficients penalised; the strength is chosen
/// by cross-validation inside the samples it is given.
///
/// | field | default | range |
/// |---|---|---|
/// | `folds` | 5 | 2 or more |
///
/// What is shrunk is the distance of each β to the mean of the values: minimised
/// is `Σ (L(r) - y)² + λ Σ_j (β_j - ȳ)²` (Hoerl and Kennard 1970,
/// doi 10.1080/00401706.1970.10488634). Strengths tried: 1e-7 to 1 per row,
/// one per decade. Cost O(folds n D²).
///
/// Wins over [`Linear`] with about as many rows as domains, or where domains
/// go together. Fails as that does: losses are no sums of weights.
///
/// ```
/// use regmix_regress::{Samples, regressor::{Regressor, Ridge}};
///
/// // Fewer rows than domains: least squares alone has no answer.
/// let rows = [[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.3, 0.3, 0.2, 0.2]];
/// let samples = Samples::new(rows.iter().map(|r| &r[..]), vec![2.0, 3.0, 2.6])?;
/// let model = Ridge::default().fit(&samples, 0)?;
/// assert!(model.mean(&rows[0]) < model.mean(&rows[2]) && model.mean(&rows[2]) < model.mean(&rows[1]));
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Ridge {
    /// Inner folds.
    pub folds: usize,
}

impl Default for Ridge {
    fn default() -> Self {
        Self { folds: 5 }
    }
}

impl Regressor for Ridge {
    fn name(&self) -> &str {
        "ridge"
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        let grid: Vec<f64> = (-7..=0).map(|e| 10f64.powi(e)).collect();
        let per_row = choose(
            samples,
            self.folds,
            context.seed,
            &grid,
            |part, &per_row| least_squares(part, per_row * part.len() as f64),
        )?;
        let penalty = per_row * samples.len() as f64;
        let coefficients = least_squares(samples, penalty)?;
        LinearModel::new(samples, coefficients, penalty).map(Model::Linear)
    }
}

/// The grid value whose held-out squared error is lowest. Only the samples
/// given are looked at.
pub(crate) fn choose<P: Copy>(
    samples: &Samples<'_>,
    folds: usize,
    seed: u64,
    grid: &[P],
    fit: impl Fn(&Samples<'_>, &P) -> Result<Vec<f64>>,
) -> Result<P> {
    let folds = Folds::of(samples, folds, seed, "inner")?;
    let mut best: Option<(f64, P)> = None;
    for value in grid {
        let mut error = 0.0;
        for fold in 0..folds.count() {
            let (train, held) = folds.split(fold);
            let beta = fit(&samples.pick(&train)?, value)?;
            for i in held {
                error += (samples.values()[i] - dot(samples.rows()[i], &beta)).powi(2);
            }
        }
        if error.is_finite() && best.as_ref().is_none_or(|(e, _)| error < *e) {
            best = Some((error, *value));
        }
    }
    best.map(|(_, value)| value)
        .ok_or_else(|| Error::failed("no penalty gave a finite error: values out of range"))
}

/// minimise Σ (y - ȳ - r·b)² + λ |b|², then β = b + ȳ. The penalty enters as
/// D further rows √λ e_j with value 0, which keeps the matrix of full rank.
fn least_squares(samples: &Samples<'_>, penalty: f64) -> Result<Vec<f64>> {
    let (n, d) = (samples.len(), samples.domains());
    let centre = mean(samples.values());
    if is_wide(samples) {
        return wide(samples, penalty);
    }
    let root = penalty.sqrt();
    let x = Array2::from_shape_fn((n + d, d), |(i, j)| match samples.rows().get(i) {
        Some(row) => row[j],
        None if i - n == j => root,
        None => 0.0,
    });
    let y = Array1::from_shape_fn(n + d, |i| {
        samples.values().get(i).map_or(0.0, |v| v - centre)
    });
    let fitted = LinearRegression::new()
        .with_intercept(false)
        .fit(&DatasetBase::new(x, y))
        .map_err(|e| Error::failed(format!("least squares failed: {e}")))?;
    Ok(fitted.params().iter().map(|b| b + centre).collect())
}

/// The same in n unknowns: b = Rᵀ (R Rᵀ + λI)⁻¹ (y - ȳ).
fn wide(samples: &Samples<'_>, penalty: f64) -> Result<Vec<f64>> {
    let centre = mean(samples.values());
    let values: Vec<f64> = samples.values().iter().map(|v| v - centre).collect();
    let mut b = vec![centre; samples.domains()];
    let solved = inner_products(samples, penalty)?.solve(&values);
    for (row, solved) in samples.rows().iter().zip(solved) {
        add(&mut b, solved, row);
    }
    Ok(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::design::Dirichlet;
    use regmix_data::random::stream;

    #[test]
    fn runs_of_one_mixture_do_not_give_each_other_away() {
        let mut rng = stream(2, "repeats", "test");
        let draw = Dirichlet::new(&[0.5; 14]).unwrap();
        let rows: Vec<Vec<f64>> = (0..18).map(|_| draw.sample(&mut rng)).collect();
        let twice: Vec<&[f64]> = rows.iter().chain(&rows).map(Vec::as_slice).collect();
        let values: Vec<f64> = (0..18).map(|i| f64::from(i * i % 7)).collect();
        let fit =
            |part: &Samples<'_>, per_row: &f64| least_squares(part, per_row * part.len() as f64);
        let grid = [1e-9, 1e-3, 1e-2, 1e-1, 1.0];
        let chosen = |rows: &[&[f64]], values: Vec<f64>| {
            let samples = Samples::new(rows.iter().copied(), values).unwrap();
            choose(&samples, 5, 0, &grid, fit).unwrap()
        };
        let once = chosen(&twice[..18], values.clone());
        // Nothing can be learnt from these values. A copy of every run changes nothing.
        assert!(once > 1e-3, "{once}");
        assert_eq!(chosen(&twice, values.repeat(2)), once);
    }

    #[test]
    fn both_systems_have_the_same_solution() {
        let mut rng = stream(1, "wide", "test");
        let draw = Dirichlet::new(&[0.5; 40]).unwrap();
        let rows: Vec<Vec<f64>> = (0..12).map(|_| draw.sample(&mut rng)).collect();
        let values = rows.iter().map(|r| 3.0 + r[0] - 2.0 * r[7]).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        for penalty in [1e-6, 0.1] {
            let tall = least_squares(&samples, penalty).unwrap();
            let wide = wide(&samples, penalty).unwrap();
            for (a, b) in tall.iter().zip(&wide) {
                assert!((a - b).abs() < 1e-6, "{penalty}: {a} {b}");
            }
        }
    }
}
