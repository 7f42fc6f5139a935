//! Which files a corpus has, and which domain and split each belongs to.

mod assign;
mod guess;
mod listing;
mod names;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::document::ReadOptions;
use crate::domain::{Domain, DomainSet};
use crate::error::{Error, Result};
use crate::shard::Split;
use assign::{Found, candidates};

/// Where the domain of a document is written. A part of a name or a folder
/// that stands for a split (`train`, `validation`, `dev`, `test`, ...) decides
/// the split in all layouts but `Tree`; tests are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// In the file's name: `train/<domain>-<n>.jsonl`, `valid/…`,
    /// `<domain>-00000-of-00003.parquet`, also with other types and
    /// compressions. The number may be missing.
    Files,
    /// In a field of every document ([`ReadOptions::label_field`]):
    /// `train/*.jsonl.zst`, `val.jsonl.zst`. Labels are names as they are
    /// written; those of the Pile, see [`Domain::from_pile_label`].
    Labels,
    /// In the folder's name: `<domain>/…`, at any depth, `train/<domain>/…`.
    Folders,
    /// In the extension of files anywhere below the folder, one document per
    /// file: extensions (without dot) per domain. One in lower case stands for
    /// those in upper case as well that are listed nowhere. Files that are not
    /// UTF-8 are skipped.
    Tree(BTreeMap<Domain, Vec<String>>),
}

impl Layout {
    /// Where the domain is written, in words.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Files => "domains from the names of files",
            Self::Labels => "domains from a field of the documents",
            Self::Folders => "domains from the names of folders",
            Self::Tree(_) => "domains from the endings of files",
        }
    }
}

/// One file of a corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file. Its name says how it holds documents.
    pub path: PathBuf,
    /// The file with the content: `path`, unless that is a link which was
    /// copied as text.
    pub content: PathBuf,
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// The split it belongs to. Domains without validation files get a
    /// validation split cut from these.
    pub split: Split,
    /// The domain of all its documents; `None` if each document has a label.
    pub domain: Option<Domain>,
}

/// A file or folder in the corpus that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRead {
    /// The file or folder.
    pub path: PathBuf,
    /// Why, in a few words.
    pub why: String,
}

impl NotRead {
    pub(crate) fn new(path: &Path, why: &str) -> Self {
        Self {
            path: path.to_path_buf(),
            why: why.to_owned(),
        }
    }
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
    root: PathBuf,
    layout: Layout,
    options: ReadOptions,
    files: Vec<SourceFile>,
    not_read: Vec<NotRead>,
    domains: Option<DomainSet>,
}

/// The label field of the Pile: the default where labels are needed.
const PILE_LABEL: &str = "meta.pile_set_name";

impl Source {
    /// Lists the files of a corpus, with links followed. Without a layout it is
    /// found out: a single file, a named label field, or files whose names are
    /// only numbers and splits mean [`Layout::Labels`]; files with other names
    /// [`Layout::Files`]; folders with other names [`Layout::Folders`].
    ///
    /// # Errors
    /// When the path cannot be read, no layout fits, there is no training
    /// file, a domain has validation files only, or a name is not a domain
    /// name.
    pub fn open(
        path: impl AsRef<Path>,
        layout: Option<Layout>,
        options: ReadOptions,
    ) -> Result<Self> {
        let root = path.as_ref();
        let labelled = options.label_field.is_some();
        std::fs::metadata(root).map_err(|e| Error::io(root, e))?;
        if root.is_file() && matches!(layout, None | Some(Layout::Labels)) {
            return Self::new(root, Layout::Labels, Found::of_file(root)?, options);
        }
        let listed = listing::list(root)?;
        let (layout, found) = sort_out(root, listed, layout, labelled)?;
        Self::new(root, layout, found, options)
    }

    /// As [`Source::open`], of files that need not be there yet, given by their paths
    /// below `root`, with `/`, and their sizes. Nothing is looked up on the disk.
    ///
    /// ```
    /// use regmix_data::corpus::{Layout, ReadOptions, Source};
    ///
    /// let files = [("law/train.parquet", 7), ("web/train.parquet", 9), ("README.md", 1)];
    /// let source = Source::of_listing("data", files, None, ReadOptions::default())?;
    /// assert_eq!(source.layout(), &Layout::Folders);
    /// assert_eq!(source.files().count(), 2);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Source::open`], apart from paths that cannot be read.
    pub fn of_listing<'a>(
        root: impl AsRef<Path>,
        files: impl IntoIterator<Item = (&'a str, u64)>,
        layout: Option<Layout>,
        options: ReadOptions,
    ) -> Result<Self> {
        let root = root.as_ref();
        let listed = listing::named(root, files);
        let (layout, found) = sort_out(root, listed, layout, options.label_field.is_some())?;
        Self::new(root, layout, found, options)
    }

    fn new(root: &Path, layout: Layout, found: Found, mut options: ReadOptions) -> Result<Self> {
        check_splits(root, &found)?;
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
            root: root.to_path_buf(),
            domains: (layout != Layout::Labels)
                .then(|| DomainSet::new(names))
                .transpose()?,
            layout,
            options,
            files: found.files,
            not_read: found.not_read,
        })
    }

    /// The folder or file that was searched.
    pub fn root(&self) -> &Path {
        &self.root
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

    /// Files and folders that belong to no domain or split and are not read,
    /// for example a README or a test split, in order of names.
    pub fn not_read(&self) -> &[NotRead] {
        &self.not_read
    }

    /// The domain of a label.
    pub(crate) fn domain_of_label(&self, label: &str) -> Result<Domain> {
        match self.options.label_field.as_deref() {
            Some(PILE_LABEL) => Domain::from_pile_label(label),
            _ => Domain::new(label),
        }
    }

    /// Whether a file that is not text is skipped: in a source tree, not all
    /// files need be text.
    pub(crate) fn skips_bad_files(&self) -> bool {
        matches!(self.layout, Layout::Tree(_))
    }

    /// What was read of a file; `None` where the file cannot be read and is skipped
    /// ([`Source::skips_bad_files`]).
    pub(crate) fn unless_bad_file<T>(&self, read: Result<Option<T>>) -> Result<Option<T>> {
        match read {
            Err(e) if e.is_input() && self.skips_bad_files() => Ok(None),
            read => read,
        }
    }

    /// The domains in order of names; `None` if each document has a label.
    pub fn domains(&self) -> Option<&DomainSet> {
        self.domains.as_ref()
    }
}

/// The layout of listed files, and what is read of them.
fn sort_out(
    root: &Path,
    (entries, mut not_read): (Vec<listing::Entry>, Vec<NotRead>),
    layout: Option<Layout>,
    labelled: bool,
) -> Result<(Layout, Found)> {
    let (layout, mut found) = match layout {
        Some(Layout::Tree(extensions)) => {
            let found = Found::of_tree(&entries, &extensions, not_read)?;
            (Layout::Tree(extensions), found)
        }
        layout => {
            let depth = match layout {
                Some(Layout::Folders) => 0,
                _ => guess::wrappers(&entries),
            };
            let files = candidates(&entries, depth, &mut not_read);
            let layout = match layout {
                Some(layout) => layout,
                None => guess::layout(&files, labelled).ok_or_else(|| {
                    let problem =
                        "no corpus: no .jsonl, .parquet or .txt file, and no folder of them";
                    no_files(root, problem, &not_read)
                })?,
            };
            let found = Found::assign(&files, &layout, not_read)?;
            (layout, found)
        }
    };
    found.not_read.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((layout, found))
}

/// Every domain needs training files.
fn check_splits(root: &Path, found: &Found) -> Result<()> {
    let first_of = |split: Split| found.files.iter().find(move |f| f.split == split);
    if first_of(Split::Train).is_none() {
        return Err(no_files(root, "no training files", &found.not_read));
    }
    let trained: std::collections::BTreeSet<&Domain> = found
        .files
        .iter()
        .filter(|f| f.split == Split::Train)
        .filter_map(|f| f.domain.as_ref())
        .collect();
    let only_valid = |f: &&SourceFile| f.domain.as_ref().is_some_and(|d| !trained.contains(d));
    match found.files.iter().find(only_valid) {
        None => Ok(()),
        Some(file) => {
            let domain = file.domain.as_ref().map_or("", |d| d.as_str());
            Err(
                Error::input(format!("`{domain}` has validation files only"))
                    .in_file(&file.path)
                    .help("add training text to the domain, or remove these files"),
            )
        }
    }
}

/// The error for a corpus without files to read.
fn no_files(root: &Path, problem: &str, not_read: &[NotRead]) -> Error {
    let why = match not_read {
        [] => String::new(),
        [one] => format!("; `{}` is not read: {}", one.path.display(), one.why),
        [one, ..] => format!(
            "; {} files are not read, for example `{}`: {}",
            not_read.len(),
            one.path.display(),
            one.why
        ),
    };
    Error::input(format!("{problem}{why}"))
        .in_file(root)
        .help("expected `train/<domain>-<n>.jsonl` (or .parquet, .txt, also .zst or .gz)")
}
