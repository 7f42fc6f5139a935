//! Searching a folder for the files of a corpus.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Layout, SourceFile};
use crate::corpus::file_type::FileType;
use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::shard::Split;

/// The files of a corpus, in the order in which they were found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<SourceFile>,
    pub(super) ignored: Vec<PathBuf>,
}

impl Found {
    /// Lists the files of a layout.
    pub(super) fn search(root: &Path, layout: &Layout) -> Result<Self> {
        let mut found = Self::default();
        match layout {
            Layout::Files | Layout::Labels => {
                let named = *layout == Layout::Files;
                if root.is_file() {
                    found.add(root, Split::Train, named)?;
                } else {
                    found.add_folder(root, named)?;
                }
            }
            Layout::Folders => {
                for folder in list(root)?.into_iter().filter(|p| p.is_dir()) {
                    let domain = domain_of(&name_of(&folder), &folder)?;
                    for path in walk(&folder)? {
                        found.add_known(&path, Some(domain.clone()))?;
                    }
                }
            }
            Layout::Tree(extensions) => {
                let mut domain_by_extension = BTreeMap::new();
                for (domain, list) in extensions {
                    for e in list {
                        let e = e.trim_start_matches('.').to_owned();
                        if let Some(other) = domain_by_extension.insert(e.clone(), domain) {
                            return Err(Error::input(format!(
                                "extension `{e}` belongs to `{other}` and `{domain}`, expected one"
                            )));
                        }
                    }
                }
                for path in walk(root)? {
                    let extension = path.extension().and_then(|e| e.to_str());
                    match extension.and_then(|e| domain_by_extension.get(e)) {
                        Some(&domain) => found.push(&path, Split::Train, Some(domain.clone()))?,
                        None => found.ignored.push(path),
                    }
                }
            }
        }
        Ok(found)
    }

    /// A folder with `train` and perhaps `valid` or `val.jsonl.zst`, or with
    /// training files right in it.
    fn add_folder(&mut self, root: &Path, named: bool) -> Result<()> {
        let has_train = root.join("train").is_dir();
        for path in list(root)? {
            let name = name_of(&path);
            let stem = FileType::split_name(&name).map_or(name.as_str(), |(stem, _)| stem);
            let split = match stem {
                "val" | "valid" | "validation" => Some(Split::Valid),
                "train" => Some(Split::Train),
                _ if has_train || path.is_dir() => None,
                _ => Some(Split::Train),
            };
            match split {
                Some(split) if path.is_dir() => {
                    for path in list(&path)? {
                        self.add(&path, split, named)?;
                    }
                }
                Some(split) => self.add(&path, split, named)?,
                None => self.ignored.push(path),
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, split: Split, named: bool) -> Result<()> {
        let name = name_of(path);
        let Some((stem, _)) = FileType::split_name(&name).filter(|_| path.is_file()) else {
            self.ignored.push(path.to_path_buf());
            return Ok(());
        };
        let domain = named.then(|| domain_of(prefix(stem), path)).transpose()?;
        self.push(path, split, domain)
    }

    fn add_known(&mut self, path: &Path, domain: Option<Domain>) -> Result<()> {
        if FileType::of(path).is_some() {
            self.push(path, Split::Train, domain)
        } else {
            self.ignored.push(path.to_path_buf());
            Ok(())
        }
    }

    fn push(&mut self, path: &Path, split: Split, domain: Option<Domain>) -> Result<()> {
        let bytes = std::fs::metadata(path)
            .map_err(|e| Error::io(path, e))?
            .len();
        self.files.push(SourceFile {
            path: path.to_path_buf(),
            bytes,
            split,
            domain,
        });
        Ok(())
    }
}

/// The layout of a corpus, by the names of its files and folders.
pub(super) fn detect(root: &Path) -> Result<Layout> {
    if root.is_file() {
        return Ok(Layout::Labels);
    }
    let train = root.join("train");
    let folder = if train.is_dir() { &train } else { root };
    let entries = list(folder)?;
    let names: Vec<String> = entries.iter().map(|p| name_of(p)).collect();
    let stems: Vec<&str> = names
        .iter()
        .filter_map(|n| FileType::split_name(n).map(|(stem, _)| stem))
        .collect();
    let digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    if stems
        .iter()
        .any(|s| !digits(s) && !matches!(*s, "train" | "val" | "valid" | "test"))
    {
        Ok(Layout::Files)
    } else if !stems.is_empty() {
        Ok(Layout::Labels)
    } else if entries.iter().any(|p| p.is_dir()) {
        Ok(Layout::Folders)
    } else {
        Err(
            Error::input("no corpus: no .jsonl, .parquet or .txt file, and no folder of them")
                .in_file(folder)
                .help("expected `train/<domain>-<n>.jsonl` (or .parquet, .txt, also .zst or .gz)"),
        )
    }
}

/// `<domain>` of `<domain>-<n>`.
fn prefix(stem: &str) -> &str {
    match stem.rsplit_once('-') {
        Some((domain, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => domain,
        _ => stem,
    }
}

fn domain_of(name: &str, path: &Path) -> Result<Domain> {
    Domain::new(name).map_err(|e| e.in_file(path).help("rename the file or folder"))
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What is in a folder, without hidden entries, in order of names.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |e| Error::io(folder, e);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if !name_of(&path).starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// All files below a folder, without hidden ones, in order of names.
fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let hidden =
        |e: &walkdir::DirEntry| e.depth() > 0 && e.file_name().to_string_lossy().starts_with('.');
    let mut paths = Vec::new();
    let entries = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter();
    for entry in entries.filter_entry(|e| !hidden(e)) {
        let entry = entry.map_err(|e| {
            let path = e.path().unwrap_or(folder).to_path_buf();
            Error::io(path, e.into())
        })?;
        if entry.file_type().is_file() {
            paths.push(entry.into_path());
        }
    }
    Ok(paths)
}
