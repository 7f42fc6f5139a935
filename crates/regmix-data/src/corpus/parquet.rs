//! The documents of parquet files, read a few row groups at a time.

#[cfg(test)]
mod tests;

use std::path::Path;

use polars::io::SerReader;
use polars::io::parquet::metadata::FileMetadataRef;
use polars::prelude::{ArrowDataType, DataFrame, DataType, PolarsError, Series};

use super::document::{
    Cause, Document, Outcome, ReadOptions, Unreadable, no_label, no_text, not_a_label,
    not_a_string, not_utf8, too_long,
};
use super::field::{descend, label};
use crate::error::{Error, Result};
use crate::parquet::{damaged, no_number, open, readable};

/// Row groups are read together up to this many bytes, so that a file of many
/// small ones takes no longer than one of a few large ones.
const READ_TOGETHER: usize = 8 << 20;

/// The documents of a parquet file.
pub(super) struct Parquet {
    /// The file's description, which is read once.
    metadata: FileMetadataRef,
    /// Rows of the reads that are left, in reverse order.
    reads: Vec<usize>,
    /// Rows read so far, and those of the current read.
    row: usize,
    texts: Option<Field>,
    labels: Option<Field>,
    within: usize,
    rows: usize,
}

/// A column, and where in it a field is.
struct Field {
    column: Series,
    /// The path inside text that holds JSON objects.
    inside: Option<String>,
}

/// The value of one row.
enum Cell {
    Missing,
    Text(String),
    NotUtf8(std::str::Utf8Error),
    Other(&'static str),
}

impl Parquet {
    pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        let mut reader = open(path)?;
        let schema = reader.schema().map_err(|e| damaged(path, &e))?;
        let names: Vec<&str> = schema.iter_names().map(|n| n.as_str()).collect();
        let label = options.label_field.as_deref();
        for field in std::iter::once(options.text_field.as_str()).chain(label) {
            if !names.contains(&column_of(field, |name| names.contains(&name))) {
                return Err(Error::input(format!(
                    "no column `{field}`, the file has {}",
                    names.join(", ")
                ))
                .in_file(path)
                .field(field)
                .help("name the columns with the options `text_field` and `label_field`"));
            }
        }
        let top = |field| column_of(field, |name| names.contains(&name));
        let fields = std::iter::once((&options.text_field, false));
        for (field, is_label) in fields.chain(options.label_field.iter().map(|l| (l, true))) {
            let found =
                (schema.get(top(field))).and_then(|column| leaf(column.dtype(), field, top(field)));
            if let Some(found) = found.and_then(no_number) {
                return Err(unexpected(&found, is_label).in_file(path).field(field));
            }
        }
        let is_read = |name: &str| {
            top(&options.text_field) == name || label.is_some_and(|label| top(label) == name)
        };
        let metadata = readable(&mut reader, path, &is_read)?;
        let mut reads: Vec<usize> = Vec::new();
        let mut bytes = usize::MAX;
        for group in &metadata.row_groups {
            if group.num_rows() == 0 {
                continue;
            }
            bytes = bytes.saturating_add(group.total_byte_size());
            match reads.last_mut() {
                Some(rows) if bytes <= READ_TOGETHER => *rows += group.num_rows(),
                _ => {
                    reads.push(group.num_rows());
                    bytes = group.total_byte_size();
                }
            }
        }
        reads.reverse();
        Ok(Self {
            metadata,
            reads,
            row: 0,
            texts: None,
            labels: None,
            within: 0,
            rows: 0,
        })
    }

    pub(super) fn next(&mut self, path: &Path, options: &ReadOptions) -> Result<Option<Outcome>> {
        if self.within >= self.rows {
            self.row += self.rows;
            let Some(rows) = self.reads.pop() else {
                return Ok(None);
            };
            self.read(path, options, rows)?;
        }
        let outcome = self.document(options);
        let number = self.row + self.within + 1;
        self.within += 1;
        Ok(Some(outcome.map_err(|unreadable| Unreadable {
            error: at_row(&unreadable.error, number).in_file(path),
            ..unreadable
        })))
    }

    fn document(&self, options: &ReadOptions) -> Outcome {
        let field = &options.text_field;
        let text = match self
            .texts
            .as_ref()
            .map_or(Cell::Missing, |f| f.cell(self.within))
        {
            Cell::Missing => String::new(),
            Cell::Text(text) => text,
            Cell::NotUtf8(e) => return Err(Cause::NotUtf8.error(not_utf8(&e).field(field))),
            Cell::Other("") => return Err(Cause::NoText.error(no_text(field))),
            Cell::Other(found) => return Err(Cause::NoText.error(not_a_string(field, found))),
        };
        if text.len() > options.max_document_bytes {
            let error = too_long("document", options.max_document_bytes);
            return Err(Cause::TooLong.error(error));
        }
        let Some(field) = &options.label_field else {
            return Ok(Document { text, label: None });
        };
        match self
            .labels
            .as_ref()
            .map_or(Cell::Missing, |f| f.cell(self.within))
        {
            Cell::Text(label) => Ok(Document {
                text,
                label: Some(label),
            }),
            Cell::NotUtf8(e) => Err(Cause::NoLabel.error(not_utf8(&e).field(field))),
            Cell::Missing | Cell::Other("") => Err(Cause::NoLabel.error(no_label(field))),
            Cell::Other(found) => Err(Cause::NoLabel.error(not_a_label(field, found))),
        }
    }

    fn read(&mut self, path: &Path, options: &ReadOptions, rows: usize) -> Result<()> {
        let mut reader = open(path)?;
        reader.set_metadata(self.metadata.clone());
        let schema = reader.schema().map_err(|e| damaged(path, &e))?;
        let top = |field| column_of(field, |name| schema.contains(name));
        let fields = std::iter::once(&options.text_field).chain(&options.label_field);
        let mut columns: Vec<String> = fields.map(|f| top(f).to_owned()).collect();
        columns.dedup();
        let frame = reader
            .with_columns(Some(columns))
            .with_slice(Some((self.row, rows)))
            .finish()
            .map_err(|e| damaged(path, &e))?;
        if frame.height() != rows {
            return Err(Error::input(format!(
                "{} rows from row {}, but the file's description says {rows}",
                frame.height(),
                self.row + 1
            ))
            .in_file(path)
            .help("download or copy the file again"));
        }
        (self.within, self.rows) = (0, rows);
        let text = &options.text_field;
        self.texts = Some(Field::of(&frame, text, top(text), false, path)?);
        self.labels = match &options.label_field {
            Some(label) => Some(Field::of(&frame, label, top(label), true, path)?),
            None => None,
        };
        Ok(())
    }
}

/// An error with the number of its row.
fn at_row(error: &Error, row: usize) -> Error {
    let mut placed = Error::input(format!("row {row}: {}", error.problem()));
    if let Some(field) = error.field_name() {
        placed = placed.field(field);
    }
    match error.help_text() {
        Some(help) => placed.help(help),
        None => placed,
    }
}

/// The column that a field is in: of the field's whole name, or of its part
/// before the first dot.
fn column_of(field: &str, exists: impl Fn(&str) -> bool) -> &str {
    match field.split_once('.') {
        Some((top, _)) if !exists(field) => top,
        _ => field,
    }
}

/// The type of a field in a column, where it is no path in JSON text. Structs within are
/// compared as a whole later.
fn leaf<'t>(column: &'t ArrowDataType, field: &str, top: &str) -> Option<&'t ArrowDataType> {
    let Some(mut inside) = field[top.len()..].strip_prefix('.') else {
        return (!matches!(column, ArrowDataType::Struct(_))).then_some(column);
    };
    let mut dtype = column;
    while let ArrowDataType::Struct(fields) = dtype {
        let (name, after) = inside.split_once('.').unwrap_or((inside, ""));
        dtype = fields.iter().find(|f| f.name == name)?.dtype();
        inside = after;
    }
    Some(dtype)
}

/// The error for a column of another type than strings.
fn unexpected(found: &str, is_label: bool) -> Error {
    let expected = match is_label {
        true => "strings or whole numbers",
        false => "strings",
    };
    Error::input(format!("the column holds {found}, expected {expected}"))
        .help("name the columns with the options `text_field` and `label_field`")
}

impl Field {
    /// A column of strings, inside structs where the field has dots. A label
    /// may also be a whole number.
    fn of(frame: &DataFrame, field: &str, top: &str, is_label: bool, path: &Path) -> Result<Self> {
        let bad = |e: PolarsError| Error::input(e.to_string()).in_file(path).field(field);
        let mut column = (frame.column(top).map_err(bad)?)
            .as_materialized_series()
            .clone();
        let mut inside = field[top.len()..].strip_prefix('.');
        while let Some(rest) = inside
            && let Ok(of_struct) = column.struct_()
        {
            let (name, after) = match rest.split_once('.') {
                Some((name, after)) => (name, Some(after)),
                None => (rest, None),
            };
            column = of_struct.field_by_name(name).map_err(|e| {
                bad(e).help("name the columns with the options `text_field` and `label_field`")
            })?;
            inside = after;
        }
        let known = match column.dtype() {
            DataType::String | DataType::Binary => true,
            // Columns without any value have no type.
            DataType::Null => true,
            DataType::Categorical(..) | DataType::Enum(..) => {
                column = column.cast(&DataType::String).map_err(bad)?;
                true
            }
            dtype if is_label && dtype.is_integer() && inside.is_none() => {
                column = column.cast(&DataType::String).map_err(bad)?;
                true
            }
            _ => false,
        };
        if !known {
            let found = match column.dtype() {
                DataType::List(_) => "lists".to_owned(),
                other => other.to_string(),
            };
            return Err(unexpected(&found, is_label).in_file(path).field(field));
        }
        Ok(Self {
            // One chunk makes a row a constant-time look-up.
            column: column.rechunk(),
            inside: inside.map(str::to_owned),
        })
    }

    fn cell(&self, row: usize) -> Cell {
        let text = if let Ok(strings) = self.column.str() {
            match strings.get(row) {
                Some(text) => text,
                None => return Cell::Missing,
            }
        } else if let Ok(binary) = self.column.binary() {
            match binary.get(row).map(std::str::from_utf8) {
                Some(Ok(text)) => text,
                Some(Err(e)) => return Cell::NotUtf8(e),
                None => return Cell::Missing,
            }
        } else {
            return Cell::Missing;
        };
        let Some(path) = &self.inside else {
            return Cell::Text(text.to_owned());
        };
        // The column holds objects as JSON text.
        match descend(serde_json::Value::String(text.to_owned()), path).map(label) {
            Some(Ok(Some(value))) => Cell::Text(value),
            Some(Ok(None)) => Cell::Missing,
            Some(Err(found)) => Cell::Other(found),
            None => Cell::Other(""),
        }
    }
}
