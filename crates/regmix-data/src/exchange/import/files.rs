//! Files of logs: which there are, what they are, and which run they are about.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::contents::{contents, open, text_of};
use super::kind::{ByName, is_events};
use super::log::Logs;
use super::names::{Namer, RunNames, namers};
use super::pattern::Pattern;
use super::selection::Selection;
use super::{json, lm_eval, table_log, tensorboard};
use crate::error::{Error, Result};
use crate::monitor::{Monitor, Unit};

/// The largest JSON file that is one object: the object in memory is several times
/// as large.
const LARGEST_OBJECT: usize = 256 << 20;

/// The files of logs below paths: files themselves, files of folders, and those
/// that match a path with stars.
///
/// # Errors
/// When a path does not exist, a folder cannot be read, or there is no file.
pub fn find_logs(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let text = path.to_string_lossy();
        if text.contains('*') && !path.exists() {
            let pattern: Pattern = text.parse()?;
            let mut matching = Vec::new();
            collect(&base_of(path), &mut |file| {
                if pattern.capture(&file.to_string_lossy()).is_some() {
                    matching.push(file.to_path_buf());
                }
            })?;
            if matching.is_empty() {
                return Err(Error::input("no file matches: expected at least one")
                    .in_file(path)
                    .help("`*` stands for a part of a name, `**` also for folders"));
            }
            found.append(&mut matching);
        } else if path.is_dir() {
            let before = found.len();
            collect(path, &mut |file| {
                let is_log = match ByName::of(file) {
                    ByName::Log => true,
                    ByName::Json => begins_list_of_objects(file),
                    ByName::Other => false,
                };
                if is_log {
                    found.push(file.to_path_buf());
                }
            })?;
            if found.len() == before {
                return Err(Error::input(
                    "no logs: expected .csv, .jsonl, .json with a list of objects, \
                     results_*.json, wandb-summary.json, trainer_state.json or \
                     events.out.tfevents.*",
                )
                .in_file(path));
            }
        } else {
            std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
            found.push(path.clone());
        }
    }
    Ok(found)
}

/// The folder before the first star.
fn base_of(pattern: &Path) -> PathBuf {
    let fixed: PathBuf = (pattern.components())
        .take_while(|c| !c.as_os_str().to_string_lossy().contains('*'))
        .collect();
    match fixed.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => fixed,
    }
}

/// Whether a file begins as a list of objects does. Other JSON beside logs, such as
/// settings, is none.
fn begins_list_of_objects(path: &Path) -> bool {
    const SEEN: u64 = 1 << 10;
    let front = open(path).and_then(|file| {
        let mut front = Vec::new();
        file.take(SEEN).read_to_end(&mut front).map(|_| front)
    });
    let mut seen = (front.iter().flatten()).filter(|b| !b.is_ascii_whitespace());
    seen.next() == Some(&b'[') && seen.next() == Some(&b'{')
}

/// Calls `take` with every file below a folder, in the order of names. Links to
/// folders are not followed.
fn collect(folder: &Path, take: &mut dyn FnMut(&Path)) -> Result<()> {
    let io = |e| Error::io(folder, e);
    let mut entries = (std::fs::read_dir(folder).map_err(io)?)
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(io)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(io)?;
        let path = match folder == Path::new(".") {
            true => PathBuf::from(entry.file_name()),
            false => entry.path(),
        };
        match kind.is_dir() {
            true => collect(&path, take)?,
            false => take(&path),
        }
    }
    Ok(())
}

/// Reads all files, as many at once as there are processors.
///
/// # Errors
/// When a file cannot be read or is none of the known kinds, a pattern of names
/// does not match a path, or the monitor asks to stop.
pub fn read_logs(
    files: &[PathBuf],
    names: &RunNames,
    selection: &Selection,
    monitor: &dyn Monitor,
) -> Result<Logs> {
    if files.is_empty() {
        return Err(Error::input("no files: expected at least one"));
    }
    let namers = namers(files, names);
    monitor.begin("reading logs", files.len() as u64, Unit::Items);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Logs)>> {
        let mut own = Vec::new();
        loop {
            let place = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(path) = files.get(place) else {
                return Ok(own);
            };
            monitor.check()?;
            own.push((place, read_file(path, &namers[place], selection)?));
            monitor.advance(1);
        }
    };
    let read = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..workers.min(files.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut all = vec![work()];
        for thread in threads {
            all.push(
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::failed("a reader of logs panicked"))),
            );
        }
        all.into_iter().collect::<Result<Vec<_>>>()
    });
    monitor.end();
    let mut read: Vec<(usize, Logs)> = read?.into_iter().flatten().collect();
    read.sort_by_key(|(place, _)| *place);
    let mut out = Logs::default();
    read.into_iter().for_each(|(_, logs)| out.add(logs));
    Ok(out)
}

fn read_file(path: &Path, namer: &Namer<'_>, selection: &Selection) -> Result<Logs> {
    let bytes = contents(path)?;
    if is_events(path) {
        return tensorboard::read(&bytes, path, &namer.of_file()?, selection);
    }
    let text = text_of(bytes, path)?;
    let text = text.trim_start_matches('\u{feff}');
    let is_list = text.trim_start().starts_with('[');
    if !is_list && !text.trim_start().starts_with('{') {
        return table_log::read(text, path, namer, selection);
    }
    let text = &json::standard(text)[..];
    if is_list {
        return json::read_list(text, None, path, namer, selection);
    }
    // One object over many lines, or one in every line.
    let mut objects = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    let first = objects.next();
    let is_one = matches!(first, Some(Ok(_))) && text[objects.byte_offset()..].trim().is_empty();
    if !is_one {
        return json::read_lines(text, path, namer, selection);
    }
    if text.len() > LARGEST_OBJECT {
        return Err(Error::input(format!(
            "an object of {} bytes, expected at most {LARGEST_OBJECT}, or an object in every line",
            text.len()
        ))
        .in_file(path));
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|e| Error::input(format!("not JSON: {e}")).in_file(path))?;
    if lm_eval::is_results(&value) {
        return lm_eval::read(&value, path, &namer.of_file()?, selection);
    }
    match value.get(json::HISTORY).is_some_and(Value::is_array) {
        true => json::read_list(text, Some(json::HISTORY), path, namer, selection),
        false => json::read_object(text, path, namer, selection),
    }
}
