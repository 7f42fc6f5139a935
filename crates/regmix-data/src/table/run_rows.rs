//! Tables with a run identifier and numbers, before the columns are given a
//! meaning.

#[cfg(feature = "corpus")]
mod parquet;

use std::collections::BTreeMap;
use std::path::Path;

use super::names::check_unique;
use super::records::{Rows, line_of, read_text};
use crate::domain::DomainSet;
use crate::error::{Error, Result};
use crate::mixture::Mixture;

/// How far from 1 a row of weights may sum: published tables are rounded to
/// three decimals, so their rows sum to 0.996 to 1.003.
const WEIGHT_TOLERANCE: f64 = 0.01;

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
        let mut reader = RunReader::new(text, path)?;
        let rows = reader.by_ref().collect::<Result<_>>()?;
        let (key, columns) = (reader.key().to_owned(), reader.columns().to_vec());
        Ok(Self { key, columns, rows })
    }
}

impl RunRow {
    /// The mixture whose weights are the numbers from column `first` on,
    /// rescaled to sum 1; `path` is used in errors only.
    ///
    /// # Errors
    /// When a weight is negative or not finite, or the weights do not sum to 1
    /// (within 0.01).
    pub fn mixture(&self, domains: &DomainSet, first: usize, path: &Path) -> Result<Mixture> {
        let weights = &self.values[first..];
        let sum: f64 = weights.iter().sum();
        let here = |e: Error| e.in_file(path).line(self.line);
        let mixture = Mixture::normalized(domains.clone(), weights.to_vec()).map_err(here)?;
        if (sum - 1.0).abs() > WEIGHT_TOLERANCE {
            let problem = format!(
                "weights of run `{}` sum to {sum:.4}, expected 1 (within {WEIGHT_TOLERANCE})",
                self.run
            );
            return Err(here(Error::input(problem))
                .help("weights are shares of tokens: rescale the row, or remove it"));
        }
        Ok(mixture)
    }
}

/// Reads the rows of CSV text one at a time.
pub(super) struct RunReader<'a> {
    path: &'a Path,
    rows: Rows<'a>,
    empty: bool,
    /// The line of every run so far, where each may have one row only.
    seen: Option<BTreeMap<String, u64>>,
}

impl<'a> RunReader<'a> {
    /// Reads the header; `path` is used in errors only.
    pub(super) fn new(text: &'a str, path: &'a Path) -> Result<Self> {
        let rows = Rows::parse(text, path)?;
        if rows.names.len() < 2 {
            return Err(Error::input(
                "expected a header with a run column and at least one further column",
            )
            .in_file(path)
            .line(1)
            .help("the layout is `run,<domain>,<domain>…`, separated by commas"));
        }
        check_unique(&rows.names[1..]).map_err(|e| e.in_file(path).line(1))?;
        Ok(Self {
            path,
            rows,
            empty: true,
            seen: None,
        })
    }

    /// Refuses a second row of a run.
    pub(super) fn one_row_per_run(mut self) -> Self {
        self.seen = Some(BTreeMap::new());
        self
    }

    pub(super) fn key(&self) -> &str {
        &self.rows.names[0]
    }

    pub(super) fn columns(&self) -> &[String] {
        &self.rows.names[1..]
    }

    fn read(&mut self, row: &csv::StringRecord) -> Result<RunRow> {
        let line = line_of(row);
        let run = row[0].to_owned();
        let values = (1..row.len())
            .map(|column| self.rows.number(row, column))
            .collect::<Result<_>>()?;
        if let Some(seen) = &mut self.seen
            && let Some(first) = seen.insert(run.clone(), line)
        {
            return Err(Error::input(format!(
                "run `{run}` is already on line {first}: expected every run once"
            ))
            .in_file(self.path)
            .line(line));
        }
        Ok(RunRow { line, run, values })
    }
}

impl Iterator for RunReader<'_> {
    type Item = Result<RunRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let empty = std::mem::take(&mut self.empty);
        match self.rows.next() {
            Some(row) => Some(row.and_then(|row| self.read(&row))),
            None => empty.then(|| {
                let problem = "no rows below the header: expected one per run";
                Err(Error::input(problem).in_file(self.path).line(1))
            }),
        }
    }
}
