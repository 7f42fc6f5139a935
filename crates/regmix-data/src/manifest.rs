//! The manifest of a tokenized corpus: `corpus/manifest.json`.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::artefact::{read_json, write_json};
use crate::domain::{Domain, DomainSet};
use crate::error::{Error, Result};
use crate::shard::Split;

/// The name of the file in a corpus folder.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The name of the tokenizer's file in a corpus folder.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

const VERSION: u32 = 1;

/// The contents of a tokenized corpus: domains in order, and for each domain
/// and split its tokens, bytes, documents and shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version, 1.
    pub version: u32,
    /// The tokenizer of all shards.
    pub tokenizer: TokenizerEntry,
    /// The domains, in order.
    pub domains: Vec<DomainEntry>,
}

/// The tokenizer of a corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerEntry {
    /// `bytes`, `bpe` (trained on the corpus) or `file` (given by the user).
    pub kind: String,
    /// BLAKE3 of the tokenizer's JSON, in hex.
    pub hash: String,
    /// Number of token identifiers; every token is below it.
    pub vocab_size: u32,
    /// The token that ends every document.
    pub separator: u32,
}

/// One domain of a corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainEntry {
    /// The domain.
    pub name: Domain,
    /// What models are trained on.
    pub train: SplitEntry,
    /// What losses are measured on.
    pub valid: SplitEntry,
}

/// One split of one domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitEntry {
    /// Tokens, separators included.
    pub tokens: u64,
    /// Bytes of UTF-8 text.
    pub bytes: u64,
    /// Documents.
    pub documents: u64,
    /// The files, in order.
    pub shards: Vec<ShardEntry>,
}

/// One shard of a corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// The file, relative to the corpus folder, with `/`.
    pub file: String,
    /// Tokens in this shard.
    pub tokens: u64,
    /// See [`crate::shard::Shard::digest`].
    pub blake3: String,
}

impl Manifest {
    /// A manifest of the current version.
    pub fn new(tokenizer: TokenizerEntry, domains: Vec<DomainEntry>) -> Self {
        Self {
            version: VERSION,
            tokenizer,
            domains,
        }
    }

    /// Reads `manifest.json` of a corpus folder.
    ///
    /// # Errors
    /// When it cannot be read, was made by a newer version, has a domain
    /// twice, counts that do not add up, or a shard outside the folder.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        /// Read first: in a newer file, the error is its version, not an unknown
        /// field.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let path = folder.as_ref().join(MANIFEST_FILE);
        if !path.exists() {
            return Err(Error::input("not found").in_file(&path).help(
                "tokenize the corpus first; an interrupted tokenization leaves no manifest",
            ));
        }
        let Version { version } = read_json(&path)?;
        if version > VERSION {
            return Err(Error::input(format!(
                "made by a newer regmix: manifest version {version}, this one reads up to {VERSION}"
            ))
            .in_file(&path)
            .field("version")
            .help("update regmix, or tokenize the corpus again with this version"));
        }
        let manifest: Self = read_json(&path)?;
        manifest.check().map_err(|e| e.in_file(&path))?;
        Ok(manifest)
    }

    /// Writes `manifest.json` into a corpus folder, atomically.
    ///
    /// # Errors
    /// When it contradicts itself or cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.check()?;
        write_json(folder.as_ref().join(MANIFEST_FILE), self)
    }

    /// Identifies the contents of the corpus: two corpora with the same
    /// fingerprint have the same tokens in the same order. BLAKE3 in hex.
    pub fn fingerprint(&self) -> String {
        // Serialising plain structs of strings and integers cannot fail.
        let json = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&json).to_hex().to_string()
    }

    /// The domains in order.
    ///
    /// # Errors
    /// When there is no domain or one comes twice.
    pub fn domain_set(&self) -> Result<DomainSet> {
        DomainSet::new(self.domains.iter().map(|d| d.name.clone()))
    }

    fn check(&self) -> Result<()> {
        self.domain_set().map_err(|e| e.field("domains"))?;
        let t = &self.tokenizer;
        if t.separator >= t.vocab_size {
            return Err(Error::input(format!(
                "separator {} is not in the vocabulary of {} entries",
                t.separator, t.vocab_size
            ))
            .field("tokenizer.separator"));
        }
        for domain in &self.domains {
            for split in Split::ALL {
                let entry = domain.split(split);
                let field = format!("{}.{split}", domain.name);
                let sum = entry
                    .shards
                    .iter()
                    .try_fold(0u64, |sum, s| sum.checked_add(s.tokens));
                if sum != Some(entry.tokens) {
                    return Err(Error::input(format!(
                        "{} tokens, but the shards do not add up to that",
                        entry.tokens
                    ))
                    .field(field));
                }
                for shard in &entry.shards {
                    let plain = |c: Component<'_>| matches!(c, Component::Normal(_));
                    if shard.file.is_empty() || !Path::new(&shard.file).components().all(plain) {
                        return Err(Error::input(format!(
                            "shard `{}` is not in the corpus folder",
                            shard.file.escape_debug()
                        ))
                        .field(field)
                        .help("expected a relative path without `..`"));
                    }
                }
            }
        }
        Ok(())
    }
}

impl DomainEntry {
    /// One split.
    pub fn split(&self, split: Split) -> &SplitEntry {
        match split {
            Split::Train => &self.train,
            Split::Valid => &self.valid,
        }
    }

    pub(crate) fn split_mut(&mut self, split: Split) -> &mut SplitEntry {
        match split {
            Split::Train => &mut self.train,
            Split::Valid => &mut self.valid,
        }
    }
}
