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
        let raw = Raw::parse(text, path)?;
        let names = strip_all(&raw.columns, "train_the_pile_", "");
        let names = strip_all(&names, "train_", "");
        let domains = names
            .iter()
            .map(Domain::new)
            .collect::<Result<Vec<_>>>()
            .and_then(DomainSet::new)
            .map_err(|e| e.in_file(path).line(1))?;
        let mut mixtures = Vec::with_capacity(raw.rows.len());
        for row in &raw.rows {
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
            mixtures.push(mixture);
        }
        Ok(Self {
            domains,
            runs: raw.rows.into_iter().map(|r| r.run).collect(),
            mixtures,
        })
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
        let raw = Raw::parse(text, path)?;
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

struct Raw {
    columns: Vec<String>,
    rows: Vec<RawRow>,
}

struct RawRow {
    line: u64,
    run: String,
    values: Vec<f64>,
}

impl Raw {
    fn parse(text: &str, path: &Path) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let bad = |e: csv::Error| {
            let line = e.position().map_or(1, csv::Position::line);
            let problem = match e.kind() {
                csv::ErrorKind::UnequalLengths {
                    expected_len, len, ..
                } => format!("{len} fields, expected {expected_len} as in the header"),
                _ => e.to_string(),
            };
            Error::input(problem).in_file(path).line(line)
        };
        let header = reader.headers().map_err(bad)?.clone();
        if header.len() < 2 {
            return Err(Error::input(
                "expected a header with a run column and at least one further column",
            )
            .in_file(path)
            .line(1)
            .help("the layout is `run,<domain>,<domain>…`, separated by commas"));
        }
        let columns: Vec<String> = header.iter().skip(1).map(str::to_owned).collect();
        unique(&columns).map_err(|e| e.in_file(path).line(1))?;
        let mut rows: Vec<RawRow> = Vec::new();
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(bad)?;
            let line = record.position().map_or(0, csv::Position::line);
            let run = record[0].to_owned();
            if let Some(first) = seen.insert(run.clone(), line) {
                return Err(Error::input(format!(
                    "run `{run}` is already on line {first}: expected every run once"
                ))
                .in_file(path)
                .line(line));
            }
            let mut values = Vec::with_capacity(columns.len());
            for (column, field) in columns.iter().zip(record.iter().skip(1)) {
                values.push(match field {
                    "" => f64::NAN,
                    _ => field.parse().map_err(|_| {
                        Error::input(format!("`{field}` is not a number"))
                            .in_file(path)
                            .line(line)
                            .field(column)
                    })?,
                });
            }
            rows.push(RawRow { line, run, values });
        }
        if rows.is_empty() {
            return Err(
                Error::input("no rows below the header: expected one per run")
                    .in_file(path)
                    .line(1),
            );
        }
        Ok(Self { columns, rows })
    }
}

/// Reads a text file and says on which line it stops being UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count();
        Error::input(format!("not UTF-8 at byte {at}: expected UTF-8 text"))
            .in_file(path)
            .line(line as u64)
            .help("convert the file, for example with `iconv -t UTF-8`")
    })
}

fn unique(names: &[String]) -> Result<()> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|p| p[0] == p[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::input(format!(
            "duplicate `{}`: expected every name once",
            pair[0]
        ))),
    }
}

/// Strips a prefix and a suffix where every name has both and something is
/// left in between.
fn strip_all(names: &[String], prefix: &str, suffix: &str) -> Vec<String> {
    let stripped: Option<Vec<String>> = names
        .iter()
        .map(|n| n.strip_prefix(prefix)?.strip_suffix(suffix))
        .map(|n| n.filter(|n| !n.is_empty()).map(str::to_owned))
        .collect();
    stripped.unwrap_or_else(|| names.to_vec())
}

/// CSV text. Numbers are written so that reading gives the same bits.
fn render<'a>(
    key: &str,
    header: impl Iterator<Item = String>,
    rows: impl Iterator<Item = (&'a str, &'a [f64])>,
) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header: Vec<String> = std::iter::once(key.to_owned()).chain(header).collect();
    let ok = "writing CSV to memory cannot fail";
    writer.write_record(&header).expect(ok);
    for (run, values) in rows {
        let fields = values.iter().map(f64::to_string);
        writer
            .write_record(std::iter::once(run.to_owned()).chain(fields))
            .expect(ok);
    }
    String::from_utf8(writer.into_inner().expect(ok)).expect("CSV of strings is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mixtures(text: &str) -> Result<MixtureTable> {
        MixtureTable::parse(text, Path::new("m.csv"))
    }

    fn values(text: &str) -> Result<ValueTable> {
        ValueTable::parse(text, Path::new("l.csv"))
    }

    #[test]
    fn bad_rows_are_refused_with_their_line() {
        for (text, said) in [
            (
                "run,a,b\n1,0.5,0.5\n2,0.25,0.25\n",
                "m.csv:3: weights of run `2` sum to 0.5",
            ),
            ("run,a,b\n1,1.5,-0.5\n", "m.csv:2: `b`: weight -0.5"),
            ("run,a,b\n1,NaN,1\n", "m.csv:2: `a`: weight NaN"),
            ("run,a,b\n1,x,1\n", "m.csv:2: `a`: `x` is not a number"),
            ("run,a,b\n1,1\n", "m.csv:2: 2 fields, expected 3"),
            ("run,a,a\n1,0.5,0.5\n", "m.csv:1: duplicate `a`"),
            (
                "run,a,b\n1,1,0\n1,0,1\n",
                "m.csv:3: run `1` is already on line 2",
            ),
            ("run,a/b,c\n1,1,0\n", "m.csv:1: `a/b` is not a domain name"),
            ("run\n1\n", "m.csv:1: expected a header"),
            ("run,a,b\n", "m.csv:1: no rows"),
            ("", "m.csv:1: expected a header"),
        ] {
            let err = mixtures(text).unwrap_err();
            assert!(err.is_input());
            assert!(err.to_string().contains(said), "{text:?} gave {err}");
        }
    }

    #[test]
    fn rounded_rows_are_rescaled() {
        let table = mixtures("index,train_the_pile_a,train_the_pile_b\n7,0.498,0.5\n").unwrap();
        let w = table.get("7").unwrap().weights();
        assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((w[0] - 0.498 / 0.998).abs() < 1e-12);
        assert!(
            table
                .to_published_csv()
                .starts_with("index,train_the_pile_a,train_the_pile_b\n")
        );
    }

    #[test]
    fn runs_are_joined_by_name_and_strays_are_named() {
        let m = || mixtures("run,a,b\nx,0,1\ny,1,0\n").unwrap();
        let joined = Observations::join(m(), values("run,a\ny,2\nx,1\n").unwrap()).unwrap();
        assert_eq!(joined.values.rows(), [[1.0], [2.0]]);
        let err = Observations::join(m(), values("run,a\nx,1\n").unwrap()).unwrap_err();
        assert!(
            err.to_string().contains("a mixture but no losses: y"),
            "{err}"
        );
        let err = Observations::join(m(), values("run,a\nx,1\ny,1\nz,1\n").unwrap()).unwrap_err();
        assert!(
            err.to_string().contains("losses but no mixture: z"),
            "{err}"
        );
    }

    #[test]
    fn not_utf8_is_an_error_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.csv");
        std::fs::write(&path, b"run,a\n1,\xff\n").unwrap();
        let err = MixtureTable::read_csv(&path).unwrap_err();
        assert_eq!(err.line_number(), Some(2));
        assert!(err.to_string().contains("not UTF-8"), "{err}");
    }

    proptest! {
        #[test]
        fn csv_round_trips_to_the_bit(
            rows in prop::collection::vec(prop::collection::vec(0.001f64..1.0, 4), 1..20)
        ) {
            let domains = DomainSet::from_names(["a", "b", "c", "d"]).unwrap();
            let rows = rows.into_iter().enumerate().map(|(i, w)| {
                (format!("r{i}"), Mixture::normalized(domains.clone(), w).unwrap())
            });
            let table = MixtureTable::new(domains.clone(), rows).unwrap();
            let back = mixtures(&table.to_csv()).unwrap();
            for (a, b) in table.mixtures().iter().zip(back.mixtures()) {
                for (x, y) in a.weights().iter().zip(b.weights()) {
                    prop_assert!((x - y).abs() <= 1e-15);
                }
            }
        }
    }
}
