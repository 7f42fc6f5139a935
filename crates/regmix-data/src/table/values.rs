//! Tables of losses and other scores.

use std::collections::BTreeSet;
use std::path::Path;

use super::columns::Content;
use super::names::{check_unique, strip_all};
use super::records::{read_text, render};
use super::run_rows::RunReader;
use crate::artefact::write_atomic;
use crate::domain::DomainSet;
use crate::error::{Error, Result};

/// Named rows of values, one column per target: losses, or other scores.
///
/// ```
/// use regmix_data::table::ValueTable;
///
/// let csv = "index,metric/the_pile_web_val_loss\n1,3.25\n2,nan\n";
/// let table = ValueTable::parse(csv, "losses.csv".as_ref())?;
/// assert_eq!(table.targets(), ["web"]);
/// assert_eq!(table.rows()[0], [3.25]);
/// assert!(table.rows()[1][0].is_nan());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ValueTable {
    targets: Vec<String>,
    runs: Vec<String>,
    rows: Vec<Vec<f64>>,
    notes: Vec<String>,
    /// Runs of the file that did not finish and are left out.
    unfinished: BTreeSet<String>,
}

impl ValueTable {
    /// Collects named rows.
    ///
    /// # Errors
    /// When a row has another length than `targets`, or a target or a run
    /// comes twice.
    pub fn new(
        targets: Vec<String>,
        rows: impl IntoIterator<Item = (String, Vec<f64>)>,
    ) -> Result<Self> {
        let (runs, rows): (Vec<String>, Vec<Vec<f64>>) = rows.into_iter().unzip();
        check_unique(&targets)?;
        check_unique(&runs)?;
        if let Some((run, row)) = runs
            .iter()
            .zip(&rows)
            .find(|(_, r)| r.len() != targets.len())
        {
            return Err(Error::input(format!(
                "run `{run}` has {} values for {} targets: expected one each",
                row.len(),
                targets.len()
            )));
        }
        Ok(Self {
            targets,
            runs,
            rows,
            notes: Vec::new(),
            unfinished: BTreeSet::new(),
        })
    }

    /// Reads a CSV file.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, a row has another number of
    /// fields than the header, a value is not a number, or a run or target
    /// comes twice.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&read_text(path)?, path)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`ValueTable::read_csv`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        Self::of(text, path, Content::Values, &[])
    }

    /// Parses losses on some domains: a column that has the name of one counts,
    /// even where trackers give that name to something else, such as `seed`.
    pub(super) fn parse_of(text: &str, path: &Path, domains: &DomainSet) -> Result<Self> {
        let names: Vec<&str> = domains.names().collect();
        Self::of(text, path, Content::Values, &names)
    }

    /// Reads a CSV file that was written by [`ValueTable::write_csv`]: every
    /// column is a target, whatever its name.
    ///
    /// # Errors
    /// As [`ValueTable::read_csv`].
    pub fn read_own_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::of(&read_text(path)?, path, Content::OwnValues, &[])
    }

    fn of(text: &str, path: &Path, content: Content, domains: &[&str]) -> Result<Self> {
        let reader = RunReader::new(text, path, content, domains)?.one_row_per_run();
        let notes = reader.notes();
        let unfinished = reader.unfinished();
        let targets = strip_all(reader.columns(), "metric/", "_val_loss");
        let targets = strip_all(&targets, "the_pile_", "");
        let rows = reader
            .map(|row| row.map(|row| (row.run, row.values)))
            .collect::<Result<Vec<_>>>()?;
        let table = Self::new(targets, rows).map_err(|e| e.in_file(path))?;
        Ok(Self {
            notes,
            unfinished,
            ..table
        })
    }

    /// The table as CSV text, `run,<target>…`.
    pub fn to_csv(&self) -> String {
        let rows = self.runs.iter().zip(&self.rows).map(|(run, row)| {
            let values = row.iter().map(f64::to_string);
            std::iter::once(run.clone()).chain(values)
        });
        let targets = self.targets.iter().map(String::as_str);
        render(std::iter::once("run").chain(targets), rows)
    }

    /// Writes [`ValueTable::to_csv`] to a file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path, self.to_csv().as_bytes())
    }

    /// The targets, in the order of the columns.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// The run identifiers, in order.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// What a reader of the file should know, in sentences: columns that were
    /// left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn with_notes_of(mut self, other: &Self) -> Self {
        self.notes.clone_from(&other.notes);
        self
    }

    /// With more of what a reader of the files should know.
    pub(super) fn and_notes(mut self, notes: Vec<String>) -> Self {
        self.notes.extend(notes);
        self
    }

    pub(super) fn unfinished(&self) -> &BTreeSet<String> {
        &self.unfinished
    }

    /// The same table without some runs.
    pub(super) fn without(mut self, runs: &BTreeSet<String>) -> Self {
        let kept: Vec<bool> = self.runs.iter().map(|run| !runs.contains(run)).collect();
        let (mut of_runs, mut of_rows) = (kept.iter(), kept.iter());
        self.runs.retain(|_| of_runs.next() == Some(&true));
        self.rows.retain(|_| of_rows.next() == Some(&true));
        self
    }

    /// The same rows with some of the targets, by place.
    #[must_use]
    pub fn with_targets(&self, places: &[usize]) -> Self {
        let some = |row: &Vec<f64>| places.iter().map(|&t| row[t]).collect();
        Self {
            targets: places.iter().map(|&t| self.targets[t].clone()).collect(),
            runs: self.runs.clone(),
            rows: self.rows.iter().map(some).collect(),
            notes: self.notes.clone(),
            unfinished: self.unfinished.clone(),
        }
    }

    /// The values, `[runs, targets]`; NaN where a run has none.
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.rows
    }
}
