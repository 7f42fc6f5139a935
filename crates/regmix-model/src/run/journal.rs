//! A file with a line of JSON for every step of a run, which is repeated when the run goes
//! on.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use regmix_data::{Error, Result, artefact};

/// The longest line that is read: thousands of domains.
const LONGEST: u64 = 1 << 20;

/// What a step left.
pub(crate) trait Entry: Serialize + DeserializeOwned {
    /// The step, counted from 1.
    fn step(&self) -> u64;

    /// What is wrong with it, if anything is.
    fn problem(&self, domains: usize) -> Option<String>;
}

/// Writes a line after each step.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal of a run that continues after `step` steps, and passes the lines
    /// up to there to `repeat`. Later lines are removed.
    ///
    /// # Errors
    /// When lines up to there are missing or damaged, and those of `repeat`.
    pub(crate) fn resume<E: Entry>(
        path: PathBuf,
        step: u64,
        domains: usize,
        mut repeat: impl FnMut(E) -> Result<()>,
    ) -> Result<Self> {
        let mut kept = Vec::new();
        if step > 0 {
            each_line(&path, domains, |line: E, text| {
                let at = line.step();
                if at <= step {
                    repeat(line)?;
                    kept.extend_from_slice(text.as_bytes());
                    kept.push(b'\n');
                }
                Ok(at < step)
            })
            .and_then(|last| match last >= step {
                true => Ok(()),
                false => Err(
                    Error::input(format!("the line of step {} is missing", last + 1))
                        .in_file(&path),
                ),
            })
            .map_err(|e| {
                e.help("move the folder of this run away, and run the same command again")
            })?;
        }
        artefact::write_atomic(&path, &kept)?;
        let file = File::options().append(true).open(&path);
        Ok(Self {
            file: file.map_err(|e| Error::io(&path, e))?,
            path,
        })
    }

    pub(crate) fn add(&mut self, line: &impl Entry) -> Result<()> {
        let mut text = serde_json::to_string(line).map_err(|e| Error::failed(e.to_string()))?;
        text.push('\n');
        (self.file.write_all(text.as_bytes())).map_err(|e| Error::io(&self.path, e))
    }

    pub(crate) fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io(&self.path, e))
    }
}

/// Passes whole lines on, in the order of steps from 1 on, until `take` says
/// false. Returns the last step. A half line at the end is left out.
pub(crate) fn each_line<E: Entry>(
    path: &Path,
    domains: usize,
    mut take: impl FnMut(E, &str) -> Result<bool>,
) -> Result<u64> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut reader = BufReader::new(file);
    let mut last = 0;
    let mut text = String::new();
    loop {
        text.clear();
        let mut limited = Read::take(&mut reader, LONGEST);
        limited
            .read_line(&mut text)
            .map_err(|e| Error::io(path, e))?;
        let Some(whole) = text.strip_suffix('\n') else {
            return Ok(last);
        };
        let bad = |problem: String| Error::input(problem).in_file(path).line(last + 1);
        let line: E =
            serde_json::from_str(whole).map_err(|e| bad(format!("not a step of this run: {e}")))?;
        if line.step() != last + 1 {
            return Err(bad(format!("step {}, expected {}", line.step(), last + 1)));
        }
        if let Some(problem) = line.problem(domains) {
            return Err(bad(problem));
        }
        last = line.step();
        if !take(line, whole)? {
            return Ok(last);
        }
    }
}
