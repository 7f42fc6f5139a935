//! From text to token shards.

use std::path::PathBuf;

use regmix_data::corpus::Source;
use regmix_data::tokenize::{Summary, TokenizeOptions, tokenize};
use regmix_data::tokenizer::{BpeOptions, Tokenizer};
use regmix_data::{Error, Result, Silent, Unit};

use crate::config::{TokenizerKind, hub_dataset};
use crate::source_files::SourceFiles;
use crate::stamp::Stamp;
use crate::study::{Context, Study};

/// Fetches a dataset, `owner/name[@revision]`, and gives the folder it is in.
#[cfg(feature = "hub")]
fn fetch(dataset: &str, files: &[String], cx: Context<'_>) -> Result<PathBuf> {
    use regmix_data::hub::{Hub, HubOptions};

    let (id, revision) = match dataset.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (dataset, None),
    };
    let dataset = Hub::new(HubOptions::default())?.dataset(id, revision)?;
    let prefixes: Vec<&str> = match files {
        [] => vec![""],
        _ => files.iter().map(String::as_str).collect(),
    };
    let wanted = |path: &str| prefixes.iter().any(|p| path.starts_with(p));
    let count = dataset.files().iter().filter(|f| wanted(&f.path)).count();
    cx.monitor.begin("fetch", count as u64, Unit::Items);
    let mut tell = |p: &regmix_data::hub::HubProgress| {
        cx.monitor.at(p.files as u64);
        let [done, all] = [p.bytes, p.bytes_total].map(|b| b as f64 / 1e6);
        cx.monitor
            .note(&format!("{} {done:.0}/{all:.0} MB", p.path));
    };
    let folder = dataset.fetch(&prefixes, &mut tell, cx.monitor);
    cx.monitor.end();
    folder
}

#[cfg(not(feature = "hub"))]
fn fetch(dataset: &str, _: &[String], _: Context<'_>) -> Result<PathBuf> {
    Err(Error::input(format!(
        "`hf://{dataset}` is on the Hugging Face hub, which this binary was built without"
    ))
    .field("corpus.path")
    .help("build with `--features hub`, or download the files and name their folder"))
}

impl Study {
    /// Tokenizes the corpus into `corpus/`; `None` when that is done already.
    ///
    /// # Errors
    /// When the text cannot be read, the tokenizer does not fit, the disk
    /// refuses, the inputs of a finished corpus changed, or the user stops it.
    pub fn tokenize(&self, cx: Context<'_>) -> Result<Option<Summary>> {
        let config = self.config();
        let (layout, options) = config.corpus.source_options()?;
        let root = match hub_dataset(&config.corpus.path) {
            Some(dataset) => fetch(dataset, &config.corpus.files, cx)?,
            None => self.resolve(&config.corpus.path),
        };
        let folder = self.path("corpus");
        let manifest = folder.join("manifest.json");
        if manifest.exists() && !root.exists() {
            // A study may travel without its text.
            return Ok(None);
        }
        let source = Source::open(&root, layout, options)?;
        let files = SourceFiles::of(&source, &root, &folder.join("files.json"), cx)?;
        let stamp = self.corpus_stamp(&files)?;
        if stamp.is_fresh(&manifest, "tokenize", cx.redo)? {
            // Files that were only touched need not be read again next time.
            files.write()?;
            return Ok(None);
        }
        let tokenizer = self.tokenizer(&source, cx)?;
        let options = TokenizeOptions {
            valid_share: config.corpus.valid_share,
            drop_duplicates: config.corpus.drop_duplicates,
            ..TokenizeOptions::default()
        };
        let total = source.files().map(|f| f.bytes).sum();
        cx.monitor.begin("tokenize", total, Unit::Bytes);
        let summary = tokenize(
            &source,
            &tokenizer,
            &folder,
            &options,
            &mut |progress| cx.monitor.at(progress.file_bytes),
            cx.monitor,
        );
        cx.monitor.end();
        let summary = summary.map_err(|e| match e.path() {
            None if e.is_input() => e.in_file(&root),
            _ => e,
        })?;
        files.write()?;
        stamp.write()?;
        Ok(Some(summary))
    }

    /// What a corpus tokenized now would be made from.
    fn corpus_stamp(&self, files: &SourceFiles) -> Result<Stamp> {
        let config = self.config();
        let stamp = Stamp::new(self.path("corpus/inputs.json"))
            .with("corpus", &config.corpus)?
            .with("tokenizer", &config.tokenizer)?
            .with("files", &files.digest())?;
        match &config.tokenizer.path {
            Some(path) if config.tokenizer.kind == TokenizerKind::File => {
                let path = self.resolve(path);
                let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
                stamp.with(
                    "tokenizer file",
                    &blake3::hash(&bytes).to_hex()[..16].to_owned(),
                )
            }
            _ => Ok(stamp),
        }
    }

    /// What changed since the corpus was tokenized, if anything did; nothing
    /// is known of text that is not here.
    pub(crate) fn corpus_staleness(&self) -> Result<Option<String>> {
        let section = &self.config().corpus;
        let root = self.resolve(&section.path);
        if hub_dataset(&section.path).is_some() || !root.exists() {
            return Ok(None);
        }
        let (layout, options) = section.source_options()?;
        let source = Source::open(&root, layout, options)?;
        let quiet = Context {
            monitor: &Silent,
            redo: false,
        };
        let files = SourceFiles::of(&source, &root, &self.path("corpus/files.json"), quiet)?;
        self.corpus_stamp(&files)?
            .staleness(&self.path("corpus/manifest.json"))
    }

    fn tokenizer(&self, source: &Source, cx: Context<'_>) -> Result<Tokenizer> {
        let section = &self.config().tokenizer;
        match section.kind {
            TokenizerKind::Bytes => Tokenizer::bytes(),
            TokenizerKind::File => {
                let Some(path) = &section.path else {
                    return Err(Error::input("the tokenizer `file` needs a path")
                        .in_file(self.path(crate::study::STUDY_FILE))
                        .field("tokenizer.path")
                        .help("for example: path = \"tokenizer.json\""));
                };
                Tokenizer::from_file(self.resolve(path), &section.separator)
            }
            TokenizerKind::Bpe => {
                cx.monitor.message(&format!(
                    "training a BPE of {} entries on {} MB",
                    section.vocab_size, section.sample_mb
                ));
                let sample = source.sample(section.sample_mb.max(1) * 1_000_000)?;
                Tokenizer::train_bpe(&sample, &BpeOptions::new(section.vocab_size))
            }
        }
    }
}
