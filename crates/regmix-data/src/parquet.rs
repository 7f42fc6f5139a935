//! Opening parquet files, and the errors that their readers share.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use polars::io::SerReader;
use polars::io::parquet::metadata::FileMetadataRef;
use polars::io::parquet::read::ParquetReader;
use polars::prelude::{ArrowDataType, PolarsError, Series};
use polars_parquet::parquet::metadata::{FileMetadata, SchemaDescriptor};
use polars_parquet::parquet::schema::types::{
    IntegerType, ParquetType, PrimitiveConvertedType, PrimitiveLogicalType,
};
use polars_parquet::read::infer_schema;

use crate::error::{Error, Result};

/// Opens a parquet file.
///
/// # Errors
/// When the file cannot be opened. Its content is not read yet.
pub(crate) fn open(path: &Path) -> Result<ParquetReader<File>> {
    (File::open(path).map(ParquetReader::new)).map_err(|e| Error::io(path, e))
}

/// The file's description, in which columns of some names have types that can be read:
/// polars is compiled without small integers, dates, times and decimals. They become the
/// numbers as which they are stored, so that a field beside them in a struct can be read.
///
/// # Errors
/// When a column holds something that has no such form.
pub(crate) fn readable(
    reader: &mut ParquetReader<File>,
    path: &Path,
    columns: &dyn Fn(&str) -> bool,
) -> Result<FileMetadataRef> {
    let metadata = (reader.get_metadata().map_err(|e| damaged(path, &e))?).clone();
    let all_read = |metadata: &FileMetadata| -> Result<Option<(String, ArrowDataType)>> {
        let schema = infer_schema(metadata).map_err(|e| damaged(path, &e))?;
        let mut fields = schema.iter_values().filter(|field| columns(&field.name));
        let bad = fields.find_map(|f| Some((f.name.to_string(), unread(f.dtype())?.clone())));
        Ok(bad)
    };
    if all_read(&metadata)?.is_none() {
        return Ok(metadata);
    }
    let mut stored = FileMetadata::clone(&metadata);
    // It has the types of Arrow once more.
    stored.key_value_metadata = None;
    let fields = metadata.schema().fields().iter().cloned().map(as_stored);
    stored.schema_descr = SchemaDescriptor::new("schema".into(), fields.collect());
    match all_read(&stored)? {
        None => Ok(Arc::new(stored)),
        Some((column, dtype)) => Err(Error::input(format!(
            "the column holds {}, which cannot be read: expected text, numbers, or lists and \
             structs of them",
            words(&dtype)
        ))
        .in_file(path)
        .field(column)
        .help("write the file without it, or as text")),
    }
}

/// The first type in a column that polars is compiled without.
fn unread(dtype: &ArrowDataType) -> Option<&ArrowDataType> {
    use ArrowDataType as T;
    match dtype {
        T::Null | T::Boolean | T::Int32 | T::Int64 | T::UInt32 | T::UInt64 => None,
        T::Float32 | T::Float64 | T::Binary | T::LargeBinary | T::BinaryView => None,
        T::Utf8 | T::LargeUtf8 | T::Utf8View | T::FixedSizeBinary(_) => None,
        T::Dictionary(_, values, _) => unread(values),
        T::List(field) | T::LargeList(field) | T::Map(field, _) => unread(field.dtype()),
        T::Struct(fields) => fields.iter().find_map(|field| unread(field.dtype())),
        other => Some(other),
    }
}

/// A type without what its numbers stand for, where they are no plain numbers or text.
fn as_stored(field: ParquetType) -> ParquetType {
    use PrimitiveConvertedType as Converted;
    use PrimitiveLogicalType as Logical;
    match field {
        ParquetType::GroupType {
            field_info,
            logical_type,
            converted_type,
            fields,
        } => ParquetType::GroupType {
            field_info,
            logical_type,
            converted_type,
            fields: fields.into_iter().map(as_stored).collect(),
        },
        ParquetType::PrimitiveType(mut primitive) => {
            use IntegerType::{Int32, Int64, UInt32, UInt64};
            let plain = match (&primitive.logical_type, &primitive.converted_type) {
                (Some(Logical::Integer(int)), _) => {
                    matches!(int, Int32 | Int64 | UInt32 | UInt64)
                }
                (Some(logical), _) => matches!(
                    logical,
                    Logical::String | Logical::Enum | Logical::Json | Logical::Bson
                ),
                (None, Some(converted)) => matches!(
                    converted,
                    Converted::Utf8
                        | Converted::Enum
                        | Converted::Json
                        | Converted::Bson
                        | Converted::Int32
                        | Converted::Int64
                        | Converted::Uint32
                        | Converted::Uint64
                ),
                (None, None) => true,
            };
            if !plain {
                (primitive.logical_type, primitive.converted_type) = (None, None);
            }
            ParquetType::PrimitiveType(primitive)
        }
    }
}

/// Whether a column holds whole numbers.
fn is_whole(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    matches!(
        dtype,
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64
    )
}

/// What a column holds, where it is no text and no number.
pub(crate) fn no_number(dtype: &ArrowDataType) -> Option<Cow<'static, str>> {
    unread(dtype).filter(|dtype| !is_whole(dtype)).map(words)
}

/// A type in words.
fn words(dtype: &ArrowDataType) -> Cow<'static, str> {
    use ArrowDataType as T;
    Cow::Borrowed(match dtype {
        T::Date32 | T::Date64 => "dates",
        T::Timestamp(..) | T::Time32(_) | T::Time64(_) => "times",
        T::Duration(_) | T::Interval(_) => "durations",
        T::Decimal32(..) | T::Decimal(..) | T::Decimal256(..) => "decimal numbers",
        T::Float16 => "numbers of 16 bits",
        T::FixedSizeList(..) => "lists of a fixed size",
        T::Int8 | T::Int16 | T::UInt8 | T::UInt16 => "small whole numbers",
        other => return Cow::Owned(format!("values of the type {other:?}")),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_not_known_is_named() {
        let found = no_number(&ArrowDataType::Unknown);
        assert_eq!(found.as_deref(), Some("values of the type Unknown"));
        let decimal = ArrowDataType::Decimal(10, 2);
        assert_eq!(no_number(&decimal).as_deref(), Some("decimal numbers"));
        assert_eq!(no_number(&ArrowDataType::Int8), None);
    }
}
