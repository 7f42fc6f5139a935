//! Tables with a run identifier and numbers, before the columns are given a
//! meaning.

#[cfg(feature = "corpus")]
mod parquet;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::columns::{Columns, Content};
use super::names::check_unique;
use super::records::{Rows, line_of, read_text};
use super::state::{is_state, is_unfinished};
use crate::domain::DomainSet;
use crate::error::{Error, Result};
use crate::mixture::Mixture;

/// How far from 1 a row of weights may sum: published tables are rounded to
/// three decimals, so their rows sum to 0.996 to 1.003.
pub(super) const WEIGHT_TOLERANCE: f64 = 0.01;

/// Negative weights down to this are rounding errors, and count as zero.
const ROUNDING: f64 = 1e-9;

/// The rows of a table with a run identifier first and numbers after it,
/// before the columns are given a meaning. A run may have any number of rows.
///
/// ```
/// use regmix_data::table::RunRows;
///
/// let text = "run,step,web\nr0,1,5.5\nr0,2,\n";
/// let rows = RunRows::parse(text, "t.csv".as_ref())?;
/// assert_eq!((rows.key.as_str(), rows.columns.len()), ("run", 2));
/// assert_eq!((rows.rows[1].line, rows.rows[1].values[0]), (3, 2.0));
/// assert!(rows.rows[1].values[1].is_nan());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RunRows {
    /// The name of the first column.
    pub key: String,
    /// The names of the other columns; each once.
    pub columns: Vec<String>,
    /// The rows, in order.
    pub rows: Vec<RunRow>,
    /// What a reader of the file should know, in sentences: columns that were
    /// left out.
    pub notes: Vec<String>,
}

/// One row of [`RunRows`].
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// The line of the file (in parquet the row), counted from 1.
    pub line: u64,
    /// The identifier.
    pub run: String,
    /// One number per column; NaN for an empty field.
    pub values: Vec<f64>,
}

impl RunRows {
    /// Reads a CSV file.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, has no rows or fewer than
    /// two columns, a column comes twice, a row has another number of fields
    /// than the header, or a field is not a number.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&read_text(path)?, path)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`RunRows::read_csv`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let mut reader = RunReader::new(text, path, Content::Any, &[])?;
        let rows = reader.by_ref().collect::<Result<_>>()?;
        Ok(Self {
            key: reader.key().to_owned(),
            columns: reader.columns().to_vec(),
            rows,
            notes: reader.notes(),
        })
    }
}

impl RunRow {
    /// The mixture whose weights are the numbers from column `first` on,
    /// rescaled to sum 1; `path` is used in errors only.
    ///
    /// # Errors
    /// When a weight is missing, negative (by more than 1e-9) or not finite, or
    /// the weights do not sum to 1: within 0.01, or within what rounding to
    /// their decimals can make, half of the last decimal for every weight above 0.
    pub fn mixture(&self, domains: &DomainSet, first: usize, path: &Path) -> Result<Mixture> {
        let here = |e: Error| e.in_file(path).line(self.line);
        let mut weights = self.values[first..].to_vec();
        for (weight, domain) in weights.iter_mut().zip(domains.names()) {
            if weight.is_nan() {
                return Err(here(Error::input("no weight: expected a number"))
                    .field(domain)
                    .help("write 0 for a domain that the run did not use"));
            }
            if *weight < 0.0 && *weight >= -ROUNDING {
                *weight = 0.0;
            }
        }
        let sum: f64 = weights.iter().sum();
        let tolerance = tolerance(&weights);
        let mixture = Mixture::normalized(domains.clone(), weights).map_err(here)?;
        if (sum - 1.0).abs() > tolerance + ROUNDING {
            let problem = format!(
                "weights of run `{}` sum to {sum:.4}, expected 1 (within {})",
                self.run,
                (tolerance * 1e4).round() / 1e4
            );
            return Err(here(Error::input(problem))
                .help("weights are shares of tokens: rescale the row, or remove it"));
        }
        Ok(mixture)
    }
}

/// How far from 1 weights may sum: every one may be off by half of its last
/// decimal.
fn tolerance(weights: &[f64]) -> f64 {
    let has = |decimals: i32| {
        let scale = 10f64.powi(decimals);
        let whole = |w: &f64| (w * scale - (w * scale).round()).abs() < 1e-6;
        weights.iter().all(whole)
    };
    let used = weights.iter().filter(|w| **w > 0.0).count() as f64;
    match (1..=3).find(|decimals| has(*decimals)) {
        Some(decimals) => {
            let rounding = 0.5 * used * 10f64.powi(-decimals);
            rounding.max(WEIGHT_TOLERANCE)
        }
        None => WEIGHT_TOLERANCE,
    }
}

/// Where a row of CSV text has what.
pub(super) struct Layout {
    /// How many fields it has.
    pub(super) width: usize,
    /// The place of the run identifier.
    pub(super) key: usize,
    /// The places of the numbers.
    pub(super) numbers: Vec<usize>,
    /// What separates the fields.
    pub(super) delimiter: u8,
}

/// Reads the rows of CSV text one at a time.
pub(super) struct RunReader<'a> {
    path: &'a Path,
    rows: Rows<'a>,
    /// Rows that were read to choose the columns, the first last.
    first: Vec<csv::StringRecord>,
    chosen: Columns,
    columns: Vec<String>,
    empty: bool,
    /// The line of every run so far, where each may have one row only.
    seen: Option<BTreeMap<String, u64>>,
    /// Runs that did not finish, with their states, where the table says so.
    unfinished: BTreeMap<String, String>,
}

impl<'a> RunReader<'a> {
    /// Reads the header and chooses columns, see [`Columns::choose`]; `path` is
    /// used in errors only.
    pub(super) fn new(
        text: &'a str,
        path: &'a Path,
        content: Content,
        domains: &[&str],
    ) -> Result<Self> {
        /// Rows that show what is in a column.
        const LOOK: usize = 256;
        let mut rows = Rows::parse(text, path)?;
        let mut first = rows.by_ref().take(LOOK).collect::<Result<Vec<_>>>()?;
        let in_header = |e: Error| e.in_file(path).line(1);
        let chosen = Columns::choose(&rows.names, &first, content, domains).map_err(in_header)?;
        let columns: Vec<String> = (chosen.numbers.iter())
            .map(|&place| rows.names[place].clone())
            .collect();
        if columns.is_empty() {
            let problem = match chosen.left_out.is_empty() {
                true => {
                    "expected a header with a run column and at least one further column".into()
                }
                false => format!(
                    "no column of numbers beside {}: expected at least one",
                    chosen.left_out.join(", ")
                ),
            };
            return Err(in_header(Error::input(problem))
                .help("the layout is `run,<domain>,<domain>…`, separated by commas"));
        }
        check_unique(&columns).map_err(in_header)?;
        first.reverse();
        let of_runs = matches!(content, Content::Weights | Content::Values);
        let unfinished = match of_runs {
            true => unfinished(text, path, &chosen)?,
            false => BTreeMap::new(),
        };
        Ok(Self {
            path,
            rows,
            first,
            chosen,
            columns,
            empty: true,
            seen: None,
            unfinished,
        })
    }

    /// What was left out of the table, in sentences.
    pub(super) fn notes(&self) -> Vec<String> {
        let left_out = &self.chosen.left_out;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut notes = Vec::new();
        if !left_out.is_empty() {
            notes.push(format!(
                "{name}: left out {}, which {} no domain and no target",
                left_out.join(", "),
                if left_out.len() == 1 { "is" } else { "are" }
            ));
        }
        if !self.unfinished.is_empty() {
            notes.push(format!(
                "{name}: left out runs that did not finish ({}): {}",
                self.unfinished.len(),
                self.listed_unfinished()
            ));
        }
        notes
    }

    /// The runs that did not finish and are left out.
    pub(super) fn unfinished(&self) -> BTreeSet<String> {
        self.unfinished.keys().cloned().collect()
    }

    fn listed_unfinished(&self) -> String {
        const SHOWN: usize = 12;
        let of = |(run, state): (&String, &String)| format!("{run} ({state})");
        let shown: Vec<String> = self.unfinished.iter().take(SHOWN).map(of).collect();
        match self.unfinished.len().saturating_sub(SHOWN) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    /// Refuses a second row of a run.
    pub(super) fn one_row_per_run(mut self) -> Self {
        self.seen = Some(BTreeMap::new());
        self
    }

    /// Where a row of the file has what.
    pub(super) fn layout(&self) -> Layout {
        Layout {
            width: self.rows.names.len(),
            key: self.chosen.key,
            numbers: self.chosen.numbers.clone(),
            delimiter: self.rows.delimiter,
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.rows.names[self.chosen.key]
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    fn read(&mut self, row: &csv::StringRecord) -> Result<RunRow> {
        let line = line_of(row);
        let run = row[self.chosen.key].to_owned();
        let values = (self.chosen.numbers.iter())
            .map(|&column| self.rows.number(row, column))
            .collect::<Result<_>>()?;
        if let Some(seen) = &mut self.seen
            && let Some(first) = seen.insert(run.clone(), line)
        {
            return Err(Error::input(format!(
                "run `{run}` is already on line {first}: expected every run once"
            ))
            .in_file(self.path)
            .line(line)
            .help("remove a row; `regmix import` makes tables of logs with many rows per run"));
        }
        Ok(RunRow { line, run, values })
    }
}

/// The runs that did not finish, by a column of states that is no domain and no target.
fn unfinished(text: &str, path: &Path, chosen: &Columns) -> Result<BTreeMap<String, String>> {
    let rows = Rows::parse(text, path)?;
    let is_state = |place: &usize| {
        *place != chosen.key && !chosen.numbers.contains(place) && is_state(&rows.names[*place])
    };
    let Some(place) = (0..rows.names.len()).find(is_state) else {
        return Ok(BTreeMap::new());
    };
    let mut out = BTreeMap::new();
    for row in rows {
        let row = row?;
        if is_unfinished(&row[place]) {
            out.insert(row[chosen.key].to_owned(), row[place].to_owned());
        }
    }
    Ok(out)
}

impl Iterator for RunReader<'_> {
    type Item = Result<RunRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let empty = std::mem::take(&mut self.empty);
        loop {
            let next = self.first.pop().map(Ok).or_else(|| self.rows.next());
            return match next {
                Some(Ok(row)) if self.unfinished.contains_key(&row[self.chosen.key]) => continue,
                Some(row) => Some(row.and_then(|row| self.read(&row))),
                None => empty.then(|| {
                    let error = match self.unfinished.is_empty() {
                        true => Error::input("no rows below the header: expected one per run"),
                        false => Error::input(format!(
                            "no run has finished: {}; expected at least one",
                            self.listed_unfinished()
                        ))
                        .help("change the states of runs that are to be used"),
                    };
                    Err(error.in_file(self.path).line(1))
                }),
            };
        }
    }
}
