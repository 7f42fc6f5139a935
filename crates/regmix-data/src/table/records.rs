//! CSV with a header: the reader and the writer behind every table.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

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
pub(super) struct Rows<'a> {
    /// The header.
    pub(super) names: Vec<String>,
    path: &'a Path,
    reader: csv::Reader<&'a [u8]>,
}

impl<'a> Rows<'a> {
    /// Reads the header; `path` is used in errors only.
    pub(super) fn parse(text: &'a str, path: &'a Path) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| malformed(&e, path))?;
        let names = header.iter().map(str::to_owned).collect();
        Ok(Self {
            names,
            path,
            reader,
        })
    }

    /// The number in a column of a row; NaN for an empty field.
    pub(super) fn number(&self, row: &csv::StringRecord, column: usize) -> Result<f64> {
        match &row[column] {
            "" => Ok(f64::NAN),
            field => field.parse().map_err(|_| {
                Error::input(format!("`{field}` is not a number"))
                    .in_file(self.path)
                    .line(line_of(row))
                    .field(&self.names[column])
            }),
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<csv::StringRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut row = csv::StringRecord::new();
        match self.reader.read_record(&mut row) {
            Ok(true) => Some(Ok(row)),
            Ok(false) => None,
            Err(e) => Some(Err(malformed(&e, self.path))),
        }
    }
}

/// The line that a row begins on, counted from 1.
pub(super) fn line_of(row: &csv::StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

fn malformed(err: &csv::Error, path: &Path) -> Error {
    let problem = match err.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} fields, expected {expected_len} as in the header"),
        _ => err.to_string(),
    };
    let line = err.position().map_or(1, csv::Position::line);
    Error::input(problem).in_file(path).line(line)
}

/// Reads a text file. The error for a file that is not UTF-8 names the line.
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
