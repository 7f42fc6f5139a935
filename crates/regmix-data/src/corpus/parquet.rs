//! The documents of parquet files, read one row group at a time.

use std::path::Path;

use polars::io::SerReader;
use polars::prelude::{DataFrame, DataType, PolarsError, Series};

use super::document::{Document, ReadOptions};
use crate::error::{Error, Result};
use crate::parquet::{damaged, missing, open, string};

/// The documents of a parquet file.
pub(super) struct Parquet {
    /// Rows of each row group that was not read yet, in reverse order.
    groups: Vec<usize>,
    /// Rows read so far, and those of the current row group.
    row: usize,
    texts: Option<Series>,
    labels: Option<Series>,
    within: usize,
}

impl Parquet {
    pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        let mut reader = open(path)?;
        let schema = reader.schema().map_err(|e| damaged(path, &e))?;
        let label = options.label_field.as_deref();
        for field in std::iter::once(options.text_field.as_str()).chain(label) {
            let column = top(field);
            if !schema.contains(column) {
                let names: Vec<&str> = schema.iter_names().map(|n| n.as_str()).collect();
                return Err(Error::input(format!(
                    "no column `{column}`, the file has {}",
                    names.join(", ")
                ))
                .in_file(path)
                .field(field)
                .help("name the columns with the options `text_field` and `label_field`"));
            }
        }
        let metadata = reader.get_metadata().map_err(|e| damaged(path, &e))?;
        let mut groups: Vec<usize> = metadata.row_groups.iter().map(|g| g.num_rows()).collect();
        groups.reverse();
        Ok(Self {
            groups,
            row: 0,
            texts: None,
            labels: None,
            within: 0,
        })
    }

    pub(super) fn next(&mut self, path: &Path, options: &ReadOptions) -> Result<Option<Document>> {
        while self.texts.as_ref().is_none_or(|t| self.within >= t.len()) {
            self.row += self.texts.as_ref().map_or(0, |t| t.len());
            let Some(rows) = self.groups.pop() else {
                return Ok(None);
            };
            if rows > 0 {
                self.read_group(path, options, rows)?;
            }
        }
        let row = self.row + self.within;
        let text = string(self.texts.as_ref(), self.within)
            .ok_or_else(|| missing("no text", &options.text_field, path, row))?;
        let label = match &options.label_field {
            None => None,
            Some(field) => Some(
                string(self.labels.as_ref(), self.within)
                    .ok_or_else(|| missing("no domain label", field, path, row))?,
            ),
        };
        self.within += 1;
        Ok(Some(Document { text, label }))
    }

    fn read_group(&mut self, path: &Path, options: &ReadOptions, rows: usize) -> Result<()> {
        let fields = std::iter::once(&options.text_field).chain(&options.label_field);
        let mut columns: Vec<String> = fields.map(|f| top(f).to_owned()).collect();
        columns.dedup();
        let frame = open(path)?
            .with_columns(Some(columns))
            .with_slice(Some((self.row, rows)))
            .finish()
            .map_err(|e| damaged(path, &e))?;
        self.within = 0;
        self.texts = Some(column(&frame, &options.text_field, path)?);
        self.labels = match &options.label_field {
            Some(field) => Some(column(&frame, field, path)?),
            None => None,
        };
        Ok(())
    }
}

fn top(field: &str) -> &str {
    field.split('.').next().unwrap_or(field)
}

/// A column of strings, inside structs where the field has dots.
fn column(frame: &DataFrame, field: &str, path: &Path) -> Result<Series> {
    let mut names = field.split('.');
    let bad = |e: PolarsError| Error::input(e.to_string()).in_file(path).field(field);
    let mut series = frame
        .column(names.next().unwrap_or(field))
        .map_err(bad)?
        .as_materialized_series()
        .clone();
    for name in names {
        series = series
            .struct_()
            .and_then(|s| s.field_by_name(name))
            .map_err(bad)?;
    }
    if *series.dtype() == DataType::String {
        // One chunk makes a row a constant-time look-up.
        return Ok(series.rechunk());
    }
    Err(Error::input(format!(
        "the column holds {}, expected strings",
        series.dtype()
    ))
    .in_file(path)
    .field(field))
}
