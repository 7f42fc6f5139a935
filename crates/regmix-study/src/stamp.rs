//! Whether a finished artefact is still what its inputs give.
//!
//! Beside each artefact stands its stamp: a small JSON map from the name of an
//! input to its value. When an input differs, the artefact is stale: it is
//! kept, and an error says what changed and how to make it again.
//!
//! While an artefact is written, its stamp says that it is unfinished. A
//! process that is killed meanwhile leaves that stamp behind, so that the
//! artefact is made again whatever state it is in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regmix_data::{Error, ErrorKind, Monitor, Result, artefact};
use serde::Serialize;

/// The only entry of the stamp of an artefact that is being written.
const UNFINISHED: &str = "unfinished";

/// Whether the process that wrote an artefact ended before it was complete;
/// `path` is that of the stamp.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    let read = artefact::read_json::<BTreeMap<String, String>>(path);
    read.is_ok_and(|inputs| inputs.contains_key(UNFINISHED))
}

/// What one artefact would be made from now.
#[derive(Debug)]
pub(crate) struct Stamp {
    artefact: PathBuf,
    /// Where the inputs are recorded.
    path: PathBuf,
    /// The command that makes the artefact.
    verb: &'static str,
    inputs: BTreeMap<String, String>,
}

/// The stamp before an artefact was begun.
pub(crate) struct Replaced {
    path: PathBuf,
    before: Option<Vec<u8>>,
}

impl Replaced {
    /// Puts the stamp back, where nothing of the artefact was changed.
    pub(crate) fn put_back(self) -> Result<()> {
        match self.before {
            Some(bytes) => artefact::write_atomic(&self.path, &bytes),
            None => std::fs::remove_file(&self.path).map_err(|e| Error::io(&self.path, e)),
        }
    }
}

/// A short name for a text or a file, by its contents.
pub(crate) fn digest(contents: impl AsRef<[u8]>) -> String {
    blake3::hash(contents.as_ref()).to_hex()[..16].to_owned()
}

impl Stamp {
    pub(crate) fn new(artefact: PathBuf, path: PathBuf, verb: &'static str) -> Self {
        Self {
            artefact,
            path,
            verb,
            inputs: BTreeMap::new(),
        }
    }

    /// Adds an input by its JSON form, key by key where it is a table, so that
    /// a difference can be named.
    pub(crate) fn with(mut self, name: &str, value: &impl Serialize) -> Result<Self> {
        let value = serde_json::to_value(value)
            .map_err(|e| Error::failed(format!("{name}: {e}")).in_file(&self.path))?;
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    self.inputs
                        .insert(format!("{name}.{key}"), value.to_string());
                }
            }
            serde_json::Value::String(text) => {
                self.inputs.insert(name.to_owned(), text);
            }
            other => {
                self.inputs.insert(name.to_owned(), other.to_string());
            }
        }
        Ok(self)
    }

    /// The artefact as `load` reads it, where it was made from the same inputs;
    /// `None` where it is to be made. With `redo` it is also to be made where it
    /// cannot be read.
    ///
    /// # Errors
    /// As [`Stamp::is_fresh`] and `load`.
    pub(crate) fn finished<T>(
        &self,
        redo: bool,
        monitor: &dyn Monitor,
        load: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        if !self.is_fresh(redo)? {
            return Ok(None);
        }
        match load() {
            Err(e) if redo => {
                monitor.message(&format!("it is made again, since it cannot be read: {e}"));
                Ok(None)
            }
            found => found.map(Some).map_err(|e| remade_by(self.verb, e)),
        }
    }

    /// Whether the artefact exists and was made from the same inputs.
    ///
    /// # Errors
    /// `Stale` when it was made from other inputs and `redo` is not set.
    pub(crate) fn is_fresh(&self, redo: bool) -> Result<bool> {
        self.is_fresh_apart_from(&[], redo)
    }

    /// As [`Stamp::is_fresh`], without regard to some inputs.
    ///
    /// # Errors
    /// As [`Stamp::is_fresh`].
    pub(crate) fn is_fresh_apart_from(&self, names: &[&str], redo: bool) -> Result<bool> {
        if !self.artefact.exists() || !self.path.exists() || is_unfinished(&self.path) {
            return Ok(false);
        }
        match self.staleness_apart_from(names)? {
            None => Ok(true),
            Some(_) if redo => Ok(false),
            Some(changes) => Err(self.stale(&changes)),
        }
    }

    /// The error of a step that would use the artefact although its inputs
    /// changed.
    pub(crate) fn stale(&self, changes: &str) -> Error {
        Error::new(
            ErrorKind::Stale,
            format!("it was made from other inputs ({changes})"),
        )
        .in_file(&self.artefact)
        .help(format!(
            "put the inputs back, or make it again with `regmix {} --redo`",
            self.verb
        ))
    }

    /// What changed since the artefact was made; `None` where it is missing or
    /// would be made from the same inputs.
    pub(crate) fn staleness(&self) -> Result<Option<String>> {
        self.staleness_apart_from(&[])
    }

    /// As [`Stamp::staleness`], without regard to some inputs.
    pub(crate) fn staleness_apart_from(&self, names: &[&str]) -> Result<Option<String>> {
        if !self.artefact.exists() || !self.path.exists() {
            return Ok(None);
        }
        if is_unfinished(&self.path) {
            return Ok(Some("it was not finished".to_owned()));
        }
        let mut old: BTreeMap<String, String> = match artefact::read_json(&self.path) {
            Ok(old) => old,
            Err(e) if e.is_io() => return Err(e),
            Err(e) => return Ok(Some(format!("the record of them cannot be read: {e}"))),
        };
        let mut now = self.inputs.clone();
        for name in names {
            old.remove(*name);
            now.remove(*name);
        }
        Ok((old != now).then(|| changes(&old, &now)))
    }

    /// Records that the artefact is being written; call it before anything of
    /// the artefact changes.
    pub(crate) fn begin(&self) -> Result<Replaced> {
        let before = std::fs::read(&self.path).ok();
        let words = format!("`regmix {}` was not finished", self.verb);
        artefact::write_json(&self.path, &BTreeMap::from([(UNFINISHED, words)]))?;
        Ok(Replaced {
            path: self.path.clone(),
            before,
        })
    }

    /// Records the inputs; call it when the artefact is complete.
    pub(crate) fn write(&self) -> Result<()> {
        artefact::write_json(&self.path, &self.inputs)
    }
}

/// Names the inputs that differ.
fn changes(old: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> String {
    const SHOWN: usize = 3;
    let none = "absent".to_owned();
    let short = |text: &String| -> String {
        if text.chars().count() > 40 {
            format!("{}...", text.chars().take(16).collect::<String>())
        } else {
            text.clone()
        }
    };
    let mut names: Vec<&String> = old.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    let changed: Vec<String> = names
        .into_iter()
        .filter(|name| old.get(*name) != now.get(*name))
        .map(|name| {
            let was = short(old.get(name).unwrap_or(&none));
            let is = short(now.get(name).unwrap_or(&none));
            format!("{name} was {was}, is {is}")
        })
        .collect();
    let mut text = changed[..changed.len().min(SHOWN)].join("; ");
    if changed.len() > SHOWN {
        text.push_str(&format!("; and {} more", changed.len() - SHOWN));
    }
    text
}

/// Adds to an error about a file's contents that a step makes the file again.
pub(crate) fn remade_by(verb: &str, error: Error) -> Error {
    match error.is_input() {
        true => error.help(format!("make it again with `regmix {verb} --redo`")),
        false => error,
    }
}

/// Whether a name is `<of>.old-<n>`, as folders that were set aside have it.
pub(crate) fn is_aside(name: &str, of: Option<&str>) -> bool {
    name.rsplit_once(".old-").is_some_and(|(base, n)| {
        let number = !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
        number && !base.is_empty() && of.is_none_or(|of| of == base)
    })
}

/// Renames a folder to the first free name `<folder>.old-<n>` and returns that
/// name.
pub(crate) fn set_aside(folder: &Path) -> Result<PathBuf> {
    let target = name_aside(folder);
    std::fs::rename(folder, &target).map_err(|e| Error::io(folder, e))?;
    Ok(target)
}

/// Copies a file to the first free name `<file>.old-<n>` and returns that name.
pub(crate) fn keep_copy(file: &Path) -> Result<PathBuf> {
    let target = name_aside(file);
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    artefact::write_atomic(&target, &bytes)?;
    Ok(target)
}

/// The first free name `<path>.old-<n>`.
fn name_aside(path: &Path) -> PathBuf {
    let numbered = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".old-{n}"));
        PathBuf::from(name)
    };
    let mut names = (1..).map(numbered);
    let free = names.find(|name| !name.exists());
    free.expect("some number is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_input_is_named_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let artefact = dir.path().join("thing");
        let stamp = |runs: u32| {
            Stamp::new(
                artefact.clone(),
                dir.path().join("thing.inputs.json"),
                "design",
            )
            .with("design", &BTreeMap::from([("runs", runs)]))
            .unwrap()
            .with("corpus", &"abc")
            .unwrap()
        };
        assert!(!stamp(1).is_fresh(false).unwrap());
        std::fs::write(&artefact, "made").unwrap();
        stamp(1).write().unwrap();
        assert!(stamp(1).is_fresh(false).unwrap());
        let err = stamp(2).is_fresh(false).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Stale);
        assert!(err.to_string().contains("design.runs was 1, is 2"), "{err}");
        assert!(!stamp(2).is_fresh(true).unwrap());
    }

    #[test]
    fn an_artefact_that_was_not_finished_or_cannot_be_read_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let artefact = dir.path().join("thing");
        let stamp = Stamp::new(artefact.clone(), dir.path().join("inputs.json"), "fit");
        let read = || match std::fs::read_to_string(&artefact).as_deref() {
            Ok("made") => Ok("made"),
            _ => Err(Error::input("half of it").in_file(&artefact)),
        };
        let finished = |redo| stamp.finished(redo, &regmix_data::Silent, read);
        // A process is killed before it writes, and another one after.
        std::fs::write(&artefact, "old").unwrap();
        stamp.begin().unwrap().put_back().unwrap();
        assert!(!dir.path().join("inputs.json").exists());
        stamp.begin().unwrap();
        assert_eq!(finished(false).unwrap(), None);
        std::fs::write(&artefact, "made").unwrap();
        assert_eq!(finished(false).unwrap(), None);
        assert_eq!(stamp.staleness().unwrap().unwrap(), "it was not finished");
        stamp.write().unwrap();
        assert_eq!(finished(false).unwrap(), Some("made"));

        std::fs::write(&artefact, "ma").unwrap();
        let error = finished(false).unwrap_err();
        assert_eq!(
            error.help_text(),
            Some("make it again with `regmix fit --redo`")
        );
        assert_eq!(finished(true).unwrap(), None);
        std::fs::write(dir.path().join("inputs.json"), "{\"a\":").unwrap();
        let error = finished(false).unwrap_err().to_string();
        assert!(
            error.contains("the record of them cannot be read"),
            "{error}"
        );
        assert_eq!(finished(true).unwrap(), None);
    }

    #[test]
    fn folders_are_set_aside_under_free_names() {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join("runs");
        for n in 1..=2 {
            std::fs::create_dir(&runs).unwrap();
            let moved = set_aside(&runs).unwrap();
            assert_eq!(moved, dir.path().join(format!("runs.old-{n}")));
        }
    }

    #[test]
    fn only_names_with_a_number_were_set_aside() {
        assert!(is_aside("run-0001.old-12", None));
        assert!(is_aside("runs.old-1", Some("runs")));
        for (name, of) in [
            ("run-0001", None),
            ("run.old-", None),
            ("run.old-1x", None),
            (".old-1", None),
            ("mine.old-1", Some("runs")),
        ] {
            assert!(!is_aside(name, of), "{name}");
        }
    }
}
