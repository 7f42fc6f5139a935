//! CSV with a run identifier and numbers, before names are given a meaning.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};

pub(super) struct Raw {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<RawRow>,
}

pub(super) struct RawRow {
    pub(super) line: u64,
    pub(super) run: String,
    pub(super) values: Vec<f64>,
}

impl Raw {
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self> {
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
