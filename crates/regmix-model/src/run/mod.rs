//! One training run and its folder.
//!
//! ```text
//! runs/<run>/run.toml        what the run is: resolved configuration, fingerprint
//! runs/<run>/metrics.jsonl   one line per evaluation
//! runs/<run>/checkpoint/     state.safetensors while training; model.safetensors at the end
//! runs/<run>/DONE            summary of a finished run
//! runs/<run>/FAILED          why a run ended without a result
//! runs/<run>/fallback.json   from where on a run in bf16 is trained in f32, and why
//! ```

mod session;
mod steer;
mod validation;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;

use regmix_data::{Error, ErrorKind, Mixture, Monitor, Result, TokenCorpus, artefact};
use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::device::Device;
use crate::fleet::Job;
use crate::optimizer::{AdamWConfig, Schedule};
use crate::precision::Precision;
use session::{Ended, Session};
pub use steer::{MixtureChange, Steer};
pub(crate) use validation::SharedValidation;

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimizer steps.
    pub steps: u64,
    /// Sequences per step.
    pub batch_size: usize,
    /// Sequences that go through the model at once; the gradients of a step's
    /// micro-batches are accumulated.
    pub micro_batch: usize,
    /// Peak learning rate.
    pub lr: f64,
    /// Learning rate at the end of the cosine.
    pub min_lr: f64,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// What follows the warm-up.
    pub schedule: Schedule,
    /// Optimizer.
    pub optimizer: AdamWConfig,
    /// Steps between evaluations; the last step is always evaluated.
    pub eval_every: u64,
    /// Validation sequences per domain; fewer where the domain has fewer.
    pub eval_sequences: usize,
    /// Steps between checkpoints; 0 for none but on interruption.
    pub checkpoint_every: u64,
    /// Whether the weights are kept when the run is done.
    pub keep_weights: bool,
    /// What matrix products are computed in.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl TrainConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// Names the first field out of range.
    pub fn check(&self) -> Result<()> {
        let bad = |field: &str, found: String, expected: &str| {
            Err(Error::input(format!("{found}: expected {expected}")).field(field))
        };
        if self.steps == 0 {
            return bad("steps", "0".into(), "at least 1");
        }
        if self.batch_size == 0 || self.batch_size > 1 << 20 {
            return bad(
                "batch_size",
                self.batch_size.to_string(),
                "1 to 1048576 sequences",
            );
        }
        if self.micro_batch == 0 || self.micro_batch > self.batch_size {
            let found = self.micro_batch.to_string();
            return bad("micro_batch", found, "1 to batch_size");
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return bad("lr", self.lr.to_string(), "a positive number");
        }
        if !(self.min_lr >= 0.0 && self.min_lr <= self.lr) {
            return bad("min_lr", self.min_lr.to_string(), "0 to lr");
        }
        if self.eval_every == 0 || self.eval_sequences == 0 {
            return bad("eval_every", "0".into(), "at least 1, eval_sequences too");
        }
        self.optimizer.check()
    }
}

/// Everything that decides what a run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The run's name; its folder is named so.
    pub run: String,
    /// The study's seed, or another for a repetition.
    pub seed: u64,
    /// Fingerprint of the tokenized corpus.
    pub corpus: String,
    /// How it is trained.
    pub train: TrainConfig,
    /// The model.
    pub model: ModelConfig,
    /// What it is trained on.
    pub mixture: Mixture,
    /// Mixtures that the run goes over to, by step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<MixtureChange>,
    /// What chooses its mixtures while it trains, by a name that differs
    /// where the choices may; absent where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steered_by: Option<String>,
    /// Name of the order in which text is seen, the run's own if absent. Runs
    /// of one name and seed see the sequences of a domain in one order, so
    /// that less than chance sets them apart where they are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_order: Option<String>,
}

impl RunSpec {
    /// A hash of all fields.
    pub fn fingerprint(&self) -> String {
        let json = serde_json::to_vec(self).expect("a run's configuration has a JSON form");
        blake3::hash(&json).to_hex()[..32].to_owned()
    }

    /// Tokens that the run is trained on.
    pub fn tokens(&self) -> u64 {
        self.train.steps * self.train.batch_size as u64 * self.model.context as u64
    }
}

#[derive(Serialize, Deserialize)]
struct RunFile {
    regmix_version: String,
    fingerprint: String,
    #[serde(flatten)]
    spec: RunSpec,
}

/// What a finished run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run's name.
    pub run: String,
    /// Fingerprint of its configuration.
    pub fingerprint: String,
    /// Steps made.
    pub steps: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Final loss per domain, nats per token.
    pub loss: BTreeMap<String, f64>,
    /// Final loss per domain, bits per byte of text.
    pub bits_per_byte: BTreeMap<String, f64>,
    /// Device it was finished on.
    pub device: String,
    /// Whether it gave up its precision on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// Where a run in reduced precision went over to f32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fallback {
    /// Steps of which the checkpoint was taken that it went on from.
    pub step: u64,
    /// What was seen, and at which step.
    pub reason: String,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum RunStatus {
    /// Nothing was done.
    New,
    /// Started and not finished.
    Started,
    /// Finished.
    Done(RunSummary),
    /// Ended without a result; the reason.
    Failed(String),
}

impl RunStatus {
    /// Reads the status from a run's folder.
    ///
    /// # Errors
    /// When a file is there but cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let done = folder.join("DONE");
        if done.exists() {
            return Ok(Self::Done(artefact::read_json(done)?));
        }
        let failed = folder.join("FAILED");
        match std::fs::read_to_string(&failed) {
            Ok(reason) => return Ok(Self::Failed(reason.trim().to_owned())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(failed, e)),
        }
        Ok(if folder.join("run.toml").exists() {
            Self::Started
        } else {
            Self::New
        })
    }
}

/// Progress of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps made, those before a resumption included.
    pub step: u64,
    /// Steps to make.
    pub steps: u64,
    /// Tokens of this step.
    pub tokens: u64,
    /// Loss of the last batch.
    pub loss: f64,
}

/// How a caller watches and stops a run.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// When it asks to stop, the run saves a checkpoint and stops.
    pub cancel: &'a dyn Monitor,
    /// Called after every step, from the run's thread.
    pub progress: &'a (dyn Fn(&RunSpec, Progress) + Sync),
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

/// Trains a run in its folder, going on where an earlier attempt stopped. A
/// finished or failed run is not touched: its status is given back.
///
/// # Errors
/// - `Input`: the configuration is out of range, the tokenizer's vocabulary is
///   larger than the model's, a domain is too small for one sequence.
/// - `Stale`: the folder holds another configuration.
/// - `Interrupted`: `control.cancel` asked to stop; a checkpoint is saved.
/// - `Io`: the folder cannot be written, or another process trains this run.
/// - `Device`: the device does not have the run's precision.
/// - `Failed`: the device failed. The last checkpoint is there, and the run can
///   be gone on with, on another device if need be.
pub fn train(
    spec: &RunSpec,
    corpus: &TokenCorpus,
    folder: &Path,
    device: &Device,
    control: Control<'_>,
) -> Result<RunStatus> {
    let job = Job {
        spec: spec.clone(),
        folder: folder.to_path_buf(),
        steer: None,
    };
    train_sharing(&job, corpus, device, control, &SharedValidation::default())
}

/// As [`train`], for one of several runs on a corpus.
pub(crate) fn train_sharing(
    job: &Job,
    corpus: &TokenCorpus,
    device: &Device,
    control: Control<'_>,
    validation: &SharedValidation,
) -> Result<RunStatus> {
    let Job { spec, folder, .. } = job;
    spec.train.check()?;
    spec.model.check()?;
    spec.check_changes()?;
    device.check_precision(spec.train.precision)?;
    if spec.steered_by.is_some() != job.steer.is_some() {
        return Err(Error::input(format!(
            "run `{}`: expected a steering and its name, or neither",
            spec.run
        ))
        .field("steered_by"));
    }
    check_corpus(spec, corpus)?;
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let _lock = lock(folder)?;
    claim(spec, folder)?;
    match RunStatus::read(folder)? {
        ended @ (RunStatus::Done(_) | RunStatus::Failed(_)) => return Ok(ended),
        RunStatus::New | RunStatus::Started => {}
    }
    loop {
        match Session::open(job, corpus, device, validation)?.run(control)? {
            Ended::Finally(status) => return Ok(status),
            // On from the last checkpoint, in f32.
            Ended::Unsound => {}
        }
    }
}

fn check_corpus(spec: &RunSpec, corpus: &TokenCorpus) -> Result<()> {
    if spec.corpus != corpus.fingerprint() {
        return Err(Error::new(
            ErrorKind::Stale,
            format!("run `{}` was planned for another corpus", spec.run),
        )
        .help("plan the runs again, or bring the old corpus back"));
    }
    let vocab = corpus.vocab_size() as usize;
    if vocab > spec.model.vocab_size {
        return Err(Error::input(format!(
            "the tokenizer knows {vocab} tokens, the model {}: expected a model vocabulary at \
             least as large",
            spec.model.vocab_size
        ))
        .field("vocab_size")
        .help("leave `vocab_size` out, so that it follows the tokenizer"));
    }
    Ok(())
}

/// Keeps two processes from training the same run.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Io,
            "another process is training this run",
        )
        .in_file(folder)
        .help("wait for it, or stop it")),
        // Some network file systems have no locks; they are no reason to stop.
        Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Writes `run.toml`, or checks that what is there says the same.
fn claim(spec: &RunSpec, folder: &Path) -> Result<()> {
    if is_claimed(spec, folder)? {
        return Ok(());
    }
    let path = folder.join("run.toml");
    let file = RunFile {
        regmix_version: env!("CARGO_PKG_VERSION").to_owned(),
        fingerprint: spec.fingerprint(),
        spec: spec.clone(),
    };
    let text =
        toml::to_string_pretty(&file).map_err(|e| Error::failed(e.to_string()).in_file(&path))?;
    artefact::write_atomic(&path, text.as_bytes())
}

/// Whether a run was started in a folder.
///
/// # Errors
/// When it was started with another configuration, or its `run.toml` is there
/// but cannot be read.
pub(crate) fn is_claimed(spec: &RunSpec, folder: &Path) -> Result<bool> {
    let Some(old) = stored(folder)? else {
        return Ok(false);
    };
    if old.fingerprint == spec.fingerprint() {
        return Ok(true);
    }
    Err(Error::new(
        ErrorKind::Stale,
        format!(
            "run `{}` was started with another configuration ({})",
            spec.run,
            changes(&old.spec, spec)
        ),
    )
    .in_file(folder.join("run.toml"))
    .help("put the configuration back, or redo the run with `--redo`"))
}

/// The fingerprint in a run's folder, if a run was started there.
///
/// # Errors
/// When its `run.toml` is there but cannot be read.
pub fn stored_fingerprint(folder: &Path) -> Result<Option<String>> {
    Ok(stored(folder)?.map(|file| file.fingerprint))
}

fn stored(folder: &Path) -> Result<Option<RunFile>> {
    let path = folder.join("run.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text)
            .map(Some)
            .map_err(|e| Error::input(e.message().to_owned()).in_file(path)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path, e)),
    }
}

/// Names what differs between two configurations.
fn changes(old: &RunSpec, new: &RunSpec) -> String {
    fn walk(path: &str, a: &serde_json::Value, b: &serde_json::Value, out: &mut Vec<String>) {
        match (a, b) {
            (serde_json::Value::Object(x), serde_json::Value::Object(y)) => {
                for (key, value) in x {
                    let path = format!("{path}{}{key}", if path.is_empty() { "" } else { "." });
                    walk(
                        &path,
                        value,
                        y.get(key).unwrap_or(&serde_json::Value::Null),
                        out,
                    );
                }
            }
            _ if a != b => out.push(format!("{path}: {a} is now {b}")),
            _ => {}
        }
    }
    let json = |spec| serde_json::to_value(spec).unwrap_or_default();
    let mut out = Vec::new();
    walk("", &json(old), &json(new), &mut out);
    let more = out.len().saturating_sub(3);
    out.truncate(3);
    let mut text = out.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
