//! Writing a corpus folder: all shards, then the manifest.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file_name::{file_name, hashed};
use super::verified;
use crate::artefact::{sync_folder, withdraw, write_atomic};
use crate::domain::{Domain, DomainSet};
use crate::error::{Error, Result};
use crate::manifest::{
    DomainEntry, MANIFEST_FILE, Manifest, ShardEntry, SplitEntry, TOKENIZER_FILE, TokenizerEntry,
};
use crate::monitor::{Monitor, Silent};
use crate::shard::{SealedShard, ShardLabel, ShardWriter, Split};

/// Writes a tokenized corpus. Documents of all domains may come in any order.
///
/// Nothing appears under its final name before [`CorpusWriter::finish`]. That
/// first removes the manifest of an earlier corpus, renames all files, and writes
/// the new manifest last: an interruption leaves the folder as it was or, while
/// files are renamed, without a manifest, but never with one of other shards.
#[derive(Debug)]
pub struct CorpusWriter {
    folder: PathBuf,
    tokenizer: TokenizerEntry,
    entries: Vec<DomainEntry>,
    /// Numbers of domains. Only searched, never iterated over.
    numbers: HashMap<Domain, usize>,
    /// The beginning of the names of each domain's files.
    file_names: Vec<String>,
    /// Those names in lower case. Only searched, never iterated over.
    taken: HashSet<String>,
    /// `[domain][split]`.
    open: Vec<[Option<ShardWriter>; 2]>,
    sealed: Vec<SealedShard>,
    /// Bytes that the open shards hold in memory.
    pending: usize,
    shard_bytes: u64,
    tokenizer_json: Option<String>,
    /// Whether domains are sorted by name: those that were found one by one.
    sort: bool,
}

impl CorpusWriter {
    /// Bytes of tokens after which the next shard begins, unless set by
    /// [`CorpusWriter::with_shard_bytes`]: 1 GiB.
    pub const SHARD_BYTES: u64 = 1 << 30;

    /// All shards together hold at most about this many bytes in memory.
    const PENDING: usize = 64 << 20;

    /// How long a writer that is dropped unfinished removes its temporary files.
    const REMOVAL: Duration = Duration::from_millis(300);

    /// Begins a corpus in `folder`.
    ///
    /// # Errors
    /// When the separator is not in the vocabulary.
    pub fn create(
        folder: impl AsRef<Path>,
        domains: DomainSet,
        tokenizer: TokenizerEntry,
    ) -> Result<Self> {
        let mut writer = Self::without_domains(folder.as_ref(), tokenizer)?;
        for domain in &domains {
            writer.add_domain(domain);
        }
        writer.sort = false;
        Ok(writer)
    }

    /// Begins a corpus whose domains are not known yet; see
    /// [`CorpusWriter::add_domain`].
    pub(crate) fn without_domains(folder: &Path, tokenizer: TokenizerEntry) -> Result<Self> {
        if tokenizer.separator >= tokenizer.vocab_size {
            return Err(Error::input(format!(
                "separator {} is not in the vocabulary of {} entries",
                tokenizer.separator, tokenizer.vocab_size
            )));
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            open: Vec::new(),
            sealed: Vec::new(),
            shard_bytes: Self::SHARD_BYTES,
            tokenizer_json: None,
            sort: true,
            tokenizer,
            entries: Vec::new(),
            numbers: HashMap::new(),
            file_names: Vec::new(),
            taken: HashSet::new(),
            pending: 0,
        })
    }

    /// The number of a domain, which is added if it is new.
    pub(crate) fn add_domain(&mut self, domain: &Domain) -> usize {
        if let Some(&known) = self.numbers.get(domain) {
            return known;
        }
        let mut file_name = file_name(domain);
        if !self.taken.insert(file_name.to_lowercase()) {
            file_name = hashed(domain);
            self.taken.insert(file_name.to_lowercase());
        }
        self.file_names.push(file_name);
        self.numbers.insert(domain.clone(), self.entries.len());
        self.entries.push(DomainEntry {
            name: domain.clone(),
            train: SplitEntry::default(),
            valid: SplitEntry::default(),
        });
        self.open.push([None, None]);
        self.entries.len() - 1
    }

    /// Puts the tokenizer beside the manifest, as `tokenizer.json`.
    #[must_use]
    pub fn with_tokenizer_json(mut self, json: impl Into<String>) -> Self {
        self.tokenizer_json = Some(json.into());
        self
    }

    /// Begins the next shard once one has this many bytes of tokens.
    #[must_use]
    pub fn with_shard_bytes(mut self, bytes: u64) -> Self {
        self.shard_bytes = bytes;
        self
    }

    /// Adds one document to a domain, by the domain's place in the set.
    /// `tokens` are taken as they are, so they should end with the separator;
    /// `bytes` is the length of the text they stand for.
    ///
    /// # Errors
    /// When there is no such domain, there are no tokens, a token is not in
    /// the vocabulary, or a file cannot be written.
    pub fn push(&mut self, domain: usize, split: Split, tokens: &[u32], bytes: u64) -> Result<()> {
        let Some(entry) = self.entries.get_mut(domain) else {
            return Err(Error::input(format!(
                "domain number {domain}, but there are {}",
                self.entries.len()
            )));
        };
        let count = entry.split_mut(split);
        let slot = &mut self.open[domain][split as usize];
        if slot
            .as_ref()
            .is_some_and(|w| w.token_bytes() >= self.shard_bytes)
        {
            let pending = slot.as_ref().map_or(0, ShardWriter::pending_bytes);
            self.pending = self.pending.saturating_sub(pending);
            seal(slot, count, &mut self.sealed)?;
        }
        if slot.is_none() {
            let name = &self.file_names[domain];
            let number = self.entries[domain].split(split).shards.len();
            *slot = Some(ShardWriter::create(
                self.folder.join(format!("{split}/{name}-{number:05}.tok")),
                ShardLabel {
                    domain: self.entries[domain].name.clone(),
                    split,
                    vocab_size: self.tokenizer.vocab_size,
                    tokenizer: self.tokenizer.hash.clone(),
                },
            )?);
        }
        if let Some(writer) = slot {
            let before = writer.pending_bytes();
            writer.push_document(tokens, bytes)?;
            self.pending = (self.pending + writer.pending_bytes()).saturating_sub(before);
        }
        if self.pending > Self::PENDING {
            for writer in self.open.iter_mut().flatten().flatten() {
                writer.flush()?;
            }
            self.pending = 0;
        }
        let count = self.entries[domain].split_mut(split);
        count.tokens += tokens.len() as u64;
        count.bytes += bytes;
        count.documents += 1;
        Ok(())
    }

    /// The counts of each domain so far.
    pub fn entries(&self) -> &[DomainEntry] {
        &self.entries
    }

    /// Completes all shards, renames them to their final names, and writes the
    /// manifest.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(self) -> Result<Manifest> {
        self.finish_monitored(&Silent)
    }

    /// As [`CorpusWriter::finish`], unless `monitor` requests a stop.
    pub(crate) fn finish_monitored(mut self, monitor: &dyn Monitor) -> Result<Manifest> {
        for (entry, slots) in self.entries.iter_mut().zip(&mut self.open) {
            for split in Split::ALL {
                monitor.check()?;
                seal(
                    &mut slots[split as usize],
                    entry.split_mut(split),
                    &mut self.sealed,
                )?;
            }
        }
        withdraw(&self.folder.join(MANIFEST_FILE))?;
        let mut folders = BTreeSet::from([self.folder.clone()]);
        while let Some(shard) = self.sealed.pop() {
            let shard = shard.publish()?;
            folders.extend(shard.path.parent().map(Path::to_path_buf));
            monitor.check()?;
        }
        // After a power cut, no manifest names shards whose names were not written.
        folders.iter().for_each(|folder| sync_folder(folder));
        if let Some(json) = &self.tokenizer_json {
            write_atomic(self.folder.join(TOKENIZER_FILE), json.as_bytes())?;
        }
        if self.sort {
            self.entries.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let manifest = Manifest::new(self.tokenizer.clone(), std::mem::take(&mut self.entries));
        manifest.save(&self.folder)?;
        verified::record_written(&self.folder, &manifest);
        Ok(manifest)
    }
}

impl Drop for CorpusWriter {
    /// Removes the temporary files of a corpus that is not finished. A hundred
    /// thousand of them take seconds, for which a user who stops does not wait:
    /// the rest is removed at the next start, by
    /// [`sweep`](crate::artefact::sweep).
    fn drop(&mut self) {
        let until = Instant::now() + Self::REMOVAL;
        for shard in self.sealed.drain(..) {
            match Instant::now() < until {
                true => drop(shard),
                false => shard.leave(),
            }
        }
        for writer in self.open.drain(..).flatten().flatten() {
            match Instant::now() < until {
                true => drop(writer),
                false => writer.leave(),
            }
        }
    }
}

fn seal(
    slot: &mut Option<ShardWriter>,
    entry: &mut SplitEntry,
    sealed: &mut Vec<SealedShard>,
) -> Result<()> {
    let Some(writer) = slot.take() else {
        return Ok(());
    };
    let shard = writer.seal()?;
    let summary = shard.summary();
    let name = summary
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    entry.shards.push(ShardEntry {
        file: format!("{}/{name}", summary.header.split),
        tokens: summary.header.tokens,
        blake3: summary.digest.clone(),
    });
    sealed.push(shard);
    Ok(())
}
