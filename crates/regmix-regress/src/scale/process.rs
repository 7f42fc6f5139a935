//! A Gaussian process on the residuals of a law: trends over size and tokens
//! that all mixtures share, and residuals that are specific to a mixture.

use faer::linalg::solvers::Llt;
use faer::prelude::Solve;
use faer::{Mat, Side};
use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use crate::scale::units::Setting;

/// The covariance of residuals of the logarithm: a sum of parts that fall with
/// the distance in ln N and ln D, `sd² k(ln N) k(ln D)`, times `m(√r)` where they
/// are particular to a mixture; k squared exponentials, m a Matérn function of
/// order 3/2 of the distance of square roots of weights. Far from the data all
/// parts fall to zero, and only the law remains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// What all mixtures share at a step of training: the same batches, the same
    /// learning rate.
    pub step: Part,
    /// The residual of a mixture that persists along training and over sizes.
    pub mixture: Part,
    /// The residual of a mixture at one step, at all sizes.
    pub mixture_step: Part,
    /// The length of both in square roots of weights.
    pub weights_length: f64,
    /// Standard deviation of single measurements.
    pub noise: f64,
}

/// One part of a covariance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its standard deviation.
    pub sd: f64,
    /// Its length in ln N and in ln D.
    pub lengths: [f64; 2],
}

impl Part {
    fn covariance(&self, dn: f64, dd: f64) -> f64 {
        let [n, d] = self.lengths;
        self.sd.powi(2) * (-0.5 * ((dn / n).powi(2) + (dd / d).powi(2))).exp()
    }
}

/// Where the process was asked or measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    roots: Vec<f64>,
    ln_size: f64,
    ln_tokens: f64,
}

impl Place {
    pub(crate) fn of(at: &Setting<'_>) -> Self {
        Self {
            roots: at.weights.iter().map(|w| w.max(0.0).sqrt()).collect(),
            ln_size: at.parameters.ln(),
            ln_tokens: at.tokens.ln(),
        }
    }
}

impl Kernel {
    fn own(&self) -> f64 {
        self.step.sd.powi(2) + self.mixture.sd.powi(2) + self.mixture_step.sd.powi(2)
    }

    /// The covariance of two places: what all mixtures share, and that of a
    /// mixture as the part of scales and the distance of the weights.
    fn parts(&self, a: &Place, b: &Place) -> (f64, f64, f64) {
        let (dn, dd) = (a.ln_size - b.ln_size, a.ln_tokens - b.ln_tokens);
        let roots = a.roots.iter().zip(&b.roots);
        let distance = roots.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        (
            self.step.covariance(dn, dd),
            self.mixture.covariance(dn, dd) + self.mixture_step.covariance(dn, dd),
            3f64.sqrt() * distance / self.weights_length,
        )
    }

    fn covariance(&self, a: &Place, b: &Place) -> f64 {
        let (common, scales, x) = self.parts(a, b);
        common + scales * (1.0 + x) * (-x).exp()
    }
}

/// The covariance of the measured places, factored: one for all targets that
/// are measured at the same places.
#[derive(Debug)]
pub(crate) struct Factored {
    kernel: Kernel,
    factor: Llt<f64>,
}

impl Factored {
    /// # Errors
    /// When the matrix is not positive.
    pub(crate) fn of(kernel: Kernel, places: &[Place], picks: &[usize]) -> Result<Self> {
        let noise = kernel.noise.powi(2);
        let matrix = Mat::from_fn(picks.len(), picks.len(), |i, j| match i == j {
            true => kernel.own() + noise,
            false if i > j => kernel.covariance(&places[picks[i]], &places[picks[j]]),
            false => 0.0,
        });
        let factor = Llt::new(matrix.as_ref(), Side::Lower)
            .map_err(|_| Error::failed("the covariance of residuals is not positive"))?;
        Ok(Self { kernel, factor })
    }

    pub(crate) fn weights_of(&self, residuals: &[f64]) -> Vec<f64> {
        let y = Mat::from_fn(residuals.len(), 1, |i, _| residuals[i]);
        let solved = self.factor.solve(&y);
        solved.col_as_slice(0).to_vec()
    }

    /// The standard deviation of the process at a place, without the noise of a
    /// measurement, from its covariances with the measured places.
    pub(crate) fn sd(&self, picks: &[usize], covariances: &[f64]) -> f64 {
        let k = Mat::from_fn(picks.len(), 1, |i, _| covariances[picks[i]]);
        let solved = self.factor.solve(&k);
        let explained: f64 = (0..picks.len()).map(|i| k[(i, 0)] * solved[(i, 0)]).sum();
        (self.kernel.own() - explained).max(0.0).sqrt()
    }
}

/// The covariances of a place with all measured places.
pub(crate) fn covariances(kernel: &Kernel, places: &[Place], at: &Place) -> Vec<f64> {
    places.iter().map(|p| kernel.covariance(p, at)).collect()
}

/// The expected residual at a place from the measured places `picks` and their
/// weights; its derivative by the weights of the mixture is added to `by`.
pub(crate) fn expected(
    kernel: &Kernel,
    places: &[Place],
    (picks, weights): (&[usize], &[f64]),
    at: &Place,
    by: &mut [f64],
) -> f64 {
    /// Roots below this have the slope of this one.
    const FINEST: f64 = 1e-2;
    let mut mean = 0.0;
    let mut slopes = vec![0.0; at.roots.len()];
    for (pick, weight) in picks.iter().zip(weights) {
        let place = &places[*pick];
        let (common, scales, x) = kernel.parts(at, place);
        let decay = (-x).exp();
        mean += weight * (common + scales * (1.0 + x) * decay);
        let slope = -3.0 * weight * scales * decay / kernel.weights_length.powi(2);
        for (s, (a, b)) in slopes.iter_mut().zip(at.roots.iter().zip(&place.roots)) {
            *s += slope * (a - b);
        }
    }
    for ((by, slope), root) in by.iter_mut().zip(slopes).zip(&at.roots) {
        *by += slope / (2.0 * root.max(FINEST));
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: Kernel = Kernel {
        step: Part {
            sd: 0.02,
            lengths: [0.7, 0.7],
        },
        mixture: Part {
            sd: 0.02,
            lengths: [2.0, 2.0],
        },
        mixture_step: Part {
            sd: 0.01,
            lengths: [1.5, 0.1],
        },
        weights_length: 0.5,
        noise: 0.001,
    };

    fn place(w: f64, parameters: f64, tokens: f64) -> Place {
        Place::of(&Setting {
            weights: &[w, 1.0 - w],
            parameters,
            tokens,
        })
    }

    #[test]
    fn it_follows_the_data_and_fades_far_from_it() {
        let places = [place(0.2, 1e8, 1e9), place(0.7, 2e8, 2e9)];
        let factored = Factored::of(KERNEL, &places, &[0, 1]).unwrap();
        let weights = factored.weights_of(&[0.01, -0.01]);
        let mean = |at: &Place| expected(&KERNEL, &places, (&[0, 1], &weights), at, &mut [0.0; 2]);
        let sd = |at: &Place| factored.sd(&[0, 1], &covariances(&KERNEL, &places, at));
        let near = mean(&places[0]);
        assert!((near - 0.01).abs() < 1e-4, "{near}");
        assert!(sd(&places[0]) < 0.002);
        let far = place(0.2, 1e11, 1e12);
        assert!(mean(&far).abs() < 1e-4);
        assert!((sd(&far) - 0.03).abs() < 1e-4);
    }

    #[test]
    fn slopes_match_differences() {
        let places = [place(0.2, 1e8, 1e9), place(0.7, 2e8, 2e9)];
        let weights = [3.0, -2.0];
        let value = |w: &[f64]| {
            let at = Place::of(&Setting {
                weights: w,
                parameters: 1.5e8,
                tokens: 1.5e9,
            });
            expected(&KERNEL, &places, (&[0, 1], &weights), &at, &mut [0.0; 2])
        };
        let at = Place::of(&Setting {
            weights: &[0.4, 0.6],
            parameters: 1.5e8,
            tokens: 1.5e9,
        });
        let mut by = [0.0; 2];
        expected(&KERNEL, &places, (&[0, 1], &weights), &at, &mut by);
        for j in 0..2 {
            let moved = |h: f64| {
                let mut w = [0.4, 0.6];
                w[j] += h;
                value(&w)
            };
            let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((numeric - by[j]).abs() < 1e-6, "{numeric} {}", by[j]);
        }
    }
}
