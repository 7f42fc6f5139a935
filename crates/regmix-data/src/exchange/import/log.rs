//! What logs hold, before runs are put together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What the same number may differ by from row to row.
const ROUNDING: f64 = 1e-6;

/// What all files say: input of [`Imported::of`](super::Imported::of).
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// Runs; one may come in several files.
    pub(super) runs: Vec<RunLog>,
    /// Names of numbers that count.
    pub(super) counted: BTreeSet<String>,
    /// Names of numbers that do not count.
    pub(super) skipped: BTreeSet<String>,
    /// Targets that are better when higher, where a file says so.
    pub(super) higher_is_better: BTreeSet<String>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
    /// How the tasks of lm-eval were asked.
    pub(super) tasks: Vec<TaskSetting>,
}

/// How a task of lm-eval was asked in a file.
#[derive(Debug, Clone)]
pub(super) struct TaskSetting {
    pub(super) task: String,
    /// `n-shot` and `version`, as the file has them.
    pub(super) settings: [Option<String>; 2],
    pub(super) run: String,
    pub(super) file: PathBuf,
}

impl Logs {
    pub(super) fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.counted.extend(other.counted);
        self.skipped.extend(other.skipped);
        self.higher_is_better.extend(other.higher_is_better);
        self.notes.extend(other.notes);
        self.tasks.extend(other.tasks);
    }
}

/// A value of a target. Only what was measured is kept: a table of all targets at
/// all steps may be much larger than the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// The step; 0 where the file has one measurement.
    pub(super) step: f64,
    /// The place of the target; in the file, until [`RunLog::own_targets`].
    pub(super) target: usize,
    pub(super) value: f64,
}

/// What a file says of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RunLog {
    /// The name of the run.
    pub(super) run: String,
    /// The file.
    pub(super) file: PathBuf,
    /// The targets that were measured.
    pub(super) targets: Vec<String>,
    /// The measurements, in the order of the file.
    pub(super) values: Vec<Measured>,
    /// Steps with the tokens seen.
    pub(super) tokens: Vec<(f64, f64)>,
    /// Standard errors of targets.
    pub(super) errors: BTreeMap<String, f64>,
    /// Weights of domains.
    pub(super) weights: BTreeMap<String, f64>,
    /// Parameters of the model.
    pub(super) parameters: Option<f64>,
    /// The state of the run, where the file has one: the last that it has.
    pub(super) state: Option<String>,
}

impl RunLog {
    pub(super) fn new(run: &str, file: &Path) -> Self {
        Self {
            run: run.to_owned(),
            file: file.to_path_buf(),
            ..Self::default()
        }
    }

    /// Leaves the run with the targets that it measured, of those in its file: many
    /// runs with all targets each would be much larger than the file.
    pub(super) fn own_targets(&mut self, names: &[String]) {
        let mut own = BTreeMap::new();
        for value in &mut self.values {
            value.target = *own.entry(value.target).or_insert_with(|| {
                self.targets.push(names[value.target].clone());
                self.targets.len() - 1
            });
        }
    }

    /// Whether every target was measured once, without a step.
    pub(super) fn has_every_target_once(&self) -> bool {
        let mut seen = BTreeSet::new();
        (self.values.iter()).all(|v| v.step.is_nan() && seen.insert(v.target))
    }

    /// Sets the weight of a domain, which may come in every row.
    pub(super) fn set_weight(&mut self, domain: &str, weight: f64) -> Result<()> {
        match self.weights.get(domain) {
            Some(before) if (before - weight).abs() > ROUNDING => Err(Error::input(format!(
                "the weight of `{domain}` in run `{}` changes from {before} to {weight}: expected \
                 runs on one mixture each",
                self.run
            ))
            .in_file(&self.file)
            .help(
                "leave such runs out, or name columns that hold the mixture of the whole run with \
                 `--weights`",
            )),
            Some(_) => Ok(()),
            None => {
                self.weights.insert(domain.to_owned(), weight);
                Ok(())
            }
        }
    }

    /// Sets the parameters of the model, which may come in every row.
    pub(super) fn set_parameters(&mut self, parameters: f64) -> Result<()> {
        match self.parameters {
            Some(before) if (before - parameters).abs() > ROUNDING * before.abs() => {
                Err(Error::input(format!(
                    "run `{}` has {before} and {parameters} parameters: expected one number",
                    self.run
                ))
                .in_file(&self.file))
            }
            _ => {
                self.parameters = Some(parameters);
                Ok(())
            }
        }
    }
}

/// The names of the targets of a file, with what gave each.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_target: BTreeMap<String, String>,
}

impl Sources {
    /// Notes that `source` gives a target; `what` says what sources are, in errors.
    pub(super) fn add(&mut self, target: &str, source: &str, what: &str) -> Result<()> {
        match self.by_target.insert(target.to_owned(), source.to_owned()) {
            None => Ok(()),
            Some(other) => Err(Error::input(match other == source {
                true => format!("two {what} are called `{source}`: expected one"),
                false => format!(
                    "the {what} `{other}` and `{source}` both give target `{target}`: expected one"
                ),
            })
            .help("give a pattern that only one of them matches")),
        }
    }
}

/// Places of names in the order in which they first come.
#[derive(Debug, Default)]
pub(super) struct Places {
    names: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Places {
    /// The place of a name, a new one where it comes first.
    pub(super) fn of(&mut self, name: &str) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }
}
