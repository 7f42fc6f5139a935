//! The rows that a stage model is fitted on: a state, a mixture, and the state
//! after.

use std::collections::BTreeMap;

use rand::RngExt;

use regmix_data::random::stream;
use regmix_data::{DomainSet, Error, Result};
use regmix_regress::Objective;

use super::segments::Segments;
use super::stage_grid::StageGrid;
use super::stage_losses::StageLosses;

/// One stage of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The index of the run.
    pub run: usize,
    /// The stage, from 0.
    pub stage: usize,
    /// The mixture during the stage: the mean over its tokens, where the run
    /// switched within it.
    pub mixture: Vec<f64>,
    /// The losses when the stage began, one per target.
    pub state: Vec<f64>,
    /// The losses when it ended.
    pub next: Vec<f64>,
}

/// The first segment of one run: what it trained on up to the first stage
/// point, and the losses there.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstSegment {
    /// The index of the run.
    pub run: usize,
    /// The mean mixture.
    pub mixture: Vec<f64>,
    /// The losses at the first stage point.
    pub state: Vec<f64>,
}

/// All stages of all runs: the rows that f_N is fitted on, `x = [t_l,
/// mixture, loss_l]`, `y = loss_{l+1}` (RegMix-D, arXiv 2606.18663, eq. 1),
/// with the losses of all targets as state.
#[derive(Debug, Clone, PartialEq)]
pub struct Transitions {
    pub(crate) domains: DomainSet,
    pub(crate) targets: Vec<String>,
    pub(crate) grid: StageGrid,
    pub(crate) runs: Vec<String>,
    pub(crate) rows: Vec<Transition>,
    pub(crate) beginnings: Vec<FirstSegment>,
    pub(crate) notes: Vec<String>,
}

impl Transitions {
    /// Joins losses at stage points with the mixtures of the runs. Rows with a
    /// missing loss are left out; the notes say how many.
    ///
    /// # Errors
    /// When a run with losses has no mixture, or a stage is left with fewer
    /// than 8 rows.
    pub fn new(losses: &StageLosses, segments: &Segments) -> Result<Self> {
        let mut out = Self {
            domains: segments.domains().clone(),
            targets: losses.targets().to_vec(),
            grid: losses.grid().clone(),
            runs: losses.runs().to_vec(),
            rows: Vec::new(),
            beginnings: Vec::new(),
            notes: losses.notes().to_vec(),
        };
        let mut dropped = 0;
        for (run, name) in losses.runs().iter().enumerate() {
            let at = losses.losses(run);
            let whole = |point: usize| at[point].iter().all(|l| l.is_finite());
            let mixture = segments.mean(name, 0.0, out.grid.points()[0])?;
            if whole(0) {
                out.beginnings.push(FirstSegment {
                    run,
                    mixture,
                    state: at[0].clone(),
                });
            }
            for stage in 0..out.grid.stages() {
                if !(whole(stage) && whole(stage + 1)) {
                    dropped += 1;
                    continue;
                }
                let (from, to) = out.grid.span(stage);
                out.rows.push(Transition {
                    run,
                    stage,
                    mixture: segments.mean(name, from, to)?,
                    state: at[stage].clone(),
                    next: at[stage + 1].clone(),
                });
            }
        }
        if dropped > 0 {
            let all = dropped + out.rows.len();
            (out.notes).push(format!(
                "{dropped} of {all} stages left out: a loss is missing"
            ));
        }
        let without: Vec<&String> = (segments.runs().iter())
            .filter(|run| !out.runs.contains(run))
            .collect();
        if !without.is_empty() {
            (out.notes).push(format!(
                "{} runs of the design have no trajectory, the first of them `{}`",
                without.len(),
                without[0]
            ));
        }
        out.checked()
    }

    /// The least number of rows per stage.
    pub const MIN_ROWS: usize = 8;

    /// The rows again, if there are enough for a fit.
    pub(crate) fn checked(self) -> Result<Self> {
        let mut rows = vec![0; self.grid.stages()];
        for row in &self.rows {
            rows[row.stage] += 1;
        }
        let least = self
            .beginnings
            .len()
            .min(rows.iter().copied().min().unwrap_or(0));
        if least < Self::MIN_ROWS {
            return Err(Error::input(format!(
                "{rows:?} rows per stage and {} first segments: expected at least {} each",
                self.beginnings.len(),
                Self::MIN_ROWS
            ))
            .help("train more proxies, let stopped ones finish, or plan fewer stages"));
        }
        Ok(self)
    }

    /// The same rows with one number as state: the objective's value. RegMix-D
    /// has this, with the loss of one domain.
    ///
    /// # Errors
    /// When the objective names an unknown target, or is a worst case, which
    /// needs all losses.
    pub fn scalar(&self, objective: &Objective) -> Result<Self> {
        let goal = (objective.evaluator(&self.targets)).map_err(|e| e.field("objective"))?;
        if goal.is_worst() {
            return Err(
                Error::input("a worst case needs the losses of all targets as state")
                    .field("state")
                    .help("set `state = \"losses\"`"),
            );
        }
        let one = |state: &Vec<f64>| vec![goal.sum(state)];
        let mut out = self.clone();
        out.targets = vec![objective.to_string()];
        for row in &mut out.rows {
            (row.state, row.next) = (one(&row.state), one(&row.next));
        }
        for beginning in &mut out.beginnings {
            beginning.state = one(&beginning.state);
        }
        Ok(out)
    }

    /// The rows of some runs only; a run that is listed several times has its
    /// rows as often.
    pub(crate) fn pick(&self, runs: &[usize]) -> Self {
        let mut times: BTreeMap<usize, usize> = BTreeMap::new();
        for run in runs {
            *times.entry(*run).or_insert(0) += 1;
        }
        let times = |run: usize| times.get(&run).copied().unwrap_or(0);
        let rows = self.rows.iter();
        let beginnings = self.beginnings.iter();
        Self {
            rows: (rows.flat_map(|r| std::iter::repeat_n(r.clone(), times(r.run)))).collect(),
            beginnings: (beginnings.flat_map(|b| std::iter::repeat_n(b.clone(), times(b.run))))
                .collect(),
            ..self.clone()
        }
    }

    /// A bootstrap sample: the same number of runs, drawn with replacement.
    pub(crate) fn resampled(&self, seed: u64, number: usize) -> Self {
        let mut rng = stream(seed, &format!("bootstrap-{number}"), "dynamic");
        let runs = self.runs.len();
        let drawn: Vec<usize> = (0..runs).map(|_| rng.random_range(0..runs)).collect();
        self.pick(&drawn)
    }

    /// The domains, in the order of the mixtures' weights.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// The targets, in the order of the states.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// The stage points.
    pub fn grid(&self) -> &StageGrid {
        &self.grid
    }

    /// The runs.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// The lowest and the highest value that some function has at a measured
    /// state.
    pub(crate) fn range(&self, of: impl Fn(&[f64]) -> f64) -> (f64, f64) {
        let states = self.rows.iter().flat_map(|r| [&r.state, &r.next]);
        let states = states.chain(self.beginnings.iter().map(|b| &b.state));
        states.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), state| {
            let value = of(state);
            (low.min(value), high.max(value))
        })
    }

    /// The rows.
    pub fn rows(&self) -> &[Transition] {
        &self.rows
    }

    /// What was left out, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
