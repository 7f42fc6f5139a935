//! From text to token shards.

use std::path::PathBuf;

use regmix_data::corpus::Source;
use regmix_data::tokenize::{self, Summary, TokenizeOptions};
use regmix_data::tokenizer::{BpeOptions, Tokenizer};
use regmix_data::{Error, Monitor, Result};

use crate::config::{TokenizerKind, hub_dataset};
use crate::files;
use crate::source_files::SourceFiles;
use crate::stamp::{Stamp, digest};
use crate::study::{Context, Study};

/// Downloads a dataset, `owner/name[@revision]`, and returns its folder.
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
    dataset.fetch(&prefixes, cx.monitor)
}

#[cfg(not(feature = "hub"))]
fn fetch(dataset: &str, _: &[String], _: Context<'_>) -> Result<PathBuf> {
    Err(Error::input(format!(
        "`hf://{dataset}` is on the Hugging Face hub, which this binary was built without"
    ))
    .field("corpus.path")
    .help("build with `--features hub`, or download the files and name their folder"))
}

/// Tokenizes the corpus; `None` when that is done already.
pub(crate) fn tokenize(study: &Study, cx: Context<'_>) -> Result<Option<Summary>> {
    let config = study.config();
    let (layout, options) = config.corpus.source_options()?;
    let root = match hub_dataset(&config.corpus.path) {
        Some(dataset) => fetch(dataset, &config.corpus.files, cx)?,
        None => study.resolve(&config.corpus.path),
    };
    let folder = study.path(files::CORPUS_FOLDER);
    if study.path(files::CORPUS).exists() && !root.exists() {
        // A study may be copied to another machine without its text.
        return Ok(None);
    }
    let source = Source::open(&root, layout, options)?;
    let record = study.path(files::SOURCE_FILES);
    let sources = SourceFiles::of(&source, &root, &record, cx.monitor)?;
    let stamp = stamp(study, &sources)?;
    if stamp.is_fresh(cx.redo)? {
        // Files that were only touched need not be read again next time.
        sources.write()?;
        return Ok(None);
    }
    let tokenizer = tokenizer(study, &source, cx)?;
    let options = TokenizeOptions {
        valid_share: config.corpus.valid_share,
        drop_duplicates: config.corpus.drop_duplicates,
        ..TokenizeOptions::default()
    };
    let summary = tokenize::tokenize(&source, &tokenizer, &folder, &options, cx.monitor).map_err(
        |e| match e.path() {
            None if e.is_input() => e.in_file(&root),
            _ => e,
        },
    )?;
    sources.write()?;
    stamp.write()?;
    Ok(Some(summary))
}

/// What a corpus tokenized now would be made from.
fn stamp(study: &Study, sources: &SourceFiles) -> Result<Stamp> {
    let config = study.config();
    let stamp = files::CORPUS
        .stamp(study.root())
        .with("corpus", &config.corpus)?
        .with("tokenizer", &config.tokenizer)?
        .with("files", &sources.digest())?;
    match &config.tokenizer.path {
        Some(path) if config.tokenizer.kind == TokenizerKind::File => {
            let path = study.resolve(path);
            let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
            stamp.with("tokenizer file", &digest(&bytes))
        }
        _ => Ok(stamp),
    }
}

/// What changed since the corpus was tokenized, if anything did; `None` too
/// where the text is not on this machine.
pub(crate) fn staleness(study: &Study, monitor: &dyn Monitor) -> Result<Option<String>> {
    let section = &study.config().corpus;
    let root = study.resolve(&section.path);
    if hub_dataset(&section.path).is_some() || !root.exists() {
        return Ok(None);
    }
    let (layout, options) = section.source_options()?;
    let source = Source::open(&root, layout, options)?;
    let record = study.path(files::SOURCE_FILES);
    let sources = SourceFiles::of(&source, &root, &record, monitor)?;
    stamp(study, &sources)?.staleness()
}

fn tokenizer(study: &Study, source: &Source, cx: Context<'_>) -> Result<Tokenizer> {
    let section = &study.config().tokenizer;
    match section.kind {
        TokenizerKind::Bytes => Tokenizer::bytes(),
        TokenizerKind::File => {
            let Some(path) = &section.path else {
                return Err(Error::input("the tokenizer `file` needs a path")
                    .in_file(study.path(files::STUDY_FILE))
                    .field("tokenizer.path")
                    .help("for example: path = \"tokenizer.json\""));
            };
            Tokenizer::from_file(study.resolve(path), &section.separator)
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
