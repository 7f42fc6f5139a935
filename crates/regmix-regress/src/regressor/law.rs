//! The power law with cross terms: evaluation and derivatives.

use serde::{Deserialize, Serialize};

use super::Prediction;
use super::factor::Factor;
use super::noise::Noise;

/// Added to weights before the logarithm, so that a domain without weight
/// has one.
const TINY: f64 = 1e-9;

/// Resolution of a weight, for slopes: published weights are rounded to
/// 0.001, and the law's own derivative at weight 0 is as good as infinite.
const RESOLUTION: f64 = 1e-3;

/// How many parameters come before the per-domain ones.
pub(crate) const HEAD: usize = 5;

/// ln(r + 1e-9) of every weight.
pub(crate) fn ln_weights(weights: &[f64]) -> Vec<f64> {
    weights.iter().map(|w| (w + TINY).ln()).collect()
}

/// `L(r) = c + A (e + Σ_j t_j r_j^q)^(-b)` with all of c, A, b, q, e, t_j
/// positive and q below 1.5: loss falls with the effective amount of data,
/// to which every domain adds with its own transfer t_j and diminishing
/// returns q. c, A in the target's unit; the others have none.
///
/// The form contains the own-domain power law (all other t zero) and, for
/// q = 1, the power law in effective data; see Ye et al., Data Mixing Laws
/// (arXiv 2403.16952) and Ge et al., BiMix (arXiv 2405.14908) for relatives.
///
/// The standard deviation joins the noise of one run, which grows where the
/// law is steep, and the uncertainty of the parameters by the delta method on
/// the regularised Gauss-Newton matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Law1Model {
    /// Unbounded parameters, as they are fitted: c, A, b, q, e, t_1 … t_D.
    raw: Vec<f64>,
    noise: Noise,
    /// Of the Gauss-Newton matrix divided by the residual variance.
    factor: Factor,
}

impl Law1Model {
    pub(crate) fn new(raw: Vec<f64>, noise: Noise, factor: Factor) -> Self {
        Self { raw, noise, factor }
    }

    pub(crate) fn raw(&self) -> &[f64] {
        &self.raw
    }

    pub(crate) fn domains(&self) -> usize {
        self.raw.len().saturating_sub(HEAD)
    }

    /// The transfer t_j of every domain: how much a token of it counts for
    /// this target, before diminishing returns.
    pub fn transfer(&self) -> Vec<f64> {
        self.raw.iter().skip(HEAD).map(|t| t.exp()).collect()
    }

    /// The loss c that no amount of data goes below.
    pub fn irreducible(&self) -> f64 {
        softplus(self.raw[0])
    }

    pub(crate) fn mean(&self, ln_weights: &[f64]) -> f64 {
        Shape::of(&self.raw).value(&self.raw[HEAD..], ln_weights)
    }

    pub(crate) fn predict(&self, weights: &[f64]) -> Prediction {
        let ln = ln_weights(weights);
        let shape = Shape::of(&self.raw);
        let mut by_parameter = vec![0.0; self.raw.len()];
        let mean = shape.derivatives(&self.raw[HEAD..], &ln, &mut by_parameter);
        let parameters = self.factor.quadratic(&by_parameter);
        let noise = self.noise.sd(shape.slope(&self.raw[HEAD..], weights));
        Prediction {
            mean,
            sd: parameters.sqrt().hypot(noise),
        }
    }

    /// dL/dr_j for every domain.
    pub(crate) fn gradient(&self, weights: &[f64]) -> Vec<f64> {
        let (shape, ln) = (Shape::of(&self.raw), ln_weights(weights));
        let t = &self.raw[HEAD..];
        let by_sum = shape.by_sum(shape.sum(t, &ln));
        (t.iter().zip(&ln))
            .map(|(t, ln)| by_sum * shape.q * (t + (shape.q - 1.0) * ln).exp())
            .collect()
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.raw.len() > HEAD
            && self.raw.iter().all(|p| p.is_finite())
            && self.noise.is_sound()
            && self.factor.is_sound(self.raw.len())
    }
}

/// The parameters that do not belong to one domain, in their own units, with
/// the derivatives of the maps that keep them in range.
pub(crate) struct Shape {
    c: f64,
    a: f64,
    b: f64,
    q: f64,
    e: f64,
    dc: f64,
    db: f64,
    dq: f64,
}

impl Shape {
    /// c = softplus, A = exp, b = softplus, q = 1.5 sigmoid, e = exp of the
    /// raw parameters; t_j = exp.
    pub(crate) fn of(raw: &[f64]) -> Self {
        let s = sigmoid(raw[3]);
        Self {
            c: softplus(raw[0]),
            a: raw[1].exp(),
            b: softplus(raw[2]),
            q: 1.5 * s,
            e: raw[4].exp(),
            dc: sigmoid(raw[0]),
            db: sigmoid(raw[2]),
            dq: 1.5 * s * (1.0 - s),
        }
    }

    /// e + Σ t_j r_j^q.
    fn sum(&self, t: &[f64], ln: &[f64]) -> f64 {
        self.e
            + t.iter()
                .zip(ln)
                .map(|(t, l)| (t + self.q * l).exp())
                .sum::<f64>()
    }

    /// dL/d(sum).
    fn by_sum(&self, sum: f64) -> f64 {
        -self.a * self.b * (-(self.b + 1.0) * sum.ln()).exp()
    }

    fn value(&self, t: &[f64], ln: &[f64]) -> f64 {
        self.c + self.a * (-self.b * self.sum(t, ln).ln()).exp()
    }

    /// The value, and its derivatives by the raw parameters.
    pub(crate) fn derivatives(&self, t: &[f64], ln: &[f64], out: &mut [f64]) -> f64 {
        let (head, tail) = out.split_at_mut(HEAD);
        let (mut sum, mut by_q) = (self.e, 0.0);
        for ((o, t), l) in tail.iter_mut().zip(t).zip(ln) {
            *o = (t + self.q * l).exp();
            sum += *o;
            by_q += *o * l;
        }
        let ln_sum = sum.ln();
        let falling = self.a * (-self.b * ln_sum).exp();
        let by_sum = -self.b * falling / sum;
        head[0] = self.dc;
        head[1] = falling;
        head[2] = -falling * ln_sum * self.db;
        head[3] = by_sum * by_q * self.dq;
        head[4] = by_sum * self.e;
        for o in tail {
            *o *= by_sum;
        }
        self.c + falling
    }

    /// Length of the derivative by the weights, no finer than
    /// [`RESOLUTION`].
    pub(crate) fn slope(&self, t: &[f64], weights: &[f64]) -> f64 {
        let ln: Vec<f64> = weights.iter().map(|w| (w + RESOLUTION).ln()).collect();
        let by_sum = self.by_sum(self.sum(t, &ln));
        let steep = |(t, l): (&f64, &f64)| (self.q * (t + (self.q - 1.0) * l).exp()).powi(2);
        by_sum.abs() * t.iter().zip(&ln).map(steep).sum::<f64>().sqrt()
    }
}

/// ln(1 + eˣ), without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn derivatives_match_finite_differences(
            head in prop::collection::vec(-1.5f64..1.5, HEAD),
            t in prop::collection::vec(-3.0f64..1.0, 4),
            w in prop::collection::vec(0.02f64..1.0, 4),
        ) {
            let total: f64 = w.iter().sum();
            let w: Vec<f64> = w.iter().map(|x| x / total).collect();
            let ln = ln_weights(&w);
            let raw: Vec<f64> = head.into_iter().chain(t).collect();
            let value = |raw: &[f64], ln: &[f64]| Shape::of(raw).value(&raw[HEAD..], ln);
            let mut analytic = vec![0.0; raw.len()];
            let at = Shape::of(&raw).derivatives(&raw[HEAD..], &ln, &mut analytic);
            prop_assert!((at - value(&raw, &ln)).abs() < 1e-12);
            let h = 1e-5;
            for i in 0..raw.len() {
                let (mut up, mut down) = (raw.clone(), raw.clone());
                up[i] += h;
                down[i] -= h;
                let numeric = (value(&up, &ln) - value(&down, &ln)) / (2.0 * h);
                prop_assert!((numeric - analytic[i]).abs() < 1e-5 * (1.0 + numeric.abs()), "{i}");
            }
            let model = Law1Model::new(
                raw.clone(),
                Noise::fit(&[0.0], &[0.0], 1.0),
                Factor::of_rows::<Vec<f64>>(&[], &vec![1.0; raw.len()]).unwrap(),
            );
            for (j, analytic) in model.gradient(&w).into_iter().enumerate() {
                let (mut up, mut down) = (w.clone(), w.clone());
                up[j] += 1e-6;
                down[j] -= 1e-6;
                let numeric =
                    (model.mean(&ln_weights(&up)) - model.mean(&ln_weights(&down))) / 2e-6;
                prop_assert!((numeric - analytic).abs() < 1e-4 * (1.0 + numeric.abs()));
            }
        }
    }
}
