//! Tables of mixtures.

use std::path::Path;

use super::columns::Content;
use super::names::{check_unique, strip_all};
use super::records::{read_text, render};
use super::run_rows::RunReader;
use crate::artefact::write_atomic;
use crate::domain::{Domain, DomainSet};
use crate::error::Result;
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
}

/// A table of mixtures without rows, from the header in the plain or the
/// published layout, and its rows, read one at a time.
fn read_rows<'a>(
    text: &'a str,
    path: &'a Path,
) -> Result<(
    MixtureTable,
    impl Iterator<Item = Result<(String, Mixture)>> + 'a,
)> {
    let reader = RunReader::new(text, path, Content::Weights, &[])?.one_row_per_run();
    let notes = reader.notes();
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
        Ok((row.run, mixture))
    });
    let empty = MixtureTable {
        domains,
        runs: Vec::new(),
        mixtures: Vec::new(),
        notes,
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
        let (empty, rows) = read_rows(text, path)?;
        Ok(empty.with_rows(rows.collect::<Result<_>>()?))
    }

    /// The same table with rows that were read, so that runs are unique.
    fn with_rows(&self, rows: Vec<(String, Mixture)>) -> Self {
        let (runs, mixtures) = rows.into_iter().unzip();
        Self {
            domains: self.domains.clone(),
            runs,
            mixtures,
            notes: self.notes.clone(),
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

    /// The table as CSV text, `run,<domain>…`.
    pub fn to_csv(&self) -> String {
        let rows = self.iter().map(|(run, mixture)| {
            let weights = mixture.weights().iter().map(f64::to_string);
            std::iter::once(run.to_owned()).chain(weights)
        });
        render(std::iter::once("run").chain(self.domains.names()), rows)
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
