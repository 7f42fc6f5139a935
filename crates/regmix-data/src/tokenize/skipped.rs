//! Documents that are skipped because they cannot be read: counted by cause,
//! up to a share of all documents.

use std::collections::BTreeMap;

use crate::corpus::{Cause, Unreadable};
use crate::error::{Error, Result};

/// Fewer skipped documents never stop the work before its end.
const EARLIEST_STOP: u64 = 100;

/// Documents that cannot be read for one cause.
#[derive(Debug, Clone)]
pub struct SkippedDocuments {
    /// The cause in a few words.
    pub cause: &'static str,
    /// How many there are.
    pub documents: u64,
    /// The error of the first one, with its file and line.
    pub first: Error,
}

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    by_cause: BTreeMap<Cause, (u64, Error)>,
    documents: u64,
}

impl Skipped {
    /// Counts a document. `read` are those that were read so far, and
    /// `max_share` is the greatest share of documents that may be skipped.
    ///
    /// # Errors
    /// When none may be, or when there are so many already that the corpus is
    /// not what the options say.
    pub(super) fn add(&mut self, unreadable: Unreadable, read: u64, max_share: f64) -> Result<()> {
        if max_share == 0.0 {
            return Err(unreadable.error);
        }
        let entry = self.by_cause.entry(unreadable.cause);
        entry.or_insert((0, unreadable.error)).0 += 1;
        self.documents += 1;
        let total = read + self.documents;
        let expected = 10.0 * max_share * total as f64;
        if self.documents >= EARLIEST_STOP && self.documents as f64 > expected {
            return Err(self.too_many(total, max_share));
        }
        Ok(())
    }

    /// Puts the counts of both together; those of `self` come first.
    pub(super) fn merge(&mut self, other: Self) {
        for (cause, (documents, first)) in other.by_cause {
            self.by_cause.entry(cause).or_insert((0, first)).0 += documents;
        }
        self.documents += other.documents;
    }

    /// The counts, at the end of a corpus of `total` documents.
    ///
    /// # Errors
    /// When more than `max_share` of all documents were skipped.
    pub(super) fn check(self, total: u64, max_share: f64) -> Result<Vec<SkippedDocuments>> {
        if self.documents as f64 > max_share * total as f64 {
            return Err(self.too_many(total, max_share));
        }
        let by_cause = self.by_cause.into_iter();
        Ok(by_cause
            .map(|(cause, (documents, first))| SkippedDocuments {
                cause: cause.words(),
                documents,
                first,
            })
            .collect())
    }

    /// The first error of each cause; file, line and field are those of the
    /// most frequent cause.
    fn too_many(&self, total: u64, max_share: f64) -> Error {
        let most = self
            .by_cause
            .values()
            .max_by_key(|(documents, _)| *documents);
        let Some((_, first)) = most else {
            return Error::input("documents cannot be read");
        };
        let mut problem = format!(
            "{}; {} of {} documents cannot be read, expected at most {}",
            first.problem(),
            self.documents,
            total,
            share_in_words(max_share)
        );
        if self.by_cause.len() > 1 {
            let causes: Vec<String> = self
                .by_cause
                .iter()
                .map(|(cause, (documents, first))| {
                    format!("{documents} x {} (first: {first})", cause.words())
                })
                .collect();
            problem.push_str(&format!(": {}", causes.join("; ")));
        }
        let mut error = Error::input(problem);
        if let Some(path) = first.path() {
            error = error.in_file(path);
        }
        if let Some(line) = first.line_number() {
            error = error.line(line);
        }
        if let Some(field) = first.field_name() {
            error = error.field(field);
        }
        let repair = first.help_text().unwrap_or("repair the text");
        error.help(format!(
            "{repair}; or allow more with `max_skipped` under [corpus] of study.toml"
        ))
    }
}

fn share_in_words(share: f64) -> String {
    match share {
        0.001 => "one in a thousand (`max_skipped`)".to_owned(),
        _ => format!("a share of {share} (`max_skipped`)"),
    }
}
