//! Parquet files, read one row group at a time.

use std::fs::File;
use std::path::Path;

use polars::io::SerReader;
use polars::io::parquet::read::ParquetReader;
use polars::prelude::{Column, DataFrame, DataType, PolarsError, Series};

use super::documents::{Document, ReadOptions};
use crate::error::{Error, Result};
use crate::table::{RunRow, RunRows};

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
        let mut reader = ParquetReader::new(open(path)?);
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
        let text = get(self.texts.as_ref(), self.within)
            .ok_or_else(|| missing("no text", &options.text_field, path, row))?;
        let label = match &options.label_field {
            None => None,
            Some(field) => Some(
                get(self.labels.as_ref(), self.within)
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
        let frame = ParquetReader::new(open(path)?)
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

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::io(path, e))
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

impl RunRows {
    /// Reads a parquet file with the columns of a table: run identifiers
    /// first, numbers after them. What is missing is NaN. Feature `corpus`.
    ///
    /// # Errors
    /// When the file cannot be read, is no parquet, has no rows or fewer than
    /// two columns, a row has no identifier, or a further column holds no
    /// numbers.
    pub fn read_parquet(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let frame = (ParquetReader::new(open(path)?).finish()).map_err(|e| damaged(path, &e))?;
        let bad = |problem: String| Error::input(problem).in_file(path);
        let [key, columns @ ..] = frame.columns() else {
            return Err(bad("no columns: expected runs and numbers".to_owned()));
        };
        if columns.is_empty() || frame.height() == 0 {
            return Err(bad(format!(
                "{} rows of {} columns: expected at least one row, and a column of numbers after \
                 that of runs",
                frame.height(),
                columns.len() + 1
            )));
        }
        let as_type = |column: &Column, dtype: &DataType| {
            (column.as_materialized_series().cast(dtype)).map_err(|e| {
                bad(format!("column `{}`: {e}", column.name())).field(column.name().as_str())
            })
        };
        let runs = as_type(key, &DataType::String)?;
        let mut numbers = Vec::with_capacity(columns.len());
        for column in columns {
            if !column.dtype().is_primitive_numeric() {
                return Err(bad(format!(
                    "the column holds {}, expected numbers",
                    column.dtype()
                ))
                .field(column.name().as_str()));
            }
            numbers.push(as_type(column, &DataType::Float64)?);
        }
        let mut rows = Vec::with_capacity(frame.height());
        for row in 0..frame.height() {
            let run = get(Some(&runs), row)
                .ok_or_else(|| missing("no run", key.name().as_str(), path, row))?;
            let value = |column: &Series| column.f64().ok().and_then(|c| c.get(row));
            rows.push(RunRow {
                line: row as u64 + 1,
                run,
                values: (numbers.iter())
                    .map(|c| value(c).unwrap_or(f64::NAN))
                    .collect(),
            });
        }
        Ok(Self {
            key: key.name().to_string(),
            columns: columns.iter().map(|c| c.name().to_string()).collect(),
            rows,
        })
    }
}

fn get(column: Option<&Series>, row: usize) -> Option<String> {
    column?.str().ok()?.get(row).map(str::to_owned)
}

fn missing(what: &str, field: &str, path: &Path, row: usize) -> Error {
    Error::input(format!("{what} in row {}", row + 1))
        .in_file(path)
        .field(field)
        .help("remove the row, or name the right column")
}

fn damaged(path: &Path, err: &PolarsError) -> Error {
    Error::input(format!("not readable as parquet: {err}"))
        .in_file(path)
        .help("download or copy the file again")
}
