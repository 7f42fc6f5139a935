//! Tokenized corpora: a folder of shards with its manifest.

mod file_name;
mod stream;
mod verified;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::DomainSet;
use crate::error::{Error, Result};
use crate::manifest::{DomainEntry, Manifest};
use crate::shard::{Shard, Split};

pub use stream::TokenStream;
pub use writer::CorpusWriter;

/// A tokenized corpus, open for reading. Cloning is cheap.
///
/// ```
/// use regmix_data::manifest::TokenizerEntry;
/// use regmix_data::shard::Split;
/// use regmix_data::{CorpusWriter, DomainSet, TokenCorpus};
///
/// let folder = tempfile::tempdir().unwrap();
/// let tokenizer = TokenizerEntry {
///     kind: "bytes".into(),
///     hash: "none".into(),
///     vocab_size: 257,
///     separator: 256,
/// };
/// let domains = DomainSet::from_names(["web", "code"])?;
/// let mut writer = CorpusWriter::create(folder.path(), domains, tokenizer)?;
/// for domain in 0..2 {
///     writer.push(domain, Split::Train, &[1, 2, 3, 256], 3)?;
///     writer.push(domain, Split::Valid, &[4, 5, 256], 2)?;
/// }
/// let manifest = writer.finish()?;
///
/// let corpus = TokenCorpus::open(folder.path())?;
/// assert_eq!(corpus.manifest(), &manifest);
/// assert_eq!(corpus.stream(1, Split::Train).tokens(), 4);
/// assert_eq!(corpus.bytes_per_token(0), 2.0 / 3.0);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TokenCorpus(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    folder: PathBuf,
    manifest: Manifest,
    fingerprint: String,
    domains: DomainSet,
    train: Vec<TokenStream>,
    valid: Vec<TokenStream>,
}

impl TokenCorpus {
    /// Opens the corpus in `folder` and checks every shard's header against
    /// the manifest. That a token is in the vocabulary is checked when it is read;
    /// the hashes of shards by [`TokenCorpus::verify`] and
    /// [`TokenCorpus::verify_changed`].
    ///
    /// # Errors
    /// When the manifest or a shard is missing, damaged, made by a newer
    /// version, or the two do not belong together.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let manifest = Manifest::load(folder)?;
        let open = |split| {
            manifest
                .domains
                .iter()
                .map(|d| open_stream(folder, &manifest, d, split))
                .collect::<Result<Vec<_>>>()
        };
        let (train, valid) = (open(Split::Train)?, open(Split::Valid)?);
        Ok(Self(Arc::new(Parts {
            folder: folder.to_path_buf(),
            fingerprint: manifest.fingerprint(),
            domains: manifest.domain_set()?,
            train,
            valid,
            manifest,
        })))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// [`Manifest::fingerprint`].
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The domains, in the manifest's order, which numbers them in streams and
    /// loaders.
    pub fn domains(&self) -> &DomainSet {
        &self.0.domains
    }

    /// Every token is below this.
    pub fn vocab_size(&self) -> u32 {
        self.0.manifest.tokenizer.vocab_size
    }

    /// The tokens of one domain and split.
    ///
    /// # Panics
    /// When there is no such domain.
    pub fn stream(&self, domain: usize, split: Split) -> &TokenStream {
        match split {
            Split::Train => &self.0.train[domain],
            Split::Valid => &self.0.valid[domain],
        }
    }

    /// Bytes of text per token on a domain's validation split, separators
    /// counted as tokens. Nats per token divided by this and by ln 2 are bits
    /// per byte. `NaN` if the split is empty.
    ///
    /// # Panics
    /// When there is no such domain.
    pub fn bytes_per_token(&self, domain: usize) -> f64 {
        let valid = &self.0.manifest.domains[domain].valid;
        valid.bytes as f64 / valid.tokens as f64
    }

    /// Reads every shard and checks it; see [`Shard::verify`].
    ///
    /// # Errors
    /// At the first damaged shard.
    pub fn verify(&self) -> Result<()> {
        self.shards().try_for_each(Shard::verify)
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        let streams = self.0.train.iter().chain(&self.0.valid);
        streams.flat_map(TokenStream::shards)
    }
}

fn open_stream(
    folder: &Path,
    manifest: &Manifest,
    domain: &DomainEntry,
    split: Split,
) -> Result<TokenStream> {
    let entry = domain.split(split);
    let mut shards = Vec::with_capacity(entry.shards.len());
    for claim in &entry.shards {
        let shard = Shard::open(folder.join(&claim.file))?;
        let header = shard.header();
        let same = shard.digest() == claim.blake3
            && header.tokens == claim.tokens
            && header.domain == domain.name
            && header.split == split
            && header.vocab_size == manifest.tokenizer.vocab_size
            && header.tokenizer == manifest.tokenizer.hash;
        if !same {
            return Err(Error::input(format!(
                "not the shard that the manifest lists for {split} of `{}`",
                domain.name
            ))
            .in_file(shard.path())
            .help(
                "the corpus folder mixes files of two tokenizations: tokenize the corpus again",
            ));
        }
        shards.push(shard);
    }
    Ok(TokenStream::new(domain.name.clone(), split, shards))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::manifest::{MANIFEST_FILE, TokenizerEntry};
    use crate::monitor::{Monitor, Silent};

    fn tokenizer() -> TokenizerEntry {
        TokenizerEntry {
            kind: "bytes".into(),
            hash: "abc".into(),
            vocab_size: 257,
            separator: 256,
        }
    }

    fn write(folder: &Path, cap: u64, salt: u32) -> Manifest {
        let domains = DomainSet::from_names(["web", "code"]).unwrap();
        let mut w = CorpusWriter::create(folder, domains, tokenizer())
            .unwrap()
            .with_shard_bytes(cap);
        for doc in 0..10 {
            w.push(0, Split::Train, &[doc, salt, 256], 2).unwrap();
            w.push(1, Split::Train, &[doc, 256], 1).unwrap();
        }
        w.push(1, Split::Valid, &[7, 7, 256], 5).unwrap();
        w.finish().unwrap()
    }

    #[test]
    fn a_stream_runs_over_the_ends_of_its_shards() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = write(dir.path(), 20, 1);
        assert_eq!(manifest.domains[0].train.shards.len(), 3);
        assert_eq!(
            manifest.domains[0].train.shards[2].file,
            "train/web-00002.tok"
        );
        let corpus = TokenCorpus::open(dir.path()).unwrap();
        corpus.verify().unwrap();
        let web = corpus.stream(0, Split::Train);
        assert_eq!(web.tokens(), 30);
        let mut all = vec![0; 30];
        web.copy_tokens(0, &mut all).unwrap();
        let expected: Vec<u32> = (0..10).flat_map(|d| [d, 1, 256]).collect();
        assert_eq!(all, expected);
        for start in 0..25 {
            let mut part = [0; 5];
            web.copy_tokens(start, &mut part).unwrap();
            assert_eq!(part, expected[start as usize..start as usize + 5]);
        }
        let err = web.copy_tokens(26, &mut [0; 5]).unwrap_err();
        assert!(err.problem().contains("train of `web` has 30"), "{err}");
        assert_eq!(corpus.stream(0, Split::Valid).tokens(), 0);
        assert_eq!(corpus.bytes_per_token(1), 5.0 / 3.0);
    }

    #[test]
    fn the_fingerprint_follows_the_tokens() {
        let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let a = write(dirs[0].path(), 20, 1).fingerprint();
        let b = write(dirs[1].path(), 20, 1).fingerprint();
        let c = write(dirs[2].path(), 20, 2).fingerprint();
        assert_eq!(a, b);
        assert_ne!(a, c);
    }

    #[test]
    fn shards_of_another_tokenization_are_noticed() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(a.path(), 1 << 20, 1);
        write(b.path(), 1 << 20, 2);
        let file = "train/web-00000.tok";
        std::fs::copy(b.path().join(file), a.path().join(file)).unwrap();
        let err = TokenCorpus::open(a.path()).unwrap_err();
        assert!(
            err.problem()
                .contains("not the shard that the manifest lists"),
            "{err}"
        );
    }

    #[test]
    fn a_changed_shard_is_checked_again() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 20, 1);
        let corpus = TokenCorpus::open(dir.path()).unwrap();
        let record = dir.path().join("verified.json");
        let first = std::fs::read(&record).unwrap();
        // What was just written needs no check.
        let stop = AtomicBool::new(true);
        corpus.verify_changed(&stop).unwrap();
        let path = dir.path().join("train/web-00001.tok");
        let mut bytes = std::fs::read(&path).unwrap();
        let tokens_at = 1024;
        bytes[tokens_at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let corpus = TokenCorpus::open(dir.path()).unwrap();
        let err = corpus.verify_changed(&Silent).unwrap_err();
        assert_eq!(err.path(), Some(path.as_path()));
        assert!(err.problem().contains("the tokens hash to"), "{err}");
        assert_eq!(std::fs::read(&record).unwrap(), first);
        // A record that is damaged itself only costs another check.
        bytes[tokens_at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        std::fs::write(&record, "?").unwrap();
        let corpus = TokenCorpus::open(dir.path()).unwrap();
        corpus.verify_changed(&Silent).unwrap();
        let second = std::fs::read(&record).unwrap();
        assert_eq!(second.len(), first.len());
        corpus.verify_changed(&stop).unwrap();
        std::fs::remove_file(&record).unwrap();
        assert!(corpus.verify_changed(&stop).unwrap_err().is_interrupted());
    }

    #[test]
    fn an_abandoned_writer_leaves_the_old_corpus_alone() {
        let dir = tempfile::tempdir().unwrap();
        let before = write(dir.path(), 20, 1);
        let domains = DomainSet::from_names(["web"]).unwrap();
        let mut w = CorpusWriter::create(dir.path(), domains, tokenizer())
            .unwrap()
            .with_shard_bytes(4);
        for _ in 0..5 {
            w.push(0, Split::Train, &[1, 2, 256], 2).unwrap();
        }
        drop(w);
        let corpus = TokenCorpus::open(dir.path()).unwrap();
        assert_eq!(corpus.manifest(), &before);
        corpus.verify().unwrap();
        let left = std::fs::read_dir(dir.path().join("train")).unwrap().count();
        assert_eq!(left, 5, "3 shards of web and 2 of code, no temporary files");
    }

    /// Requests a stop at a call.
    struct StopAt(AtomicUsize);

    impl Monitor for StopAt {
        fn stop_requested(&self) -> bool {
            self.0.fetch_sub(1, Ordering::Relaxed) <= 1
        }
    }

    #[test]
    fn a_corpus_of_old_and_new_shards_has_no_manifest() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = [false; 2];
        // Two splits of two domains are completed, then three shards renamed.
        for call in 1..=7 {
            write(dir.path(), 1 << 20, 1);
            let domains = DomainSet::from_names(["web", "code"]).unwrap();
            let mut w = CorpusWriter::create(dir.path(), domains, tokenizer()).unwrap();
            for domain in 0..2 {
                w.push(domain, Split::Train, &[9, 256], 1).unwrap();
            }
            w.push(1, Split::Valid, &[9, 256], 1).unwrap();
            let stop = StopAt(AtomicUsize::new(call));
            assert!(w.finish_monitored(&stop).unwrap_err().is_interrupted());
            let renaming = !dir.path().join(MANIFEST_FILE).exists();
            assert_eq!(renaming, call > 4, "{call}");
            seen[usize::from(renaming)] = true;
            if !renaming {
                TokenCorpus::open(dir.path()).unwrap().verify().unwrap();
            }
            let files = std::fs::read_dir(dir.path().join("train")).unwrap();
            let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
            let temporary = names.filter(|name| name.ends_with(".tmp")).count();
            assert_eq!(temporary, 0, "{call}");
        }
        assert_eq!(seen, [true; 2]);
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1 << 20, 1);
        let path = dir.path().join(MANIFEST_FILE);
        let good = std::fs::read_to_string(&path).unwrap();
        for (from, to, expected) in [
            ("\"version\": 1", "\"version\": 2", "newer regmix"),
            (
                "train/web-00000.tok",
                "../web-00000.tok",
                "not in the corpus folder",
            ),
            (
                "train/web-00000.tok",
                "/web-00000.tok",
                "not in the corpus folder",
            ),
            ("\"code\"", "\"web\"", "duplicate domain"),
            ("\"tokens\": 30", "\"tokens\": 31", "do not add up"),
            (
                "\"separator\": 256",
                "\"separator\": 257",
                "not in the vocabulary",
            ),
            ("\"kind\"", "\"sort\"", "unknown field"),
        ] {
            assert!(good.contains(from), "{from}");
            std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
            let err = TokenCorpus::open(dir.path()).unwrap_err();
            assert!(err.problem().contains(expected), "{to}: {err}");
            assert_eq!(err.path(), Some(path.as_path()), "{to}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(
            TokenCorpus::open(dir.path())
                .unwrap_err()
                .help_text()
                .is_some()
        );
    }
}
