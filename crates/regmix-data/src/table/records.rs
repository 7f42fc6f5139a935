//! CSV with a header: the reader and the writer behind every table.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::foreign::{Foreign, refused};
use crate::artefact::write_atomic;
use crate::error::{Error, Result};

const IN_MEMORY: &str = "writing CSV to memory cannot fail";

/// CSV text from a header and rows of fields.
///
/// ```
/// use regmix_data::table::records::{number, render};
///
/// let rows = [["r0".to_owned(), number(0.1)], ["r1".to_owned(), number(f64::NAN)]];
/// assert_eq!(render(["run", "web"], rows), "run,web\nr0,0.1\nr1,\n");
/// ```
///
/// # Panics
/// When a row has another number of fields than the header.
pub fn render(
    header: impl IntoIterator<Item = impl AsRef<str>>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = impl AsRef<str>>>,
) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for field in header {
        writer.write_field(field.as_ref()).expect(IN_MEMORY);
    }
    writer.write_record(None::<&[u8]>).expect(IN_MEMORY);
    for row in rows {
        for field in row {
            writer.write_field(field.as_ref()).expect(IN_MEMORY);
        }
        (writer.write_record(None::<&[u8]>)).expect("a row has as many fields as the header");
    }
    String::from_utf8(writer.into_inner().expect(IN_MEMORY)).expect("CSV of strings is UTF-8")
}

/// Rows of CSV without a header, with a separator and line ends of choice.
pub(super) fn render_rows(
    rows: impl IntoIterator<Item = Vec<String>>,
    delimiter: u8,
    line_end: &str,
) -> String {
    let terminator = match line_end {
        "\r\n" => csv::Terminator::CRLF,
        _ => csv::Terminator::Any(b'\n'),
    };
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(terminator)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect(IN_MEMORY);
    }
    String::from_utf8(writer.into_inner().expect(IN_MEMORY)).expect("CSV of strings is UTF-8")
}

/// A number as a field: reading it gives the same bits. NaN is an empty field.
pub fn number(value: f64) -> String {
    match value.is_nan() {
        true => String::new(),
        false => value.to_string(),
    }
}

/// CSV text with one row per record; the header names the record's fields.
///
/// # Errors
/// When a record has a field that CSV cannot hold, for example a list.
pub fn to_csv<T: Serialize>(records: &[T]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        (writer.serialize(record))
            .map_err(|e| Error::failed(format!("cannot be written as CSV: {e}")))?;
    }
    Ok(String::from_utf8(writer.into_inner().expect(IN_MEMORY)).expect("CSV of strings is UTF-8"))
}

/// Writes [`to_csv`] to a file, atomically.
///
/// # Errors
/// As [`to_csv`], and when the file cannot be written.
pub fn write_csv<T: Serialize>(path: impl AsRef<Path>, records: &[T]) -> Result<()> {
    let path = path.as_ref();
    let text = to_csv(records).map_err(|e| e.in_file(path))?;
    write_atomic(path, text.as_bytes())
}

/// Reads the records of a CSV file. Columns are found by their names; their
/// order does not matter.
///
/// # Errors
/// When the file cannot be read or a row is not such a record. The error names
/// the line and, where one is at fault, the column.
pub fn read_csv<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<Vec<T>> {
    let path = path.as_ref();
    let text = read_text(path)?;
    let mut rows = Rows::parse(&text, path)?;
    let header = csv::StringRecord::from(rows.names.clone());
    rows.by_ref()
        .map(|row| {
            let row = row?;
            row.deserialize(Some(&header)).map_err(|e| {
                let csv::ErrorKind::Deserialize { err, .. } = e.kind() else {
                    return malformed(&e, path);
                };
                let error = Error::input(format!("not the expected CSV: {}", err.kind()))
                    .in_file(path)
                    .line(line_of(&row));
                match err.field().and_then(|i| header.get(i as usize)) {
                    Some(name) => error.field(name),
                    None => error,
                }
            })
        })
        .collect()
}

/// For `#[serde(with = …)]`: a number that may be missing. NaN and infinite
/// numbers are written as an empty field, which is read as NaN.
pub mod number_or_empty {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes a number, or nothing where it is not finite.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        x.is_finite().then_some(*x).serialize(serializer)
    }

    /// Reads a number, or NaN where there is nothing.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(d)?.unwrap_or(f64::NAN))
    }
}

/// The rows of CSV text below its header, one at a time. Blanks around fields
/// and a byte order mark are dropped.
pub(crate) struct Rows<'a> {
    /// The header.
    pub(crate) names: Vec<String>,
    /// What separates the fields.
    pub(crate) delimiter: u8,
    path: &'a Path,
    reader: csv::Reader<&'a [u8]>,
}

impl<'a> Rows<'a> {
    /// Reads the header; `path` is used in errors only.
    pub(crate) fn parse(text: &'a str, path: &'a Path) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        refuse_json(text).map_err(|e| e.in_file(path))?;
        let delimiter = delimiter(text);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| malformed(&e, path))?;
        let names = header.iter().map(str::to_owned).collect();
        Ok(Self {
            names,
            delimiter,
            path,
            reader,
        })
    }

    /// A field as a number; NaN where the value is missing.
    pub(crate) fn number(&self, row: &csv::StringRecord, column: usize) -> Result<f64> {
        match &row[column] {
            field if is_missing(field) => Ok(f64::NAN),
            field => field.parse().map_err(|_| {
                let help = Foreign::of(field).map_or(
                    "leave the field empty where a value is missing; remove the column if it is \
                     neither a domain nor a target",
                    Foreign::help,
                );
                Error::input(format!("`{field}` is not a number"))
                    .in_file(self.path)
                    .line(line_of(row))
                    .field(&self.names[column])
                    .help(help)
            }),
        }
    }

    /// A row as long as the header. Empty fields beyond it, from a comma at
    /// the end of a line, do not count, nor does the lack of a field without a
    /// name.
    fn fit(&self, row: &mut csv::StringRecord) -> Result<()> {
        let (len, expected) = (row.len(), self.names.len());
        let position = row.position().cloned();
        if len > expected && row.iter().skip(expected).all(str::is_empty) {
            row.truncate(expected);
        } else if len < expected && self.names[len..].iter().all(String::is_empty) {
            (len..expected).for_each(|_| row.push_field(""));
        } else if len != expected {
            let problem = format!("{len} fields, expected {expected} as in the header");
            let error = Error::input(problem).in_file(self.path).line(line_of(row));
            return Err(match len > expected && self.delimiter == b',' {
                true => error.help(
                    "a comma separates fields: write numbers with a decimal point, and quotes \
                     around text with commas",
                ),
                false => error,
            });
        }
        row.set_position(position);
        Ok(())
    }

    /// Reads the next row in place of another, which saves memory from being taken
    /// for every row; false at the end.
    pub(crate) fn read(&mut self, row: &mut csv::StringRecord) -> Result<bool> {
        loop {
            match self.reader.read_record(row) {
                // A line of separators only, as spreadsheets leave them.
                Ok(true) if row.iter().all(str::is_empty) => {}
                Ok(true) => return self.fit(row).map(|()| true),
                Ok(false) => return Ok(false),
                Err(e) => return Err(malformed(&e, self.path)),
            }
        }
    }
}

/// Whether a field stands for a value that is missing.
pub(crate) fn is_missing(field: &str) -> bool {
    // Numbers, which are most fields, are none of the words.
    if field.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    const WORDS: [&str; 8] = ["", "-", "--", "na", "n/a", "nan", "null", "none"];
    WORDS.iter().any(|word| field.eq_ignore_ascii_case(word))
}

/// What separates the fields: a comma, or what the header has instead.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let has = |c: char| header.contains(c);
    match (has(','), has('\t'), has(';')) {
        (false, true, _) => b'\t',
        (false, false, true) => b';',
        _ => b',',
    }
}

/// Refuses JSON, which evaluation harnesses write.
fn refuse_json(text: &str) -> Result<()> {
    let text = text.trim_start();
    if !text.starts_with(['{', '[']) {
        return Ok(());
    }
    let harness = text.contains("\"results\"") && text.contains("\"n-shot\"")
        || text.contains("\"lm_eval_version\"")
        || text.contains("_stderr,");
    Err(Error::input(match harness {
        true => "results of lm-eval in JSON: expected a table in CSV",
        false => "JSON: expected a table in CSV",
    })
    .help(
        "`regmix import` makes tables of such files; or write one with a header `run,<name>…` and \
         one row per run",
    ))
}

impl Iterator for Rows<'_> {
    type Item = Result<csv::StringRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut row = csv::StringRecord::new();
        match self.read(&mut row) {
            Ok(true) => Some(Ok(row)),
            Ok(false) => None,
            Err(e) => Some(Err(e)),
        }
    }
}

/// The line that a row begins on, counted from 1.
pub(crate) fn line_of(row: &csv::StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

fn malformed(err: &csv::Error, path: &Path) -> Error {
    let line = err.position().map_or(1, csv::Position::line);
    Error::input(err.to_string()).in_file(path).line(line)
}

/// Reads a text file. The error for a file that is not UTF-8 names the line.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    text(std::fs::read(path).map_err(|e| unreadable(path, e))?, path)
}

/// The error for a file that cannot be read.
pub(crate) fn unreadable(path: &Path, err: std::io::Error) -> Error {
    match err.kind() {
        std::io::ErrorKind::PermissionDenied => {
            Error::io(path, err).help("allow reading it: change its permissions")
        }
        _ => Error::io(path, err),
    }
}

/// The text of a file's bytes. The error for those that are not UTF-8 names the line.
pub(crate) fn text(bytes: Vec<u8>, path: &Path) -> Result<String> {
    if let Some(refused) = refused(&bytes, path) {
        return Err(refused);
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count();
        Error::input(format!("not UTF-8 at byte {at}: expected UTF-8 text"))
            .in_file(path)
            .line(line as u64)
            .help("convert the file, for example with `iconv -t UTF-8`")
    })
}
