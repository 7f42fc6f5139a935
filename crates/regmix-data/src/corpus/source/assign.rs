//! Which domain and split each file of a corpus belongs to, and why files
//! belong to none.

use std::collections::BTreeMap;
use std::path::Path;

use super::listing::Entry;
use super::names::{FileNames, SplitName, is_part_folder};
use super::{Layout, NotRead, SourceFile};
use crate::corpus::file_type::Content;
use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::shard::Split;

/// The files of a corpus, in order of names.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<SourceFile>,
    pub(super) not_read: Vec<NotRead>,
}

/// A file that may hold documents.
pub(super) struct Candidate<'a> {
    pub(super) entry: &'a Entry,
    pub(super) stem: &'a str,
    /// The split that a folder names.
    pub(super) split: Option<SplitName>,
    /// The folders that may name a domain: those above that name no split and
    /// no part of a file.
    pub(super) folders: Vec<&'a str>,
}

impl<'a> Candidate<'a> {
    /// `depth` folders from the root on name nothing.
    fn new(entry: &'a Entry, stem: &'a str, depth: usize) -> Self {
        let folders = &entry.folders[depth.min(entry.folders.len())..];
        let split = folders.iter().find_map(|f| SplitName::of(f));
        let names = folders.iter().map(String::as_str);
        Self {
            entry,
            stem,
            split,
            folders: names
                .filter(|f| SplitName::of(f).is_none() && !is_part_folder(f))
                .collect(),
        }
    }
}

/// Sorts out what may hold documents. The rest goes to `not_read`.
pub(super) fn candidates<'a>(
    entries: &'a [Entry],
    depth: usize,
    not_read: &mut Vec<NotRead>,
) -> Vec<Candidate<'a>> {
    let mut out = Vec::new();
    for entry in entries {
        let why = match Content::of(&entry.name) {
            Content::Documents { stem, .. } => {
                out.push(Candidate::new(entry, stem, depth));
                continue;
            }
            Content::SideFile => "comes with a corpus, holds no documents".to_owned(),
            Content::Compressed(name) => {
                format!("{name}: decompress it, or compress it with zstd or gzip")
            }
            Content::Unknown => "unknown ending".to_owned(),
        };
        not_read.push(NotRead::new(&entry.path, &why));
    }
    without_annotations(&mut out, not_read);
    beside_train(&mut out, depth, not_read);
    out
}

/// Leaves out folders of annotations beside a folder `documents`, as Dolma and
/// RedPajama have them.
fn without_annotations(files: &mut Vec<Candidate<'_>>, not_read: &mut Vec<NotRead>) {
    const ANNOTATIONS: [&str; 4] = ["attributes", "quality_signals", "minhash", "duplicates"];
    let parents: std::collections::BTreeSet<Vec<String>> = files
        .iter()
        .filter_map(|file| {
            let folders = &file.entry.folders;
            let at = folders.iter().position(|f| f == "documents")?;
            Some(folders[..at].to_vec())
        })
        .collect();
    files.retain(|file| {
        let folders = &file.entry.folders;
        let of_documents = (folders.iter().enumerate())
            .any(|(i, f)| ANNOTATIONS.contains(&f.as_str()) && parents.contains(&folders[..i]));
        if of_documents {
            not_read.push(NotRead::new(
                &file.entry.path,
                "annotations beside the folder `documents`",
            ));
        }
        !of_documents
    });
    for file in files {
        if parents.is_empty() {
            break;
        }
        if let Some(at) = file.folders.iter().position(|f| *f == "documents")
            && file.folders.len() > 1
        {
            file.folders.remove(at);
        }
    }
}

/// Where there is a folder `train`, the corpus consists of the folders and
/// files that are named after splits.
fn beside_train(files: &mut Vec<Candidate<'_>>, depth: usize, not_read: &mut Vec<NotRead>) {
    let first = |file: &Candidate<'_>| -> Option<Option<SplitName>> {
        let folder = file.entry.folders.get(depth)?;
        Some(SplitName::of(folder))
    };
    if !files
        .iter()
        .any(|f| first(f) == Some(Some(SplitName::Train)))
    {
        return;
    }
    let names = FileNames::of(files.iter().map(|f| f.stem));
    files.retain(|file| {
        let belongs = match first(file) {
            Some(split) => split.is_some(),
            None => names.read(file.stem).split.is_some(),
        };
        if !belongs {
            not_read.push(NotRead::new(
                &file.entry.path,
                "beside the folder `train`, not in it",
            ));
        }
        belongs
    });
}

impl Found {
    /// A single file. The user named it, so its name decides nothing.
    pub(super) fn of_file(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        let file = SourceFile {
            path: path.to_path_buf(),
            content: path.to_path_buf(),
            bytes: metadata.len(),
            split: Split::Train,
            domain: None,
        };
        Ok(Self {
            files: vec![file],
            not_read: Vec::new(),
        })
    }

    /// The domain and split of every candidate in a layout.
    pub(super) fn assign(
        candidates: &[Candidate<'_>],
        layout: &Layout,
        not_read: Vec<NotRead>,
    ) -> Result<Self> {
        let mut found = Self {
            files: Vec::new(),
            not_read,
        };
        // In folders of domains, names are compared within a domain.
        let by_domain = |file: &Candidate<'_>| match layout {
            Layout::Folders => file.folders.first().map(|f| (*f).to_owned()),
            _ => None,
        };
        let mut stems: BTreeMap<Option<String>, Vec<&str>> = BTreeMap::new();
        for file in candidates {
            stems.entry(by_domain(file)).or_default().push(file.stem);
        }
        let names: BTreeMap<Option<String>, FileNames> = stems
            .into_iter()
            .map(|(domain, stems)| (domain, FileNames::of(stems.into_iter())))
            .collect();
        for file in candidates {
            let name = names[&by_domain(file)].read(file.stem);
            let domain = match layout {
                Layout::Files if !file.folders.is_empty() => {
                    found.leave(file, "in a folder; the domain is in the names of files");
                    continue;
                }
                Layout::Files => match (name.domain, name.split) {
                    (Some(domain), _) => Some(domain),
                    (None, None) => Some(file.stem.to_owned()),
                    (None, Some(_)) => {
                        found.leave(file, "no domain in its name");
                        continue;
                    }
                },
                Layout::Folders => match file.folders.first() {
                    Some(folder) => Some((*folder).to_owned()),
                    None => {
                        found.leave(file, "in no folder of a domain");
                        continue;
                    }
                },
                Layout::Labels | Layout::Tree(_) => None,
            };
            let split = file.split.or(name.split).unwrap_or(SplitName::Train);
            let Some(split) = split.to_read() else {
                found.leave(file, "held out for a test");
                continue;
            };
            let domain = match domain {
                Some(name) => Some(Domain::new(name).map_err(|e| {
                    e.in_file(&file.entry.path)
                        .help("rename the file or folder")
                })?),
                None => None,
            };
            found.push(file.entry, split, domain);
        }
        Ok(found)
    }

    /// The files of a source tree: those with an extension of a domain.
    pub(super) fn of_tree(
        entries: &[Entry],
        extensions: &BTreeMap<Domain, Vec<String>>,
        not_read: Vec<NotRead>,
    ) -> Result<Self> {
        let mut found = Self {
            files: Vec::new(),
            not_read,
        };
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
        for entry in entries {
            let extension = entry.path.extension().and_then(|e| e.to_str());
            // `.C` and `.c` may be two languages; `.RS` is Rust where only `rs` is listed.
            let domain = extension.and_then(|e| {
                let exact = domain_by_extension.get(e);
                exact.or_else(|| domain_by_extension.get(&e.to_ascii_lowercase()))
            });
            match domain {
                Some(&domain) => found.push(entry, Split::Train, Some(domain.clone())),
                None => {
                    (found.not_read).push(NotRead::new(&entry.path, "no domain has its ending"))
                }
            }
        }
        Ok(found)
    }

    fn leave(&mut self, file: &Candidate<'_>, why: &str) {
        self.not_read.push(NotRead::new(&file.entry.path, why));
    }

    fn push(&mut self, entry: &Entry, split: Split, domain: Option<Domain>) {
        self.files.push(SourceFile {
            path: entry.path.clone(),
            content: entry.content.clone(),
            bytes: entry.bytes,
            split,
            domain,
        });
    }
}
