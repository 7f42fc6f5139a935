//! A cache of the state of the runs of a study, so that thousands of files need
//! not be read again.
//!
//! An entry is used only while the files that it was made from have the same
//! size, time of modification and inode; the cache can be removed at any time,
//! and is made again if it is damaged. Several processes may write it: each
//! writes a whole file, and the last one stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use regmix_data::Result;
use regmix_data::sealed::{read_sealed, write_sealed};
use regmix_model::lease::file_system_time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::owner::{RunOwner, owner};
use super::record::{Record, Signature};
use crate::files;
use crate::stamp::{digest, remade_by};

const VERSION: u32 = 2;

/// What is known of runs.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    root: PathBuf,
    contents: Mutex<Contents>,
    /// The time of the file system, where it was asked for.
    now: OnceLock<SystemTime>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    version: u32,
    /// By the folder of the run in the study.
    runs: BTreeMap<String, Entry>,
    /// Digests of the losses of many runs, by name.
    digests: BTreeMap<String, Digests>,
    /// Whether it differs from the file.
    #[serde(skip)]
    changed: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    files: Signature,
    record: Record,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Digests {
    /// A digest of the state of all files that they were made from.
    of: String,
    value: serde_json::Value,
}

/// What digests of losses are made from.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The folders of the runs, in the study.
    pub(crate) runs: Vec<PathBuf>,
    /// Everything else, in words.
    pub(crate) besides: String,
}

impl Index {
    /// The index of the study in the folder `root`; empty where there is none that
    /// can be used.
    pub(crate) fn open(root: &Path) -> Self {
        let path = root.join(files::STATUS_CACHE);
        let read = || read_sealed::<Contents>(&path, VERSION, "it is made again");
        let contents = match path.exists() {
            true => read().unwrap_or_else(|e| {
                debug!(error = %e, "the cache of status is made again");
                Contents::default()
            }),
            false => Contents::default(),
        };
        Self {
            path,
            root: root.to_path_buf(),
            contents: Mutex::new(contents),
            now: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a run, by its folder in the study.
    pub(super) fn record(&self, run: &Path) -> Result<Record> {
        let folder = self.root.join(run);
        let (files, settled) = Signature::read(&folder)?;
        if files.is_empty() {
            return Ok(Record::default());
        }
        let key = run.to_string_lossy().into_owned();
        if let Some(entry) = self.lock().runs.get(&key)
            && entry.files == files
        {
            return Ok(entry.record.clone());
        }
        let by = files::trained_by(&folder);
        let record = Record::read(&folder).map_err(|e| remade_by(by, e))?;
        if settled {
            let record = record.clone();
            let mut contents = self.lock();
            contents.runs.insert(key, Entry { files, record });
            contents.changed = true;
        }
        Ok(record)
    }

    /// The process that trains a run, by its folder in the study.
    pub(super) fn owner(&self, run: &Path) -> Result<Option<RunOwner>> {
        let folder = self.root.join(run);
        match folder.exists() {
            true => owner(
                &folder,
                *self.now.get_or_init(|| file_system_time(&self.root)),
            ),
            false => Ok(None),
        }
    }

    /// Digests that `make` computes from the files of finished runs and from what else the
    /// inputs name. They are computed again where one of these has changed.
    pub(crate) fn digests<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        inputs: &Inputs,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let (mut of, mut all_settled) = (inputs.besides.clone(), true);
        for run in &inputs.runs {
            let (files, settled) = Signature::read(&self.root.join(run))?;
            // Runs in progress have no losses yet that count.
            if let Some(files) = files.of_finished() {
                of.push_str(&format!("\n{}: {files}", run.display()));
                all_settled &= settled;
            }
        }
        let of = digest(of);
        if let Some(known) = self.lock().digests.get(name)
            && known.of == of
            && let Ok(value) = serde_json::from_value(known.value.clone())
        {
            return Ok(value);
        }
        let value = make()?;
        if all_settled && let Ok(value) = serde_json::to_value(&value) {
            let mut contents = self.lock();
            let known = Digests { of, value };
            contents.digests.insert(name.to_owned(), known);
            contents.changed = true;
        }
        Ok(value)
    }

    /// Writes what was learnt, without the runs that are not among these. A folder
    /// that cannot be written is no reason to fail.
    pub(crate) fn save<'a>(&self, runs: impl Iterator<Item = &'a Path>) {
        let mut contents = self.lock();
        if !contents.changed {
            return;
        }
        let known: BTreeSet<String> = runs.map(|run| run.to_string_lossy().into_owned()).collect();
        contents.runs.retain(|run, _| known.contains(run));
        contents.version = VERSION;
        match write_sealed(&self.path, &*contents) {
            Ok(()) => contents.changed = false,
            Err(e) => debug!(error = %e, "the cache of status cannot be written"),
        }
    }
}
