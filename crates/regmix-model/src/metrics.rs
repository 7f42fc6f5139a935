//! `metrics.jsonl`: the measurements of a run, one line per evaluation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use regmix_data::{Error, Result, artefact, sealed};
use serde::{Deserialize, Serialize};

/// One evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Steps made.
    pub step: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Validation loss per domain, nats per token.
    pub loss: BTreeMap<String, f64>,
    /// The same in bits per byte of text.
    pub bits_per_byte: BTreeMap<String, f64>,
    /// Loss of the last training batch, nats per token.
    pub train_loss: f64,
    /// Global gradient norm of the last step, before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Seconds since training started or was resumed.
    pub seconds: f64,
    /// Of these, seconds in training steps; 0 in files of earlier versions.
    #[serde(default)]
    pub train_seconds: f64,
    /// Of these, seconds in evaluations, this one included.
    #[serde(default)]
    pub eval_seconds: f64,
    /// `eval_seconds` divided by `train_seconds`.
    #[serde(default)]
    pub eval_share: f64,
}

/// Reads all lines of a metrics file. An incomplete last line, as a crash
/// leaves it, is left out.
///
/// # Errors
/// When the file cannot be read, or a line other than the last is broken.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Line>> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let sealed = text.contains(CHECKSUM);
    let mut lines = Vec::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        match parse(line, sealed) {
            Ok(parsed) => lines.push(parsed),
            Err(_) if !line.ends_with('\n') => break,
            Err(problem) => {
                return Err(Error::input(format!("not a line of metrics: {problem}"))
                    .in_file(path)
                    .line(i as u64 + 1));
            }
        }
    }
    Ok(lines)
}

/// What begins the last key of a line, the checksum of all before it.
const CHECKSUM: &str = ",\"checksum\":\"";

/// The line of a text, if it is as it was written. Files of earlier versions are
/// not `sealed`: none of their lines has a checksum.
fn parse(text: &str, sealed: bool) -> std::result::Result<Line, String> {
    if !sealed {
        return serde_json::from_str(text).map_err(|e| e.to_string());
    }
    let (line, rest) = (text.rsplit_once(CHECKSUM)).ok_or("it has no checksum")?;
    if rest.trim_end().strip_suffix("\"}") != Some(sealed::checksum(line.as_bytes()).as_str()) {
        return Err("the checksum does not match".to_owned());
    }
    serde_json::from_str(&format!("{line}}}")).map_err(|e| e.to_string())
}

/// The lines of an attempt that was stopped: those before the first that is
/// broken or out of order. None where there is no file.
///
/// # Errors
/// When the file is there but cannot be read.
pub fn read_interrupted(path: &Path) -> Result<Vec<Line>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(path, e)),
    };
    let sealed = String::from_utf8_lossy(&bytes).contains(CHECKSUM);
    let mut last = 0;
    Ok((bytes.split_inclusive(|&b| b == b'\n'))
        .map_while(|line| parse(std::str::from_utf8(line).ok()?, sealed).ok())
        .take_while(|line| std::mem::replace(&mut last, line.step) < line.step)
        .collect())
}

/// The first step in `steps` that no line measures.
pub(crate) fn missing(lines: &[Line], mut steps: impl Iterator<Item = u64>) -> Option<u64> {
    let measured: BTreeSet<u64> = lines.iter().map(|line| line.step).collect();
    steps.find(|step| !measured.contains(step))
}

/// The metrics file of a run in progress.
#[derive(Debug)]
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
    last: Option<Line>,
}

impl Metrics {
    /// Opens the file for appending after these lines, the only ones that it
    /// keeps: later ones were written after the last checkpoint, and their steps
    /// are made again.
    pub(crate) fn resume(path: PathBuf, lines: &[Line]) -> Result<Self> {
        // Always a new file: a worker that lost this run while it was suspended may
        // have the old one open and append to it.
        let kept = (lines.iter().map(|line| render(line, &path))).collect::<Result<String>>()?;
        artefact::write_atomic(&path, kept.as_bytes())?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| Error::io(&path, e))?;
        let last = lines.last().cloned();
        Ok(Self { path, file, last })
    }

    pub(crate) fn append(&mut self, line: &Line) -> Result<()> {
        let text = render(line, &self.path)?;
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| Error::io(&self.path, e))?;
        self.last = Some(line.clone());
        Ok(())
    }

    /// Waits until the lines are on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        (self.file.sync_all()).map_err(|e| Error::io(&self.path, e))
    }

    pub(crate) fn last(&self) -> Option<Line> {
        self.last.clone()
    }
}

fn render(line: &Line, path: &Path) -> Result<String> {
    let text =
        serde_json::to_string(line).map_err(|e| Error::failed(e.to_string()).in_file(path))?;
    let line = text.strip_suffix('}').unwrap_or(&text);
    let checksum = sealed::checksum(line.as_bytes());
    Ok(format!("{line}{CHECKSUM}{checksum}\"}}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64) -> Line {
        Line {
            step,
            tokens: step * 10,
            loss: BTreeMap::from([("web".to_owned(), 3.0 / step as f64)]),
            bits_per_byte: BTreeMap::new(),
            train_loss: 1.0,
            gradient_norm: 1.0,
            lr: 0.1,
            seconds: 0.5,
            train_seconds: 0.4,
            eval_seconds: 0.1,
            eval_share: 0.25,
        }
    }

    #[test]
    fn resuming_drops_incomplete_lines_and_those_after_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut metrics = Metrics::resume(path.clone(), &[]).unwrap();
        for step in 1..=4 {
            metrics.append(&line(step)).unwrap();
        }
        metrics.file.write_all(b"{\"step\":5,\"tok").unwrap();
        let earlier = read_interrupted(&path).unwrap();
        assert_eq!(earlier, [1, 2, 3, 4].map(line));
        assert_eq!(missing(&earlier, [2, 4, 6].into_iter()), Some(6));
        let mut metrics = Metrics::resume(path.clone(), &earlier[..2]).unwrap();
        assert_eq!(metrics.last(), Some(line(2)));
        metrics.append(&line(3)).unwrap();
        assert_eq!(read(&path).unwrap(), [line(1), line(2), line(3)]);
    }

    #[test]
    fn lines_after_a_broken_or_repeated_one_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        assert_eq!(read_interrupted(&path).unwrap(), []);
        let text = |lines: &[&str]| std::fs::write(&path, lines.concat()).unwrap();
        let [one, two, three] = [1, 2, 3].map(|step| render(&line(step), &path).unwrap());
        text(&[&one, "\u{0}{}\n", &three]);
        assert_eq!(read_interrupted(&path).unwrap(), [line(1)]);
        text(&[&one, &two, &two, &three]);
        assert_eq!(read_interrupted(&path).unwrap(), [line(1), line(2)]);
    }

    #[test]
    fn lines_of_earlier_versions_have_no_counters_and_no_checksums() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut old = serde_json::to_value(line(1)).unwrap();
        for key in ["train_seconds", "eval_seconds", "eval_share"] {
            old.as_object_mut().unwrap().remove(key);
        }
        std::fs::write(&path, format!("{old}\n")).unwrap();
        let read = read(&path).unwrap();
        assert_eq!((read[0].seconds, read[0].eval_seconds), (0.5, 0.0));
        assert_eq!(read_interrupted(&path).unwrap(), read);
    }

    #[test]
    fn a_changed_digit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let text = render(&line(1), &path).unwrap();
        std::fs::write(&path, &text).unwrap();
        assert_eq!(read(&path).unwrap(), [line(1)]);
        for at in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(&path).unwrap_err().line_number(), Some(1), "byte {at}");
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        std::fs::write(&path, "oops\n{}\n").unwrap();
        assert_eq!(read(&path).unwrap_err().line_number(), Some(1));
    }
}
