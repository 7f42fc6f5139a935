//! The CSV tables that mixtures and losses are exchanged in.
//!
//! Both have one row per run: an identifier, then one number per column.
//!
//! - **Mixtures**: `run,<domain>…`, one weight per domain. The layout of the
//!   published RegMix tables, `index,train_the_pile_<domain>…`, is read too.
//! - **Values**: `run,<target>…`, one loss (or any other score) per target.
//!   The published `index,metric/the_pile_<domain>_val_loss…` is read too. An
//!   empty field or `nan` means that the run has no such value.
//!
//! Rows of the two are joined by identifier, columns by name; the order of
//! either never matters.

use std::collections::BTreeMap;
use std::path::Path;

use crate::artefact::write_atomic;
use crate::domain::{Domain, DomainSet};
use crate::error::{Error, Result};
use crate::mixture::Mixture;

mod raw;
#[cfg(test)]
mod tests;

pub use raw::{RunRow, RunRows};
use raw::{once, read_text, render, strip_all, unique};

/// How far from 1 a row of weights may sum: published tables are rounded to
/// three decimals, so their rows sum to 0.996 to 1.003.
const ROW_TOLERANCE: f64 = 0.01;

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
}

/// The domains that columns name, in the plain or the published layout.
fn domains_of(columns: &[String], path: &Path) -> Result<DomainSet> {
    let names = strip_all(columns, "train_the_pile_", "");
    let names = strip_all(&names, "train_", "");
    (names.iter().map(Domain::new))
        .collect::<Result<Vec<_>>>()
        .and_then(DomainSet::new)
        .map_err(|e| e.in_file(path).line(1))
}

/// A row of weights, scaled to sum 1.
fn mixture_of(row: &RunRow, domains: &DomainSet, path: &Path) -> Result<Mixture> {
    let sum: f64 = row.values.iter().sum();
    let mixture = Mixture::normalized(domains.clone(), row.values.clone())
        .map_err(|e| e.in_file(path).line(row.line))?;
    if (sum - 1.0).abs() > ROW_TOLERANCE {
        return Err(Error::input(format!(
            "weights of run `{}` sum to {sum:.4}, expected 1 (within {ROW_TOLERANCE})",
            row.run
        ))
        .in_file(path)
        .line(row.line)
        .help("weights are shares of tokens: rescale the row, or remove it"));
    }
    Ok(mixture)
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
        unique(&runs)?;
        Ok(Self {
            domains,
            runs,
            mixtures,
        })
    }

    /// Reads a CSV file.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, a row has another number of
    /// fields than the header, a weight is no number, negative or not finite,
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
        let raw = RunRows::parse_unique(text, path)?;
        let domains = domains_of(&raw.columns, path)?;
        let mixtures = (raw.rows.iter())
            .map(|row| mixture_of(row, &domains, path))
            .collect::<Result<_>>()?;
        Ok(Self {
            domains,
            runs: raw.rows.into_iter().map(|r| r.run).collect(),
            mixtures,
        })
    }

    /// Reads a CSV file a part at a time, for tables that are too large to
    /// hold: `each` is given up to `rows` mixtures, in order. Returns how many
    /// there were in all.
    ///
    /// # Errors
    /// As [`MixtureTable::read_csv`], where parts before the error were given
    /// to `each` already; and those of `each`.
    pub fn read_parts(
        path: impl AsRef<Path>,
        rows: usize,
        mut each: impl FnMut(Self) -> Result<()>,
    ) -> Result<usize> {
        let path = path.as_ref();
        let text = read_text(path)?;
        let mut count = 0;
        let mut part: Vec<(String, Mixture)> = Vec::new();
        let mut seen = BTreeMap::new();
        let table = |part: Vec<(String, Mixture)>, domains: &DomainSet| {
            let (runs, mixtures) = part.into_iter().unzip();
            Self {
                domains: domains.clone(),
                runs,
                mixtures,
            }
        };
        let known = std::cell::OnceCell::new();
        RunRows::visit(
            &text,
            path,
            |_, columns| {
                let _ = known.set(domains_of(columns, path)?);
                Ok(())
            },
            |row| {
                // The header comes first.
                let Some(known) = known.get() else {
                    return Ok(());
                };
                once(&mut seen, &row, path)?;
                part.push((row.run.clone(), mixture_of(&row, known, path)?));
                count += 1;
                match part.len() == rows.max(1) {
                    true => each(table(std::mem::take(&mut part), known)),
                    false => Ok(()),
                }
            },
        )?;
        if let (false, Some(domains)) = (part.is_empty(), known.get()) {
            each(table(part, domains))?;
        }
        Ok(count)
    }

    /// The table as CSV text, `run,<domain>…`.
    pub fn to_csv(&self) -> String {
        self.csv("run", "")
    }

    /// The table in the published layout, `index,train_the_pile_<domain>…`.
    pub fn to_published_csv(&self) -> String {
        self.csv("index", "train_the_pile_")
    }

    fn csv(&self, key: &str, prefix: &str) -> String {
        let header = self.domains.names().map(|d| format!("{prefix}{d}"));
        let rows = self.runs.iter().zip(&self.mixtures);
        render(
            key,
            header,
            rows.map(|(run, m)| (run.as_str(), m.weights())),
        )
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
        unique(&targets)?;
        unique(&runs)?;
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
        })
    }

    /// Reads a CSV file.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8, a row has another number of
    /// fields than the header, a value is no number, or a run or target comes
    /// twice.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&read_text(path)?, path)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`ValueTable::read_csv`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let raw = RunRows::parse_unique(text, path)?;
        let targets = strip_all(&raw.columns, "metric/", "_val_loss");
        let targets = strip_all(&targets, "the_pile_", "");
        Self::new(targets, raw.rows.into_iter().map(|r| (r.run, r.values)))
            .map_err(|e| e.in_file(path))
    }

    /// The table as CSV text, `run,<target>…`.
    pub fn to_csv(&self) -> String {
        let rows = self.runs.iter().zip(&self.rows);
        render(
            "run",
            self.targets.iter().cloned(),
            rows.map(|(run, row)| (run.as_str(), row.as_slice())),
        )
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

    /// The values, `[runs, targets]`; NaN where a run has none.
    pub fn rows(&self) -> &[Vec<f64>] {
        &self.rows
    }
}

/// Mixtures and values of the same runs, in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Observations {
    /// The mixtures, one per run.
    pub mixtures: MixtureTable,
    /// The values, rows in the order of the mixtures.
    pub values: ValueTable,
}

impl Observations {
    /// Joins the two tables by run; the order of the mixtures is kept.
    ///
    /// # Errors
    /// When a run is in one table only.
    pub fn join(mixtures: MixtureTable, values: ValueTable) -> Result<Self> {
        let mut by_run: BTreeMap<&str, usize> = BTreeMap::new();
        for (i, run) in values.runs.iter().enumerate() {
            by_run.insert(run, i);
        }
        let missing = |runs: Vec<&str>, has: &str, lacks: &str| {
            let shown = runs.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more = runs.len().saturating_sub(5);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            Error::input(format!(
                "runs with {has} but no {lacks}: {shown}{more}; expected the same runs in both \
                 tables"
            ))
            .help("remove those rows, or add the missing ones")
        };
        let without: Vec<&str> = (mixtures.runs.iter().map(String::as_str))
            .filter(|run| !by_run.contains_key(run))
            .collect();
        if !without.is_empty() {
            return Err(missing(without, "a mixture", "losses"));
        }
        if values.runs.len() > mixtures.len() {
            let without = (values.runs.iter().map(String::as_str))
                .filter(|run| mixtures.get(run).is_none())
                .collect();
            return Err(missing(without, "losses", "mixture"));
        }
        let rows = (mixtures.runs.iter()).map(|r| values.rows[by_run[r.as_str()]].clone());
        let values = ValueTable {
            targets: values.targets.clone(),
            runs: mixtures.runs.clone(),
            rows: rows.collect(),
        };
        Ok(Self { mixtures, values })
    }
}
