//! Fitting the power law with cross terms.

use rand_distr::{Distribution, StandardNormal};

use regmix_data::random::stream;
use regmix_data::{Error, Result};

use super::factor::Factor;
use super::law::{HEAD, Law1Model, Shape, ln_weights};
use super::lbfgs::minimise;
use super::noise::Noise;
use super::{Model, Regressor};
use crate::metrics::variance;
use crate::samples::Samples;

/// Fits [`Law1Model`]: `L(r) = c + A (e + Σ_j t_j r_j^q)^(-b)`.
///
/// Minimised is `mean (L - y)² / Var(y) + λ |p - p₀|²` over the unbounded
/// parameters p, by L-BFGS from several starts. The centre p₀ gives the
/// target's own domain a transfer of 1 and the others e⁻³, which is what
/// makes few rows suffice.
///
/// | field | default | range |
/// |---|---|---|
/// | `starts` | 3 | 1 or more |
/// | `iterations` | 400 | 1 or more: an eighth for each start, the rest for the best of them |
/// | `penalty` | none: 1e-4 up to 64 rows, falling to 1e-6 | positive |
///
/// Values must be positive, as losses are. Cost O((starts / 8 + 1) · iterations · n D).
#[derive(Debug, Clone, Copy)]
pub struct Law1 {
    /// Starts of the optimiser: the centre, then random ones around it.
    pub starts: u32,
    /// Iterations of the optimiser.
    pub iterations: u64,
    /// λ; `None` goes by the number of rows.
    pub penalty: Option<f64>,
}

impl Default for Law1 {
    fn default() -> Self {
        Self {
            starts: 3,
            iterations: 400,
            penalty: None,
        }
    }
}

impl Regressor for Law1 {
    fn name(&self) -> &str {
        "law1"
    }

    fn fit(&self, samples: &Samples<'_>, seed: u64) -> Result<Model> {
        let problem = Problem::new(samples, self.penalty)?;
        let mut rng = stream(seed, "law1", "starts");
        // Starts are told apart early on; only the best is followed to its end.
        let look = self.iterations.div_ceil(8);
        let mut best: Option<(Vec<f64>, f64)> = None;
        for start in 0..self.starts.max(1) {
            let mut p = problem.centre.clone();
            if start > 0 {
                for x in &mut p {
                    let z: f64 = StandardNormal.sample(&mut rng);
                    *x += z;
                }
            }
            let found = minimise(&p, look, |p, g| problem.cost(p, g));
            if best.as_ref().is_none_or(|b| found.1 < b.1) {
                best = Some(found);
            }
        }
        let start = best.map_or_else(|| problem.centre.clone(), |b| b.0);
        let rest = self.iterations - look;
        problem.finish(minimise(&start, rest, |p, g| problem.cost(p, g)).0)
    }

    fn refit(&self, samples: &Samples<'_>, seed: u64, previous: &Model) -> Result<Model> {
        match previous {
            Model::Law1(law) if law.domains() == samples.domains() => {
                let problem = Problem::new(samples, self.penalty)?;
                let found = minimise(law.raw(), self.iterations / 4, |p, g| problem.cost(p, g));
                problem.finish(found.0)
            }
            _ => self.fit(samples, seed),
        }
    }
}

struct Problem<'a> {
    samples: &'a Samples<'a>,
    ln: Vec<Vec<f64>>,
    centre: Vec<f64>,
    spread: f64,
    penalty: f64,
    row: std::cell::RefCell<Vec<f64>>,
}

impl<'a> Problem<'a> {
    fn new(samples: &'a Samples<'a>, penalty: Option<f64>) -> Result<Self> {
        if let Some(low) = samples.values().iter().find(|v| **v <= 0.0) {
            return Err(Error::input(format!(
                "value {low}: the power law describes losses, expected positive values"
            ))
            .help("use another regressor for scores that can be zero or negative"));
        }
        let spread = variance(samples.values());
        if spread <= 0.0 || !spread.is_finite() {
            return Err(Error::input(
                "all values are the same: expected some spread",
            ));
        }
        let rows = samples.len() as f64;
        let penalty = penalty.unwrap_or_else(|| (1e-4 * (64.0 / rows).powi(2)).clamp(1e-6, 1e-4));
        if !(penalty > 0.0 && penalty.is_finite()) {
            return Err(Error::input(format!(
                "penalty {penalty}, expected a positive number"
            )));
        }
        let mut centre = vec![1.0, std::f64::consts::LN_2, 0.0, 0.0, -5.0];
        centre.resize(HEAD + samples.domains(), -3.0);
        if let Some(own) = samples.own_domain() {
            centre[HEAD + own] = 0.0;
        }
        let row = vec![0.0; centre.len()].into();
        let ln = samples.rows().iter().map(|r| ln_weights(r)).collect();
        Ok(Self {
            samples,
            ln,
            centre,
            spread,
            penalty,
            row,
        })
    }

    /// The objective; writes its gradient.
    fn cost(&self, p: &[f64], gradient: &mut [f64]) -> f64 {
        let shape = Shape::of(p);
        let mut row = self.row.borrow_mut();
        gradient.fill(0.0);
        let mut squares = 0.0;
        for (ln, y) in self.ln.iter().zip(self.samples.values()) {
            let residual = shape.derivatives(&p[HEAD..], ln, &mut row) - y;
            squares += residual * residual;
            for (g, d) in gradient.iter_mut().zip(row.iter()) {
                *g += residual * d;
            }
        }
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
        let shape = Shape::of(&raw);
        let n = self.samples.len();
        let mut jacobian = Vec::with_capacity(n);
        let (mut residuals, mut slopes) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for ((ln, weights), y) in self
            .ln
            .iter()
            .zip(self.samples.rows())
            .zip(self.samples.values())
        {
            let mut row = vec![0.0; raw.len()];
            residuals.push(shape.derivatives(&raw[HEAD..], ln, &mut row) - y);
            slopes.push(shape.slope(&raw[HEAD..], weights));
            jacobian.push(row);
        }
        // λ |p - p₀|² in the objective is this much in sums of squares.
        let ridge = vec![self.penalty * n as f64 * self.spread; raw.len()];
        let plain = Factor::of_rows(&jacobian, &ridge)?;
        let used: f64 = jacobian.iter().map(|g| plain.quadratic(g)).sum();
        let noise = Noise::fit(&residuals, &slopes, n as f64 - used);
        // Rows weigh in the uncertainty by their noise; the penalty by the
        // smallest, so that it is never taken for more than it is.
        let sds: Vec<f64> = slopes.iter().map(|s| noise.sd(*s).max(1e-9)).collect();
        let typical = sds.iter().map(|s| s * s).sum::<f64>() / n as f64;
        for (row, sd) in jacobian.iter_mut().zip(&sds) {
            for d in row {
                *d /= sd;
            }
        }
        let ridge: Vec<f64> = ridge.iter().map(|r| r / typical).collect();
        let factor = Factor::of_rows(&jacobian, &ridge)?;
        Ok(Model::Law1(Law1Model::new(raw, noise, factor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::spearman;
    use regmix_data::design::Dirichlet;

    /// Losses of a law with known parameters, and fresh mixtures to judge on.
    fn made_up(n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut rng = stream(11, "law1", "test");
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
        let model = Law1::default().fit(&train, 5).unwrap();
        let predicted: Vec<f64> = rows[60..].iter().map(|w| model.mean(w)).collect();
        assert!(spearman(&values[60..], &predicted) > 0.999);
        let worst = predicted
            .iter()
            .zip(&values[60..])
            .map(|(p, v)| (p - v).abs());
        assert!(worst.fold(0.0, f64::max) < 0.02);
        let warm = Law1::default().refit(&train, 5, &model).unwrap();
        assert!((warm.mean(&rows[70]) - model.mean(&rows[70])).abs() < 1e-2);
        assert_eq!(Law1::default().fit(&train, 5).unwrap(), model);
    }

    #[test]
    fn scores_that_are_no_losses_are_refused() {
        let (rows, mut values) = made_up(20);
        values[3] = -0.1;
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        let err = Law1::default().fit(&samples, 0).unwrap_err();
        assert!(
            err.is_input() && err.to_string().contains("value -0.1"),
            "{err}"
        );
        let flat = Samples::new(rows.iter().map(Vec::as_slice), vec![2.0; 20]).unwrap();
        assert!(Law1::default().fit(&flat, 0).is_err());
    }
}
