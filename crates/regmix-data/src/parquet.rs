//! Opening parquet files, and the errors that their readers share.

use std::fs::File;
use std::path::Path;

use polars::io::SerReader;
use polars::io::parquet::read::ParquetReader;
use polars::prelude::{PolarsError, Series};

use crate::error::{Error, Result};

/// Opens a parquet file.
///
/// # Errors
/// When the file cannot be opened. Its content is not read yet.
pub(crate) fn open(path: &Path) -> Result<ParquetReader<File>> {
    (File::open(path).map(ParquetReader::new)).map_err(|e| Error::io(path, e))
}

/// The text in a row of a column of strings, if there is one.
pub(crate) fn string(column: Option<&Series>, row: usize) -> Option<String> {
    column?.str().ok()?.get(row).map(str::to_owned)
}

/// The error for a row in which something is missing.
pub(crate) fn missing(what: &str, field: &str, path: &Path, row: usize) -> Error {
    Error::input(format!("{what} in row {}", row + 1))
        .in_file(path)
        .field(field)
        .help("remove the row, or name the right column")
}

/// The error for a file that is not parquet, or damaged.
pub(crate) fn damaged(path: &Path, err: &PolarsError) -> Error {
    Error::input(format!("not readable as parquet: {err}"))
        .in_file(path)
        .help("download or copy the file again")
}
