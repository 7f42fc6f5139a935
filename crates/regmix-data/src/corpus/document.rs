//! One document, and how documents are read.

use crate::error::Error;

/// How documents are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The JSON field or parquet column that holds the text; with dots into
    /// objects and structs, unless there is a field of that whole name. Default
    /// `text`.
    pub text_field: String,
    /// The field that holds the domain's label, with dots as in `text_field`.
    /// Default none: documents have no label.
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
    /// The text. Empty too where the field holds null.
    pub text: String,
    /// The domain's label, if [`ReadOptions::label_field`] is set.
    pub label: Option<String>,
}

/// A document, or why it cannot be read. Those after it can.
pub(crate) type Outcome = std::result::Result<Document, Unreadable>;

/// Why one document cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    pub(crate) cause: Cause,
    pub(crate) error: Error,
}

/// Kinds of documents that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    BrokenJson,
    NotUtf8,
    TooLong,
    NoText,
    NoLabel,
    NotTokenized,
}

impl Cause {
    /// In words, for a count of documents.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::BrokenJson => "broken JSON",
            Self::NotUtf8 => "not UTF-8",
            Self::TooLong => "longer than max_document_bytes",
            Self::NoText => "no text",
            Self::NoLabel => "no domain label",
            Self::NotTokenized => "not encoded by the tokenizer",
        }
    }

    pub(crate) fn error(self, error: Error) -> Unreadable {
        Unreadable { cause: self, error }
    }
}

/// The error for bytes that are not text.
pub(super) fn not_utf8(err: &std::str::Utf8Error) -> Error {
    Error::input(format!(
        "not UTF-8 after byte {}, expected UTF-8 text",
        err.valid_up_to()
    ))
    .help("convert the file to UTF-8, for example with `iconv`")
}

/// The error for a line or file of more than `cap` bytes.
pub(super) fn too_long(what: &str, cap: usize) -> Error {
    Error::input(format!("a {what} of more than {cap} bytes")).help(format!(
        "split the document, or raise the limit in study.toml: `max_document_bytes = {}` under \
         [corpus]",
        cap.saturating_mul(4)
    ))
}

/// The error for a document without the field that holds the text.
pub(super) fn no_text(field: &str) -> Error {
    Error::input("no text in this document")
        .field(field)
        .help("name the field that holds the text with the option `text_field`")
}

/// The error for a field that holds something else than text.
pub(super) fn not_a_string(field: &str, found: &str) -> Error {
    Error::input(format!("the field holds {found}, expected a string"))
        .field(field)
        .help("name the field that holds the text with the option `text_field`, or convert it")
}

/// The error for a document without the field that holds the domain.
pub(super) fn no_label(field: &str) -> Error {
    Error::input("no domain label in this document")
        .field(field)
        .help(
            "name the field that holds the domain with the option `label_field`, or put the \
             domain into the names of files or folders (see `layout`)",
        )
}

/// The error for a label that is not one.
pub(super) fn not_a_label(field: &str, found: &str) -> Error {
    Error::input(format!(
        "the domain label is {found}, expected a string or a whole number"
    ))
    .field(field)
    .help("name the field that holds the domain with the option `label_field`")
}
