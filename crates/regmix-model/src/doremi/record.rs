//! The weights of every step, in the proxy's folder.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use regmix_data::{DomainSet, Error, Mixture, Result, artefact};
use serde::{Deserialize, Serialize};

use super::group_dro::{DoremiOptions, GroupDro};

const FILE: &str = "doremi.jsonl";

/// The longest line that is read: thousands of domains.
const LONGEST: u64 = 1 << 20;

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    step: u64,
    /// Weights after the step's batch.
    weights: Vec<f64>,
    /// Excess losses that gave them.
    excess: Vec<f64>,
}

/// Writes a line after each step.
#[derive(Debug)]
pub(super) struct Record {
    file: File,
    path: PathBuf,
}

impl Record {
    /// Opens the record of a run that continues after `step` steps, and brings
    /// `dro` to where it was then. Later lines are removed.
    ///
    /// # Errors
    /// When lines up to there are missing or damaged.
    pub(super) fn resume(folder: &Path, step: u64, dro: &mut GroupDro) -> Result<Self> {
        let path = folder.join(FILE);
        let mut kept = Vec::new();
        if step > 0 {
            each_line(&path, dro.weights().len(), |line, text| {
                if line.step <= step {
                    dro.repeat(&line.weights, &line.excess);
                    kept.extend_from_slice(text.as_bytes());
                    kept.push(b'\n');
                }
                Ok(line.step < step)
            })
            .and_then(|last| match last >= step {
                true => Ok(()),
                false => Err(
                    Error::input(format!("the weights of step {} are missing", last + 1))
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

    pub(super) fn add(&mut self, step: u64, dro: &GroupDro) -> Result<()> {
        let line = Line {
            step,
            weights: dro.weights().to_vec(),
            excess: dro.excess().to_vec(),
        };
        let mut text = serde_json::to_string(&line).map_err(|e| Error::failed(e.to_string()))?;
        text.push('\n');
        (self.file.write_all(text.as_bytes())).map_err(|e| Error::io(&self.path, e))
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io(&self.path, e))
    }
}

/// Passes whole lines on, in the order of steps from 1 on, until `take` says
/// false. Returns the last step. A half line at the end is left out.
fn each_line(
    path: &Path,
    domains: usize,
    mut take: impl FnMut(&Line, &str) -> Result<bool>,
) -> Result<u64> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut reader = BufReader::new(file);
    let mut last = 0;
    let mut text = String::new();
    loop {
        text.clear();
        let mut limited = std::io::Read::take(&mut reader, LONGEST);
        limited
            .read_line(&mut text)
            .map_err(|e| Error::io(path, e))?;
        let Some(whole) = text.strip_suffix('\n') else {
            return Ok(last);
        };
        let bad = |problem: String| Error::input(problem).in_file(path).line(last + 1);
        let line: Line =
            serde_json::from_str(whole).map_err(|e| bad(format!("not a step of DoReMi: {e}")))?;
        if line.step != last + 1 {
            return Err(bad(format!("step {}, expected {}", line.step, last + 1)));
        }
        let sound = |values: &[f64]| {
            values.len() == domains && values.iter().all(|v| v.is_finite() && *v >= 0.0)
        };
        if !sound(&line.weights) || !sound(&line.excess) {
            return Err(bad(format!(
                "expected {domains} weights and excess losses, none below 0"
            )));
        }
        last = line.step;
        if !take(&line, whole)? {
            return Ok(last);
        }
    }
}

/// What a DoReMi proxy found.
#[derive(Debug, Clone, PartialEq)]
pub struct DoremiResult {
    /// The mean of the weights over all steps: DoReMi's mixture.
    pub mixture: Mixture,
    /// The weights after the last step.
    pub last: Mixture,
    /// Steps.
    pub steps: u64,
}

impl DoremiResult {
    /// A weight that one domain must exceed for the weights to have collapsed.
    const COLLAPSED: f64 = 0.9;

    /// Reads the weights that a run left in its folder.
    ///
    /// # Errors
    /// When they are missing, damaged, or over another number of domains.
    pub fn read(folder: &Path, domains: &DomainSet) -> Result<Self> {
        let mut dro = GroupDro::new(domains.len(), DoremiOptions::default());
        let steps = each_line(&folder.join(FILE), domains.len(), |line, _| {
            dro.repeat(&line.weights, &line.excess);
            Ok(true)
        })?;
        if steps == 0 {
            return Err(
                Error::input("no step: expected one line for each").in_file(folder.join(FILE))
            );
        }
        Ok(Self {
            mixture: Mixture::normalized(domains.clone(), dro.mean())?,
            last: Mixture::normalized(domains.clone(), dro.weights().to_vec())?,
            steps,
        })
    }

    /// The domain that has nearly all of the weight in the mixture or at the end,
    /// if one has: such a result is of little use. The natural mixture for the
    /// reference, larger batches and a smaller step size help against it.
    pub fn collapsed(&self) -> Option<&str> {
        [&self.mixture, &self.last].into_iter().find_map(|mixture| {
            let most = mixture.iter().find(|(_, w)| *w > Self::COLLAPSED);
            most.map(|(domain, _)| domain.as_str())
        })
    }
}
