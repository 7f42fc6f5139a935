//! Fitting a Gaussian process.

use rand::seq::SliceRandom;

use regmix_data::random::stream;
use regmix_data::{Monitor, Result};

use crate::numeric::lbfgs::minimise;
use crate::regressor::gp::hyperparameters::{MAX_ROWS_DRAWN, draws};
use crate::regressor::gp::inputs::{Inputs, Warp};
use crate::regressor::gp::likelihood::{self, Likelihood};
use crate::regressor::gp::model::{GpModel, MAX_ROWS, Scale, Stored};
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::samples::Samples;

/// Fits [`GpModel`]: an exact Gaussian process, Matérn 5/2 with one
/// lengthscale per domain on cube roots of weights (`gp`) or logarithms
/// (`gp_log`), with noise that grows where a weight is near zero.
///
/// Lengthscales, variances and noises (3 + 2 D numbers) maximise the
/// marginal likelihood times a weak prior, by L-BFGS with the exact gradient:
/// first on a random part of the rows, where a step costs an eighth or less,
/// then on all of them. With up to 192 rows, standard deviations also hold
/// what is left open about these numbers, by eight draws from their posterior.
///
/// Of many rows a random part is fitted (a subset of data; chapter 8.3.1 of the
/// book below): what is learnt from a row falls quickly with their number, while
/// the cost of each grows with its square.
///
/// | field | default | range |
/// |---|---|---|
/// | `warp` | cube root | |
/// | `iterations` | 60 | 1 or more: steps on a part of the rows |
/// | `polish` | 15 | 1 or more: steps on all rows that are fitted |
/// | `part` | 192 | 16 or more: rows of the part |
/// | `rows` | 512 | 16 to 4096: the most rows that are fitted |
///
/// Cost O((iterations · part³ + polish · n³)), n at most `rows`; 8 n² bytes
/// four times over while fitting. A mean costs O(n D), a standard deviation
/// O(n²).
///
/// Wins wherever losses are smooth in the mixture and there are 100 runs or more. Far from
/// all runs it falls back to its prior, with a large standard deviation; a law extrapolates
/// better. Fails with few runs in many domains, where lengthscales are hardly known.
/// Equations and derivatives are those of Rasmussen and Williams
/// (Gaussian Processes for Machine Learning, 2006, chapters 2 and 5); [`GpModel`] has the
/// covariance.
///
/// ```
/// use regmix_regress::{Samples, regressor::{Gp, Regressor}};
///
/// // A wave, which is no law of losses.
/// let wave = |w: f64| 3.0 + (6.0 * w).sin();
/// let rows: Vec<Vec<f64>> = (1..30).map(|i| f64::from(i) / 30.0).map(|w| vec![w, 1.0 - w]).collect();
/// let values = rows.iter().map(|w| wave(w[0])).collect();
/// let model = Gp::default().fit(&Samples::new(rows.iter().map(Vec::as_slice), values)?, 0)?;
/// assert!((model.mean(&[0.35, 0.65]) - wave(0.35)).abs() < 0.02);
/// // Far from all rows it is less sure.
/// assert!(model.predict(&[1.0, 0.0]).sd > model.predict(&[0.5, 0.5]).sd);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Gp {
    /// How weights are spread out.
    pub warp: Warp,
    /// Steps on a part of the rows.
    pub iterations: u64,
    /// Steps on all rows.
    pub polish: u64,
    /// Rows of the part.
    pub part: usize,
    /// The most rows that are fitted.
    pub rows: usize,
}

impl Default for Gp {
    fn default() -> Self {
        Self {
            warp: Warp::CubeRoot,
            iterations: 60,
            polish: 15,
            part: 192,
            rows: 512,
        }
    }
}

impl Gp {
    /// [`Regressor::fit_monitored`], with the model's own type.
    pub(crate) fn process(
        &self,
        samples: &Samples<'_>,
        seed: u64,
        monitor: &dyn Monitor,
    ) -> Result<GpModel> {
        let samples = &self.limited(samples, seed)?;
        let (inputs, scale) = check(self.warp, samples)?;
        let (rows, values) = (samples.rows(), scale.standardise(samples.values()));
        let mut p = likelihood::start(samples.domains());
        let part = self.part.max(16);
        let mut rest = self.polish;
        if rows.len() > part + part / 2 {
            let order = drawn(rows.len(), part, seed, "part");
            let some: Vec<&[f64]> = order.iter().map(|&i| rows[i]).collect();
            let their = order.iter().map(|&i| values[i]).collect();
            let mut likelihood = Likelihood::new(&inputs, &some, their);
            p = minimise(&p, self.iterations, |p, g| likelihood.cost(p, g), monitor)?.0;
        } else {
            rest += self.iterations;
        }
        let mut likelihood = Likelihood::new(&inputs, rows, values);
        let parameters = minimise(&p, rest, |p, g| likelihood.cost(p, g), monitor)?.0;
        let draws = match rows.len() <= MAX_ROWS_DRAWN {
            true => draws(&mut likelihood, &parameters, seed, monitor)?,
            false => Vec::new(),
        };
        posterior(self.warp, samples, Vec::new(), parameters, draws)
    }

    /// The samples that are fitted: of too many, a random part.
    fn limited<'a>(&self, samples: &Samples<'a>, seed: u64) -> Result<Samples<'a>> {
        let most = self.rows.clamp(16, MAX_ROWS);
        match samples.len() > most {
            true => samples.pick(&drawn(samples.len(), most, seed, "rows")),
            false => Ok(samples.clone()),
        }
    }
}

/// `some` of `n` places, in their order.
fn drawn(n: usize, some: usize, seed: u64, purpose: &str) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut stream(seed, "gp", purpose));
    order.truncate(some);
    order.sort_unstable();
    order
}

impl Regressor for Gp {
    fn name(&self) -> &str {
        match self.warp {
            Warp::CubeRoot => "gp",
            Warp::Logarithm => "gp_log",
        }
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        let process = match context.previous {
            Some(Model::Gp(gp)) if gp.domains() == samples.domains() => {
                // Fitting lengthscales again would cost much and change little:
                // only the rows and values are replaced.
                let samples = self.limited(samples, context.seed)?;
                check(self.warp, &samples)?;
                let (some, times) = samples.distinct();
                let (parameters, draws) = gp.hyperparameters();
                posterior(self.warp, &some, times, parameters.to_vec(), draws.to_vec())?
            }
            _ => self.process(samples, context.seed, context.monitor)?,
        };
        Ok(Model::Gp(Box::new(process)))
    }
}

fn check(warp: Warp, samples: &Samples<'_>) -> Result<(Inputs, Scale)> {
    samples.require_spread()?;
    let once = vec![1.0; samples.len()];
    let scale = Scale::of(samples.values(), &once);
    Ok((Inputs::of(warp, samples.rows(), &once), scale))
}

fn posterior(
    warp: Warp,
    samples: &Samples<'_>,
    times: Vec<f64>,
    parameters: Vec<f64>,
    draws: Vec<Vec<f64>>,
) -> Result<GpModel> {
    GpModel::new(Stored {
        warp,
        rows: samples.rows().iter().map(|r| r.to_vec()).collect(),
        values: samples.values().to_vec(),
        times,
        parameters,
        draws,
    })
}
