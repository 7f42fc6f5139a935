//! A fitted Gaussian process.

use std::f64::consts::{LN_2, LOG2_E};

use faer::{Mat, Par};
use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use crate::prediction::Prediction;
use crate::regressor::block::Block;
use crate::regressor::gp::inputs::{Inputs, Warp, near_zero};
use crate::regressor::gp::likelihood::{HEAD, LEVEL, Likelihood};
use crate::vector::{self, Op, madd};

/// The most rows that are fitted: a factorisation costs O(n³), its matrix
/// 8 n² bytes, several at a time.
pub(crate) const MAX_ROWS: usize = 4096;

/// The most drawn hyperparameters that a file may hold.
const MAX_DRAWS: usize = 64;

/// Rows scored side by side: four vectors of four doubles.
const LANES: usize = 16;

/// Squared distances times this are those of `√5ρ / ln 2`, so that
/// `e^(-√5ρ)` is a power of 2.
const STRETCH: f64 = 5.0 * LOG2_E * LOG2_E;

/// The posterior of a Gaussian process over the logarithm of the values (the
/// values themselves where some are not positive).
///
/// The covariance of two mixtures, with x the standardised cube roots or
/// logarithms of weights ([`Warp`]), is `s² m(|x - x'|_ℓ) + l² x·x' + a constant`, with
/// `m(ρ) = (1 + √5ρ + 5/3 ρ²) e^(-√5ρ)` (Matérn 5/2) and one lengthscale ℓ_j
/// per domain. A run adds noise of variance `n² + Σ_j v_j² (d / (r_j + d))²`,
/// d = 0.001: where a weight is near zero the loss is steep, and a weight is
/// known no better than to 0.001.
///
/// `mean` is the median of the prediction (in logarithms the median is the
/// mean), `sd` its standard deviation to first order. Where hyperparameters
/// were drawn, each of them gives a variance around the mean of the likeliest
/// (its own, and the square of the distance of its mean), and the variance is
/// their geometric mean: of an arithmetic one, a single draw that believes in
/// noise alone would be most. Files hold rows,
/// values and parameters; the factor of the covariance is computed when
/// reading them, O(n³).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct GpModel {
    stored: Stored,
    pub(super) inputs: Inputs,
    /// Rows over lengthscales, `[rows][domains]`.
    scaled: Vec<f64>,
    /// Squared length of every scaled row, times [`STRETCH`].
    norms: Vec<f64>,
    inverse_lengths: Vec<f64>,
    /// Weights of the rows.
    alpha: Vec<f64>,
    /// What the linear part adds per input.
    slopes: Vec<f64>,
    /// What the constant part adds.
    level: f64,
    factor: Mat<f64>,
    scale: Scale,
    /// The same with drawn hyperparameters.
    others: Vec<GpModel>,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) warp: Warp,
    pub(super) rows: Vec<Vec<f64>>,
    pub(super) values: Vec<f64>,
    /// How often each row counts; empty where all count once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) times: Vec<f64>,
    pub(super) parameters: Vec<f64>,
    /// Other parameters, drawn from their posterior.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) draws: Vec<Vec<f64>>,
}

impl PartialEq for GpModel {
    fn eq(&self, other: &Self) -> bool {
        self.stored == other.stored
    }
}

impl From<GpModel> for Stored {
    fn from(model: GpModel) -> Self {
        model.stored
    }
}

impl TryFrom<Stored> for GpModel {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self> {
        let n = stored.rows.len();
        let domains = stored.rows.first().map_or(0, Vec::len);
        let parameters = |some: &Vec<f64>| {
            some.len() == HEAD + 2 * domains && some.iter().all(|p| p.is_finite() && p.abs() < 50.0)
        };
        let sound = n > 0
            && n <= MAX_ROWS
            && domains > 0
            && stored.values.len() == n
            && parameters(&stored.parameters)
            && stored.draws.len() <= MAX_DRAWS
            && stored.draws.iter().all(parameters)
            && (stored.rows.iter())
                .all(|r| r.len() == domains && r.iter().all(|w| w.is_finite() && *w >= 0.0))
            && stored.values.iter().all(|v| v.is_finite())
            && (stored.times.is_empty() || stored.times.len() == n)
            && stored.times.iter().all(|k| *k >= 1.0 && k.is_finite());
        if !sound {
            return Err(Error::input(
                "damaged Gaussian process: expected rows, values and parameters of matching sizes",
            )
            .help("run the fit again"));
        }
        Self::new(stored)
    }
}

/// The standardisation of values: the mean and standard deviation of their
/// logarithms where all are positive, else of themselves.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    pub(super) log: bool,
    pub(super) centre: f64,
    pub(super) spread: f64,
}

impl Scale {
    /// `times`: how often each value counts.
    pub(super) fn of(values: &[f64], times: &[f64]) -> Self {
        let log = values.iter().all(|v| *v > 0.0);
        let seen = |v: &f64| if log { v.ln() } else { *v };
        let n: f64 = times.iter().sum();
        let sum: f64 = values.iter().zip(times).map(|(v, k)| k * seen(v)).sum();
        let centre = sum / n;
        let squares = (values.iter().zip(times)).map(|(v, k)| k * (seen(v) - centre).powi(2));
        Self {
            log,
            centre,
            spread: (squares.sum::<f64>() / n).sqrt(),
        }
    }

    fn standardised(&self, value: f64) -> f64 {
        let seen = if self.log { value.ln() } else { value };
        (seen - self.centre) / self.spread
    }

    pub(super) fn standardise(&self, values: &[f64]) -> Vec<f64> {
        values.iter().map(|v| self.standardised(*v)).collect()
    }
}

impl GpModel {
    /// Works out the posterior.
    pub(super) fn new(stored: Stored) -> Result<Self> {
        let mut others = Vec::with_capacity(stored.draws.len());
        for draw in &stored.draws {
            others.push(Self::new(Stored {
                parameters: draw.clone(),
                draws: Vec::new(),
                ..stored.clone()
            })?);
        }
        let rows: Vec<&[f64]> = stored.rows.iter().map(Vec::as_slice).collect();
        let times = match stored.times.is_empty() {
            true => vec![1.0; rows.len()],
            false => stored.times.clone(),
        };
        let scale = Scale::of(&stored.values, &times);
        if scale.spread.is_nan() || scale.spread <= 0.0 {
            return Err(Error::input(
                "all values are the same: expected some spread",
            ));
        }
        let inputs = Inputs::of(stored.warp, &rows, &times);
        let d = inputs.domains();
        let mut p = stored.parameters.clone();
        // Rounding can make a nearly singular covariance indefinite: add as
        // much noise as it takes.
        let posterior = (0..8).find_map(|attempt| {
            if attempt > 0 {
                p[2] = p[2].max(-14.0 + 1.5 * f64::from(attempt));
            }
            let values = scale.standardise(&stored.values);
            Likelihood::counted(&inputs, &rows, values, times.clone()).posterior(&p)
        });
        let Some((alpha, factor)) = posterior else {
            return Err(Error::failed(
                "the covariance of a Gaussian process is not positive: weights out of range",
            ));
        };
        let inverse_lengths: Vec<f64> = p[HEAD..HEAD + d].iter().map(|l| (-l).exp()).collect();
        let linear = (2.0 * p[1]).exp();
        let mut slopes = vec![0.0; d];
        let mut scaled = Vec::with_capacity(rows.len() * d);
        for (row, a) in rows.iter().zip(&alpha) {
            for (j, x) in inputs.of_weights(row).into_iter().enumerate() {
                slopes[j] += a * linear * x;
                scaled.push(x * inverse_lengths[j]);
            }
        }
        let norms = scaled
            .chunks(d)
            .map(|x| x.iter().map(|x| STRETCH * x * x).sum())
            .collect();
        Ok(Self {
            stored: Stored {
                parameters: p,
                ..stored
            },
            inputs,
            scaled,
            norms,
            inverse_lengths,
            level: LEVEL * alpha.iter().sum::<f64>(),
            alpha,
            slopes,
            factor,
            scale,
            others,
        })
    }

    pub(crate) fn domains(&self) -> usize {
        self.inputs.domains()
    }

    /// The likeliest, and those drawn.
    pub(super) fn hyperparameters(&self) -> (&[f64], &[Vec<f64>]) {
        (&self.stored.parameters, &self.stored.draws)
    }

    /// The lengthscale of every domain, in standard deviations of its
    /// warped weight: the shorter, the more the target bends with it.
    pub fn lengthscales(&self) -> Vec<f64> {
        self.inverse_lengths.iter().map(|l| 1.0 / l).collect()
    }

    /// The value for a standardised mean.
    fn value(&self, standardised: f64) -> f64 {
        let seen = self.scale.centre + self.scale.spread * standardised;
        if self.scale.log { seen.exp() } else { seen }
    }

    fn variance(&self) -> f64 {
        (2.0 * self.stored.parameters[0]).exp()
    }

    pub(crate) fn mean(&self, weights: &[f64]) -> f64 {
        let mut out = [0.0];
        self.means(&Block::of(&[weights]), &mut out);
        out[0]
    }

    pub(crate) fn means(&self, block: &Block<'_>, out: &mut [f64]) {
        let (n, d) = (block.len(), self.domains());
        let variance = self.variance();
        let warped = self.inputs.warp().of_block(block);
        let mut queries = vec![[0.0; LANES]; d];
        let mut sums = [0.0; LANES];
        for from in (0..n).step_by(LANES) {
            let here = LANES.min(n - from);
            let mut norms = [0.0; LANES];
            let mut straight = [0.0; LANES];
            for j in 0..d {
                for i in 0..here {
                    let x = self.inputs.of_warped(j, warped[j * n + from + i]);
                    straight[i] += self.slopes[j] * x;
                    let x = x * self.inverse_lengths[j];
                    norms[i] += STRETCH * x * x;
                    // With the -2 of |a - b|² = |a|² + |b|² - 2 a·b.
                    queries[j][i] = -2.0 * STRETCH * x;
                }
            }
            vector::widest(Score {
                queries: &queries,
                query_norms: &norms,
                rows: &self.scaled,
                norms: &self.norms,
                alpha: &self.alpha,
                sums: &mut sums,
            });
            for i in 0..here {
                out[from + i] = self.value(variance * sums[i] + straight[i] + self.level);
            }
        }
    }

    /// Predicts some mixtures together, which is several times faster than
    /// one by one.
    pub(crate) fn predict_all(&self, rows: &[&[f64]]) -> Vec<Prediction> {
        let others: Vec<_> = self
            .others
            .iter()
            .map(|other| other.moments(rows))
            .collect();
        let all = 1.0 + others.len() as f64;
        (self.moments(rows).into_iter().enumerate())
            .map(|(r, (standardised, variance))| {
                let other = |other: &Vec<(f64, f64)>| {
                    let (mean, variance) = other[r];
                    variance + (mean - standardised).powi(2)
                };
                let logs = variance.ln() + others.iter().map(other).map(f64::ln).sum::<f64>();
                let variance = (logs / all).exp();
                let mean = self.value(standardised);
                Prediction {
                    mean,
                    sd: self.unit(mean) * variance.sqrt(),
                }
            })
            .collect()
    }

    /// The standardised mean and variance of a run of each mixture.
    fn moments(&self, rows: &[&[f64]]) -> Vec<(f64, f64)> {
        let (explained, before) = self.explained(rows);
        (before.into_iter().enumerate())
            .map(|(r, (mean, own, noise))| {
                let explained: f64 = explained.col_as_slice(r).iter().map(|c| c * c).sum();
                (mean, (own - explained).max(0.0) + noise)
            })
            .collect()
    }

    /// Covariances with the runs over the factor of theirs, a column per
    /// mixture; and the standardised mean, the variance before any run was
    /// seen, and the noise of each mixture.
    pub(super) fn explained(&self, rows: &[&[f64]]) -> (Mat<f64>, Vec<(f64, f64, f64)>) {
        let p = &self.stored.parameters;
        let d = self.domains();
        let (variance, linear) = (self.variance(), (2.0 * p[1]).exp());
        let mut covariance = Mat::zeros(self.alpha.len(), rows.len());
        let mut before = Vec::with_capacity(rows.len());
        for (r, weights) in rows.iter().enumerate() {
            let x = self.inputs.of_weights(weights);
            let mut mean = 0.0;
            for ((k, row), alpha) in (covariance.col_as_slice_mut(r).iter_mut())
                .zip(self.scaled.chunks_exact(d))
                .zip(&self.alpha)
            {
                let (mut distance, mut inner) = (0.0, 0.0);
                for ((x, row), inverse) in x.iter().zip(row).zip(&self.inverse_lengths) {
                    distance += (x * inverse - row).powi(2);
                    inner += x * row / inverse;
                }
                *k = variance * matern(distance) + linear * inner + LEVEL;
                mean += alpha * *k;
            }
            let own = variance + linear * x.iter().map(|x| x * x).sum::<f64>() + LEVEL;
            let at_zero =
                (p[HEAD + d..].iter().zip(*weights)).map(|(v, w)| (2.0 * v).exp() * near_zero(*w));
            before.push((mean, own, (2.0 * p[2]).exp() + at_zero.sum::<f64>()));
        }
        faer::linalg::triangular_solve::solve_lower_triangular_in_place(
            self.factor.as_ref(),
            covariance.as_mut(),
            Par::Seq,
        );
        (covariance, before)
    }

    /// The covariance of two mixtures before any run was seen, from their
    /// standardised inputs.
    pub(super) fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        let (mut distance, mut inner) = (0.0, 0.0);
        for ((a, b), inverse) in a.iter().zip(b).zip(&self.inverse_lengths) {
            distance += ((a - b) * inverse).powi(2);
            inner += a * b;
        }
        let linear = (2.0 * self.stored.parameters[1]).exp();
        self.variance() * matern(distance) + linear * inner + LEVEL
    }

    /// A value as the process sees it.
    pub(crate) fn standardised(&self, value: f64) -> f64 {
        self.scale.standardised(value)
    }

    /// The change of a value per unit of the standardised scale, to first
    /// order.
    pub(crate) fn unit(&self, value: f64) -> f64 {
        self.scale.spread * if self.scale.log { value } else { 1.0 }
    }

    /// The mean, and its derivative by each weight.
    pub(crate) fn value_and_gradient(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let d = self.domains();
        let x = self.inputs.of_weights(weights);
        let variance = self.variance();
        let mut by_input = self.slopes.clone();
        let mut mean = self.level + x.iter().zip(&self.slopes).map(|(x, s)| x * s).sum::<f64>();
        let lengths = self.inverse_lengths.iter();
        let scaled: Vec<f64> = x.iter().zip(lengths).map(|(x, l)| x * l).collect();
        for (row, alpha) in self.scaled.chunks_exact(d).zip(&self.alpha) {
            let distance: f64 = scaled.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum();
            let t = (5.0 * distance).sqrt();
            let e = alpha * variance * (-t).exp();
            mean += e * (1.0 + t + t * t / 3.0);
            let slope = -e * (5.0 / 3.0) * (1.0 + t);
            for (j, (a, b)) in scaled.iter().zip(row).enumerate() {
                by_input[j] += slope * (a - b) * self.inverse_lengths[j];
            }
        }
        let value = self.value(mean);
        let outer = self.unit(value);
        let gradient = (by_input.iter().zip(weights).enumerate())
            .map(|(j, (g, w))| outer * g * self.inputs.slope(j, *w));
        (value, gradient.collect())
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.alpha.iter().all(|a| a.is_finite()) && self.scale.centre.is_finite()
    }
}

/// Matérn 5/2 at a squared distance.
fn matern(distance: f64) -> f64 {
    let t = (5.0 * distance).sqrt();
    (1.0 + t + t * t / 3.0) * (-t).exp()
}

/// Σ_i α_i m(|q - x_i|) for sixteen queries.
struct Score<'a> {
    /// -2 times scaled inputs, by domain, times [`STRETCH`].
    queries: &'a [[f64; LANES]],
    query_norms: &'a [f64; LANES],
    rows: &'a [f64],
    norms: &'a [f64],
    alpha: &'a [f64],
    sums: &'a mut [f64; LANES],
}

impl Op for Score<'_> {
    type Output = ();

    /// Plain loops over arrays: iterators that do not melt into the loop keep
    /// it from becoming vector instructions.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // These become vector instructions.
    fn run<const FMA: bool>(self) {
        let d = self.queries.len();
        let (rows, alpha) = (self.rows, self.alpha);
        let n = alpha.len();
        let norms = &self.norms[..n];
        let mut sums = [0.0; LANES];
        for i in 0..n {
            let row = &rows[i * d..(i + 1) * d];
            let mut distance = *self.query_norms;
            for j in 0..d {
                let (x, query) = (row[j], &self.queries[j]);
                for l in 0..LANES {
                    distance[l] = madd::<FMA>(x, query[l], distance[l]);
                }
            }
            for l in 0..LANES {
                let t = (distance[l] + norms[i]).max(0.0).sqrt();
                let bend = madd::<FMA>(t, madd::<FMA>(t, LN_2 * LN_2 / 3.0, LN_2), 1.0);
                sums[l] = madd::<FMA>(alpha[i] * bend, vector::exp2::<FMA>(-t), sums[l]);
            }
        }
        *self.sums = sums;
    }
}
