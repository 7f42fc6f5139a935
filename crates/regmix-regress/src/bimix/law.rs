//! The joint law of weight and steps, fitted to points of trajectories.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result, Silent};

use crate::bimix::scarcity::{FINEST, scarcity};
use crate::metrics::{mean, variance};
use crate::numeric::factor::Factor;
use crate::numeric::lbfgs::minimise;
use crate::numeric::slices::{add, range};
use crate::prediction::Prediction;

/// One measurement of a domain's loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BimixPoint {
    /// The domain's weight in the run's mixture, in `[0, 1]`.
    pub weight: f64,
    /// How long the run had been trained: steps or tokens, the same for all
    /// points.
    pub steps: f64,
    /// The domain's loss then, in nats per token.
    pub loss: f64,
}

/// The numbers of a [`BimixLaw`], or their standard errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BimixParameters {
    /// α: how fast the loss falls with the domain's weight; no unit.
    pub alpha: f64,
    /// B, in nats per token times steps to the power β: the part of
    /// the loss that training removes.
    pub b: f64,
    /// β: how fast training does so; no unit.
    pub beta: f64,
    /// C, in nats per token: the loss after endless training at weight 1.
    pub c: f64,
}

/// `L(r, s) = r^-α (B / s^β + C)`: the loss of one domain by its own weight r
/// and the steps s, all four numbers positive (BiMix, arXiv 2405.14908).
///
/// The paper's factor A is a common factor of B and C and is 1 here. Other
/// domains do not enter: this is a law for domains that do not help
/// each other. Below a weight of 1e-3 `-ln r` is extended linearly, so
/// that a weight of 0 has a finite loss.
///
/// The logarithm of the loss is fitted, by least squares over the logarithms
/// of the numbers with L-BFGS; α starts at the slope of log loss over log
/// weight at the last step, C at a tenth to nine tenths of the lowest loss,
/// β at 0.25 to 1. Cost O(starts · iterations · n), milliseconds for a
/// thousand points.
///
/// Wins where proxies log their loss along the way: every point counts, and
/// two mixtures are enough to predict longer training. Fails where domains
/// help each other ([`Law`](crate::regressor::Law) has such terms) and
/// where the learning rate falls towards the end of each run, since points
/// along the way then lie above the losses of runs that end there.
///
/// ```
/// use regmix_regress::{BimixLaw, BimixPoint};
///
/// let mut points = Vec::new();
/// for weight in [0.02, 0.1, 0.4] {
///     for steps in [1e3, 3e3, 1e4, 3e4] {
///         let loss = f64::powf(weight, -0.08) * (40.0 * f64::powf(steps, -0.5) + 2.0);
///         points.push(BimixPoint { weight, steps, loss });
///     }
/// }
/// let law = BimixLaw::fit(&points)?;
/// assert!((law.parameters().alpha - 0.08).abs() < 1e-3);
/// // Ten times longer than any run.
/// let expected = f64::powf(0.2, -0.08) * (40.0 * f64::powf(3e5, -0.5) + 2.0);
/// assert!((law.predict(0.2, 3e5).mean - expected).abs() < 1e-2);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct BimixLaw(Parts);

/// The law as it is written: checked when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Parts {
    /// ln α, ln B at `unit` steps, ln β, ln C.
    raw: [f64; 4],
    /// Steps are counted in this many, which unties B from β.
    unit: f64,
    /// Residual standard deviation of the logarithm.
    residual_sd: f64,
    /// Of the Gauss-Newton matrix in the logarithm.
    factor: Factor,
}

impl BimixLaw {
    /// The least number of points.
    pub const MIN_POINTS: usize = 5;

    /// Fits the law to the points of one domain.
    ///
    /// # Errors
    /// When there are fewer than [`BimixLaw::MIN_POINTS`] points, fewer than
    /// 2 different weights or 3 different steps, or a number is out of range.
    pub fn fit(points: &[BimixPoint]) -> Result<Self> {
        check(points)?;
        let ln_steps: Vec<f64> = points.iter().map(|p| p.steps.ln()).collect();
        let unit = mean(&ln_steps).exp();
        let rows: Vec<Row> = (points.iter())
            .map(|p| Row {
                scarcity: scarcity(p.weight),
                ln_steps: (p.steps / unit).ln(),
                ln_loss: p.loss.ln(),
            })
            .collect();
        let ln_losses: Vec<f64> = rows.iter().map(|r| r.ln_loss).collect();
        let spread = variance(&ln_losses);
        let cost = |p: &[f64], g: &mut [f64]| {
            let mut sum = 0.0;
            g.fill(0.0);
            for row in &rows {
                let (ln_loss, by) = row.derivatives(p);
                let residual = ln_loss - row.ln_loss;
                sum += residual * residual;
                add(g, residual, &by);
            }
            let scale = 1.0 / (rows.len() as f64 * spread);
            for g in g.iter_mut() {
                *g *= 2.0 * scale;
            }
            sum * scale
        };
        let mut best: Option<(Vec<f64>, f64)> = None;
        for start in starts(points, &rows) {
            let found = minimise(&start, 300, cost, &Silent)?;
            if best.as_ref().is_none_or(|b| found.1 < b.1) {
                best = Some(found);
            }
        }
        let Some(raw) = best.and_then(|b| <[f64; 4]>::try_from(b.0).ok()) else {
            return Err(Error::failed("no start of the law"));
        };
        let jacobian: Vec<[f64; 4]> = rows.iter().map(|r| r.derivatives(&raw).1).collect();
        let squares: f64 = (rows.iter())
            .map(|r| (r.derivatives(&raw).0 - r.ln_loss).powi(2))
            .sum();
        Ok(Self(Parts {
            raw,
            unit,
            residual_sd: (squares / (rows.len() as f64 - 4.0)).sqrt(),
            factor: Factor::of_rows(&jacobian, &[1e-12; 4])?,
        }))
    }

    /// The numbers of the law.
    pub fn parameters(&self) -> BimixParameters {
        let [alpha, b, beta, c] = self.0.raw.map(f64::exp);
        BimixParameters {
            alpha,
            b: b * self.0.unit.powf(beta),
            beta,
            c,
        }
    }

    /// The standard errors of [`BimixLaw::parameters`], by the delta method.
    ///
    /// They take the errors of points as independent. Those of one run are
    /// not, so with few runs and many steps they are too small.
    pub fn standard_errors(&self) -> BimixParameters {
        let p = self.parameters();
        let relative = |g: [f64; 4]| self.0.residual_sd * self.0.factor.quadratic(&g).sqrt();
        BimixParameters {
            alpha: p.alpha * relative([1.0, 0.0, 0.0, 0.0]),
            b: p.b * relative([0.0, 1.0, p.beta * self.0.unit.ln(), 0.0]),
            beta: p.beta * relative([0.0, 0.0, 1.0, 0.0]),
            c: p.c * relative([0.0, 0.0, 0.0, 1.0]),
        }
    }

    /// The loss at a weight in `[0, 1]` after so many steps, in the unit of
    /// the fit. The standard deviation covers the numbers of the law and the
    /// noise of one more point.
    pub fn predict(&self, weight: f64, steps: f64) -> Prediction {
        let (ln_loss, by) = self.row(weight, steps).derivatives(&self.0.raw);
        let mean = ln_loss.exp();
        let leverage = self.0.factor.quadratic(&by);
        Prediction {
            mean,
            sd: mean * self.0.residual_sd * (1.0 + leverage).sqrt(),
        }
    }

    /// The loss at weight 1 after so many steps: K in `L = K r^-α`.
    pub(crate) fn scale(&self, steps: f64) -> f64 {
        self.row(1.0, steps).derivatives(&self.0.raw).0.exp()
    }

    fn row(&self, weight: f64, steps: f64) -> Row {
        Row {
            scarcity: scarcity(weight),
            ln_steps: (steps / self.0.unit).ln(),
            ln_loss: f64::NAN,
        }
    }
}

impl TryFrom<Parts> for BimixLaw {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self> {
        let numbers = parts.raw.iter().chain([&parts.unit, &parts.residual_sd]);
        let finite = numbers.into_iter().all(|x| x.is_finite());
        if !finite || parts.unit <= 0.0 || !parts.factor.is_sound(4) {
            return Err(
                Error::input("damaged law of weight and steps: expected finite numbers")
                    .help("run the fit again"),
            );
        }
        Ok(Self(parts))
    }
}

/// A point as the fit sees it.
struct Row {
    scarcity: f64,
    ln_steps: f64,
    ln_loss: f64,
}

impl Row {
    /// ln L, and its derivatives by ln α, ln B, ln β, ln C.
    fn derivatives(&self, raw: &[f64]) -> (f64, [f64; 4]) {
        let (alpha, beta) = (raw[0].exp(), raw[2].exp());
        let falling = (raw[1] - beta * self.ln_steps).exp();
        let level = falling + raw[3].exp();
        let share = falling / level;
        let by = [
            alpha * self.scarcity,
            share,
            -beta * self.ln_steps * share,
            1.0 - share,
        ];
        (alpha * self.scarcity + level.ln(), by)
    }
}

/// Points to start from: α from the slope at the last step, C and β from a
/// small grid, B from the mean of what is left.
fn starts(points: &[BimixPoint], rows: &[Row]) -> Vec<Vec<f64>> {
    let last = points.iter().map(|p| p.steps).fold(0.0, f64::max);
    let (x, y): (Vec<f64>, Vec<f64>) = (points.iter().zip(rows))
        .filter(|(p, _)| p.steps == last)
        .map(|(_, r)| (r.scarcity, r.ln_loss))
        .unzip();
    let (mx, my) = (mean(&x), mean(&y));
    let xy: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
    let xx: f64 = x.iter().map(|x| (x - mx) * (x - mx)).sum();
    let slope = if xx > 0.0 { xy / xx } else { 0.1 };
    let alpha = slope.clamp(1e-3, 3.0);
    // Losses as they would be at weight 1.
    let levels: Vec<f64> = (rows.iter())
        .map(|r| (r.ln_loss - alpha * r.scarcity).exp())
        .collect();
    let (low, _) = range(&levels);
    let typical = mean(&levels);
    let mut out = Vec::new();
    for beta in [0.5f64, 0.25, 1.0] {
        for part in [0.9, 0.5, 0.1] {
            let c = part * low;
            out.push(vec![alpha.ln(), (typical - c).ln(), beta.ln(), c.ln()]);
        }
    }
    out
}

fn check(points: &[BimixPoint]) -> Result<()> {
    for (i, p) in points.iter().enumerate() {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if !(0.0..=1.0).contains(&p.weight) || !positive(p.steps) || !positive(p.loss) {
            return Err(Error::input(format!(
                "point {i} has weight {}, steps {} and loss {}: expected a weight between 0 and \
                 1, and positive steps and loss",
                p.weight, p.steps, p.loss
            )));
        }
    }
    if points.iter().all(|p| p.loss == points[0].loss) && points.len() > 1 {
        return Err(Error::input(
            "all losses are the same: expected some spread",
        ));
    }
    // Weights that differ by no more than their rounding do not determine α.
    let weights = distinct(points.iter().map(|p| p.weight.max(0.5 * FINEST).ln()), 0.01);
    let steps = distinct(points.iter().map(|p| p.steps.ln()), 1e-9);
    if points.len() < BimixLaw::MIN_POINTS || weights < 2 || steps < 3 {
        return Err(Error::input(format!(
            "{} points at {weights} weights and {steps} steps: expected at least {} points, 2 \
             weights and 3 steps",
            points.len(),
            BimixLaw::MIN_POINTS
        ))
        .help("log losses more often, or add a run with another share of the domain"));
    }
    Ok(())
}

/// How many values differ by more than `apart`.
fn distinct(values: impl Iterator<Item = f64>, apart: f64) -> usize {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup_by(|a, b| *a - *b <= apart);
    sorted.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_distr::{Distribution, StandardNormal};
    use regmix_data::random::stream;

    const TRUE: BimixParameters = BimixParameters {
        alpha: 0.12,
        b: 60.0,
        beta: 0.4,
        c: 1.8,
    };

    /// Trajectories of four runs under a known law, with relative noise.
    fn points(noise: f64, seed: u64) -> Vec<BimixPoint> {
        let mut rng = stream(seed, "bimix", "test");
        let mut out = Vec::new();
        for weight in [0.0, 0.01, 0.1, 0.6] {
            for k in 1..=12 {
                let steps = 500.0 * f64::from(k * k);
                let z: f64 = StandardNormal.sample(&mut rng);
                let level = TRUE.b * steps.powf(-TRUE.beta) + TRUE.c;
                let loss = level * (TRUE.alpha * scarcity(weight) + noise * z).exp();
                out.push(BimixPoint {
                    weight,
                    steps,
                    loss,
                });
            }
        }
        out
    }

    fn all(p: BimixParameters) -> [f64; 4] {
        [p.alpha, p.b, p.beta, p.c]
    }

    #[test]
    fn known_parameters_are_recovered() {
        let law = BimixLaw::fit(&points(0.0, 1)).unwrap();
        for (found, truth) in all(law.parameters()).into_iter().zip(all(TRUE)) {
            assert!((found / truth - 1.0).abs() < 1e-3, "{law:?}");
        }
        assert!(law.predict(0.3, 1e6).mean.is_finite() && law.predict(0.0, 1e6).mean.is_finite());
    }

    #[test]
    fn standard_errors_are_the_spread_over_repeats() {
        let laws: Vec<BimixLaw> = (0..60)
            .map(|seed| BimixLaw::fit(&points(0.01, seed)).unwrap())
            .collect();
        for i in 0..4 {
            let found: Vec<f64> = laws.iter().map(|l| all(l.parameters())[i].ln()).collect();
            let spread = variance(&found).sqrt();
            let said: Vec<f64> = (laws.iter())
                .map(|l| all(l.standard_errors())[i] / all(l.parameters())[i])
                .collect();
            let ratio = mean(&said) / spread;
            assert!((0.6..1.6).contains(&ratio), "parameter {i}: {ratio}");
        }
        // New points fall into their intervals as often as promised.
        let inside: usize = (laws.iter().enumerate())
            .map(|(i, law)| {
                let p = &points(0.01, 1000 + i as u64)[30];
                let (low, high) = law.predict(p.weight, p.steps).interval90();
                usize::from((low..=high).contains(&p.loss))
            })
            .sum();
        assert!((46..=60).contains(&inside), "{inside} of 60");
    }

    #[test]
    fn too_little_and_nonsense_are_refused() {
        let good = points(0.01, 1);
        let refused = |points: &[BimixPoint], said: &str| {
            let err = BimixLaw::fit(points).unwrap_err();
            assert!(err.is_input() && err.to_string().contains(said), "{err}");
        };
        refused(&[], "0 points");
        refused(&good[..12], "12 points at 1 weights");
        let last: Vec<BimixPoint> = good.iter().filter(|p| p.steps == 500.0).copied().collect();
        refused(&[last.clone(), last].concat(), "1 steps");
        for (edit, said) in [
            ((|p| p.weight = 1.5) as fn(&mut BimixPoint), "weight 1.5"),
            (|p| p.weight = f64::NAN, "weight NaN"),
            (|p| p.steps = 0.0, "steps 0"),
            (|p| p.loss = -1.0, "loss -1"),
            (|p| p.loss = f64::INFINITY, "loss inf"),
        ] {
            let mut bad = good.clone();
            edit(&mut bad[5]);
            refused(&bad, said);
        }
        let flat: Vec<BimixPoint> = (good.iter())
            .map(|p| BimixPoint { loss: 2.0, ..*p })
            .collect();
        refused(&flat, "all losses are the same");
    }

    #[test]
    fn files_are_checked() {
        use regmix_data::artefact::{read_json, write_json};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("law.json");
        let law = BimixLaw::fit(&points(0.01, 1)).unwrap();
        write_json(&path, &law).unwrap();
        assert_eq!(read_json::<BimixLaw>(&path).unwrap(), law);
        let mut broken = law.0.clone();
        broken.unit = -1.0;
        write_json(&path, &broken).unwrap();
        let err = read_json::<BimixLaw>(&path).unwrap_err();
        assert!(err.to_string().contains("damaged"), "{err}");
    }

    proptest! {
        #[test]
        fn derivatives_match_finite_differences(
            raw in prop::collection::vec(-1.5f64..1.0, 4),
            weight in 0.0f64..1.0,
            ln_steps in -2.0f64..2.0,
        ) {
            let row = Row { scarcity: scarcity(weight), ln_steps, ln_loss: 0.0 };
            let (_, by) = row.derivatives(&raw);
            for i in 0..4 {
                let h = 1e-6;
                let (mut up, mut down) = (raw.clone(), raw.clone());
                up[i] += h;
                down[i] -= h;
                let numeric = (row.derivatives(&up).0 - row.derivatives(&down).0) / (2.0 * h);
                prop_assert!((numeric - by[i]).abs() < 1e-6 * (1.0 + numeric.abs()), "{i}");
            }
        }
    }
}
