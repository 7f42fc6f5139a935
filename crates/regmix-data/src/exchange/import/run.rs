//! One run from all of its files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::log::RunLog;
use super::selection::Selection;
use crate::domain::DomainSet;
use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::table::RunRow;

/// What the same weight may differ by from file to file.
const ROUNDING: f64 = 1e-6;

/// Values of a run at a step.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedPoint {
    /// The step.
    pub step: u64,
    /// Tokens seen, where that is known.
    pub tokens: Option<u64>,
    /// A value for every target; NaN where none was measured.
    pub values: Vec<f64>,
}

/// A run from all of its files.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// Step, target and value, in the order of the files; NaN for what is not finite.
    values: Vec<(u64, usize, f64)>,
    /// Tokens by step.
    tokens: BTreeMap<u64, u64>,
    /// Whether steps of a file go back.
    pub(super) goes_back: bool,
    /// Values that are not finite.
    pub(super) not_finite: usize,
    /// The targets whose last value is not finite.
    diverged: Vec<bool>,
    pub(super) errors: BTreeMap<String, f64>,
    pub(super) weights: BTreeMap<String, f64>,
    pub(super) parameters: Option<f64>,
    /// The state of the run, where a file has one.
    pub(super) state: Option<String>,
}

impl Run {
    /// Adds what a file says of the run; `places` are those of its targets among all.
    pub(super) fn take(&mut self, log: RunLog, places: &[usize]) -> Result<()> {
        self.name = log.run;
        self.file = log.file;
        let mut last = vec![f64::NEG_INFINITY; places.len()];
        self.values.reserve(log.values.len());
        for measured in log.values {
            let mut value = measured.value;
            if !value.is_finite() {
                self.not_finite += 1;
                if whole(measured.step).is_none() {
                    continue;
                }
                value = f64::NAN;
            }
            let step = self.step(measured.step)?;
            let before = std::mem::replace(&mut last[measured.target], measured.step);
            self.goes_back |= measured.step < before;
            self.values.push((step, places[measured.target], value));
        }
        for (step, tokens) in log.tokens {
            let step = self.step(step)?;
            let tokens = whole(tokens.round()).ok_or_else(|| {
                Error::input(format!(
                    "{tokens} tokens at step {step} of run `{}`: expected a number that is not \
                     negative",
                    self.name
                ))
                .in_file(&self.file)
            })?;
            self.tokens.insert(step, tokens);
        }
        self.errors.extend(log.errors);
        for (domain, weight) in log.weights {
            if let Some(before) = self.weights.insert(domain.clone(), weight)
                && (before - weight).abs() > ROUNDING
            {
                return Err(Error::input(format!(
                    "the weight of `{domain}` in run `{}` is {weight}, and {before} in another file: \
                     expected one",
                    self.name
                ))
                .in_file(&self.file));
            }
        }
        self.parameters = log.parameters.or(self.parameters);
        self.state = log.state.or(self.state.take());
        Ok(())
    }

    fn step(&self, step: f64) -> Result<u64> {
        whole(step).ok_or_else(|| {
            Error::input(format!(
                "step {step} of run `{}`: expected a whole number that is not negative",
                self.name
            ))
            .in_file(&self.file)
            .help("name the column or key of steps with `--step`")
        })
    }

    /// How many numbers the points hold: one for every step and target.
    pub(super) fn cells(&mut self, targets: usize) -> usize {
        // A stable order: the later value of a step stays behind the earlier.
        self.values.sort_by_key(|(step, ..)| *step);
        let mut steps: Vec<u64> = self.values.iter().map(|(step, ..)| *step).collect();
        steps.dedup();
        steps.len().saturating_mul(targets)
    }

    /// The measurements in the order of steps, and how many were replaced by later ones
    /// of the same step.
    pub(super) fn points(
        &mut self,
        targets: usize,
        selection: &Selection,
    ) -> (Vec<ImportedPoint>, usize) {
        let mut replaced = 0;
        let mut out: Vec<ImportedPoint> = Vec::new();
        self.diverged = vec![false; targets];
        for (step, target, value) in std::mem::take(&mut self.values) {
            self.diverged[target] = value.is_nan();
            if out.last().is_none_or(|point| point.step != step) {
                out.push(ImportedPoint {
                    step,
                    tokens: self.tokens_at(step, selection),
                    values: vec![f64::NAN; targets],
                });
            }
            if let Some(point) = out.last_mut() {
                let before = std::mem::replace(&mut point.values[target], value);
                replaced += usize::from(!before.is_nan() && before != value);
            }
        }
        out.retain(|point| point.values.iter().any(|value| !value.is_nan()));
        (out, replaced)
    }

    /// Whether the last value of a target, by place, is not finite. Earlier values of it say
    /// nothing about the end of the run.
    pub(super) fn diverged(&self, target: usize) -> bool {
        self.diverged[target]
    }

    /// The tokens at a step: those that were logged there, or in proportion between
    /// and beyond the steps where some were.
    fn tokens_at(&self, step: u64, selection: &Selection) -> Option<u64> {
        if let Some(each) = selection.tokens_per_step {
            return Some((step as f64 * each).round() as u64);
        }
        if let Some(tokens) = self.tokens.get(&step) {
            return Some(*tokens);
        }
        let before = self.tokens.range(..step).next_back();
        let after = self.tokens.range(step..).next();
        let (from, to) = match (before, after) {
            (Some(before), Some(after)) => ((*before.0, *before.1), (*after.0, *after.1)),
            (None, Some(after)) => ((0, 0), (*after.0, *after.1)),
            (Some(before), None) => ((0, 0), (*before.0, *before.1)),
            (None, None) => return None,
        };
        let steps = to.0.checked_sub(from.0).filter(|n| *n > 0)? as f64;
        let each = (to.1 as f64 - from.1 as f64) / steps;
        let tokens = from.1 as f64 + (step - from.0) as f64 * each;
        Some(tokens.round() as u64)
    }

    /// The mixture over all domains. One that the run does not name has no weight in
    /// it; the others must sum to 1 then, as always.
    pub(super) fn mixture(&self, domains: &DomainSet) -> Result<Mixture> {
        let row = RunRow {
            line: 0,
            run: self.name.clone(),
            values: (domains.names())
                .map(|name| self.weights.get(name).copied().unwrap_or(0.0))
                .collect(),
        };
        row.mixture(domains, 0, &self.file).map_err(|e| {
            let place = match e.field_name() {
                Some(domain) => format!("run `{}`, domain `{domain}`: ", self.name),
                None => String::new(),
            };
            let error = Error::input(format!("{place}{}", e.problem())).in_file(&self.file);
            match e.help_text() {
                Some(help) => error.help(help),
                None => error,
            }
        })
    }
}

/// A whole number that is exact as `f64`.
fn whole(x: f64) -> Option<u64> {
    (x >= 0.0 && x.fract() == 0.0 && x < 9e15).then_some(x as u64)
}
