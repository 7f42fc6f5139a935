//! One document, and how documents are read.

use crate::error::Error;

/// How documents are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The JSON field or parquet column that holds the text. Default `text`.
    pub text_field: String,
    /// The field that holds the domain's label, with dots into objects and
    /// structs. Default none: documents have no label.
    pub label_field: Option<String>,
    /// The longest line or text file, in bytes. Default 64 MiB.
    pub max_document_bytes: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            text_field: "text".to_owned(),
            label_field: None,
            max_document_bytes: 64 << 20,
        }
    }
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The text.
    pub text: String,
    /// The domain's label, if [`ReadOptions::label_field`] is set.
    pub label: Option<String>,
}

/// The error for bytes that are not text.
pub(super) fn not_utf8(err: &std::str::Utf8Error) -> Error {
    Error::input(format!(
        "not UTF-8 after byte {}, expected UTF-8 text",
        err.valid_up_to()
    ))
    .help("convert the file to UTF-8, for example with `iconv`")
}
