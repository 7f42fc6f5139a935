//! One law, fitted to one target.

use serde::{Deserialize, Serialize};

use regmix_data::random::stream;
use regmix_data::{Error, Monitor, Result};

use crate::numeric::factor::Factor;
use crate::numeric::slices::{add, dot};
use crate::prediction::Prediction;
use crate::scale::form::{Form, Kind, LawName, excess};
use crate::scale::law::ScaleLaw;
use crate::scale::marquardt::{Squares, minimise};
use crate::scale::runs::ScaleRuns;
use crate::scale::units::{Setting, Units};

/// Residuals of the logarithm are counted in this; larger ones count
/// linearly.
const RESIDUAL: f64 = 0.01;
/// The weight of the start in units of residuals: what data does not determine
/// stays there.
const PRIOR: f64 = 0.05;
/// The weight of an exponent that all targets gave.
const POOLED: f64 = 5.0;
/// The same for parameters that cannot be known.
const TIED: f64 = 1e3;
/// Rows that are enough for a fit.
const MANY: usize = 1500;
/// No parameter leaves this range: all are logarithms or slopes.
const LIMITS: (f64, f64) = (-25.0, 12.0);

/// A law of scale with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedLaw {
    name: LawName,
    units: Units,
    domains: usize,
    own: Option<usize>,
    parameters: Vec<f64>,
    residual_sd: f64,
    factor: Factor,
    /// Parameters that the runs say nothing about.
    tied: Vec<String>,
}

/// The measurements of one target, ready for a fit.
pub(crate) struct Rows {
    /// Weights as a law sees them; each once.
    pub(crate) weights: Vec<Vec<f64>>,
    pub(crate) rows: Vec<Row>,
}

pub(crate) struct Row {
    weights: usize,
    scales: (f64, f64),
    ln_loss: f64,
    /// What the parameters of an excess are multiplied with.
    excess: [f64; 2],
    /// Grows towards the largest size and the greatest length.
    importance: f64,
}

impl Rows {
    pub(crate) fn of(name: LawName, runs: &ScaleRuns, target: usize, units: &Units) -> Self {
        let largest = runs.sizes().last().copied().unwrap_or(1.0);
        let longest = runs.token_range().1;
        let mut out = Self {
            weights: Vec::new(),
            rows: Vec::new(),
        };
        for (r, run) in runs.runs().iter().enumerate() {
            let first = out.weights.len();
            for (i, point) in run.points.iter().enumerate() {
                if !point.values[target].is_finite() {
                    continue;
                }
                if units.repeats() || out.weights.len() == first {
                    out.weights
                        .push(units.seen(name, &run.weights, point.tokens));
                }
                let importance = (run.parameters / largest * point.tokens / longest).sqrt();
                out.rows.push(Row {
                    weights: out.weights.len() - 1,
                    scales: units.scales(run.parameters, point.tokens),
                    ln_loss: point.values[target].ln(),
                    excess: excess(runs.left(r, i)),
                    importance,
                });
            }
        }
        let squares: f64 = out.rows.iter().map(|r| r.importance.powi(2)).sum();
        let scale = (out.rows.len() as f64 / squares.max(f64::MIN_POSITIVE)).sqrt();
        out.rows.iter_mut().for_each(|r| r.importance *= scale);
        out
    }

    fn height(&self) -> f64 {
        let mut all: Vec<f64> = self.rows.iter().map(|r| r.ln_loss).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2].exp()
    }
}

/// The robust squares of a form over some of the rows.
struct Problem<'a> {
    form: &'a Form,
    rows: &'a Rows,
    every: usize,
    centre: &'a [f64],
    prior: &'a [f64],
}

impl Problem<'_> {
    fn sum(&self, p: &[f64], mut each: impl FnMut(f64, f64, &[f64])) -> f64 {
        let amounts: Vec<_> = (self.rows.weights.iter())
            .map(|w| self.form.amounts(p, w))
            .collect();
        let mut by = vec![0.0; p.len()];
        let mut cost = 0.0;
        for row in self.rows.rows.iter().step_by(self.every) {
            let at = &amounts[row.weights];
            let mut ln = self.form.ln_loss(p, at, row.scales, &mut by, &mut []);
            if let Some(first) = self.form.excess {
                ln += dot(&row.excess, &p[first..first + 2]);
                by[first..first + 2].copy_from_slice(&row.excess);
            }
            let scale = row.importance / RESIDUAL;
            let residual = scale * (ln - row.ln_loss);
            let root = (1.0 + residual * residual).sqrt();
            cost += root - 1.0;
            each(residual / root * scale, scale * scale / root, &by);
        }
        let pulls = p.iter().zip(self.centre).zip(self.prior);
        cost + pulls
            .map(|((p, c), w)| 0.5 * (w * (p - c)).powi(2))
            .sum::<f64>()
    }
}

impl Squares for Problem<'_> {
    fn cost(&self, p: &[f64]) -> f64 {
        self.sum(p, |_, _, _| {})
    }

    fn system(&self, p: &[f64], gradient: &mut [f64], matrix: &mut [f64]) -> f64 {
        let cost = self.sum(p, |slope, weight, by| {
            add(gradient, slope, by);
            let mut at = 0;
            for (i, b) in by.iter().enumerate() {
                if *b != 0.0 {
                    add(&mut matrix[at..=at + i], weight * b, &by[..=i]);
                }
                at += i + 1;
            }
        });
        let mut at = 0;
        for i in 0..p.len() {
            let square = self.prior[i] * self.prior[i];
            gradient[i] += square * (p[i] - self.centre[i]);
            matrix[at + i] += square;
            at += i + 1;
        }
        cost
    }
}

/// A form and the rows it is fitted to, with the point to which parameters are
/// pulled, and how strongly.
struct Ready {
    form: Form,
    rows: Rows,
    height: f64,
    centre: Vec<f64>,
    prior: Vec<f64>,
}

impl Ready {
    fn of(name: LawName, runs: &ScaleRuns, target: usize, units: &Units) -> Result<Self> {
        let rows = Rows::of(name, runs, target, units);
        let field = &runs.targets()[target];
        let own = runs.domains().position(field);
        if rows.rows.is_empty() {
            return Err(Error::input("no measurement of this target")
                .field(field)
                .help("remove its column, or add what was measured"));
        }
        if name.needs_own_domain() && own.is_none() {
            return Err(Error::input(format!(
                "`{}` is a law of the target's own weight, and `{field}` is no domain",
                name.as_str()
            ))
            .field(field)
            .help("choose another law"));
        }
        let form = form_of(name, runs.domains().len(), own, units);
        let (one_size, one_length) = (runs.sizes().len() < 2, runs.lengths() < 2);
        let prior = (form.parameters.iter())
            .map(|p| match p.kind {
                Kind::SizeLevel(_) | Kind::SizeExponent if one_size => TIED,
                Kind::TokensLevel(_) | Kind::TokensExponent if one_length => TIED,
                _ => PRIOR,
            })
            .collect();
        let height = rows.height();
        // The first start has no random part.
        let centre = form.start(height, 0, &mut stream(42, name.as_str(), "scale start"));
        Ok(Self {
            form,
            rows,
            height,
            centre,
            prior,
        })
    }

    /// The squares over as many rows at most.
    fn problem(&self, most: usize) -> Problem<'_> {
        Problem {
            form: &self.form,
            rows: &self.rows,
            every: self.rows.rows.len().div_ceil(most).max(1),
            centre: &self.centre,
            prior: &self.prior,
        }
    }
}

impl FittedLaw {
    /// Fits a form to one target of some runs. The logarithm of the loss is
    /// fitted, with squares that become linear beyond 1 %, from `starts` points;
    /// measurements count more towards the largest size and length, since
    /// that is the side on which the law is used.
    ///
    /// Exponents of size (with one size) or tokens (with one length) that cannot
    /// be known stay at 0.34 and 0.4, see [`FittedLaw::tied`].
    ///
    /// # Errors
    /// When the target is not measured, a law of the target's own weight is
    /// asked for a target that is no domain, and when the monitor asks to stop.
    pub fn fit(
        name: LawName,
        runs: &ScaleRuns,
        target: usize,
        units: &Units,
        starts: usize,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        /// Rows that are enough to compare starts.
        const ROWS: usize = 300;
        let ready = Ready::of(name, runs, target, units)?;
        let mut rng = stream(42, name.as_str(), "scale start");
        let coarse = ready.problem(ROWS);
        let mut best: Option<(Vec<f64>, f64)> = None;
        for turn in 0..starts.max(1) {
            let start = ready.form.start(ready.height, turn, &mut rng);
            let found = minimise(&coarse, start, LIMITS, 25, monitor)?;
            if best.as_ref().is_none_or(|b| found.1 < b.1) {
                best = Some(found);
            }
        }
        let start = best.map_or_else(|| ready.centre.clone(), |b| b.0);
        let all = ready.problem(MANY);
        let (parameters, residual_sd, factor) = settle(&all, start, monitor)?;
        Ok(Self {
            name,
            units: units.clone(),
            domains: runs.domains().len(),
            own: runs.domains().position(&runs.targets()[target]),
            parameters,
            residual_sd,
            tied: tied(&all, &factor),
            factor,
        })
    }

    /// What fits of one law to several targets say together about its exponents:
    /// the median of each, in the order of the parameters; nothing for
    /// parameters that are a target's own.
    pub(crate) fn exponents(laws: &[&Self]) -> Vec<Option<f64>> {
        let Some(first) = laws.first() else {
            return Vec::new();
        };
        (first.form().parameters.iter().enumerate())
            .map(|(i, parameter)| {
                let mut all: Vec<f64> = laws.iter().map(|law| law.parameters[i]).collect();
                all.sort_by(f64::total_cmp);
                (parameter.is_exponent()).then(|| all[all.len() / 2])
            })
            .collect()
    }

    /// The same law, with its exponents pulled to what all targets say. One
    /// target hardly tells an exponent from a level with two sizes, or with
    /// lengths that differ little.
    ///
    /// # Errors
    /// When the monitor asks to stop.
    pub(crate) fn pulled(
        mut self,
        runs: &ScaleRuns,
        target: usize,
        exponents: &[Option<f64>],
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let mut ready = Ready::of(self.name, runs, target, &self.units)?;
        for (i, exponent) in exponents.iter().enumerate() {
            if let Some(exponent) = exponent
                && ready.prior[i] < TIED
            {
                (ready.centre[i], ready.prior[i]) = (*exponent, POOLED);
            }
        }
        (self.parameters, self.residual_sd, self.factor) =
            settle(&ready.problem(MANY), self.parameters, monitor)?;
        Ok(self)
    }

    /// The form.
    pub fn law(&self) -> LawName {
        self.name
    }

    /// The parameters by name: exponents and levels as they stand in the
    /// equation, in the units of the fit.
    pub fn parameters(&self) -> Vec<(String, f64)> {
        let form = self.form();
        (form.parameters.into_iter().zip(&self.parameters))
            .map(|(p, v)| match p.kind {
                Kind::Signed | Kind::Slope => (p.name(), *v),
                _ => (p.name(), v.exp()),
            })
            .collect()
    }

    /// Parameters of which the runs say next to nothing: they stay near where
    /// the fit began.
    pub fn tied(&self) -> &[String] {
        &self.tied
    }

    /// The standard deviation of the logarithm of single measurements around
    /// the law.
    pub fn residual_sd(&self) -> f64 {
        self.residual_sd
    }

    /// ln L, its standard deviation without the noise of one measurement, and
    /// its derivative by every weight.
    pub(crate) fn ln_loss(&self, at: &Setting<'_>) -> (f64, f64, Vec<f64>) {
        let form = self.form();
        self.ln_loss_by(&form, at)
    }

    /// As [`FittedLaw::ln_loss`] with the form at hand, for many settings.
    pub(crate) fn ln_loss_by(&self, form: &Form, at: &Setting<'_>) -> (f64, f64, Vec<f64>) {
        let weights = self.units.seen(self.name, at.weights, at.tokens);
        let amounts = form.amounts(&self.parameters, &weights);
        let scales = self.units.scales(at.parameters, at.tokens);
        let mut by = vec![0.0; self.parameters.len()];
        let mut by_weights = vec![0.0; weights.len()];
        let ln = form.ln_loss(&self.parameters, &amounts, scales, &mut by, &mut by_weights);
        (self.units).chain_seen(self.name, at.weights, at.tokens, &mut by_weights);
        let sd = self.residual_sd / RESIDUAL * self.factor.quadratic(&by).sqrt();
        (ln, sd, by_weights)
    }

    pub(crate) fn form(&self) -> Form {
        form_of(self.name, self.domains, self.own, &self.units)
    }

    /// How far the logarithm lies above that of a run which ends there, where a
    /// part of the run is left.
    pub(crate) fn excess(&self, form: &Form, left: f64) -> f64 {
        let parameters = form.excess.map(|first| &self.parameters[first..first + 2]);
        parameters.map_or(0.0, |p| dot(&excess(left), p))
    }

    /// Whether what was read is a law over that many domains.
    pub(crate) fn is_sound(&self, domains: usize) -> bool {
        let n = self.form().parameters.len();
        self.domains == domains
            && self.own.is_none_or(|own| own < domains)
            && self.parameters.len() == n
            && self.parameters.iter().all(|p| p.is_finite())
            && self.residual_sd.is_finite()
            && self.factor.is_sound(n)
            && [0, domains].contains(&self.units.available.len())
            && !(self.name.needs_available() && self.units.available.is_empty())
            && [0, domains].contains(&self.units.per_token.len())
    }
}

fn form_of(name: LawName, domains: usize, own: Option<usize>, units: &Units) -> Form {
    let form = name.form(domains, own);
    match units.decayed {
        true => form.with_excess(),
        false => form,
    }
}

impl ScaleLaw for FittedLaw {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn predict(&self, at: &Setting<'_>) -> Prediction {
        let (ln, sd, _) = self.ln_loss(at);
        let mean = ln.exp();
        Prediction {
            mean,
            sd: mean * sd.hypot(self.residual_sd),
        }
    }

    fn gradient(&self, at: &Setting<'_>) -> Vec<f64> {
        let (ln, _, mut by) = self.ln_loss(at);
        by.iter_mut().for_each(|b| *b *= ln.exp());
        by
    }
}

/// Descends to the end: the parameters, the residual standard deviation and the
/// factor of the Gauss-Newton matrix.
fn settle(
    all: &Problem<'_>,
    start: Vec<f64>,
    monitor: &dyn Monitor,
) -> Result<(Vec<f64>, f64, Factor)> {
    let (parameters, _) = minimise(all, start, LIMITS, 30, monitor)?;
    let (residual_sd, factor) = uncertainty(all, &parameters)?;
    Ok((parameters, residual_sd, factor))
}

/// The residual standard deviation, and the factor of the Gauss-Newton matrix.
fn uncertainty(problem: &Problem<'_>, p: &[f64]) -> Result<(f64, Factor)> {
    let n = p.len();
    let (mut gradient, mut matrix) = (vec![0.0; n], vec![0.0; n * (n + 1) / 2]);
    let (mut squares, mut rows) = (0.0, 0.0);
    problem.system(p, &mut gradient, &mut matrix);
    problem.sum(p, |slope, weight, _| {
        // The robust residual: slope / weight is the residual itself.
        let residual = slope / weight;
        squares += weight * RESIDUAL * RESIDUAL * residual * residual;
        rows += 1.0;
    });
    let factor = (Factor::of_lower(matrix.clone(), 0.0))
        .or_else(|| Factor::of_lower(matrix, 1e-6))
        .ok_or_else(|| Error::failed("the matrix of a law of scale is not positive"))?;
    let freedom = (rows - n as f64).max(0.1 * rows);
    Ok(((squares / freedom).sqrt(), factor))
}

/// The parameters that only the prior holds; with fewer measurements than
/// parameters at least as many as are missing, those that it holds most.
fn tied(problem: &Problem<'_>, factor: &Factor) -> Vec<String> {
    /// Knowledge of a parameter below this part of its prior variance is none.
    const KNOWN: f64 = 0.9;
    let mut held: Vec<(usize, f64)> = (0..problem.prior.len())
        .map(|i| {
            let mut unit = vec![0.0; problem.prior.len()];
            unit[i] = 1.0;
            let part = factor.quadratic(&unit) * problem.prior[i].powi(2);
            (i, if problem.prior[i] >= TIED { 1.0 } else { part })
        })
        .collect();
    held.sort_by(|a, b| b.1.total_cmp(&a.1));
    let missing = held.len().saturating_sub(problem.rows.rows.len());
    let mut tied: Vec<usize> = (held.iter().enumerate())
        .filter(|(rank, (_, part))| *rank < missing || *part > KNOWN)
        .map(|(_, (i, _))| *i)
        .collect();
    tied.sort_unstable();
    let name = |i: usize| problem.form.parameters[i].name();
    tied.into_iter().map(name).collect()
}
