//! Which columns of a table are used: the identifiers of runs, and the
//! numbers.
//!
//! Exports of experiment trackers, evaluation harnesses and data frames
//! contain other columns as well. Columns that are known to be neither a
//! domain nor a target, or that are plainly text, are left out and named.

use super::foreign::Foreign;
use super::records::is_missing;
use crate::error::{Error, Result};

/// Names of a column of run identifiers, the first choice first. A column of
/// the first group is preferred wherever it stands; those of the second where
/// the first column has no name.
const KEYS: [&[&str]; 2] = [
    &["run", "run_id", "run_name", "run name", "run id"],
    &["name", "id", "index"],
];

/// Steps and times, as trackers write them beside metrics.
const COUNTERS: [&str; 17] = [
    "_step",
    "_runtime",
    "_timestamp",
    "runtime",
    "timestamp",
    "step",
    "steps",
    "global_step",
    "trainer/global_step",
    "epoch",
    "seed",
    "duration",
    "wall time",
    "wall_time",
    "relative time (process)",
    "relative time (wall)",
    "created_at",
];

/// Names and states of runs.
const LABELS: [&str; 22] = [
    "run", "run_id", "run_name", "run name", "run id", "name", "id", "index", "state", "status",
    "user", "notes", "tags", "created", "updated", "end time", "sweep", "group", "job type",
    "hostname", "commit", "agent",
];

/// What trainers and trackers write beside losses, by the last part of a name such as
/// `train/grad_norm`.
const MEASURES: [&str; 38] = [
    "grad_norm",
    "gradient_norm",
    "lr",
    "learning_rate",
    "weight_decay",
    "momentum",
    "loss_scale",
    "batch_size",
    "global_batch_size",
    "epoch",
    "step",
    "iteration",
    "tokens",
    "n_tokens",
    "num_tokens",
    "total_tokens",
    "tokens_seen",
    "num_input_tokens_seen",
    "consumed_tokens",
    "consumed_samples",
    "samples_per_second",
    "steps_per_second",
    "tokens_per_second",
    "train_samples_per_second",
    "train_steps_per_second",
    "eval_samples_per_second",
    "eval_steps_per_second",
    "train_runtime",
    "eval_runtime",
    "total_flos",
    "flops",
    "mfu",
    "gpu_mem",
    "gpu_memory",
    "n_params",
    "num_params",
    "rank",
    "world_size",
];

/// What the numbers of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Weights of domains.
    Weights,
    /// Losses and other scores.
    Values,
    /// Columns that are given a meaning later, steps among them.
    Any,
    /// Targets of a file that regmix wrote: every column counts.
    OwnValues,
}

/// The columns of a table that count.
#[derive(Debug)]
pub(super) struct Columns {
    /// The place of the run identifiers.
    pub(super) key: usize,
    /// The places of the numbers.
    pub(super) numbers: Vec<usize>,
    /// The names of columns that were left out.
    pub(super) left_out: Vec<String>,
}

/// What the first rows show of a column.
#[derive(Default)]
struct Seen {
    numbers: Vec<f64>,
    texts: usize,
    /// Texts that are numbers elsewhere: the error of their row says so.
    foreign: usize,
}

impl Columns {
    /// Chooses by the names and by some of the rows. Fractions under the name of
    /// one of `domains` are its values, whatever the name.
    ///
    /// # Errors
    /// When a column with something in it has no name.
    pub(super) fn choose(
        names: &[String],
        rows: &[csv::StringRecord],
        content: Content,
        domains: &[&str],
    ) -> Result<Self> {
        let key = key_of(names);
        let (mut numbers, mut left_out) = (Vec::new(), Vec::new());
        for (place, name) in names.iter().enumerate().filter(|(place, _)| *place != key) {
            let seen = Seen::of(rows.iter().filter_map(|row| row.get(place)));
            if is_unnamed(name) {
                let empty = seen.numbers.is_empty() && seen.texts == 0;
                if place > 0 && !empty && name.is_empty() {
                    return Err(Error::input(format!(
                        "column {} has no name: expected one for every column with numbers",
                        place + 1
                    ))
                    .help("name the column, or remove it"));
                }
                if !empty {
                    left_out.push("an unnamed column".to_owned());
                }
            } else if domains.contains(&name.as_str()) && seen.are_fractions() {
                numbers.push(place);
            } else if seen.is_bookkeeping(&name.to_lowercase(), content) {
                left_out.push(format!("`{name}`"));
            } else {
                numbers.push(place);
            }
        }
        Ok(Self {
            key,
            numbers,
            left_out,
        })
    }
}

/// The place of the run identifiers in a log: a column that can be nothing else, or
/// with `any`, in tables of one row per run, one that may be something else in others.
#[cfg(feature = "exchange")]
pub(crate) fn run_column(names: &[String], any: bool) -> Option<usize> {
    let unnamed = || names.first().filter(|name| is_unnamed(name)).map(|_| 0);
    let other = || find_key(names, KEYS[1]).or_else(unnamed);
    find_key(names, KEYS[0]).or_else(|| any.then(other).flatten())
}

/// How well a key of a log serves as that of the run: the lower the better.
#[cfg(feature = "exchange")]
pub(crate) fn run_rank(name: &str) -> Option<usize> {
    KEYS[0]
        .iter()
        .position(|key| key.eq_ignore_ascii_case(name))
}

/// The place of the run identifiers.
fn key_of(names: &[String]) -> usize {
    match names.first() {
        Some(first) if is_unnamed(first) => column_of_runs(names).unwrap_or(0),
        _ => find_key(names, KEYS[0]).unwrap_or(0),
    }
}

/// The place of the run identifiers among the columns of a table that has row numbers
/// beside them, such as a data frame: by its name, such as `run`, `run_id` or `index`.
pub fn column_of_runs(names: &[String]) -> Option<usize> {
    find_key(names, KEYS[0]).or_else(|| find_key(names, KEYS[1]))
}

/// The place of the first of some names that there is.
fn find_key(names: &[String], keys: &[&str]) -> Option<usize> {
    let mut places = keys.iter().map(|key| {
        let is_key = |name: &String| name.eq_ignore_ascii_case(key);
        names.iter().position(is_key)
    });
    places.find_map(|place| place)
}

/// Whether a column has no name; pandas calls such columns `Unnamed: 0` when it
/// reads them again.
fn is_unnamed(name: &str) -> bool {
    name.is_empty() || name.starts_with("Unnamed: ")
}

impl Seen {
    fn of<'a>(fields: impl Iterator<Item = &'a str>) -> Self {
        let mut out = Self::default();
        for field in fields.filter(|field| !is_missing(field)) {
            match field.parse() {
                Ok(number) => out.numbers.push(number),
                Err(_) => {
                    out.texts += 1;
                    out.foreign += usize::from(Foreign::of(field).is_some());
                }
            }
        }
        out
    }

    fn are_fractions(&self) -> bool {
        self.texts == 0 && self.numbers.iter().any(|x| x.fract() != 0.0)
    }

    /// Whether a column with this lower-case name is no domain and no target.
    fn is_bookkeeping(&self, name: &str, content: Content) -> bool {
        let standard_error = name.ends_with("_stderr") || name.contains("_stderr,");
        let extremes = name.ends_with("__min") || name.ends_with("__max");
        let whole = self.numbers.iter().all(|x| x.fract() == 0.0);
        let last = name.rsplit('/').next().unwrap_or(name);
        let beside = COUNTERS.contains(&name) || COUNTERS[..3].contains(&last);
        let beside = beside || MEASURES.contains(&last);
        // Shares of a domain that happens to have such a name.
        let shares = self.texts == 0
            && (!whole || !beside && !KEYS.concat().contains(&name))
            && self.numbers.iter().all(|x| (0.0..=1.0).contains(x));
        let known = match content {
            Content::OwnValues => return false,
            Content::Any => name.starts_with("_wandb") || COUNTERS[..3].contains(&name),
            Content::Weights => {
                !shares && (beside || LABELS.contains(&name)) || name.starts_with("_wandb")
            }
            Content::Values => {
                beside || name.starts_with("_wandb") || whole && LABELS.contains(&name)
            }
        };
        // One text alone may be a mistake in a number.
        let text = self.texts > 1 && self.numbers.is_empty() && self.foreign < self.texts;
        known || text || standard_error || extremes
    }
}
