//! The inputs of a Gaussian process, made of the weights of a mixture.

use serde::{Deserialize, Serialize};

use crate::regressor::block::{Block, RESOLUTION};

/// How weights are spread out before distances are taken: small weights are
/// where losses change most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warp {
    /// The cube root of r: zero stays at a finite place.
    CubeRoot,
    /// ln (r + 0.001): a weight halved is as far as any other halved, down to
    /// the resolution of weights.
    Logarithm,
}

impl Warp {
    pub(super) fn of(self, weight: f64) -> f64 {
        match self {
            Self::CubeRoot => weight.cbrt(),
            Self::Logarithm => (weight + RESOLUTION).ln(),
        }
    }

    /// The warped weights of a block, `[domains][rows]`.
    pub(super) fn of_block<'a>(self, block: &'a Block<'_>) -> &'a [f64] {
        match self {
            Self::CubeRoot => block.roots(),
            Self::Logarithm => block.coarse_ln(),
        }
    }

    /// The derivative of [`Warp::of`]. A root has none at weight 0; what is
    /// given there is large and finite.
    fn slope(self, weight: f64) -> f64 {
        match self {
            Self::CubeRoot => {
                let root = weight.max(1e-9).cbrt();
                1.0 / (3.0 * root * root)
            }
            Self::Logarithm => 1.0 / (weight + RESOLUTION),
        }
    }
}

/// Warped weights, centred and scaled per domain over the runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inputs {
    warp: Warp,
    centre: Vec<f64>,
    scale: Vec<f64>,
}

impl Inputs {
    /// `times`: how often each row counts.
    pub(super) fn of(warp: Warp, rows: &[&[f64]], times: &[f64]) -> Self {
        let n: f64 = times.iter().sum();
        let domains = rows.first().map_or(0, |r| r.len());
        let column = |j: usize| (rows.iter().zip(times)).map(move |(r, k)| (warp.of(r[j]), k));
        let centre: Vec<f64> = (0..domains)
            .map(|j| column(j).map(|(x, k)| k * x).sum::<f64>() / n)
            .collect();
        let scale = (0..domains)
            .map(|j| {
                let squares: f64 = column(j).map(|(x, k)| k * (x - centre[j]).powi(2)).sum();
                let sd = (squares / n).sqrt();
                // A domain that never varies tells nothing; its distances
                // stay what they are.
                if sd > 1e-9 { sd } else { 1.0 }
            })
            .collect();
        Self {
            warp,
            centre,
            scale,
        }
    }

    pub(super) fn domains(&self) -> usize {
        self.centre.len()
    }

    pub(super) fn warp(&self) -> Warp {
        self.warp
    }

    /// The input of domain j with a warped weight.
    #[inline(always)]
    pub(super) fn of_warped(&self, j: usize, warped: f64) -> f64 {
        (warped - self.centre[j]) / self.scale[j]
    }

    /// The input of domain j.
    pub(super) fn of_weight(&self, j: usize, weight: f64) -> f64 {
        self.of_warped(j, self.warp.of(weight))
    }

    /// All inputs of a mixture.
    pub(super) fn of_weights(&self, weights: &[f64]) -> Vec<f64> {
        (weights.iter().enumerate())
            .map(|(j, w)| self.of_weight(j, *w))
            .collect()
    }

    /// The derivative of input j by its weight.
    pub(super) fn slope(&self, j: usize, weight: f64) -> f64 {
        self.warp.slope(weight) / self.scale[j]
    }
}

/// How much of the noise at weight zero is left at a weight:
/// `(d / (r + d))²`.
#[inline]
pub(super) fn near_zero(weight: f64) -> f64 {
    let share = RESOLUTION / (weight + RESOLUTION);
    share * share
}
