//! Tables of mixtures.

use std::collections::BTreeSet;
use std::path::Path;

use super::columns::Content;
use super::names::{check_unique, strip_all};
use super::records::{read_text, render, render_rows};
use super::run_rows::{RunReader, WEIGHT_TOLERANCE};
use crate::artefact::write_atomic;
use crate::domain::{Domain, DomainSet};
use crate::error::{Error, Result};
use crate::mixture::Mixture;

/// Named mixtures over one domain set: a design, or candidates to judge.
///
/// ```
/// use regmix_data::table::MixtureTable;
///
/// let csv = "index,train_the_pile_web,train_the_pile_code\n1,0.75,0.25\n2,0.5,0.5\n";
/// let table = MixtureTable::parse(csv, "mixtures.csv".as_ref())?;
/// assert_eq!(table.domains().names().collect::<Vec<_>>(), ["web", "code"]);
/// assert_eq!(table.get("2").unwrap().weights(), [0.5, 0.5]);
/// assert_eq!(table.to_csv(), "run,web,code\n1,0.75,0.25\n2,0.5,0.5\n");
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MixtureTable {
    domains: DomainSet,
    runs: Vec<String>,
    mixtures: Vec<Mixture>,
    notes: Vec<String>,
    /// Runs of the file that did not finish and are left out.
    unfinished: BTreeSet<String>,
}

/// A row of a table of mixtures, and what its weights summed to.
struct Row {
    run: String,
    mixture: Mixture,
    sum: f64,
}

/// A note on rows whose weights are rounded to so few decimals that they are far from 1.
fn rescaled(rows: &[Row], path: &Path) -> Option<String> {
    let far: Vec<&Row> = (rows.iter())
        .filter(|row| (row.sum - 1.0).abs() > WEIGHT_TOLERANCE + 1e-6)
        .collect();
    let (first, others) = far.split_first()?;
    let more = match others.len() {
        0 => String::new(),
        more => format!(", and in {more} more"),
    };
    Some(format!(
        "{}: weights that do not sum to 1, as after rounding to few decimals, are rescaled: the \
         sum is {:.4} in run `{}`{more}",
        path.file_name().unwrap_or_default().to_string_lossy(),
        first.sum,
        first.run
    ))
}

/// A table of mixtures without rows, from the header in the plain or the
/// published layout, and its rows, read one at a time.
fn read_rows<'a>(
    text: &'a str,
    path: &'a Path,
) -> Result<(MixtureTable, impl Iterator<Item = Result<Row>> + 'a)> {
    let reader = RunReader::new(text, path, Content::Weights, &[])?.one_row_per_run();
    let notes = reader.notes();
    let unfinished = reader.unfinished();
    let names = strip_all(reader.columns(), "train_the_pile_", "");
    let names = strip_all(&names, "train_", "");
    let domains = (names.iter().map(Domain::new))
        .collect::<Result<Vec<_>>>()
        .and_then(DomainSet::new)
        .map_err(|e| e.in_file(path).line(1))?;
    let of_rows = domains.clone();
    let rows = reader.map(move |row| {
        let row = row?;
        let mixture = row.mixture(&of_rows, 0, path)?;
        Ok(Row {
            sum: row.values.iter().sum(),
            run: row.run,
            mixture,
        })
    });
    let empty = MixtureTable {
        domains,
        runs: Vec::new(),
        mixtures: Vec::new(),
        notes,
        unfinished,
    };
    Ok((empty, rows))
}

impl MixtureTable {
    /// Collects named mixtures; all are brought into the order of `domains`.
    ///
    /// # Errors
    /// When a name comes twice or a mixture is over other domains.
    pub fn new(
        domains: DomainSet,
        rows: impl IntoIterator<Item = (String, Mixture)>,
    ) -> Result<Self> {
        let mut runs = Vec::new();
        let mut mixtures = Vec::new();
        for (run, mixture) in rows {
            mixtures.push(mixture.reordered(&domains)?);
            runs.push(run);
        }
        check_unique(&runs)?;
        Ok(Self {
            domains,
            runs,
            mixtures,
            notes: Vec::new(),
            unfinished: BTreeSet::new(),
        })
    }

    /// Reads a CSV file.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, a row has another number of
    /// fields than the header, a weight is not a number, negative or infinite,
    /// a row does not sum to 1 (within 0.01), or a run or domain comes twice.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&read_text(path)?, path)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`MixtureTable::read_csv`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let (mut empty, rows) = read_rows(text, path)?;
        let rows = rows.collect::<Result<Vec<_>>>()?;
        empty.notes.extend(rescaled(&rows, path));
        Ok(empty.with_rows(rows))
    }

    /// The same table with rows that were read, so that runs are unique.
    fn with_rows(&self, rows: Vec<Row>) -> Self {
        let rows = rows.into_iter().map(|row| (row.run, row.mixture));
        let (runs, mixtures) = rows.unzip();
        Self {
            domains: self.domains.clone(),
            runs,
            mixtures,
            notes: self.notes.clone(),
            unfinished: self.unfinished.clone(),
        }
    }

    /// Reads a CSV file a part at a time, for tables that are too large to
    /// hold: `each` is called with up to `rows` mixtures, in order. Returns how
    /// many there were in all.
    ///
    /// # Errors
    /// As [`MixtureTable::read_csv`], where `each` was already called with the
    /// parts before the error; and those of `each`.
    pub fn read_parts(
        path: impl AsRef<Path>,
        rows: usize,
        mut each: impl FnMut(Self) -> Result<()>,
    ) -> Result<usize> {
        let path = path.as_ref();
        let text = read_text(path)?;
        let (empty, all) = read_rows(&text, path)?;
        let mut count = 0;
        let mut part = Vec::new();
        for row in all {
            part.push(row?);
            count += 1;
            if part.len() == rows.max(1) {
                each(empty.with_rows(std::mem::take(&mut part)))?;
            }
        }
        if !part.is_empty() {
            each(empty.with_rows(part))?;
        }
        Ok(count)
    }

    pub(super) fn unfinished(&self) -> &BTreeSet<String> {
        &self.unfinished
    }

    /// The same table without some runs.
    pub(super) fn without(mut self, runs: &BTreeSet<String>) -> Self {
        let kept: Vec<bool> = self.runs.iter().map(|run| !runs.contains(run)).collect();
        let (mut of_runs, mut of_mixtures) = (kept.iter(), kept.iter());
        self.runs.retain(|_| of_runs.next() == Some(&true));
        self.mixtures.retain(|_| of_mixtures.next() == Some(&true));
        self
    }

    /// The same table with its rows in another order, by their places.
    pub(super) fn with_order(&self, order: &[usize]) -> Self {
        Self {
            runs: order.iter().map(|&i| self.runs[i].clone()).collect(),
            mixtures: order.iter().map(|&i| self.mixtures[i].clone()).collect(),
            ..self.clone()
        }
    }

    /// The table as CSV text, `run,<domain>…`.
    pub fn to_csv(&self) -> String {
        let rows = self.iter().map(|(run, mixture)| {
            let weights = mixture.weights().iter().map(f64::to_string);
            std::iter::once(run.to_owned()).chain(weights)
        });
        render(std::iter::once("run").chain(self.domains.names()), rows)
    }

    /// The text of a CSV file with the rows of this table added at its end, in the
    /// columns, the order and with the separator of its header. Columns that are no
    /// domain stay empty in the new rows; the lines of `text` stay as they are. `path` is
    /// used in errors only.
    ///
    /// ```
    /// use regmix_data::table::MixtureTable;
    ///
    /// let more = MixtureTable::parse("run,web,code\nb,0.75,0.25\n", "more.csv".as_ref())?;
    /// let text = "code;notes;run;web\n0.5;first;a;0.5\n";
    /// let all = more.append_to_csv(text, "mixtures.csv".as_ref())?;
    /// assert_eq!(all, "code;notes;run;web\n0.5;first;a;0.5\n0.25;;b;0.75\n");
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`MixtureTable::parse`]; when the domains differ, a run is in the file already,
    /// or the file would be read in another way with the new rows.
    pub fn append_to_csv(&self, text: &str, path: &Path) -> Result<String> {
        let before = Self::parse(text, path)?;
        let rows = self.reordered(&before.domains)?;
        let layout = RunReader::new(text, path, Content::Weights, &[])?.layout();
        let mut out = text.to_owned();
        let line_end = match text.split_once('\n') {
            Some((header, _)) if header.ends_with('\r') => "\r\n",
            _ => "\n",
        };
        if !text.ends_with('\n') {
            out.push_str(line_end);
        }
        let fields = rows.iter().map(|(run, mixture)| {
            let mut fields = vec![String::new(); layout.width];
            fields[layout.key] = run.to_owned();
            for (&place, weight) in layout.numbers.iter().zip(mixture.weights()) {
                fields[place] = weight.to_string();
            }
            fields
        });
        out.push_str(&render_rows(fields, layout.delimiter, line_end));
        let whole = Self::parse(&out, path)?;
        if whole.domains != before.domains
            || whole.len() != before.len() + rows.len()
            || !whole.iter().zip(before.iter().chain(rows.iter())).all(
                |((run, read), (expected, mixture))| {
                    run == expected && read.tv_distance(mixture) < 1e-9
                },
            )
        {
            return Err(Error::input(
                "no rows can be added to a file of this layout: it would be read in \
                              another way",
            )
            .in_file(path)
            .help("write the file as `run,<domain>,<domain>…`, or add the rows by hand"));
        }
        Ok(out)
    }

    /// Writes [`MixtureTable::to_csv`] to a file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path, self.to_csv().as_bytes())
    }

    /// The domains.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// What a reader of the file should know, in sentences: columns that were
    /// left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The run identifiers, in order.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// The mixtures, in the order of the runs.
    pub fn mixtures(&self) -> &[Mixture] {
        &self.mixtures
    }

    /// Runs with their mixtures.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Mixture)> {
        self.runs.iter().map(String::as_str).zip(&self.mixtures)
    }

    /// How many runs there are.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there is no run.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The mixture of one run.
    pub fn get(&self, run: &str) -> Option<&Mixture> {
        let i = self.runs.iter().position(|r| r == run)?;
        Some(&self.mixtures[i])
    }

    /// The same runs with the domains in another order.
    ///
    /// # Errors
    /// When the sets of domains differ.
    pub fn reordered(&self, domains: &DomainSet) -> Result<Self> {
        Self::new(
            domains.clone(),
            self.iter().map(|(run, m)| (run.to_owned(), m.clone())),
        )
    }
}
