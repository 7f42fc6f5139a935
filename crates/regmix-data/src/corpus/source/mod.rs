//! Which files a corpus has, and which domain and split each belongs to.

mod sample;
mod search;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::document::ReadOptions;
use crate::domain::{Domain, DomainSet};
use crate::error::{Error, Result};
use crate::shard::Split;
use search::Found;

/// Where the domain of a document is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// In the file's name: `train/<domain>-<n>.jsonl`, `valid/…`, also with
    /// other types and compressions. The number may be missing.
    Files,
    /// In a field of every document ([`ReadOptions::label_field`]), made a
    /// name by [`Domain::from_label`]: `train/*.jsonl.zst`, `val.jsonl.zst`.
    Labels,
    /// In the folder's name: `<domain>/…`, at any depth.
    Folders,
    /// In the extension of files anywhere below the folder, one document per
    /// file: extensions (without dot) per domain. Hidden files and folders,
    /// and files that are not UTF-8, are skipped.
    Tree(BTreeMap<Domain, Vec<String>>),
}

/// One file of a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file.
    pub path: PathBuf,
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// The split it belongs to. Domains without validation files get a
    /// validation split cut from these.
    pub split: Split,
    /// The domain of all its documents; `None` if each document has a label.
    pub domain: Option<Domain>,
}

/// The files of a corpus, in the order they are read.
///
/// ```
/// use regmix_data::corpus::{Layout, ReadOptions, Source};
///
/// let folder = tempfile::tempdir().unwrap();
/// std::fs::create_dir(folder.path().join("train")).unwrap();
/// for name in ["web-0", "web-1", "law-en-0"] {
///     let path = folder.path().join(format!("train/{name}.jsonl"));
///     std::fs::write(path, "{\"text\":\"one\"}\n").unwrap();
/// }
/// let source = Source::open(folder.path(), None, ReadOptions::default())?;
/// assert_eq!(source.layout(), &Layout::Files);
/// let domains = source.domains().unwrap();
/// assert_eq!(domains.names().collect::<Vec<_>>(), ["law-en", "web"]);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Source {
    layout: Layout,
    options: ReadOptions,
    files: Vec<SourceFile>,
    ignored: Vec<PathBuf>,
    domains: Option<DomainSet>,
}

/// The label field of the Pile: the default where labels are needed.
const PILE_LABEL: &str = "meta.pile_set_name";

impl Source {
    /// Lists the files of a corpus. Without a layout it is detected: a single
    /// file, or a folder `train` whose files are only numbered, is
    /// [`Layout::Labels`]; a folder `train` with other names [`Layout::Files`];
    /// a folder of folders [`Layout::Folders`].
    ///
    /// # Errors
    /// When the path cannot be read, no layout fits, there is no training
    /// file, or a name is not a domain name.
    pub fn open(
        path: impl AsRef<Path>,
        layout: Option<Layout>,
        mut options: ReadOptions,
    ) -> Result<Self> {
        let root = path.as_ref();
        let layout = match layout {
            Some(layout) => layout,
            None => search::detect(root)?,
        };
        let found = Found::search(root, &layout)?;
        if !found.files.iter().any(|f| f.split == Split::Train) {
            return Err(Error::input("no training files").in_file(root).help(
                "expected `train/<domain>-<n>.jsonl` (or .parquet, .txt, also .zst or .gz)",
            ));
        }
        if layout == Layout::Labels {
            options
                .label_field
                .get_or_insert_with(|| PILE_LABEL.to_owned());
        } else {
            options.label_field = None;
        }
        let mut names: Vec<Domain> = found
            .files
            .iter()
            .filter_map(|f| f.domain.clone())
            .collect();
        if let Layout::Tree(extensions) = &layout {
            names.extend(extensions.keys().cloned());
        }
        names.sort();
        names.dedup();
        Ok(Self {
            domains: (layout != Layout::Labels)
                .then(|| DomainSet::new(names))
                .transpose()?,
            layout,
            options,
            files: found.files,
            ignored: found.ignored,
        })
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How documents are read.
    pub fn options(&self) -> &ReadOptions {
        &self.options
    }

    /// The files: validation first, then training, each in order of names.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        let of = |split| self.files.iter().filter(move |f| f.split == split);
        of(Split::Valid).chain(of(Split::Train))
    }

    /// Files that belong to no domain or split and are not read, for example
    /// a README or a test split.
    pub fn ignored(&self) -> &[PathBuf] {
        &self.ignored
    }

    /// Whether a file that is not text is skipped: in a source tree, not all
    /// files need be text.
    pub(crate) fn skips_bad_files(&self) -> bool {
        matches!(self.layout, Layout::Tree(_))
    }

    /// The domains in order of names; `None` if each document has a label.
    pub fn domains(&self) -> Option<&DomainSet> {
        self.domains.as_ref()
    }
}
