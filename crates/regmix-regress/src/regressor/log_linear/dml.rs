//! Data Mixing Laws: the log-linear law from well-placed starts.

use regmix_data::{Error, Result};

use crate::metrics::mean;
use crate::numeric::factor::Factor;
use crate::numeric::slices::range;
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::log_linear::problem::{Found, Problem};
use crate::regressor::model::Model;
use crate::samples::Samples;

/// Fits [`LogLinearModel`](crate::regressor::LogLinearModel), `L(r) = c + exp(Σ_j t_j r_j)`,
/// after Ye et al., Data Mixing Laws (arXiv 2403.16952).
///
/// Minimised is the paper's Huber loss of the residuals, as a mean, plus a
/// penalty `λ Σ (t_j - t̄)²` over all domains but the target's own, with t̄
/// their mean. The paper starts its optimiser from thousands of points. Here
/// c is laid on a grid below the lowest value; for each c the law is linear
/// in `ln(y - c)`, so least squares gives its t at once, and only the best of
/// these are followed by L-BFGS on the objective itself.
///
/// | field | default | range |
/// |---|---|---|
/// | `delta` | 0.02, the paper's for two domains (0.05 for five) | positive, in the unit of the target: where Huber's loss turns from squares to absolute values |
/// | `grid` | 8 | 1 or more values of c |
/// | `polish` | 2 | 1 or more of them are followed |
/// | `iterations` | 300 | 1 or more: a sixth for each that is followed, the rest for the best |
/// | `penalty` | none: `p min(1, (64 / rows)²)`, p 0.01, or 1e-4 without an own domain | 0 or more: λ, in units of the objective scaled to the spread of the values |
///
/// The penalty is not in the paper. With it fewer rows than the D + 1
/// parameters suffice: domains that the rows do not distinguish get the same
/// rate.
/// Values must be positive. Cost O(grid · n D² + polish · iterations · n D).
///
/// Wins over linear models from some tens of rows on, and is a convex surface
/// for search. Fails where a domain's own weight runs from zero to some
/// percent: losses there fall like a power of the weight, which a constant
/// rate cannot follow ([`Law`](crate::regressor::Law) can). Far outside its rows an
/// exponential can be wrong by orders of magnitude.
///
/// ```
/// use regmix_regress::{Samples, regressor::{Dml, Regressor}};
///
/// let rows: Vec<Vec<f64>> = (0..24).map(|i| f64::from(i) / 23.0).map(|w| vec![w, 1.0 - w]).collect();
/// let law = |w: f64| 2.0 + (-1.5 * w).exp();
/// let losses = rows.iter().map(|w| law(w[0])).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?.with_own_domain(Some(0));
/// let model = Dml::default().fit(&samples, 0)?;
/// assert!((model.mean(&[0.4, 0.6]) - law(0.4)).abs() < 0.01);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Dml {
    /// Where Huber's loss turns from squares to absolute values, in the unit
    /// of the target.
    pub delta: f64,
    /// Values of c to start from.
    pub grid: usize,
    /// Starts that are followed.
    pub polish: usize,
    /// Iterations of the optimiser.
    pub iterations: u64,
    /// λ; `None` goes by the number of rows.
    pub penalty: Option<f64>,
}

impl Default for Dml {
    fn default() -> Self {
        Self {
            delta: 0.02,
            grid: 8,
            polish: 2,
            iterations: 300,
            penalty: None,
        }
    }
}

impl Dml {
    fn penalty(&self, samples: &Samples<'_>) -> f64 {
        // An own domain carries most of the target, and the others can be
        // held together; without one they are all there is.
        let few = if samples.own_domain().is_some() {
            1e-2
        } else {
            1e-4
        };
        let by_rows = few * (64.0 / samples.len() as f64).powi(2).min(1.0);
        self.penalty.unwrap_or(by_rows)
    }

    fn check(&self) -> Result<()> {
        for (name, value) in [("grid", self.grid), ("polish", self.polish)] {
            if value == 0 {
                return Err(Error::input(format!("{name} 0, expected at least 1")));
            }
        }
        Ok(())
    }
}

impl Regressor for Dml {
    fn name(&self) -> &str {
        "dml"
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        self.check()?;
        let problem = Problem::new(samples, self.delta, self.penalty(samples), context.monitor)?;
        if let Some(start) = problem.raw_of(context.previous) {
            return problem.finish(problem.settle(start, self.iterations)?.0);
        }
        let ridge = problem.ridge();
        let mut unused = vec![0.0; samples.domains() + 1];
        let mut with_cost = |p: Vec<f64>| {
            let cost = problem.cost(&p, &mut unused);
            (p, cost)
        };
        // Where values lie far apart, least squares on their logarithms can
        // be astray by any amount: nothing above the flat law is of use.
        let flat = with_cost(flat(samples));
        let mut starts: Vec<Found> = Vec::with_capacity(self.grid + 1);
        for c in floors(samples.values(), self.grid) {
            let start = with_cost(linearised(samples, c, &ridge)?);
            if start.1 < flat.1 {
                starts.push(start);
            }
        }
        starts.push(flat);
        let look = self.iterations.div_ceil(6);
        let best = problem.best(starts, self.polish, look)?;
        problem.finish(problem.settle(best, self.iterations - look)?.0)
    }
}

/// Values of c below the lowest value: distances from it are spaced evenly
/// in their logarithm, from all of it down to a hundredth of the spread.
fn floors(values: &[f64], count: usize) -> Vec<f64> {
    let (low, high) = range(values);
    let (far, near) = (0.99 * low, (0.01 * (high - low)).min(0.5 * low));
    (0..count)
        .map(|k| {
            let part = k as f64 / (count - 1).max(1) as f64;
            low - far * (near / far).powf(part)
        })
        .collect()
}

/// The law of one loss for all mixtures.
fn flat(samples: &Samples<'_>) -> Vec<f64> {
    let c = 0.5 * range(samples.values()).0;
    let mut raw = vec![(mean(samples.values()) - c).ln(); samples.domains() + 1];
    raw[0] = c.ln();
    raw
}

/// Parameters for a given c: least squares on ln(y - c), rows weighted by
/// (y - c)², which is how an error there counts in the loss itself.
fn linearised(samples: &Samples<'_>, c: f64, ridge: &[f64]) -> Result<Vec<f64>> {
    let above: Vec<f64> = samples.values().iter().map(|y| y - c).collect();
    let total: f64 = above.iter().map(|a| a * a).sum();
    // Shrinking happens around the mean of the logarithms.
    let logs: Vec<f64> = above.iter().map(|a| a.ln()).collect();
    let level = mean(&logs);
    let mut target = vec![0.0; samples.domains()];
    let rows: Vec<Vec<f64>> = (samples.rows().iter().zip(&above).zip(&logs))
        .map(|((row, a), log)| {
            let by = a / total.sqrt();
            for (s, w) in target.iter_mut().zip(*row) {
                *s += by * by * w * (log - level);
            }
            row.iter().map(|w| by * w).collect()
        })
        .collect();
    let mut raw = vec![c.ln()];
    let rates = Factor::of_rows(&rows, &ridge[1..])?.solve(&target);
    raw.extend(rates.iter().map(|t| t + level));
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regressor::log_linear::model::LogLinearModel;
    use crate::regressor::log_linear::tests::{C, RATES, made_up};

    fn fitted(dml: &Dml, rows: &[Vec<f64>], values: Vec<f64>) -> LogLinearModel {
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        match dml.fit(&samples, 0).unwrap() {
            Model::LogLinear(model) => model,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn known_parameters_are_recovered() {
        let (rows, values) = made_up(80);
        let dml = Dml {
            penalty: Some(0.0),
            ..Dml::default()
        };
        let model = fitted(&dml, &rows, values);
        assert!((model.irreducible() - C).abs() < 0.02, "{model:?}");
        for (found, t) in model.rates().iter().zip(RATES) {
            assert!((found - t).abs() < 0.03, "{model:?}");
        }
    }

    #[test]
    fn a_few_wild_rows_do_not_bend_it() {
        let (rows, mut values) = made_up(80);
        let probe = [0.2; 5];
        let clean = C + super::super::model::falling(&RATES, &probe);
        for i in [7, 31, 66] {
            values[i] += 1.5;
        }
        let robust = fitted(&Dml::default(), &rows, values.clone());
        let squares = Dml {
            delta: 10.0,
            ..Dml::default()
        };
        let bent = fitted(&squares, &rows, values);
        let miss = |m: &LogLinearModel| (m.mean(&probe) - clean).abs();
        assert!(miss(&robust) < 0.01 && miss(&robust) < 0.5 * miss(&bent));
    }

    #[test]
    fn floors_lie_below_every_value() {
        let c = floors(&[2.0, 3.0, 5.0], 8);
        assert_eq!(c.len(), 8);
        assert!(c[0] > 0.0 && c.windows(2).all(|p| p[0] < p[1]) && c[7] < 2.0);
        assert_eq!(floors(&[1e-3, 100.0], 1).len(), 1);
        assert!(
            floors(&[1e-3, 100.0], 5)
                .iter()
                .all(|c| *c > 0.0 && *c < 1e-3)
        );
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let (rows, values) = made_up(20);
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        for (bad, said) in [
            (
                Dml {
                    delta: 0.0,
                    ..Dml::default()
                },
                "delta 0",
            ),
            (
                Dml {
                    delta: f64::NAN,
                    ..Dml::default()
                },
                "delta NaN",
            ),
            (
                Dml {
                    penalty: Some(-1.0),
                    ..Dml::default()
                },
                "penalty -1",
            ),
            (
                Dml {
                    grid: 0,
                    ..Dml::default()
                },
                "grid 0",
            ),
            (
                Dml {
                    polish: 0,
                    ..Dml::default()
                },
                "polish 0",
            ),
        ] {
            let err = bad.fit(&samples, 0).unwrap_err();
            assert!(err.is_input() && err.to_string().contains(said), "{err}");
        }
    }
}
