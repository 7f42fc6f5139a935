//! The demo's text: sources of crates that every build of regmix unpacks.
//!
//! Cargo keeps the sources of all dependencies in its registry folder. They
//! are real text of several kinds, they are on every machine that built
//! regmix, and `Cargo.lock` fixes them to the byte. `crates.txt` lists the
//! crates that are read, at their locked versions, and which of them are held
//! out for validation.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use regmix_data::{Error, Result, artefact};
use serde::Serialize;

use super::extract::{Kind, pieces};

/// `name version split` per line.
const CRATES: &str = include_str!("crates.txt");

/// Hash of the corpus that the listed crates give.
pub(super) const HASH: &str = include_str!("corpus.hash");

/// Most bytes of text per crate and kind: one large crate should not be a whole
/// domain. Few crates hold C.
fn crate_cap(kind: Kind, split: usize) -> usize {
    match (kind, split) {
        (Kind::CCode, 0) => 700_000,
        (_, 0) => 80_000,
        _ => 60_000,
    }
}

/// Most bytes of text per kind, for training and validation.
const KIND_CAP: [usize; 2] = [2_500_000, 200_000];

/// Larger files are tables or generated code.
const FILE_CAP: u64 = 150_000;

/// What is left of a file is dropped if it is shorter, in bytes.
const SHORTEST: usize = 200;

/// Shorter paragraphs, in bytes, may repeat.
const SHORTEST_UNIQUE: usize = 40;

/// A crate of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// Whether it is held out.
    valid: bool,
}

/// The crates that the demo reads.
fn listed() -> Vec<Listed> {
    CRATES
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(Listed {
                name: words.next()?.to_owned(),
                version: words.next()?.to_owned(),
                valid: words.next()? == "valid",
            })
        })
        .collect()
}

#[derive(Serialize)]
struct Record<'a> {
    text: &'a str,
    meta: Meta<'a>,
}

#[derive(Serialize)]
struct Meta<'a> {
    pile_set_name: &'a str,
    source: &'a str,
}

#[derive(Debug)]
struct Document {
    source: String,
    text: String,
}

/// The demo's corpus, before it is written.
#[derive(Debug)]
pub struct DemoCorpus {
    /// `[split][kind]`.
    documents: [BTreeMap<Kind, Vec<Document>>; 2],
}

impl DemoCorpus {
    /// Reads the listed crates from a registry's source folders.
    ///
    /// # Errors
    /// When crates are missing or files cannot be read.
    pub(super) fn read(registries: &[PathBuf]) -> Result<Self> {
        let mut folders = Vec::new();
        let mut missing = Vec::new();
        for listed in listed() {
            let name = format!("{}-{}", listed.name, listed.version);
            match registries
                .iter()
                .map(|r| r.join(&name))
                .find(|p| p.is_dir())
            {
                Some(folder) => folders.push((listed.valid, name, folder)),
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            return Err(Error::input(format!(
                "the sources of {} crates are not in cargo's registry folder: {}{}",
                missing.len(),
                missing[..missing.len().min(3)].join(", "),
                if missing.len() > 3 { ", ..." } else { "" }
            ))
            .help("run `cargo fetch` in regmix's folder, or give your own text: `regmix demo --corpus DIR`"));
        }
        // Held-out crates come first, so that text which is in both splits is
        // left out of training.
        folders.sort_by_key(|(valid, name, _)| (!valid, name.clone()));
        let mut seen: HashSet<[u8; 32]> = HashSet::new();
        let mut documents = [BTreeMap::new(), BTreeMap::new()];
        let mut sizes: [BTreeMap<Kind, usize>; 2] = [BTreeMap::new(), BTreeMap::new()];
        for (valid, name, folder) in folders {
            let split = usize::from(valid);
            let mut of_crate: BTreeMap<Kind, usize> = BTreeMap::new();
            for path in files(&folder)? {
                let Ok(bytes) = std::fs::read(&path) else {
                    continue;
                };
                let Ok(text) = String::from_utf8(bytes) else {
                    continue;
                };
                let relative = path.strip_prefix(&folder).unwrap_or(&path);
                let relative = relative.to_string_lossy().replace('\\', "/");
                for (kind, text) in pieces(&relative, &text) {
                    let total = sizes[split].entry(kind).or_default();
                    let own = of_crate.entry(kind).or_default();
                    if *own >= crate_cap(kind, split) || *total >= KIND_CAP[split] {
                        continue;
                    }
                    let text = without_repeats(&text, &mut seen);
                    if text.len() < SHORTEST {
                        continue;
                    }
                    *own += text.len();
                    *total += text.len();
                    let source = format!("{name}/{relative}");
                    let of_kind: &mut Vec<Document> = documents[split].entry(kind).or_default();
                    of_kind.push(Document { source, text });
                }
            }
        }
        Ok(Self { documents })
    }

    /// A hash of every document with its split, kind and source.
    pub(super) fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for (split, kinds) in self.documents.iter().enumerate() {
            for (kind, documents) in kinds {
                for document in documents {
                    let head = format!(
                        "{split} {kind} {} {}\n",
                        document.source,
                        document.text.len()
                    );
                    hasher.update(head.as_bytes());
                    hasher.update(document.text.as_bytes());
                }
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Bytes of text per kind: training, validation.
    pub fn sizes(&self) -> BTreeMap<&'static str, [usize; 2]> {
        let mut sizes: BTreeMap<&'static str, [usize; 2]> = BTreeMap::new();
        for (split, kinds) in self.documents.iter().enumerate() {
            for (kind, documents) in kinds {
                sizes.entry(kind.name()).or_default()[split] =
                    documents.iter().map(|d| d.text.len()).sum();
            }
        }
        sizes
    }

    /// Writes `train/<domain>-0.jsonl` and `valid/<domain>-0.jsonl`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        for (split, kinds) in ["train", "valid"].iter().zip(&self.documents) {
            for (kind, documents) in kinds {
                let path = folder.join(format!("{split}/{kind}-0.jsonl"));
                let mut text = String::new();
                for document in documents {
                    let record = Record {
                        text: &document.text,
                        meta: Meta {
                            pile_set_name: kind.name(),
                            source: &document.source,
                        },
                    };
                    let line = serde_json::to_string(&record)
                        .map_err(|e| Error::failed(e.to_string()).in_file(&path))?;
                    text.push_str(&line);
                    text.push('\n');
                }
                artefact::write_atomic(&path, text.as_bytes())?;
            }
        }
        Ok(())
    }
}

/// Where cargo unpacks sources: the registries below `CARGO_HOME` or
/// `~/.cargo`.
pub(super) fn registries() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"))?;
            Some(Path::new(&home).join(".cargo"))
        });
    let Some(sources) = home.map(|h| h.join("registry/src")) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = std::fs::read_dir(sources)
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    folders.sort();
    folders
}

/// All files below a folder, sorted by path, without links and large ones.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| Error::io(&folder, e))? {
            let entry = entry.map_err(|e| Error::io(&folder, e))?;
            let meta = entry.metadata().map_err(|e| Error::io(entry.path(), e))?;
            if meta.is_dir() {
                open.push(entry.path());
            } else if meta.is_file() && meta.len() <= FILE_CAP {
                out.push(entry.path());
            }
        }
    }
    out.sort();
    Ok(out)
}

/// Drops paragraphs that were seen before, in this file or another: licence
/// headers, generated notices, blocks of lock files.
fn without_repeats(text: &str, seen: &mut HashSet<[u8; 32]>) -> String {
    let mut out = String::with_capacity(text.len());
    for paragraph in text.replace("\r\n", "\n").split("\n\n") {
        let trimmed = paragraph.trim();
        if trimmed.is_empty() {
            continue;
        }
        let repeated = trimmed.len() >= SHORTEST_UNIQUE
            && !seen.insert(*blake3::hash(trimmed.as_bytes()).as_bytes());
        if !repeated {
            if !out.is_empty() {
                out.push_str("\n\n");
            }
            out.push_str(paragraph.trim_matches('\n'));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list must follow the lock file: sources of other versions are not
    /// on the machine.
    #[test]
    fn listed_versions_are_the_locked_ones() {
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
        let lock = std::fs::read_to_string(lock).unwrap();
        for listed in listed() {
            let entry = format!(
                "name = \"{}\"\nversion = \"{}\"\n",
                listed.name, listed.version
            );
            assert!(
                lock.contains(&entry),
                "{} {} is not locked",
                listed.name,
                listed.version
            );
        }
    }

    #[test]
    fn the_corpus_is_the_recorded_one() {
        let corpus = DemoCorpus::read(&registries()).unwrap();
        let sizes = corpus.sizes();
        assert!(sizes.len() >= 6, "{sizes:?}");
        for (kind, [train, valid]) in &sizes {
            assert!(*train >= 400_000, "{kind}: {train} bytes of training text");
            assert!(*valid >= 30_000, "{kind}: {valid} bytes of validation text");
        }
        assert_eq!(corpus.hash(), HASH.trim(), "{sizes:?}");
    }

    #[test]
    fn missing_sources_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let err = DemoCorpus::read(&[dir.path().to_path_buf()]).err().unwrap();
        assert!(err.help_text().unwrap().contains("--corpus DIR"), "{err:?}");
    }

    #[test]
    fn repeats_go_whatever_file_they_are_in() {
        let mut seen = HashSet::new();
        let licence = "Licensed under the terms of the licence, see the file beside it.";
        let a = without_repeats(&format!("{licence}\n\nfn a() {{}}\n"), &mut seen);
        let b = without_repeats(&format!("{licence}\n\nfn a() {{}}\n"), &mut seen);
        assert!(a.starts_with(licence));
        assert_eq!(b, "fn a() {}");
    }
}
