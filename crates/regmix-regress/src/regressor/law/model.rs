//! The power laws with cross terms: evaluation and derivatives.

use std::f64::consts::LOG2_E;

use serde::{Deserialize, Serialize};

use crate::numeric::slices::dot;
use crate::prediction::Prediction;
use crate::regressor::block::{Block, RESOLUTION, TINY};
use crate::regressor::uncertainty::Uncertainty;
use crate::vector::{self, Op, madd};

/// Parameters of a term that do not belong to one domain: A, b, q, e.
pub(crate) const SHAPE: usize = 4;

/// `L(r) = c + Σ_k A_k (e_k + Σ_j t_kj r_j^q_k)^(-b_k)` with one term
/// (`law1`) or two (`law2`). All of c, A, b, q, e, t are positive and q below
/// 1.5: loss falls with the effective amount of data, to which every domain
/// adds with its own transfer t_j and diminishing returns q. c, A in the
/// target's unit; the others have none.
///
/// One term contains the own-domain power law (all other t zero) and, for
/// q = 1, the power law in effective data; see Ye et al., Data Mixing Laws
/// (arXiv 2403.16952) and Ge et al., BiMix (arXiv 2405.14908) for relatives.
/// A second term lets a loss bend at two places: where its own domain runs
/// out, and where related ones do.
///
/// The standard deviation joins the noise of one run, which grows where the
/// law is steep, and the uncertainty of the parameters by the delta method on
/// the regularised Gauss-Newton matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LawModel {
    terms: usize,
    /// Unbounded parameters, as they are fitted: c, then A, b, q, e, t_1 …
    /// t_D of every term.
    raw: Vec<f64>,
    uncertainty: Uncertainty,
}

impl LawModel {
    pub(crate) fn new(terms: usize, raw: Vec<f64>, uncertainty: Uncertainty) -> Self {
        Self {
            terms,
            raw,
            uncertainty,
        }
    }

    pub(crate) fn raw(&self) -> &[f64] {
        &self.raw
    }

    /// How many terms the law has: 1 or 2.
    pub fn terms(&self) -> usize {
        self.terms
    }

    pub(crate) fn domains(&self) -> usize {
        (self.raw.len().saturating_sub(1) / self.terms.max(1)).saturating_sub(SHAPE)
    }

    /// The transfers t_j of every term, `[terms][domains]`: how much a token
    /// of a domain counts for this target, before diminishing returns.
    pub fn transfers(&self) -> Vec<Vec<f64>> {
        (self.raw[1..].chunks(SHAPE + self.domains()))
            .map(|term| term[SHAPE..].iter().map(|t| t.exp()).collect())
            .collect()
    }

    /// The loss c that no amount of data goes below.
    pub fn irreducible(&self) -> f64 {
        softplus(self.raw[0])
    }

    pub(crate) fn mean(&self, ln_weights: &[f64]) -> f64 {
        let terms = terms_of(&self.raw, self.domains());
        self.irreducible() + terms.map(|t| t.value(ln_weights)).sum::<f64>()
    }

    /// The expected value of every row of a block.
    pub(crate) fn means(&self, block: &Block<'_>, out: &mut [f64]) {
        out.fill(self.irreducible());
        for term in terms_of(&self.raw, self.domains()) {
            vector::widest(AddTerm {
                term: &term,
                ln: block.ln(),
                out,
            });
        }
    }

    pub(crate) fn predict(&self, weights: &[f64]) -> Prediction {
        let ln = ln_weights(weights);
        let mut by_parameter = vec![0.0; self.raw.len()];
        let mean = derivatives(&self.raw, &ln, &mut by_parameter);
        Prediction {
            mean,
            sd: (self.uncertainty).sd(&by_parameter, slope(&self.raw, weights)),
        }
    }

    /// dL/dr_j for every domain.
    pub(crate) fn gradient(&self, weights: &[f64]) -> Vec<f64> {
        slopes(&self.raw, &ln_weights(weights))
    }

    pub(crate) fn is_sound(&self) -> bool {
        let each = SHAPE + self.domains();
        self.terms > 0
            && each > SHAPE
            && self.raw.len() == 1 + self.terms * each
            && self.raw.iter().all(|p| p.is_finite())
            && self.uncertainty.is_sound(self.raw.len())
    }
}

/// ln(r + 1e-9) of every weight.
pub(crate) fn ln_weights(weights: &[f64]) -> Vec<f64> {
    weights.iter().map(|w| (w + TINY).ln()).collect()
}

/// One term, its parameters in their own units, with the derivatives of the
/// maps that keep them in range.
pub(crate) struct Term<'a> {
    pub(crate) ln_a: f64,
    pub(crate) b: f64,
    pub(crate) q: f64,
    pub(crate) e: f64,
    pub(crate) db: f64,
    pub(crate) dq: f64,
    /// ln t_j.
    pub(crate) t: &'a [f64],
}

/// The terms of raw parameters. A = exp, b = softplus, q = 1.5 sigmoid,
/// e = exp of them, t_j = exp.
pub(crate) fn terms_of(raw: &[f64], domains: usize) -> impl Iterator<Item = Term<'_>> {
    raw[1..].chunks(SHAPE + domains).map(|p| {
        let s = sigmoid(p[2]);
        Term {
            ln_a: p[0],
            b: softplus(p[1]),
            q: 1.5 * s,
            e: p[3].exp(),
            db: sigmoid(p[1]),
            dq: 1.5 * s * (1.0 - s),
            t: &p[SHAPE..],
        }
    })
}

impl Term<'_> {
    /// e + Σ t_j r_j^q.
    fn sum(&self, ln: &[f64]) -> f64 {
        let each = self.t.iter().zip(ln);
        self.e + each.map(|(t, l)| (t + self.q * l).exp()).sum::<f64>()
    }

    /// A sum^(-b).
    fn falling(&self, ln_sum: f64) -> f64 {
        (self.ln_a - self.b * ln_sum).exp()
    }

    /// dL/d(sum).
    fn by_sum(&self, sum: f64) -> f64 {
        -self.b * self.falling(sum.ln()) / sum
    }

    fn value(&self, ln: &[f64]) -> f64 {
        self.falling(self.sum(ln).ln())
    }
}

/// Rows that a term is worked out for side by side: sums of so many stay in
/// registers.
const LANES: usize = 8;

/// Adds a term to every row of a block.
struct AddTerm<'a> {
    term: &'a Term<'a>,
    /// `[domains][rows]`.
    ln: &'a [f64],
    out: &'a mut [f64],
}

impl Op for AddTerm<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // These become vector instructions.
    fn run<const FMA: bool>(self) {
        let Self { term, ln, out } = self;
        let n = out.len();
        // To base 2, in which powers are cheapest.
        let q = term.q * LOG2_E;
        let mut lanes = [0.0; LANES];
        for from in (0..n).step_by(LANES) {
            let here = LANES.min(n - from);
            let mut sum = [term.e; LANES];
            for (j, t) in term.t.iter().enumerate() {
                let (t, column) = (t * LOG2_E, &ln[j * n + from..]);
                let x = match column.first_chunk::<LANES>() {
                    Some(x) if here == LANES => x,
                    _ => {
                        lanes[..here].copy_from_slice(&column[..here]);
                        &lanes
                    }
                };
                for i in 0..LANES {
                    sum[i] += vector::rough_exp2::<FMA>(madd::<FMA>(q, x[i], t));
                }
            }
            for i in 0..LANES {
                let ln_sum = vector::ln::<FMA>(sum[i]);
                sum[i] = vector::exp::<FMA>(madd::<FMA>(-term.b, ln_sum, term.ln_a));
            }
            for i in 0..here {
                out[from + i] += sum[i];
            }
        }
    }
}

/// The value at one mixture, and its derivatives by the raw parameters.
pub(crate) fn derivatives(raw: &[f64], ln: &[f64], out: &mut [f64]) -> f64 {
    out[0] = sigmoid(raw[0]);
    let mut value = softplus(raw[0]);
    for (term, out) in terms_of(raw, ln.len()).zip(out[1..].chunks_mut(SHAPE + ln.len())) {
        let (head, tail) = out.split_at_mut(SHAPE);
        let (mut sum, mut by_q) = (term.e, 0.0);
        for ((o, t), l) in tail.iter_mut().zip(term.t).zip(ln) {
            *o = (t + term.q * l).exp();
            sum += *o;
            by_q += *o * l;
        }
        let ln_sum = sum.ln();
        let falling = term.falling(ln_sum);
        let by_sum = -term.b * falling / sum;
        head[0] = falling;
        head[1] = -falling * ln_sum * term.db;
        head[2] = by_sum * by_q * term.dq;
        head[3] = by_sum * term.e;
        for o in tail {
            *o *= by_sum;
        }
        value += falling;
    }
    value
}

/// Length of the derivative by the weights, no finer than [`RESOLUTION`]: at
/// weight 0 it is as good as infinite.
pub(crate) fn slope(raw: &[f64], weights: &[f64]) -> f64 {
    let ln: Vec<f64> = weights.iter().map(|w| (w + RESOLUTION).ln()).collect();
    let slopes = slopes(raw, &ln);
    dot(&slopes, &slopes).sqrt()
}

/// The derivative by every weight, where the weights have these logarithms.
fn slopes(raw: &[f64], ln: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; ln.len()];
    for term in terms_of(raw, ln.len()) {
        let by_sum = term.by_sum(term.sum(ln));
        for ((o, t), ln) in out.iter_mut().zip(term.t).zip(ln) {
            *o += by_sum * term.q * (t + (term.q - 1.0) * ln).exp();
        }
    }
    out
}

/// ln(1 + eˣ), without overflow.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regressor::uncertainty::Linearised;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn derivatives_match_finite_differences(
            terms in 1usize..3,
            c in -1.5f64..1.5,
            heads in prop::collection::vec(-1.5f64..1.5, 2 * SHAPE),
            t in prop::collection::vec(-3.0f64..1.0, 8),
            w in prop::collection::vec(0.02f64..1.0, 4),
        ) {
            let total: f64 = w.iter().sum();
            let w: Vec<f64> = w.iter().map(|x| x / total).collect();
            let ln = ln_weights(&w);
            let mut raw = vec![c];
            for k in 0..terms {
                raw.extend(&heads[k * SHAPE..(k + 1) * SHAPE]);
                raw.extend(&t[k * 4..(k + 1) * 4]);
            }
            let mut unused = vec![0.0; raw.len()];
            let mut value = |raw: &[f64]| derivatives(raw, &ln, &mut unused);
            let mut analytic = vec![0.0; raw.len()];
            let at = derivatives(&raw, &ln, &mut analytic);
            let h = 1e-5;
            for i in 0..raw.len() {
                let (mut up, mut down) = (raw.clone(), raw.clone());
                up[i] += h;
                down[i] -= h;
                let numeric = (value(&up) - value(&down)) / (2.0 * h);
                prop_assert!((numeric - analytic[i]).abs() < 1e-5 * (1.0 + numeric.abs()), "{i}");
            }
            let mut one = Linearised::default();
            one.push(vec![0.0; raw.len()], 0.1, 0.0);
            let uncertainty = Uncertainty::of(one, &vec![1.0; raw.len()], &[1.0]).unwrap();
            let model = LawModel::new(terms, raw.clone(), uncertainty);
            prop_assert!(model.is_sound() && model.domains() == 4);
            prop_assert!((model.mean(&ln) - at).abs() < 1e-12 * at.abs());
            let mut out = [0.0; 3];
            model.means(&Block::of(&[w.as_slice(), w.as_slice(), w.as_slice()]), &mut out);
            prop_assert!((out[2] - at).abs() < 1e-10 * at.abs());
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
