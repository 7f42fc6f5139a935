//! The squares that the fit of a law makes small.

use std::ops::Range;

use regmix_data::random::stream;
use regmix_data::{Error, Monitor, Result};

use crate::numeric::factor::Factor;
use crate::numeric::slices::{add, dot};
use crate::scale::form::{Form, LawName, excess};
use crate::scale::marquardt::{Squares, minimise};
use crate::scale::parameter::Kind;
use crate::scale::runs::ScaleRuns;
use crate::scale::terms::{Evaluation, Wanted, Weights};
use crate::scale::units::Units;

/// Residuals of the logarithm are counted in this; larger ones count
/// linearly.
pub(super) const RESIDUAL: f64 = 0.01;
/// The weight of the start in units of residuals: what data does not determine
/// stays there.
const PRIOR: f64 = 0.05;
/// The weight of an exponent that all targets gave.
pub(super) const POOLED: f64 = 5.0;
/// The same for parameters that cannot be known.
pub(super) const TIED: f64 = 1e3;
/// Rows that are enough for a fit.
pub(super) const MANY: usize = 1500;
/// No parameter leaves this range: all are logarithms or slopes.
pub(super) const LIMITS: (f64, f64) = (-25.0, 12.0);

/// The measurements of one target, ready for a fit.
struct Rows {
    /// Weights as a law sees them; each once.
    weights: Vec<Weights>,
    rows: Vec<Row>,
}

struct Row {
    weights: usize,
    scales: (f64, f64),
    ln_loss: f64,
    /// What the parameters of an excess are multiplied with.
    excess: [f64; 2],
    /// Grows towards the largest size and the greatest length.
    importance: f64,
}

impl Rows {
    fn of(name: LawName, runs: &ScaleRuns, target: usize, units: &Units) -> Self {
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
                    let seen = units.seen(name, &run.weights, point.tokens);
                    out.weights.push(Weights::new(seen));
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
pub(super) struct Problem<'a> {
    form: &'a Form,
    rows: &'a Rows,
    every: usize,
    centre: &'a [f64],
    prior: &'a [f64],
    /// Parameters that domains have one each of.
    groups: &'a [Range<usize>],
    /// The inverse of their standard deviation, for the rows there are.
    alike: f64,
}

impl Problem<'_> {
    /// How far the parameters of a group are from their starts, less their mean.
    fn apart(&self, p: &[f64], group: &Range<usize>) -> Vec<f64> {
        let moved = |i: usize| p[i] - self.centre[i];
        let mean = group.clone().map(moved).sum::<f64>() / group.len() as f64;
        group.clone().map(|i| moved(i) - mean).collect()
    }

    /// The part of a parameter's variance before any data that is still open: of its
    /// own, or of its distance from the others of its group.
    fn open_part(&self, i: usize, factor: &Factor) -> f64 {
        let prior = self.prior[i].powi(2);
        let mut direction = vec![0.0; self.prior.len()];
        direction[i] = 1.0;
        let own = factor.quadratic(&direction) * prior;
        let Some(group) = self.groups.iter().find(|g| g.contains(&i) && g.len() > 1) else {
            return own;
        };
        let share = 1.0 / group.len() as f64;
        group.clone().for_each(|j| direction[j] -= share);
        let held = (prior + self.alike.powi(2)) / (1.0 - share);
        own.max(factor.quadratic(&direction) * held)
    }

    fn sum(&self, p: &[f64], wanted: Wanted, mut each: impl FnMut(f64, f64, &[f64])) -> f64 {
        let mut law = Evaluation::new(self.form, p, wanted);
        let mut by = vec![0.0; p.len()];
        let mut cost = 0.0;
        let mut weights = None;
        for row in self.rows.rows.iter().step_by(self.every) {
            // The rows of a run follow each other.
            if weights.replace(row.weights) != Some(row.weights) {
                law.at(&self.rows.weights[row.weights]);
            }
            let mut ln = law.ln_loss(row.scales, &mut by, &mut []);
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
        let together = self.groups.iter().map(|group| {
            let apart = self.apart(p, group);
            0.5 * self.alike.powi(2) * dot(&apart, &apart)
        });
        cost + together.sum::<f64>()
            + pulls
                .map(|((p, c), w)| 0.5 * (w * (p - c)).powi(2))
                .sum::<f64>()
    }
}

impl Squares for Problem<'_> {
    fn cost(&self, p: &[f64]) -> f64 {
        self.sum(p, Wanted::Value, |_, _, _| {})
    }

    fn system(&self, p: &[f64], gradient: &mut [f64], matrix: &mut [f64]) -> f64 {
        let cost = self.sum(p, Wanted::Slopes, |slope, weight, by| {
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
        let square = self.alike.powi(2);
        for group in self.groups {
            let share = square / group.len() as f64;
            for (i, apart) in group.clone().zip(self.apart(p, group)) {
                gradient[i] += square * apart;
                let row = i * (i + 1) / 2;
                for j in group.start..=i {
                    matrix[row + j] -= share;
                }
                matrix[row + i] += square;
            }
        }
        cost
    }
}

/// A form and the rows it is fitted to, with the point to which parameters are
/// pulled, and how strongly.
pub(super) struct Ready {
    pub(super) form: Form,
    rows: Rows,
    pub(super) height: f64,
    pub(super) centre: Vec<f64>,
    pub(super) prior: Vec<f64>,
    groups: Vec<Range<usize>>,
    alike: f64,
}

impl Ready {
    pub(super) fn of(
        name: LawName,
        runs: &ScaleRuns,
        target: usize,
        units: &Units,
        alike: f64,
    ) -> Result<Self> {
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
        let groups = form.groups();
        // Points of a run say nearly the same about its mixture.
        let each = rows.rows.len() as f64 / runs.runs().len() as f64;
        Ok(Self {
            form,
            rows,
            height,
            centre,
            prior,
            groups,
            alike: alike * each.sqrt(),
        })
    }

    /// The squares over as many rows at most.
    pub(super) fn problem(&self, most: usize) -> Problem<'_> {
        let every = self.rows.rows.len().div_ceil(most).max(1);
        Problem {
            form: &self.form,
            rows: &self.rows,
            every,
            centre: &self.centre,
            prior: &self.prior,
            groups: &self.groups,
            alike: self.alike / (every as f64).sqrt(),
        }
    }
}

pub(super) fn form_of(name: LawName, domains: usize, own: Option<usize>, units: &Units) -> Form {
    let form = name.form(domains, own);
    match units.decayed {
        true => form.with_excess(),
        false => form,
    }
}

/// Descends to the end: the parameters, the residual standard deviation and the
/// factor of the Gauss-Newton matrix.
pub(super) fn settle(
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
    problem.sum(p, Wanted::Value, |slope, weight, _| {
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
pub(super) fn tied(problem: &Problem<'_>, factor: &Factor) -> Vec<String> {
    /// Knowledge of a parameter below this part of its prior variance is none.
    const KNOWN: f64 = 0.9;
    let mut held: Vec<(usize, f64)> = (0..problem.prior.len())
        .map(|i| match problem.prior[i] >= TIED {
            true => (i, 1.0),
            false => (i, problem.open_part(i, factor)),
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
