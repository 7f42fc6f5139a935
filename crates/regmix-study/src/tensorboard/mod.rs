//! Metrics of runs as files that TensorBoard reads: `[logs] tensorboard = true`.
//!
//! Each run has one file in its own folder, `events.out.tfevents.<n>.regmix`, where
//! `n` counts the attempts. It can be made from `metrics.jsonl` alone: when a run
//! is resumed, the file is written again from the lines that the run keeps, so that
//! no step is in it twice. It then has a new name, since a running TensorBoard
//! keeps reading the file that it has open. The earlier file is emptied and kept:
//! without it, such a TensorBoard would not look for the next one. No step of
//! regmix reads any of them.

mod monitor;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use regmix_data::exchange::tfevents::{Event, What, framed};
use regmix_data::{Error, Evaluation, Result, artefact};
use regmix_model::metrics::{self, Line};

use crate::files::METRICS;

pub(crate) use monitor::EventFiles;

/// How the names of the files begin and end.
const START: &str = "events.out.tfevents.";
const END: &str = ".regmix";

/// The file of a run in progress.
#[derive(Debug)]
struct EventFile {
    path: PathBuf,
    file: File,
    /// When this attempt began, in seconds since 1970.
    began: f64,
}

impl EventFile {
    /// Writes the file of a run from its metrics, in place of those of earlier
    /// attempts, and opens it for what follows.
    fn begin(run: &Path) -> Result<Self> {
        let lines = match run.join(METRICS) {
            path if path.exists() => metrics::read(path)?,
            _ => Vec::new(),
        };
        let mut earlier = numbered(run)?;
        let n = earlier.last().map_or(1, |(n, _)| n + 1);
        // Ten digits, so that TensorBoard takes the files in their order.
        let path = run.join(format!("{START}{n:010}{END}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let began = now.unwrap_or_default().as_secs_f64();
        artefact::write_atomic(&path, &history(&lines, began))?;
        if let Some((_, last)) = earlier.pop() {
            File::create(&last).map_err(|e| Error::io(&last, e))?;
        }
        for (_, path) in earlier {
            artefact::withdraw(&path)?;
        }
        let file = File::options().append(true).open(&path);
        let file = file.map_err(|e| Error::io(&path, e))?;
        Ok(Self { path, file, began })
    }

    fn append(&mut self, evaluation: &Evaluation<'_>) -> Result<()> {
        let event = Event::of(evaluation, self.began + evaluation.seconds);
        let bytes = framed(&event);
        (self.file.write_all(&bytes)).map_err(|e| Error::io(&self.path, e))
    }
}

/// Writes the file of every finished run in a folder of runs that has none, for
/// example because it was trained before the files were asked for. A run that
/// cannot be read is left to the steps that read it.
pub(crate) fn complete(runs: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(runs) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let run = entry.path();
        let aside = entry.file_name().to_string_lossy().contains(".old-");
        if !aside && run.join("DONE").exists() && numbered(&run)?.is_empty() {
            match EventFile::begin(&run) {
                Err(e) if e.is_input() => {}
                other => drop(other?),
            }
        }
    }
    Ok(())
}

/// The files of a run with their numbers, in order.
fn numbered(run: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(run).map_err(|e| Error::io(run, e))?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let n = (name.strip_prefix(START)).and_then(|rest| rest.strip_suffix(END));
        if let Some(n) = n.and_then(|n| n.parse().ok()) {
            found.push((n, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The contents of a file with these lines. Their times of day are not known: they
/// are put before `now` at the distances that the run measured, so that the time
/// relative to the first is that of training.
fn history(lines: &[Line], now: f64) -> Vec<u8> {
    let elapsed = elapsed(lines);
    let whole = elapsed.last().copied().unwrap_or(0.0);
    let head = [What::version(), What::start()].map(|what| Event {
        wall_time: now - whole,
        step: 0,
        what: Some(what),
    });
    let lines = (lines.iter().zip(elapsed))
        .map(|(line, seconds)| Event::of(&evaluation(line), now - whole + seconds));
    (head.into_iter().chain(lines))
        .flat_map(|event| framed(&event))
        .collect()
}

/// Seconds of training up to each line, over all attempts: a line counts from
/// the beginning of its own.
fn elapsed(lines: &[Line]) -> Vec<f64> {
    let (mut before, mut last) = (0.0, 0.0);
    (lines.iter())
        .map(|line| {
            if line.seconds < last {
                before += last;
            }
            last = line.seconds;
            before + last
        })
        .collect()
}

fn evaluation(line: &Line) -> Evaluation<'_> {
    Evaluation {
        step: line.step,
        tokens: line.tokens,
        loss: &line.loss,
        bits_per_byte: &line.bits_per_byte,
        train_loss: line.train_loss,
        gradient_norm: line.gradient_norm,
        lr: line.lr,
        seconds: line.seconds,
        train_seconds: line.train_seconds,
    }
}

#[cfg(test)]
mod tests;
