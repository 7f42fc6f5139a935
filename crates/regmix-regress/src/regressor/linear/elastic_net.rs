//! Elastic net: linear regression that sets weak domains to the mean.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet as Solver;
use ndarray::{Array1, Array2};

use regmix_data::{Error, Result};

use crate::metrics::mean;
use crate::numeric::factor::Factor;
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::linear::least_squares::choose;
use crate::regressor::linear::model::LinearModel;
use crate::regressor::model::Model;
use crate::samples::Samples;

/// Linear regression with `penalty · (l1_ratio |b|₁ + (1 - l1_ratio) |b|² / 2)`
/// added to half the mean squared error, solved by coordinate descent.
///
/// | field | default | range |
/// |---|---|---|
/// | `l1_ratio` | 0.5 | above 0, to 1 |
/// | `folds` | 5 | 2 or more |
///
/// The penalty is chosen by cross-validation inside the samples it is given,
/// among 8 values from the one at which every coefficient vanishes down to
/// 1e-4 of it. Cost O(folds · penalties · (n D² + sweeps · D²)).
///
/// The method is Zou and Hastie's (2005, doi 10.1111/j.1467-9868.2005.00503.x).
/// Coefficients b are on weights about their means, so a domain whose b is 0
/// counts as the mean of all.
///
/// Wins among linear models with many domains of which few matter. Fails as
/// those do, since losses are no sums of weights; and of domains that go
/// together it may keep one at random.
///
/// ```
/// use regmix_regress::{Samples, regressor::{ElasticNet, Regressor}};
///
/// // Only the first domain matters.
/// let rows: Vec<Vec<f64>> = (0..30)
///     .map(|i| {
///         let w = f64::from(i % 10) / 20.0;
///         vec![w, (1.0 - w) * f64::from(i) / 30.0, (1.0 - w) * (1.0 - f64::from(i) / 30.0)]
///     })
///     .collect();
/// let losses = rows.iter().map(|w| 3.0 - w[0]).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?;
/// let model = ElasticNet::default().fit(&samples, 0)?;
/// assert!((model.mean(&[0.2, 0.1, 0.7]) - 2.8).abs() < 0.01);
/// assert!((model.mean(&[0.2, 0.7, 0.1]) - 2.8).abs() < 0.01);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ElasticNet {
    /// The share of the penalty that is on absolute values.
    pub l1_ratio: f64,
    /// Inner folds.
    pub folds: usize,
}

impl Default for ElasticNet {
    fn default() -> Self {
        Self {
            l1_ratio: 0.5,
            folds: 5,
        }
    }
}

impl Regressor for ElasticNet {
    fn name(&self) -> &str {
        "elastic_net"
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        if !(self.l1_ratio > 0.0 && self.l1_ratio <= 1.0) {
            return Err(Error::input(format!(
                "l1_ratio {}, expected above 0 and at most 1",
                self.l1_ratio
            ))
            .help("use `ridge` for squares only"));
        }
        let top = self.vanishing_penalty(samples);
        let grid: Vec<f64> = (0..8)
            .map(|i| top * 10f64.powf(-4.0 * f64::from(i) / 7.0))
            .collect();
        let penalty = choose(samples, self.folds, context.seed, &grid, |part, &p| {
            self.solve(part, p)
        })?;
        let coefficients = self.solve(samples, penalty)?;
        // The standard deviation sees the squared part of the penalty, and
        // at least what keeps the matrix of full rank.
        let squared = (penalty * (1.0 - self.l1_ratio)).max(1e-9) * samples.len() as f64;
        LinearModel::new(samples, coefficients, squared).map(Model::Linear)
    }
}

impl ElasticNet {
    fn vanishing_penalty(&self, samples: &Samples<'_>) -> f64 {
        let (x, y, _) = centred(samples);
        let steepest = x.t().dot(&y).iter().fold(0.0f64, |m, v| m.max(v.abs()));
        (steepest / samples.len() as f64 / self.l1_ratio).max(1e-12)
    }

    fn solve(&self, samples: &Samples<'_>, penalty: f64) -> Result<Vec<f64>> {
        let (x, y, offset) = centred(samples);
        let (x, y) = condensed(&x, &y)?;
        // The solver counts rows; condensed ones stand for all samples.
        let penalty = penalty * samples.len() as f64 / x.nrows() as f64;
        let fitted = Solver::params()
            .penalty(penalty)
            .l1_ratio(self.l1_ratio)
            .with_intercept(false)
            .fit(&DatasetBase::new(x, y))
            .map_err(|e| Error::failed(format!("elastic net failed: {e}")))?;
        let b = fitted.hyperplane();
        // The constant goes into every coefficient, since weights sum to 1.
        let constant = offset.1 - b.iter().zip(&offset.0).map(|(b, m)| b * m).sum::<f64>();
        Ok(b.iter().map(|b| b + constant).collect())
    }
}

/// D rows with the same XᵀX and Xᵀy as the n rows given: coordinate descent
/// sees nothing else of them, and its sweeps cost n/D times less. With
/// XᵀX = L Lᵀ these are Lᵀ and L⁻¹ Xᵀy.
fn condensed(x: &Array2<f64>, y: &Array1<f64>) -> Result<(Array2<f64>, Array1<f64>)> {
    let gram = x.t().dot(x);
    let d = gram.nrows();
    // Centred shares are linearly dependent; so is an unused domain.
    let lift = (1e-9 * gram.diag().sum()).max(1e-12);
    let lower = (0..d).flat_map(|i| (0..=i).map(move |j| (i, j)));
    let lower = lower.map(|(i, j)| {
        if i == j {
            gram[[i, i]] + lift
        } else {
            gram[[i, j]]
        }
    });
    let factor = Factor::of_lower(lower.collect(), 0.0)
        .ok_or_else(|| Error::failed("elastic net failed: weights or values out of range"))?;
    let entry = |i: usize, j: usize| factor.entries()[i * (i + 1) / 2 + j];
    let l = Array2::from_shape_fn((d, d), |(i, j)| if j <= i { entry(i, j) } else { 0.0 });
    let right: Vec<f64> = x.t().dot(y).to_vec();
    Ok((l.t().to_owned(), Array1::from(factor.forward(&right))))
}

type Means = (Vec<f64>, f64);

/// Columns and values with their means taken off, and the means.
fn centred(samples: &Samples<'_>) -> (Array2<f64>, Array1<f64>, Means) {
    let (n, d) = (samples.len(), samples.domains());
    let column = |j: usize| samples.rows().iter().map(|r| r[j]).sum::<f64>() / n as f64;
    let means: Vec<f64> = (0..d).map(column).collect();
    let centre = mean(samples.values());
    let x = Array2::from_shape_fn((n, d), |(i, j)| samples.rows()[i][j] - means[j]);
    let y = Array1::from_shape_fn(n, |i| samples.values()[i] - centre);
    (x, y, (means, centre))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::design::Dirichlet;
    use regmix_data::random::stream;

    #[test]
    fn a_sparse_truth_is_found_and_unused_domains_stay_finite() {
        let mut rng = stream(3, "elastic", "test");
        let draw = Dirichlet::new(&[1.0; 6]).unwrap();
        let mut rows: Vec<Vec<f64>> = (0..80).map(|_| draw.sample(&mut rng)).collect();
        for row in &mut rows {
            row.push(0.0);
        }
        let values: Vec<f64> = rows.iter().map(|w| 3.0 - 2.0 * w[1]).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        for regressor in [
            &ElasticNet::default() as &dyn Regressor,
            &crate::regressor::Ridge::default(),
        ] {
            let model = regressor.fit(&samples, 1).unwrap();
            let pure = |j: usize| {
                let mut w = vec![0.0; 7];
                w[j] = 1.0;
                model.predict(&w)
            };
            assert!((pure(1).mean - 1.0).abs() < 0.05, "{}", regressor.name());
            assert!((pure(0).mean - 3.0).abs() < 0.05, "{}", regressor.name());
            // Nothing was seen of the last domain: say so.
            assert!(pure(6).mean.is_finite() && pure(6).sd > pure(0).sd);
        }
    }
}
