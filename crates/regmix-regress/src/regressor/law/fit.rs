//! Fitting the power laws with cross terms.

use std::cell::RefCell;

use rand_distr::{Distribution, StandardNormal};

use regmix_data::random::stream;
use regmix_data::{Error, Result};

use crate::metrics::variance;
use crate::numeric::lbfgs::minimise;
use crate::regressor::block::Block;
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::law::model::{
    LawModel, SHAPE, derivatives, ln_weights, sigmoid, slope, softplus, terms_of,
};
use crate::regressor::model::Model;
use crate::regressor::uncertainty::{Linearised, Uncertainty};
use crate::samples::Samples;
use crate::vector::{self, Op, dot};

/// Fits [`LawModel`]: `L(r) = c + Σ_k A_k (e_k + Σ_j t_kj r_j^q_k)^(-b_k)`,
/// with one term ([`Law::one`], `law1`) or two ([`Law::two`], `law2`).
///
/// Minimised is `mean (L - y)² / Var(y) + λ |p - p₀|²` over the unbounded
/// parameters p, by L-BFGS from several starts. The centre p₀ gives the
/// target's own domain a transfer of 1 and the others e⁻³, which is what
/// makes few rows suffice.
///
/// | field | default | range |
/// |---|---|---|
/// | `terms` | 1 or 2 | 1 or 2 |
/// | `starts` | 3 | 1 or more |
/// | `iterations` | 400 | 1 or more: an eighth for each start, the rest for the best of them |
/// | `penalty` | none: 1e-4 up to 64 rows, falling to 1e-6 | positive |
///
/// Values must be positive, as losses are. Cost
/// O((starts / 8 + 1) · iterations · terms · n D).
///
/// Suited to few rows, and to the edge of what the proxies covered, where its
/// form still holds; predicts faster than anything else. Not suited to targets
/// that are not losses, or that a domain increases: transfers cannot be
/// negative.
///
/// ```
/// use regmix_regress::{Samples, regressor::{Law, Regressor}};
///
/// let rows: Vec<Vec<f64>> = (0..24).map(|i| f64::from(i) / 23.0).map(|w| vec![w, 1.0 - w]).collect();
/// // A token of the second domain counts a tenth of one of the first.
/// let law = |w: f64| 2.0 + (0.02 + w + 0.1 * (1.0 - w)).powf(-0.3);
/// let losses = rows.iter().map(|w| law(w[0])).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?.with_own_domain(Some(0));
/// let model = Law::one().fit(&samples, 0)?;
/// assert!((model.mean(&[0.4, 0.6]) - law(0.4)).abs() < 0.01);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Law {
    /// Terms of the law.
    pub terms: usize,
    /// Starts of the optimiser: the centre, then random ones around it.
    pub starts: u32,
    /// Iterations of the optimiser.
    pub iterations: u64,
    /// λ; `None` goes by the number of rows.
    pub penalty: Option<f64>,
}

impl Law {
    /// One term: 5 parameters and one per domain.
    pub fn one() -> Self {
        Self {
            terms: 1,
            starts: 3,
            iterations: 400,
            penalty: None,
        }
    }

    /// Two terms: 9 parameters and two per domain.
    pub fn two() -> Self {
        Self {
            terms: 2,
            ..Self::one()
        }
    }
}

impl Regressor for Law {
    fn name(&self) -> &str {
        if self.terms == 2 { "law2" } else { "law1" }
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        let problem = Problem::new(samples, self)?;
        let minimise = |start: &[f64], iterations| {
            minimise(
                start,
                iterations,
                |p, g| problem.cost(p, g),
                context.monitor,
            )
        };
        if let Some(Model::Law(law)) = context.previous
            && law.domains() == samples.domains()
            && law.terms() == self.terms
        {
            return problem.finish(minimise(law.raw(), self.iterations / 4)?.0);
        }
        let mut rng = stream(context.seed, self.name(), "starts");
        // A few iterations show which start is best; only that one is followed.
        let look = self.iterations.div_ceil(8);
        let mut best: Option<(Vec<f64>, f64)> = None;
        for start in 0..self.starts.max(1) {
            let mut p = problem.centre.clone();
            // Terms that start alike would stay alike.
            if start > 0 || self.terms > 1 {
                for x in &mut p {
                    let z: f64 = StandardNormal.sample(&mut rng);
                    *x += z;
                }
            }
            let found = minimise(&p, look)?;
            if best.as_ref().is_none_or(|b| found.1 < b.1) {
                best = Some(found);
            }
        }
        let start = best.map_or_else(|| problem.centre.clone(), |b| b.0);
        problem.finish(minimise(&start, self.iterations - look)?.0)
    }
}

struct Problem<'a> {
    samples: &'a Samples<'a>,
    /// Runs that are repeated, once.
    distinct: Samples<'a>,
    times: Vec<f64>,
    block: Block<'a>,
    centre: Vec<f64>,
    terms: usize,
    spread: f64,
    penalty: f64,
    scratch: RefCell<Scratch>,
}

/// What one evaluation of the cost writes to.
struct Scratch {
    residuals: Vec<f64>,
    /// Residuals times how often their rows count.
    counted: Vec<f64>,
    terms: Vec<TermScratch>,
}

/// Values of one term, one per row.
#[derive(Clone)]
struct TermScratch {
    /// t_j r_j^q, `[domains][rows]`.
    parts: Vec<f64>,
    sum: Vec<f64>,
    /// Σ_j t_j r_j^q ln r_j.
    by_q: Vec<f64>,
    /// ln of `sum`, then of use as weights.
    ln_sum: Vec<f64>,
    falling: Vec<f64>,
}

impl<'a> Problem<'a> {
    fn new(samples: &'a Samples<'a>, law: &Law) -> Result<Self> {
        if !(1..=2).contains(&law.terms) {
            return Err(Error::input(format!(
                "{} terms, expected 1 or 2",
                law.terms
            )));
        }
        samples.require_losses("the power law")?;
        let spread = variance(samples.values());
        let (distinct, times) = samples.distinct();
        let (n, domains) = (distinct.len(), samples.domains());
        let rows = samples.len() as f64;
        let penalty =
            (law.penalty).unwrap_or_else(|| (1e-4 * (64.0 / rows).powi(2)).clamp(1e-6, 1e-4));
        if !(penalty > 0.0 && penalty.is_finite()) {
            return Err(Error::input(format!(
                "penalty {penalty}, expected a positive number"
            )));
        }
        let mut centre = vec![1.0];
        for _ in 0..law.terms {
            centre.extend([std::f64::consts::LN_2, 0.0, 0.0, -5.0]);
            centre.extend((0..domains).map(|j| {
                if samples.own_domain() == Some(j) {
                    0.0
                } else {
                    -3.0
                }
            }));
        }
        let empty = TermScratch {
            parts: vec![0.0; n * domains],
            sum: vec![0.0; n],
            by_q: vec![0.0; n],
            ln_sum: vec![0.0; n],
            falling: vec![0.0; n],
        };
        Ok(Self {
            samples,
            block: Block::of(distinct.rows()),
            distinct,
            times,
            centre,
            terms: law.terms,
            spread,
            penalty,
            scratch: RefCell::new(Scratch {
                residuals: vec![0.0; n],
                counted: vec![0.0; n],
                terms: vec![empty; law.terms],
            }),
        })
    }

    /// The objective; writes its gradient.
    fn cost(&self, p: &[f64], gradient: &mut [f64]) -> f64 {
        let mut scratch = self.scratch.borrow_mut();
        let squares = vector::widest(Evaluate {
            raw: p,
            domains: self.samples.domains(),
            ln: self.block.ln(),
            values: self.distinct.values(),
            times: &self.times,
            scratch: &mut scratch,
            gradient,
        });
        let scale = 1.0 / (self.samples.len() as f64 * self.spread);
        let mut cost = squares * scale;
        for ((g, p), centre) in gradient.iter_mut().zip(p).zip(&self.centre) {
            cost += self.penalty * (p - centre) * (p - centre);
            *g = 2.0 * (*g * scale + self.penalty * (p - centre));
        }
        cost
    }

    /// Adds noise and parameter uncertainty to fitted parameters.
    fn finish(&self, raw: Vec<f64>) -> Result<Model> {
        let mut at = Linearised::default();
        for (weights, y) in self.samples.rows().iter().zip(self.samples.values()) {
            let mut row = vec![0.0; raw.len()];
            let residual = derivatives(&raw, &ln_weights(weights), &mut row) - y;
            at.push(row, residual, slope(&raw, weights));
        }
        // λ |p - p₀|² in the objective is this much in sums of squares.
        let ridge = self.penalty * self.samples.len() as f64 * self.spread;
        let ridge = vec![ridge; raw.len()];
        let uncertainty = Uncertainty::of(at, &ridge, self.samples.values())?;
        Ok(Model::Law(LawModel::new(self.terms, raw, uncertainty)))
    }
}

/// The sum of squared residuals, and half its gradient by the raw parameters.
struct Evaluate<'a> {
    raw: &'a [f64],
    domains: usize,
    /// `[domains][rows]`.
    ln: &'a [f64],
    values: &'a [f64],
    times: &'a [f64],
    scratch: &'a mut Scratch,
    gradient: &'a mut [f64],
}

impl Op for Evaluate<'_> {
    type Output = f64;

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // These become vector instructions.
    fn run<const FMA: bool>(self) -> f64 {
        let n = self.values.len();
        let c = softplus(self.raw[0]);
        let residuals = &mut self.scratch.residuals[..n];
        for (r, y) in residuals.iter_mut().zip(self.values) {
            *r = c - y;
        }
        for (term, s) in terms_of(self.raw, self.domains).zip(&mut self.scratch.terms) {
            let (sum, by_q) = (&mut s.sum[..n], &mut s.by_q[..n]);
            sum.fill(term.e);
            by_q.fill(0.0);
            for ((t, ln), parts) in
                (term.t.iter().zip(self.ln.chunks_exact(n))).zip(s.parts.chunks_exact_mut(n))
            {
                for i in 0..n {
                    let part = vector::exp::<FMA>(t + term.q * ln[i]);
                    parts[i] = part;
                    sum[i] += part;
                    by_q[i] += part * ln[i];
                }
            }
            let (ln_sum, falling) = (&mut s.ln_sum[..n], &mut s.falling[..n]);
            for i in 0..n {
                ln_sum[i] = vector::ln::<FMA>(sum[i]);
                falling[i] = vector::exp::<FMA>(term.ln_a - term.b * ln_sum[i]);
                residuals[i] += falling[i];
            }
        }
        let counted = &mut self.scratch.counted[..n];
        for i in 0..n {
            counted[i] = residuals[i] * self.times[i];
        }
        self.gradient[0] = counted.iter().sum::<f64>() * sigmoid(self.raw[0]);
        for ((term, s), gradient) in terms_of(self.raw, self.domains)
            .zip(&mut self.scratch.terms)
            .zip(self.gradient[1..].chunks_exact_mut(SHAPE + self.domains))
        {
            let residuals = &self.scratch.counted[..n];
            // From here `falling` holds residual · falling, and `sum` the
            // derivative of half the squares by the sum.
            for i in 0..n {
                s.falling[i] *= residuals[i];
                s.sum[i] = -term.b * s.falling[i] / s.sum[i];
            }
            gradient[0] = s.falling.iter().sum();
            gradient[1] = -dot(&s.falling, &s.ln_sum) * term.db;
            gradient[2] = dot(&s.sum, &s.by_q) * term.dq;
            gradient[3] = s.sum.iter().sum::<f64>() * term.e;
            for (g, parts) in gradient[SHAPE..].iter_mut().zip(s.parts.chunks_exact(n)) {
                *g = dot(&s.sum, parts);
            }
        }
        dot(&self.scratch.residuals, &self.scratch.counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::spearman;
    use regmix_data::Silent;
    use regmix_data::design::Dirichlet;

    /// Losses of a law with known parameters, and fresh mixtures to judge on.
    fn made_up(n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut rng = stream(11, "law", "test");
        let draw = Dirichlet::new(&[4.0; 5]).unwrap();
        let rows: Vec<Vec<f64>> = (0..n).map(|_| draw.sample(&mut rng)).collect();
        let t = [1.2, 0.1, 0.3, 0.02, 0.05];
        let loss = |w: &Vec<f64>| {
            let s: f64 = 0.02 + w.iter().zip(t).map(|(w, t)| t * w.powf(0.8)).sum::<f64>();
            1.5 + 0.9 * s.powf(-0.4)
        };
        let values = rows.iter().map(loss).collect();
        (rows, values)
    }

    #[test]
    fn a_known_law_is_recovered_on_unseen_mixtures() {
        let (rows, values) = made_up(120);
        let train = Samples::new(rows[..60].iter().map(Vec::as_slice), values[..60].to_vec())
            .unwrap()
            .with_own_domain(Some(0));
        let model = Law::one().fit(&train, 5).unwrap();
        let predicted: Vec<f64> = rows[60..].iter().map(|w| model.mean(w)).collect();
        assert!(spearman(&values[60..], &predicted) > 0.999);
        let worst = predicted
            .iter()
            .zip(&values[60..])
            .map(|(p, v)| (p - v).abs());
        assert!(worst.fold(0.0, f64::max) < 0.02);
        let context = FitContext::new(5, &Silent).after(&model);
        let warm = Law::one().fit_with(&train, context).unwrap();
        assert!((warm.mean(&rows[70]) - model.mean(&rows[70])).abs() < 1e-2);
        assert_eq!(Law::one().fit(&train, 5).unwrap(), model);
    }

    #[test]
    fn a_run_that_counts_twice_is_two_runs() {
        let (rows, values) = made_up(12);
        let places = [0, 3, 3, 5, 7, 7, 7, 9, 11];
        let all = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        let drawn = all.pick(&places).unwrap();
        let problem = Problem::new(&drawn, &Law::two()).unwrap();
        assert_eq!(problem.times, [1.0, 2.0, 1.0, 3.0, 1.0, 1.0]);
        let mut p = problem.centre.clone();
        (p[2], p[6]) = (0.3, -0.4);
        let mut gradient = vec![0.0; p.len()];
        let cost = problem.cost(&p, &mut gradient);
        let (mut squares, mut row, mut slopes) = (0.0, vec![0.0; p.len()], vec![0.0; p.len()]);
        for (w, y) in drawn.rows().iter().zip(drawn.values()) {
            let miss = derivatives(&p, &ln_weights(w), &mut row) - y;
            squares += miss * miss;
            for (s, r) in slopes.iter_mut().zip(&row) {
                *s += 2.0 * miss * r;
            }
        }
        let scale = 1.0 / (9.0 * variance(drawn.values()));
        let moved: f64 = p
            .iter()
            .zip(&problem.centre)
            .map(|(p, c)| (p - c).powi(2))
            .sum();
        assert!((cost - squares * scale - problem.penalty * moved).abs() < 1e-9);
        for (i, (g, s)) in gradient.iter().zip(slopes).enumerate() {
            let pull = 2.0 * problem.penalty * (p[i] - problem.centre[i]);
            assert!((g - s * scale - pull).abs() < 1e-9, "{i}");
        }
    }

    #[test]
    fn scores_that_are_no_losses_are_refused() {
        let (rows, mut values) = made_up(20);
        values[3] = -0.1;
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        let err = Law::one().fit(&samples, 0).unwrap_err();
        assert!(
            err.is_input() && err.to_string().contains("value -0.1"),
            "{err}"
        );
        let flat = Samples::new(rows.iter().map(Vec::as_slice), vec![2.0; 20]).unwrap();
        let err = Law::one().fit(&flat, 0).unwrap_err();
        assert!(err.to_string().contains("all values are the same"), "{err}");
    }
}
