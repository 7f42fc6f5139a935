//! The objective of fits of the log-linear law, and its minimisation.

use std::cell::RefCell;

use regmix_data::{Error, Monitor, Result};

use crate::metrics::{mean, variance};
use crate::numeric::factor::Factor;
use crate::numeric::lbfgs::minimise;
use crate::numeric::slices::add;
use crate::regressor::log_linear::model::{LogLinearModel, derivatives, slope};
use crate::regressor::model::Model;
use crate::regressor::uncertainty::{Linearised, Uncertainty};
use crate::samples::Samples;

/// Iterations between two sets of coordinates.
const ROUND: u64 = 25;

/// Parameters and the objective there.
pub(crate) type Found = (Vec<f64>, f64);

/// The objective over p = (ln c, t_1 … t_D):
/// `mean huber(L - y) / (min(δ, sd y) sd y) + λ Σ (t_j - t̄)²`, the last sum
/// over all domains but the target's own, with t̄ their mean.
///
/// The scale makes it a number of order one for any unit, which is what the
/// optimiser's tolerances expect; it does not move the minimum but for its
/// balance with λ. The penalty pulls rates to each other, not to zero: their
/// common level is the scale of the loss, which any data determine. The rate of
/// the target's own domain is not penalised: most rows determine it.
pub(crate) struct Problem<'a> {
    samples: &'a Samples<'a>,
    /// The weights once more, `[domains][rows]`: sums over domains run along
    /// rows, where they can be done several at a time.
    columns: Vec<Vec<f64>>,
    exponents: RefCell<Vec<f64>>,
    delta: f64,
    penalty: f64,
    scale: f64,
    monitor: &'a dyn Monitor,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(
        samples: &'a Samples<'a>,
        delta: f64,
        penalty: f64,
        monitor: &'a dyn Monitor,
    ) -> Result<Self> {
        samples.require_losses("the log-linear law")?;
        if !(delta > 0.0 && delta.is_finite()) {
            return Err(Error::input(format!(
                "delta {delta}, expected a positive number in the unit of the target"
            )));
        }
        if !(penalty >= 0.0 && penalty.is_finite()) {
            return Err(Error::input(format!(
                "penalty {penalty}, expected a number that is not negative"
            )));
        }
        let sd = variance(samples.values()).sqrt();
        let column = |j| samples.rows().iter().map(|r| r[j]).collect();
        Ok(Self {
            samples,
            columns: (0..samples.domains()).map(column).collect(),
            exponents: vec![0.0; samples.len()].into(),
            delta,
            penalty,
            scale: delta.min(sd) * sd,
            monitor,
        })
    }

    /// The objective; writes its gradient.
    pub(crate) fn cost(&self, p: &[f64], gradient: &mut [f64]) -> f64 {
        let (c, rates) = (p[0].exp(), &p[1..]);
        let mut exponents = self.exponents.borrow_mut();
        exponents.fill(0.0);
        for (t, column) in rates.iter().zip(&self.columns) {
            add(&mut exponents, *t, column);
        }
        gradient.fill(0.0);
        let mut sum = 0.0;
        let rows = self.samples.rows().iter().zip(self.samples.values());
        for ((weights, y), exponent) in rows.zip(exponents.iter()) {
            let falling = exponent.exp();
            let residual = c + falling - y;
            let pull = residual.clamp(-self.delta, self.delta);
            // Half a square inside delta, the tangent outside.
            sum += pull * (residual - 0.5 * pull);
            gradient[0] += pull * c;
            add(&mut gradient[1..], pull * falling, weights);
        }
        let per_row = 1.0 / (self.samples.len() as f64 * self.scale);
        let mut cost = sum * per_row;
        gradient[0] *= per_row;
        let level = self.level(rates);
        for (j, (g, t)) in gradient[1..].iter_mut().zip(rates).enumerate() {
            *g *= per_row;
            if self.samples.own_domain() != Some(j) {
                cost += self.penalty * (t - level) * (t - level);
                *g += 2.0 * self.penalty * (t - level);
            }
        }
        cost
    }

    /// The penalty on the square of every parameter, with a little on all of
    /// them so that matrices stay positive where a domain is never used.
    pub(crate) fn ridge(&self) -> Vec<f64> {
        let mut out = vec![self.penalty + 1e-9; self.samples.domains() + 1];
        out[0] = 1e-9;
        if let Some(own) = self.samples.own_domain() {
            out[own + 1] = 1e-9;
        }
        out
    }

    /// The mean rate of the domains that are not the target's own.
    fn level(&self, rates: &[f64]) -> f64 {
        match self.samples.own_domain() {
            Some(own) if rates.len() > 1 => {
                (rates.iter().sum::<f64>() - rates[own]) / (rates.len() - 1) as f64
            }
            _ => mean(rates),
        }
    }

    /// Coordinates around a point in which the objective is about as steep
    /// in every direction: L⁻ᵀ of its Gauss-Newton matrix. Rates of rare and
    /// of common domains differ by orders of magnitude in how much they
    /// move, and L-BFGS takes several times as long in them. Cost O(n D²).
    pub(crate) fn rounded(&self, at: &[f64]) -> Result<Factor> {
        let per_row = 1.0 / (self.samples.len() as f64 * self.scale);
        let rows = self.samples.rows().iter().zip(self.samples.values());
        let jacobian: Vec<Vec<f64>> = rows
            .map(|(weights, y)| {
                let mut row = vec![0.0; at.len()];
                let residual = derivatives(at, weights, &mut row) - y;
                let by = (per_row * self.share(residual)).sqrt();
                row.iter().map(|d| by * d).collect()
            })
            .collect();
        let ridge: Vec<f64> = self.ridge().iter().map(|r| 2.0 * r).collect();
        Factor::of_rows(&jacobian, &ridge)
    }

    /// Descends from a point in given coordinates around it.
    pub(crate) fn descend(&self, from: &[f64], along: &Factor, iterations: u64) -> Result<Found> {
        let place = |q: &[f64]| -> Vec<f64> {
            let step = along.backward(q);
            from.iter().zip(step).map(|(p, s)| p + s).collect()
        };
        let mut by_place = vec![0.0; from.len()];
        let cost_along = |q: &[f64], g: &mut [f64]| {
            let cost = self.cost(&place(q), &mut by_place);
            g.copy_from_slice(&along.forward(&by_place));
            cost
        };
        let start = vec![0.0; from.len()];
        let (q, cost) = minimise(&start, iterations, cost_along, self.monitor)?;
        Ok((place(&q), cost))
    }

    /// Descends to the end, with new coordinates after every 25 iterations.
    pub(crate) fn settle(&self, from: Vec<f64>, iterations: u64) -> Result<Found> {
        let cost = self.cost(&from, &mut vec![0.0; from.len()]);
        let mut best = (from, cost);
        let mut left = iterations;
        while left > 0 {
            let now = left.min(ROUND);
            let found = self.descend(&best.0, &self.rounded(&best.0)?, now)?;
            let gain = best.1 - found.1;
            if gain > 0.0 {
                best = found;
            }
            if gain <= 1e-6 * best.1 {
                break;
            }
            left -= now;
        }
        Ok(best)
    }

    /// The parameters of an earlier model of the same form.
    pub(crate) fn raw_of(&self, previous: Option<&Model>) -> Option<Vec<f64>> {
        match previous {
            Some(Model::LogLinear(law)) if law.domains() == self.samples.domains() => {
                Some(law.raw().to_vec())
            }
            _ => None,
        }
    }

    /// The best of the `count` best starts after so many iterations each.
    pub(crate) fn best(
        &self,
        mut starts: Vec<Found>,
        count: usize,
        iterations: u64,
    ) -> Result<Vec<f64>> {
        starts.sort_by(|a, b| a.1.total_cmp(&b.1));
        (starts.into_iter().take(count))
            .map(|(start, _)| self.settle(start, iterations))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|found| found.0)
            .ok_or_else(|| Error::failed("no start of the law is finite: values out of range"))
    }

    /// How much of its square a residual counts for.
    fn share(&self, residual: f64) -> f64 {
        self.delta / residual.abs().max(self.delta)
    }

    /// Adds noise and parameter uncertainty to fitted parameters.
    pub(crate) fn finish(&self, raw: Vec<f64>) -> Result<Model> {
        let mut at = Linearised::default();
        let mut shares = 0.0;
        for (weights, y) in self.samples.rows().iter().zip(self.samples.values()) {
            let mut row = vec![0.0; raw.len()];
            let residual = derivatives(&raw, weights, &mut row) - y;
            shares += self.share(residual);
            at.push(row, residual, slope(&raw[1..], weights));
        }
        // λ as it weighs in a sum of squares. Rows beyond delta count for
        // less than their squares in the objective, so λ for more.
        let n = self.samples.len() as f64;
        let squares = 2.0 * n * self.scale * n / shares;
        let ridge: Vec<f64> = self.ridge().iter().map(|r| r * squares).collect();
        let uncertainty = Uncertainty::of(at, &ridge, self.samples.values())?;
        Ok(Model::LogLinear(LogLinearModel::new(raw, uncertainty)))
    }
}
