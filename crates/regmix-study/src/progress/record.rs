//! What the files of one run say about it.

use std::fs::Metadata;
use std::path::Path;

use regmix_data::artefact::time_of_change;
use regmix_data::{Error, Result};
use regmix_model::metrics::{self, Line};
use regmix_model::{RunSpec, RunStatus, stored_spec};
use serde::{Deserialize, Serialize};

use crate::files::METRICS;

/// The files that a record is made from.
const FILES: [&str; 5] = ["DONE", "FAILED", "run.toml", METRICS, "eval/scores.json"];

/// Points of a curve at most: more than a terminal shows.
const POINTS: usize = 64;

/// Size, time of change and number of each file of a run: when they are as they
/// were, so are the contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signature(String);

impl Signature {
    /// The present one of a run's folder, and whether all files have been as they
    /// are for a while. A file that was just changed may change again within the
    /// resolution of its time.
    pub(super) fn read(folder: &Path) -> Result<(Self, bool)> {
        let (mut text, mut settled) = (String::new(), true);
        for name in FILES {
            let path = folder.join(name);
            match std::fs::metadata(&path) {
                Ok(metadata) => {
                    let changed = time_of_change(&metadata, &path)?;
                    text.push_str(&format!(
                        "{} {changed} {};",
                        metadata.len(),
                        inode(&metadata)
                    ));
                    settled &= is_settled(&metadata);
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => text.push_str("-;"),
                Err(e) => return Err(Error::io(path, e)),
            }
        }
        Ok((Self(text), settled))
    }

    /// That of a finished run; `None` where the run is not finished.
    pub(super) fn of_finished(&self) -> Option<&str> {
        // The first file is DONE.
        (!self.0.starts_with('-')).then_some(self.0.as_str())
    }

    /// Whether there is no file.
    pub(super) fn is_empty(&self) -> bool {
        self.0.chars().all(|c| "-;".contains(c))
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

fn is_settled(metadata: &Metadata) -> bool {
    const WHILE: f64 = 10.0;
    let age = metadata.modified().map(|time| time.elapsed());
    // A time in the future is that of another clock.
    age.is_ok_and(|age| age.is_ok_and(|age| age.as_secs_f64() > WHILE))
}

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// Not started.
    #[default]
    New,
    /// Started and not finished.
    Started,
    /// Finished.
    Done,
    /// Ended without a result.
    Failed,
}

/// What is shown of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub(super) stage: Stage,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// That of its configuration, where it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<String>,
    /// The device that it was finished on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
    /// Steps at the last evaluation.
    pub(super) step: u64,
    /// Steps of the whole run, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) steps: Option<u64>,
    /// Tokens of a step, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tokens_per_step: Option<u64>,
    /// Mean loss over domains at the last evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loss: Option<f64>,
    /// Of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tokens_per_second: Option<f64>,
    /// Mean losses along training, of runs that are not finished.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) curve: Vec<(u64, f64)>,
}

impl Record {
    /// Reads it from the files of a run.
    ///
    /// # Errors
    /// When a file that says how the run ended is there but cannot be read.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        match RunStatus::read(folder)? {
            RunStatus::New => Ok(Self::default()),
            RunStatus::Done(summary) => Ok(Self {
                stage: Stage::Done,
                fingerprint: Some(summary.fingerprint),
                device: Some(summary.device),
                step: summary.steps,
                steps: Some(summary.steps),
                tokens_per_step: summary.tokens.checked_div(summary.steps),
                loss: mean(summary.loss.values()),
                ..Self::default()
            }),
            RunStatus::Started => Self::unfinished(folder, Stage::Started, None),
            RunStatus::Failed(reason) => Self::unfinished(folder, Stage::Failed, Some(reason)),
        }
    }

    /// A run that is not finished; what is damaged in its files is left to the step
    /// that continues it.
    fn unfinished(folder: &Path, stage: Stage, reason: Option<String>) -> Result<Self> {
        let spec = match stored_spec(folder) {
            Err(e) if e.is_io() => return Err(e),
            spec => spec.unwrap_or_default(),
        };
        let lines = metrics::read_interrupted(&folder.join(METRICS))?;
        let last = lines.last();
        Ok(Self {
            stage,
            reason,
            fingerprint: spec.as_ref().map(RunSpec::fingerprint),
            step: last.map_or(0, |line| line.step),
            steps: spec.as_ref().map(|spec| spec.train.steps),
            tokens_per_step: spec.as_ref().map(RunSpec::tokens_per_step),
            loss: last.and_then(|line| mean(line.loss.values())),
            tokens_per_second: tokens_per_second(&lines),
            curve: curve(&lines),
            ..Self::default()
        })
    }
}

fn mean<'a>(losses: impl ExactSizeIterator<Item = &'a f64>) -> Option<f64> {
    let n = losses.len();
    (n > 0).then(|| losses.sum::<f64>() / n as f64)
}

/// The speed of the last attempt, evaluations included. Its lines count seconds
/// from its beginning.
fn tokens_per_second(lines: &[Line]) -> Option<f64> {
    let last = lines.last()?;
    let first = (lines
        .windows(2)
        .rposition(|pair| pair[1].seconds < pair[0].seconds))
    .map_or(0, |before| before + 1);
    let (tokens, seconds) = match first {
        0 => (last.tokens, last.seconds),
        _ => {
            let first = &lines[first];
            (last.tokens - first.tokens, last.seconds - first.seconds)
        }
    };
    (tokens > 0 && seconds > 0.0).then(|| tokens as f64 / seconds)
}

/// The mean losses of the lines: all, or some at equal distances and the last.
fn curve(lines: &[Line]) -> Vec<(u64, f64)> {
    let every = lines.len().div_ceil(POINTS).max(1);
    let last = lines.len().saturating_sub(1);
    (lines.iter().enumerate())
        .filter(|(i, _)| (last - i).is_multiple_of(every))
        .filter_map(|(_, line)| Some((line.step, mean(line.loss.values())?)))
        .filter(|(_, loss)| loss.is_finite())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn line(step: u64, seconds: f64) -> Line {
        Line {
            step,
            tokens: 100 * step,
            loss: BTreeMap::from([("a".to_owned(), 2.0), ("b".to_owned(), 1.0 / step as f64)]),
            bits_per_byte: BTreeMap::new(),
            train_loss: 1.0,
            gradient_norm: 1.0,
            lr: 0.1,
            seconds,
            train_seconds: seconds,
            eval_seconds: 0.0,
            eval_share: 0.0,
        }
    }

    #[test]
    fn the_speed_is_that_of_the_last_attempt() {
        assert_eq!(tokens_per_second(&[]), None);
        let first = [line(1, 2.0), line(2, 4.0)];
        assert_eq!(tokens_per_second(&first), Some(50.0));
        // Resumed after step 2: the first line says nothing about the speed, since
        // it is not known at which step the attempt began.
        let resumed = [&first[..], &[line(3, 1.0)]].concat();
        assert_eq!(tokens_per_second(&resumed), None);
        let later = [&resumed[..], &[line(5, 2.0)]].concat();
        assert_eq!(tokens_per_second(&later), Some(200.0));
    }

    #[test]
    fn a_curve_has_its_last_point_and_not_too_many() {
        for n in [0, 1, 63, 64, 65, 500] {
            let lines: Vec<Line> = (1..=n).map(|step| line(step, step as f64)).collect();
            let curve = curve(&lines);
            assert!(curve.len() <= POINTS && curve.len() * 2 >= (n as usize).min(POINTS));
            assert_eq!(curve.last().map(|p| p.0), (n > 0).then_some(n));
        }
        assert_eq!(curve(&[line(2, 1.0)]), [(2, 1.25)]);
    }
}
