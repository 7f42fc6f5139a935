//! The scores of a run, in its folder.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::Result;
use regmix_data::sealed::{read_sealed, write_sealed};
use regmix_model::stored_fingerprint;
use serde::{Deserialize, Serialize};

use super::TaskScore;
use crate::files::{SCORES, SCORES_FOLDER};

const VERSION: u32 = 1;

/// What a run answered. Questions of other settings stay, so that going back to them
/// costs nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunScores {
    version: u32,
    /// That of the run.
    fingerprint: String,
    /// A digest of its weights.
    pub(crate) model: String,
    /// By a digest of the questions.
    asked: BTreeMap<String, AskedSet>,
}

/// Questions, and the scores that they gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AskedSet {
    /// In words.
    questions: String,
    scores: Vec<TaskScore>,
}

impl RunScores {
    /// Those of the run in a folder; none where it was not asked anything.
    ///
    /// # Errors
    /// When a file is damaged.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let fingerprint = stored_fingerprint(folder)?.unwrap_or_default();
        let path = folder.join(SCORES_FOLDER).join(SCORES);
        if path.exists() {
            let remedy = "remove the file, and run `regmix train` (of a target `regmix target`)";
            let found: Self = read_sealed(&path, VERSION, remedy)?;
            if found.fingerprint == fingerprint {
                return Ok(found);
            }
        }
        Ok(Self {
            version: VERSION,
            fingerprint,
            model: String::new(),
            asked: BTreeMap::new(),
        })
    }

    /// Writes them into the folder of the run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        write_sealed(folder.join(SCORES_FOLDER).join(SCORES), self)
    }

    /// The scores that questions gave, by their digest.
    pub(crate) fn get(&self, key: &str) -> Option<&[TaskScore]> {
        Some(&self.asked.get(key)?.scores)
    }

    /// Adds the scores of some questions.
    pub(crate) fn add(&mut self, key: &str, questions: &str, scores: Vec<TaskScore>) {
        let set = AskedSet {
            questions: questions.to_owned(),
            scores,
        };
        self.asked.insert(key.to_owned(), set);
    }
}
