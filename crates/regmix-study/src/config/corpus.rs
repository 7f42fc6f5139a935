//! `[corpus]` of a study file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regmix_data::corpus::{Layout, ReadOptions};
use regmix_data::tokenize::TokenizeOptions;
use regmix_data::{Domain, Error, Result};
use serde::{Deserialize, Serialize};

/// `[corpus]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSection {
    /// A folder or a file, relative to the study; or a dataset on the Hugging
    /// Face hub, `hf://owner/name` or `hf://owner/name@revision`.
    pub path: PathBuf,
    /// Beginnings of the names of the files to fetch from the hub; all that can be
    /// read if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Where the domain of a document is written.
    #[serde(default)]
    pub layout: LayoutName,
    /// Field or column that holds the text.
    #[serde(default = "default_text_field")]
    pub text_field: String,
    /// Field that names the domain, for the layout `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_field: Option<String>,
    /// Share of documents that are used for validation where there is no such
    /// split.
    #[serde(default = "default_valid_share")]
    pub valid_share: f64,
    /// Whether repeated documents are dropped.
    #[serde(default = "default_true")]
    pub drop_duplicates: bool,
    /// The longest line or text file, in bytes.
    #[serde(
        default = "default_max_document_bytes",
        skip_serializing_if = "is_default_max_document_bytes"
    )]
    pub max_document_bytes: usize,
    /// What happens when a document cannot be read.
    #[serde(default, skip_serializing_if = "OnError::is_skip")]
    pub on_error: OnError,
    /// The greatest share of documents that may be skipped.
    #[serde(
        default = "default_max_skipped",
        skip_serializing_if = "is_default_max_skipped"
    )]
    pub max_skipped: f64,
    /// The greatest share of a domain's text that the tokenizer may have no token
    /// for.
    #[serde(
        default = "default_max_lost",
        skip_serializing_if = "is_default_max_lost"
    )]
    pub max_lost: f64,
    /// Domains with fewer documents are left out, or put into `rare_domain`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_documents: u64,
    /// The domain of documents of domains with fewer than `min_documents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rare_domain: Option<Domain>,
    /// File extensions per domain, for the layout `tree`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tree: BTreeMap<Domain, Vec<String>>,
}

fn default_text_field() -> String {
    "text".to_owned()
}

fn default_valid_share() -> f64 {
    0.05
}

fn default_true() -> bool {
    true
}

fn default_max_document_bytes() -> usize {
    ReadOptions::default().max_document_bytes
}

fn is_default_max_document_bytes(bytes: &usize) -> bool {
    *bytes == default_max_document_bytes()
}

fn default_max_skipped() -> f64 {
    TokenizeOptions::default().max_skipped
}

fn is_default_max_skipped(share: &f64) -> bool {
    *share == default_max_skipped()
}

fn default_max_lost() -> f64 {
    TokenizeOptions::default().max_lost
}

fn is_default_max_lost(share: &f64) -> bool {
    *share == default_max_lost()
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What happens when a document cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It is skipped and counted, up to `max_skipped`.
    #[default]
    Skip,
    /// The first one ends the work.
    Stop,
}

impl OnError {
    fn is_skip(&self) -> bool {
        *self == Self::Skip
    }
}

/// The dataset on the Hugging Face hub that a corpus path names, as
/// `owner/name` or `owner/name@revision`; `None` for a path of files.
pub fn hub_dataset(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix("hf://")
}

/// Names of the layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutName {
    /// Recognised from the files.
    #[default]
    Auto,
    /// `train/<domain>-<n>.jsonl…`
    Files,
    /// A field of every document.
    Labels,
    /// A folder per domain.
    Folders,
    /// File extensions.
    Tree,
}

impl CorpusSection {
    /// The section with nothing but a path.
    #[cfg(feature = "hub")]
    pub(crate) fn at(path: PathBuf) -> Self {
        Self {
            path,
            files: Vec::new(),
            layout: LayoutName::default(),
            text_field: default_text_field(),
            label_field: None,
            valid_share: default_valid_share(),
            drop_duplicates: true,
            max_document_bytes: default_max_document_bytes(),
            on_error: OnError::default(),
            max_skipped: default_max_skipped(),
            max_lost: default_max_lost(),
            min_documents: 0,
            rare_domain: None,
            tree: BTreeMap::new(),
        }
    }

    /// The layout and options of a [`regmix_data::corpus::Source`].
    ///
    /// # Errors
    /// When the layout is `tree` and there is no table of extensions.
    pub fn source_options(&self) -> Result<(Option<Layout>, ReadOptions)> {
        let layout = match self.layout {
            LayoutName::Auto => None,
            LayoutName::Files => Some(Layout::Files),
            LayoutName::Labels => Some(Layout::Labels),
            LayoutName::Folders => Some(Layout::Folders),
            LayoutName::Tree => {
                if self.tree.is_empty() {
                    return Err(Error::input("the layout `tree` needs a table of extensions")
                        .field("corpus.tree")
                        .help("for example: [corpus.tree] rust = [\"rs\"], prose = [\"md\", \"txt\"]"));
                }
                Some(Layout::Tree(self.tree.clone()))
            }
        };
        let options = ReadOptions {
            text_field: self.text_field.clone(),
            label_field: self.label_field.clone(),
            max_document_bytes: self.max_document_bytes,
        };
        Ok((layout, options))
    }

    /// How the documents are tokenized.
    pub fn tokenize_options(&self) -> TokenizeOptions {
        TokenizeOptions {
            valid_share: self.valid_share,
            drop_duplicates: self.drop_duplicates,
            max_skipped: match self.on_error {
                OnError::Skip => self.max_skipped,
                OnError::Stop => 0.0,
            },
            max_lost: self.max_lost,
            min_documents: self.min_documents,
            rare_domain: self.rare_domain.clone(),
            ..TokenizeOptions::default()
        }
    }
}
