//! Tables in parquet.

use std::path::Path;

use polars::io::SerReader;
use polars::prelude::{Column, DataType, Series};

use super::{RunRow, RunRows};
use crate::error::{Error, Result};
use crate::parquet::{damaged, missing, no_number, open, readable, string};

impl RunRows {
    /// Reads a parquet file with the columns of a table: run identifiers
    /// first, numbers after them. A missing number is NaN. Feature `corpus`.
    ///
    /// # Errors
    /// When the file cannot be read, is not parquet, has no rows or fewer than
    /// two columns, a row has no identifier, or a further column does not hold
    /// numbers.
    pub fn read_parquet(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bad = |problem: String| Error::input(problem).in_file(path);
        let mut reader = open(path)?;
        let schema = reader.schema().map_err(|e| damaged(path, &e))?;
        for column in schema.iter_values() {
            if let Some(found) = no_number(column.dtype()) {
                return Err(bad(format!("the column holds {found}, expected numbers"))
                    .field(column.name.as_str())
                    .help("write the column as numbers, or leave it out"));
            }
        }
        let metadata = readable(&mut reader, path, &|_| true)?;
        let mut reader = open(path)?;
        reader.set_metadata(metadata);
        let frame = reader.finish().map_err(|e| damaged(path, &e))?;
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
            let run = string(Some(&runs), row)
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
            notes: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_whole_numbers_are_numbers_and_dates_are_not() {
        // Written by pyarrow: int8, int16, uint16, uint8 and float32.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        std::fs::write(&path, include_bytes!("small.parquet")).unwrap();
        let table = RunRows::read_parquet(&path).unwrap();
        assert_eq!(table.columns, ["step", "tokens", "epoch", "web"]);
        assert_eq!(table.rows[1].run, "1");
        assert_eq!(table.rows[1].values, [300.0, 60000.0, 1.0, 2.5]);
        assert!(table.rows[2].values[1].is_nan() && table.rows[2].values[2] == 255.0);
        let types = include_bytes!("../../corpus/parquet/types.parquet");
        std::fs::write(&path, types).unwrap();
        let err = RunRows::read_parquet(&path).unwrap_err();
        assert_eq!(err.field_name(), Some("meta"));
        assert_eq!(err.problem(), "the column holds dates, expected numbers");
    }
}
