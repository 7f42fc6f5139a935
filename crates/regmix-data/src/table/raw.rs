//! CSV with a run identifier and numbers, before names are given a meaning.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};

/// The rows of a CSV file with a run identifier first and numbers after it,
/// before the columns are given a meaning: the one reader behind every table
/// of this project. A run may have any number of rows.
///
/// ```
/// use regmix_data::table::RunRows;
///
/// let text = "run,step,web\nr0,1,5.5\nr0,2,\n";
/// let rows = RunRows::parse(text, "t.csv".as_ref())?;
/// assert_eq!((rows.key.as_str(), rows.columns.len()), ("run", 2));
/// assert_eq!((rows.rows[1].line, rows.rows[1].values[0]), (3, 2.0));
/// assert!(rows.rows[1].values[1].is_nan());
/// assert_eq!(rows.to_csv(), text);
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
    /// The line of the file (of parquet the row), counted from 1; 0 where there
    /// is no file.
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
    /// than the header, or a field is no number.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::parse(&read_text(path)?, path)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`RunRows::read_csv`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let (mut key, mut columns, mut rows) = (String::new(), Vec::new(), Vec::new());
        Self::visit(
            text,
            path,
            |name, names| {
                key = name.to_owned();
                columns = names.to_vec();
                Ok(())
            },
            |row| {
                rows.push(row);
                Ok(())
            },
        )?;
        Ok(Self { key, columns, rows })
    }

    /// Reads CSV text row by row: `header` is given the names of the first
    /// column and of the others, `row` every row.
    ///
    /// # Errors
    /// As [`RunRows::read_csv`], and those of the two.
    pub(super) fn visit(
        text: &str,
        path: &Path,
        header: impl FnOnce(&str, &[String]) -> Result<()>,
        mut each: impl FnMut(RunRow) -> Result<()>,
    ) -> Result<()> {
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
        let names = reader.headers().map_err(bad)?.clone();
        if names.len() < 2 {
            return Err(Error::input(
                "expected a header with a run column and at least one further column",
            )
            .in_file(path)
            .line(1)
            .help("the layout is `run,<domain>,<domain>…`, separated by commas"));
        }
        let columns: Vec<String> = names.iter().skip(1).map(str::to_owned).collect();
        unique(&columns).map_err(|e| e.in_file(path).line(1))?;
        header(&names[0], &columns)?;
        let mut empty = true;
        for record in reader.records() {
            let record = record.map_err(bad)?;
            let line = record.position().map_or(0, csv::Position::line);
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
            let run = record[0].to_owned();
            each(RunRow { line, run, values })?;
            empty = false;
        }
        if empty {
            return Err(
                Error::input("no rows below the header: expected one per run")
                    .in_file(path)
                    .line(1),
            );
        }
        Ok(())
    }

    /// As [`RunRows::parse`], for tables with one row per run.
    pub(super) fn parse_unique(text: &str, path: &Path) -> Result<Self> {
        let table = Self::parse(text, path)?;
        let mut seen = BTreeMap::new();
        for row in &table.rows {
            once(&mut seen, row, path)?;
        }
        Ok(table)
    }

    /// The table as CSV text; NaN is an empty field. Numbers are written so
    /// that reading gives the same bits.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let ok = "writing CSV to memory cannot fail";
        let header = std::iter::once(&self.key).chain(&self.columns);
        writer.write_record(header).expect(ok);
        for row in &self.rows {
            let field = |v: &f64| match v.is_nan() {
                true => String::new(),
                false => v.to_string(),
            };
            let fields = row.values.iter().map(field);
            writer
                .write_record(std::iter::once(row.run.clone()).chain(fields))
                .expect(ok);
        }
        String::from_utf8(writer.into_inner().expect(ok)).expect("CSV of strings is UTF-8")
    }
}

/// Refuses a run that was there before.
pub(super) fn once(seen: &mut BTreeMap<String, u64>, row: &RunRow, path: &Path) -> Result<()> {
    match seen.insert(row.run.clone(), row.line) {
        None => Ok(()),
        Some(first) => Err(Error::input(format!(
            "run `{}` is already on line {first}: expected every run once",
            row.run
        ))
        .in_file(path)
        .line(row.line)),
    }
}

/// Reads a text file and says on which line it stops being UTF-8.
pub(super) fn read_text(path: &Path) -> Result<String> {
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

pub(super) fn unique(names: &[String]) -> Result<()> {
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
pub(super) fn strip_all(names: &[String], prefix: &str, suffix: &str) -> Vec<String> {
    let stripped: Option<Vec<String>> = names
        .iter()
        .map(|n| n.strip_prefix(prefix)?.strip_suffix(suffix))
        .map(|n| n.filter(|n| !n.is_empty()).map(str::to_owned))
        .collect();
    stripped.unwrap_or_else(|| names.to_vec())
}

/// CSV text. Numbers are written so that reading gives the same bits.
pub(super) fn render<'a>(
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
