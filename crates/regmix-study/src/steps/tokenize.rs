//! From text to token shards.

use std::path::{Path, PathBuf};

use regmix_data::corpus::Source;
use regmix_data::table::records;
use regmix_data::tokenize::{self, FileSummary, Summary};
use regmix_data::tokenizer::{BpeOptions, Tokenizer};
use regmix_data::{Error, ErrorKind, Monitor, Result, TokenCorpus, artefact, unless_stopped};

use crate::config::{TokenizerKind, hub_dataset};
use crate::files;
use crate::source_files::SourceFiles;
use crate::stamp::{Stamp, digest};
use crate::steps::hub_text::{Asked, HubName, HubText};
use crate::study::{Context, Study};

/// What makes a damaged or stale corpus again.
const REDO: &str = "make it again with `regmix tokenize --redo`";

/// The input of the stamp that cannot be looked at without the text.
const TEXT: &str = "files";

/// The commit of a dataset on the hub that the text is from.
const COMMIT: &str = "commit";

/// What to do where nothing but the commit is another one.
const MOVED: &str = "the dataset has changed: make the corpus again with `regmix tokenize --redo`, \
                     or leave it, as the other steps use the one that is there";

/// The text that is to be tokenized.
struct Text {
    source: Source,
    root: PathBuf,
    /// Where it is from the hub.
    commit: Option<String>,
}

/// Tokenizes the corpus; `None` when that is done already.
pub(crate) fn tokenize(study: &Study, cx: Context<'_>) -> Result<Option<Summary>> {
    let config = study.config();
    let text = match hub_dataset(&config.corpus.path) {
        Some(dataset) => text_on_hub(study, HubName::of(dataset), cx)?,
        None => text_here(study, cx)?,
    };
    let Some(text) = text else { return Ok(None) };
    let Text { source, root, .. } = &text;
    let record = study.path(files::SOURCE_FILES);
    let sources = SourceFiles::of(source, root, &record, cx.monitor)?;
    let stamp = stamp(study, Some(&sources), text.commit.as_deref())?;
    if stamp.is_fresh(cx.redo)? {
        match damage(study, cx)? {
            None => {
                // Files that were only touched need not be read again next time.
                sources.write()?;
                return Ok(None);
            }
            Some(error) if !cx.redo => return Err(error),
            Some(error) => (cx.monitor).message(&format!("the corpus is made again: {error}")),
        }
    }
    let tokenizer = tokenizer(study, source, cx)?;
    let options = config.corpus.tokenize_options();
    let folder = study.path(files::CORPUS_FOLDER);
    let manifest = study.path(files::CORPUS);
    let was_there = manifest.exists();
    let before = stamp.begin()?;
    let summary = match tokenize::tokenize(source, &tokenizer, &folder, &options, cx.monitor) {
        Ok(summary) => summary,
        Err(e) => {
            // The corpus that was there is whole until its manifest is removed.
            if manifest.exists() || !was_there {
                before.put_back()?;
            }
            return Err(match e.path() {
                None if e.is_input() => e.in_file(root),
                _ => e,
            });
        }
    };
    write_account(study, root, &summary)?;
    sources.write()?;
    stamp.write()?;
    Ok(Some(summary))
}

/// The text at a path; `None` where it is not there and the corpus is kept.
fn text_here(study: &Study, cx: Context<'_>) -> Result<Option<Text>> {
    let section = &study.config().corpus;
    let root = study.resolve(&section.path);
    if study.path(files::CORPUS).exists() && !root.exists() {
        // A study may be copied to another machine without its text.
        return keep_without_text(study, &root, cx).map(|()| None);
    }
    let (layout, options) = section.source_options()?;
    Ok(Some(Text {
        source: Source::open(&root, layout, options)?,
        root,
        commit: None,
    }))
}

/// The text of a dataset, fetched where it is not in the cache; `None` where the corpus
/// that is there was made from it.
fn text_on_hub(study: &Study, name: HubName<'_>, cx: Context<'_>) -> Result<Option<Text>> {
    let pinned = name.pinned();
    // A commit does not change: nothing is asked.
    if pinned.is_some() && is_made_from(study, pinned, cx)? {
        return Ok(None);
    }
    let asked = match Asked::ask(name, cx.monitor) {
        Ok(asked) => asked,
        // A study may be copied to a machine without the network, or continued by a
        // build that knows no hub.
        Err(e) if (e.is_io() || cfg!(not(feature = "hub"))) && !cx.redo => {
            return match is_made_from(study, None, cx) {
                Ok(true) => {
                    (cx.monitor).message(&format!("the corpus is used as it is: {e}"));
                    Ok(None)
                }
                _ => Err(e),
            };
        }
        Err(e) => return Err(e),
    };
    if pinned.is_none() {
        match is_made_from(study, Some(asked.commit()), cx) {
            Ok(true) => return Ok(None),
            Ok(false) => {}
            Err(e) => {
                let of_any = matches!(is_made_from(study, None, cx), Ok(true));
                return Err(match of_any && e.kind() == ErrorKind::Stale {
                    true => e.help(MOVED),
                    false => e,
                });
            }
        }
    }
    asked.describe(name, cx.monitor);
    let HubText { source, folder } = asked.fetch(&study.config().corpus, cx.monitor)?;
    Ok(Some(Text {
        source,
        root: folder,
        commit: Some(asked.commit().to_owned()),
    }))
}

/// Whether the corpus is whole and made as study.toml says from this commit, or from
/// any.
///
/// # Errors
/// Without `redo`, where it is stale or damaged.
fn is_made_from(study: &Study, commit: Option<&str>, cx: Context<'_>) -> Result<bool> {
    let unknown: &[&str] = match commit {
        Some(_) => &[TEXT],
        None => &[TEXT, COMMIT],
    };
    if !stamp(study, None, commit)?.is_fresh_apart_from(unknown, cx.redo)? {
        return Ok(false);
    }
    match damage(study, cx)? {
        None => Ok(true),
        // The step that makes it again has the message.
        Some(_) if cx.redo => Ok(false),
        Some(error) => Err(error),
    }
}

/// Keeps a corpus whose text is not on this machine, if it is what the
/// configuration says.
fn keep_without_text(study: &Study, root: &Path, cx: Context<'_>) -> Result<()> {
    let absent = format!("the text is not at {}", root.display());
    let bring = "bring the text back to its place";
    let stamp = stamp(study, None, None)?;
    if let Some(changes) = stamp.staleness_apart_from(&[TEXT])? {
        return Err(Error::input(format!(
            "it was made from other inputs ({changes}), and {absent}"
        ))
        .in_file(study.path(files::CORPUS))
        .help(format!("put the inputs back; or {bring}, and {REDO}")));
    }
    match damage(study, cx)? {
        None if cx.redo => Err(
            Error::input(format!("{absent}, so it cannot be made again"))
                .in_file(study.path(files::CORPUS))
                .help(format!(
                    "it is whole and made as study.toml says: leave out `--redo`, or {bring}"
                )),
        ),
        None => Ok(()),
        Some(error) => Err(error.help(format!("{absent}: {bring}, and {REDO}"))),
    }
}

/// Why the corpus cannot be used, if so. With `redo` all of it is read.
fn damage(study: &Study, cx: Context<'_>) -> Result<Option<Error>> {
    let checked = TokenCorpus::open(study.path(files::CORPUS_FOLDER)).and_then(|corpus| {
        cx.monitor.check()?;
        match cx.redo {
            true => corpus.verify(),
            false => Ok(()),
        }
    });
    match checked {
        Ok(()) => Ok(None),
        Err(e) if e.is_interrupted() => Err(e),
        Err(e) => Ok(Some(e.help(REDO))),
    }
}

/// Writes what became of every file of the text: `corpus/sources.csv`.
fn write_account(study: &Study, root: &Path, summary: &Summary) -> Result<()> {
    let inside = |path: &Path| match path.strip_prefix(root) {
        Ok(inside) if !inside.as_os_str().is_empty() => inside.display().to_string(),
        _ => path.display().to_string(),
    };
    let row = |file: &FileSummary| {
        let domain = file.domain.as_ref();
        vec![
            inside(&file.path),
            "read".to_owned(),
            domain.map_or("(labels)".to_owned(), ToString::to_string),
            file.split.to_string(),
            file.documents.to_string(),
            file.kept.to_string(),
            file.note.clone().unwrap_or_default(),
        ]
    };
    let mut rows: Vec<Vec<String>> = summary.files.iter().map(row).collect();
    rows.extend(summary.not_read.iter().map(|left| {
        let mut row = vec![inside(&left.path), "not read".to_owned()];
        row.resize(6, String::new());
        row.push(left.why.clone());
        row
    }));
    rows.sort();
    let header = [
        "file",
        "status",
        "domain",
        "split",
        "documents",
        "kept",
        "note",
    ];
    let text = records::render(header, rows);
    artefact::write_atomic(study.path(files::SOURCES), text.as_bytes())
}

/// What a corpus tokenized now would be made from; without `sources`, all but
/// the text.
fn stamp(study: &Study, sources: Option<&SourceFiles>, commit: Option<&str>) -> Result<Stamp> {
    let config = study.config();
    let mut stamp = files::CORPUS
        .stamp(study.root())
        .with("corpus", &config.corpus)?
        .with("tokenizer", &config.tokenizer)?;
    if let Some(sources) = sources {
        stamp = stamp.with(TEXT, &sources.digest())?;
    }
    if let Some(commit) = commit {
        stamp = stamp.with(COMMIT, &commit)?;
    }
    match &config.tokenizer.path {
        Some(path) if config.tokenizer.kind == TokenizerKind::File => {
            let path = study.resolve(path);
            let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
            stamp.with("tokenizer file", &digest(&bytes))
        }
        _ => Ok(stamp),
    }
}

/// What changed since the corpus was tokenized, if anything did. Where the
/// text is not on this machine, the text is taken as unchanged.
pub(crate) fn staleness(study: &Study, monitor: &dyn Monitor) -> Result<Option<String>> {
    let section = &study.config().corpus;
    let root = study.resolve(&section.path);
    if hub_dataset(&section.path).is_some() || !root.exists() {
        return settings_staleness(study);
    }
    let (layout, options) = section.source_options()?;
    let source = Source::open(&root, layout, options)?;
    let record = study.path(files::SOURCE_FILES);
    let sources = SourceFiles::of(&source, &root, &record, monitor)?;
    stamp(study, Some(&sources), None)?.staleness()
}

/// What changed in the settings since the corpus was tokenized.
fn settings_staleness(study: &Study) -> Result<Option<String>> {
    match stamp(study, None, None) {
        Ok(stamp) => stamp.staleness_apart_from(&[TEXT, COMMIT]),
        // The tokenizer's file may be where the text is.
        Err(e) if e.is_io() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether the corpus that is there was tokenized as study.toml says. Of text
/// that changed since there is a message only: the corpus is whole without it.
///
/// # Errors
/// `Stale` where a setting changed, and when `monitor` requests a stop.
pub(super) fn require_current(study: &Study, monitor: &dyn Monitor) -> Result<()> {
    if let Some(changes) = settings_staleness(study)? {
        return Err(stamp(study, None, None)?.stale(&changes));
    }
    match staleness(study, monitor) {
        Ok(None) => {}
        Ok(Some(_)) => monitor.message(
            "the text is not what it was when it was tokenized; the corpus is used as it is \
             (`regmix tokenize --redo` makes it again)",
        ),
        Err(e) if e.is_interrupted() => return Err(e),
        // What is wrong with the text is for `tokenize` to say.
        Err(_) => {}
    }
    Ok(())
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
            let bytes = section.sample_mb.max(1).saturating_mul(1_000_000);
            let sample = source.sample(bytes, cx.monitor)?;
            train_bpe(sample, BpeOptions::new(section.vocab_size), cx.monitor)
        }
    }
}

/// Trains in a thread of its own, which is left alone when a stop is
/// requested: the library cannot be interrupted.
fn train_bpe(sample: Vec<String>, options: BpeOptions, monitor: &dyn Monitor) -> Result<Tokenizer> {
    unless_stopped(
        monitor,
        move || Tokenizer::train_bpe(&sample, &options),
        || Ok(()),
    )?
}
