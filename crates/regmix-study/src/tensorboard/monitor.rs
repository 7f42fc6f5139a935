//! A monitor that writes the event files of the runs whose events it receives.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use regmix_data::{Monitor, Result, RunEvent, Unit};

use super::EventFile;

/// Passes everything on, and writes an event file for every run.
pub(crate) struct EventFiles<'a> {
    inner: &'a dyn Monitor,
    /// By run; `None` where the file cannot be written, which was said.
    files: Mutex<BTreeMap<String, Option<EventFile>>>,
}

impl<'a> EventFiles<'a> {
    pub(crate) fn new(inner: &'a dyn Monitor) -> Self {
        Self {
            inner,
            files: Mutex::new(BTreeMap::new()),
        }
    }

    /// Takes over a file that was begun or written to. A log that cannot be
    /// written does not end the training that it is about.
    fn keep<T>(&self, run: &str, result: Result<T>) -> Option<T> {
        result
            .map_err(|e| {
                let line = format!("run {run}: no more metrics for TensorBoard: {e}");
                self.inner.message(&line);
            })
            .ok()
    }
}

impl Monitor for EventFiles<'_> {
    fn begin(&self, what: &str, total: u64, unit: Unit) {
        self.inner.begin(what, total, unit);
    }

    fn at(&self, done: u64) {
        self.inner.at(done);
    }

    fn advance(&self, by: u64) {
        self.inner.advance(by);
    }

    fn note(&self, text: &str) {
        self.inner.note(text);
    }

    fn end(&self) {
        self.inner.end();
    }

    fn message(&self, line: &str) {
        self.inner.message(line);
    }

    fn run(&self, run: &str, event: &RunEvent<'_>) {
        let files = || self.files.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            RunEvent::Started { folder, .. } => {
                let file = self.keep(run, EventFile::begin(folder));
                files().insert(run.to_owned(), file);
            }
            RunEvent::Evaluated(evaluation) => {
                if let Some(slot) = files().get_mut(run)
                    && let Some(file) = slot
                    && self.keep(run, file.append(evaluation)).is_none()
                {
                    *slot = None;
                }
            }
            RunEvent::Finished | RunEvent::Failed { .. } | RunEvent::Stopped { .. } => {
                files().remove(run);
            }
            _ => {}
        }
        self.inner.run(run, event);
    }

    fn stop_requested(&self) -> bool {
        self.inner.stop_requested()
    }
}
