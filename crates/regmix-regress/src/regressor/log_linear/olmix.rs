//! The log-linear regressor of Olmix: the same law from a grid of starts.

use rand::RngExt;

use regmix_data::random::stream;
use regmix_data::{Error, Result};

use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::log_linear::problem::Problem;
use crate::regressor::model::Model;
use crate::samples::Samples;

/// Values of ln c, from its first to its last.
const LN_FLOORS: (f64, f64) = (-2.0, 1.5);

/// Fits [`LogLinearModel`](crate::regressor::LogLinearModel), `L(r) = c + exp(Σ_j t_j r_j)`,
/// by the recipe of Olmix (arXiv 2602.12237), which is that of Data Mixing
/// Laws with fewer starts.
///
/// Minimised is the Huber loss of the residuals alone. Starts are a grid: ln
/// c evenly from -2 to 1.5, with `draws` random rates each, uniform in
/// [-1, 0] for the target's own domain and in [0, 0.1] for the others. What
/// differs from the original: it follows every start to its end, here all
/// are followed for `look` iterations and only the `finish` best of them
/// further; L-BFGS works in coordinates scaled by the law's own derivatives
/// and with another line search; a step of the original is up to 20
/// iterations, here `iterations` counts single ones.
///
/// | field | default | range |
/// |---|---|---|
/// | `delta` | 0.02 | positive, in the unit of the target: where Huber's loss turns from squares to absolute values |
/// | `floors` | 10 | 1 or more values of ln c |
/// | `draws` | 30 | 1 or more draws of rates for each |
/// | `look` | 1 | 0 or more iterations for every start |
/// | `finish` | 3 | 1 or more starts that are followed further |
/// | `iterations` | 300 | 1 or more, for each of those |
///
/// Values must be positive. Cost O((floors · draws · look + finish ·
/// iterations) · n D), ten times that of [`Dml`](crate::regressor::Dml).
///
/// Against `Dml` there is no penalty. With many rows both find the same law.
/// With fewer rows than the D + 1 parameters, or domains that the rows do not
/// distinguish, the answer depends on the starts, and so on the seed, and can be
/// wrong by orders of magnitude away from the rows; its standard deviation
/// then is as large. The starts are made for losses of a few nats; in other
/// units they lie far off. It is here to compare with what Olmix does: it wins
/// over [`Dml`](crate::regressor::Dml) nowhere that was measured, and fails as above.
///
/// ```
/// use regmix_regress::{Samples, regressor::{Olmix, Regressor}};
///
/// let rows: Vec<Vec<f64>> = (0..24).map(|i| f64::from(i) / 23.0).map(|w| vec![w, 1.0 - w]).collect();
/// let law = |w: f64| 2.0 + (-1.5 * w).exp();
/// let losses = rows.iter().map(|w| law(w[0])).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?.with_own_domain(Some(0));
/// let model = Olmix::default().fit(&samples, 0)?;
/// assert!((model.mean(&[0.4, 0.6]) - law(0.4)).abs() < 0.01);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Olmix {
    /// Where Huber's loss turns from squares to absolute values, in the unit
    /// of the target.
    pub delta: f64,
    /// Values of ln c to start from.
    pub floors: usize,
    /// Draws of rates for each of them.
    pub draws: usize,
    /// Iterations for every start.
    pub look: u64,
    /// Starts that are followed further.
    pub finish: usize,
    /// Iterations for each of those.
    pub iterations: u64,
}

impl Default for Olmix {
    fn default() -> Self {
        Self {
            delta: 0.02,
            floors: 10,
            draws: 30,
            look: 1,
            finish: 3,
            iterations: 300,
        }
    }
}

impl Olmix {
    fn check(&self) -> Result<()> {
        let counts = [
            ("floors", self.floors),
            ("draws", self.draws),
            ("finish", self.finish),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(Error::input(format!("{name} 0, expected at least 1"))),
            None => Ok(()),
        }
    }

    fn starts(&self, samples: &Samples<'_>, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = stream(seed, "olmix", "starts");
        let (low, high) = LN_FLOORS;
        let mut out = Vec::with_capacity(self.floors * self.draws);
        for k in 0..self.floors {
            let part = k as f64 / (self.floors - 1).max(1) as f64;
            for _ in 0..self.draws {
                let mut start = vec![low + (high - low) * part];
                start.extend((0..samples.domains()).map(|j| {
                    let u: f64 = rng.random();
                    if samples.own_domain() == Some(j) {
                        -u
                    } else {
                        0.1 * u
                    }
                }));
                out.push(start);
            }
        }
        out
    }
}

impl Regressor for Olmix {
    fn name(&self) -> &str {
        "olmix"
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        self.check()?;
        let problem = Problem::new(samples, self.delta, 0.0, context.monitor)?;
        if let Some(start) = problem.raw_of(context.previous) {
            return problem.finish(problem.settle(start, self.iterations)?.0);
        }
        let mut looked = Vec::with_capacity(self.floors * self.draws);
        for around in self.starts(samples, context.seed).chunks(self.draws) {
            // Starts with the same c differ little, so one set of
            // coordinates serves them all.
            let along = problem.rounded(&around[0])?;
            for start in around {
                looked.push(problem.descend(start, &along, self.look)?);
            }
        }
        problem.finish(problem.best(looked, self.finish, self.iterations)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regressor::log_linear::tests::{C, RATES, made_up};

    fn samples<'a>(rows: &'a [Vec<f64>], values: &[f64]) -> Samples<'a> {
        Samples::new(rows.iter().map(Vec::as_slice), values.to_vec()).unwrap()
    }

    #[test]
    fn known_parameters_are_recovered() {
        let (rows, values) = made_up(80);
        let samples = samples(&rows, &values).with_own_domain(Some(0));
        let Model::LogLinear(model) = Olmix::default().fit(&samples, 3).unwrap() else {
            panic!("another model")
        };
        assert!((model.irreducible() - C).abs() < 0.02, "{model:?}");
        for (found, t) in model.rates().iter().zip(RATES) {
            assert!((found - t).abs() < 0.03, "{model:?}");
        }
    }

    #[test]
    fn starts_are_the_published_grid() {
        let (rows, values) = made_up(20);
        let starts = Olmix::default().starts(&samples(&rows, &values).with_own_domain(Some(2)), 1);
        assert_eq!((starts.len(), starts[0].len()), (300, 6));
        assert_eq!((starts[0][0], starts[299][0]), (-2.0, 1.5));
        for start in &starts {
            for (j, t) in start[1..].iter().enumerate() {
                let range = if j == 2 { -1.0..=0.0 } else { 0.0..=0.1 };
                assert!(range.contains(t), "{start:?}");
            }
        }
        let other = Olmix::default().starts(&samples(&rows, &values), 2);
        assert!(other[0][3] > 0.0 && other[0] != starts[0]);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let (rows, values) = made_up(20);
        let samples = samples(&rows, &values);
        let good = Olmix::default();
        for (bad, said) in [
            (
                Olmix {
                    delta: -1.0,
                    ..good
                },
                "delta -1",
            ),
            (Olmix { floors: 0, ..good }, "floors 0"),
            (Olmix { draws: 0, ..good }, "draws 0"),
            (Olmix { finish: 0, ..good }, "finish 0"),
        ] {
            let err = bad.fit(&samples, 0).unwrap_err();
            assert!(err.is_input() && err.to_string().contains(said), "{err}");
        }
    }
}
