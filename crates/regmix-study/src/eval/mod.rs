//! Scores of trained models on tasks, without Python.
//!
//! Questions have several continuations; the model's answer is the one that it finds most
//! likely. The conventions are those of lm-evaluation-harness: `acc` compares
//! log-likelihoods, `acc_norm` log-likelihoods per character, `acc_bytes` per byte of
//! UTF-8.

mod accuracy;
mod asked;
mod model;
pub(crate) mod record;
mod tokens;

use std::path::{Path, PathBuf};

use regmix_data::held_out::HeldOut;
use regmix_data::tasks::{Shots, Task};
use regmix_data::{Error, Monitor, Result, Unit};
use regmix_model::Device;
use serde::Serialize;

pub use accuracy::{Accuracy, TaskScore};
pub(crate) use asked::{Asked, scores};
use model::Evaluated;

/// The name of the questions from held-out text.
pub const HELD_OUT: &str = "held_out";

/// A file of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFile {
    /// Its format.
    pub task: Task,
    /// JSON lines.
    pub path: PathBuf,
    /// Examples before every question.
    pub shots: Option<Shots>,
}

impl TaskFile {
    /// With `count` examples before every question, drawn by the seed of lm-eval: from the
    /// file among `examples` that is of this task, else from its own.
    #[must_use]
    pub fn with_shots(self, count: usize, examples: &[Self]) -> Self {
        let own = examples.iter().find(|file| file.task == self.task);
        let shots = Shots {
            count,
            examples: own.map(|file| file.path.clone()),
            seed: Shots::SEED,
        };
        Self {
            shots: (count > 0).then_some(shots),
            ..self
        }
    }
}

impl std::str::FromStr for TaskFile {
    type Err = Error;

    /// `TASK=FILE`.
    fn from_str(text: &str) -> Result<Self> {
        let Some((task, path)) = text.split_once('=') else {
            return Err(Error::input(format!("`{text}`: expected TASK=FILE")));
        };
        Ok(Self {
            task: task.parse()?,
            path: path.into(),
            shots: None,
        })
    }
}

/// What models are asked.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    /// Files of questions.
    pub tasks: Vec<TaskFile>,
    /// The first questions of a file; all without a number.
    pub limit: Option<usize>,
    /// Questions from the held-out text of the study's corpus.
    pub held_out: Option<HeldOut>,
    /// The seed of those.
    pub seed: u64,
}

/// The scores of a model.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// Its folder.
    pub model: PathBuf,
    /// A digest of its weights.
    pub digest: String,
    /// Its parameters.
    pub parameters: usize,
    /// By task; of held-out text by domain, and all domains together.
    pub scores: Vec<TaskScore>,
    /// Every question.
    #[serde(skip)]
    pub samples: Vec<Sample>,
}

/// A question and what the model thinks of its choices.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// The task.
    pub task: String,
    /// Its number in the file, or of the domain, from 0.
    pub question: usize,
    /// The right choice.
    pub gold: usize,
    /// Of every choice, in nats.
    pub log_likelihoods: Vec<f64>,
}

/// Scores the model in a folder: that of a finished run with kept weights, or a Llama in
/// Hugging Face's layout. `study` is a folder whose corpus serves models that lie in no
/// study.
///
/// # Errors
/// When the model, its tokenizer or a task cannot be read or do not fit together, the
/// device fails, or `monitor` requests a stop.
pub fn evaluate(
    folder: &Path,
    study: &Path,
    questions: &Questions,
    device: &Device,
    monitor: &dyn Monitor,
) -> Result<Evaluation> {
    let evaluated = Evaluated::open(folder, study)?;
    let mut asked = Vec::new();
    for file in &questions.tasks {
        asked.push(Asked::task(evaluated.tokenizer()?, file, questions.limit)?);
    }
    if let Some(held_out) = &questions.held_out {
        asked.extend(Asked::held_out(
            evaluated.corpus()?,
            held_out,
            questions.seed,
        )?);
    }
    let context = evaluated.model.config().context;
    for line in asked.iter().flat_map(|task| task.unseen_in_words(context)) {
        monitor.message(&line);
    }
    let total: u64 = asked.iter().map(|task| task.size(context)).sum();
    monitor.begin(&format!("score {}", folder.display()), total, Unit::Items);
    let mut samples = Vec::new();
    let mut keep = |of_task| samples.extend(of_task);
    let scores = scores(&asked, &evaluated.model, device, monitor, &mut keep)?;
    monitor.end();
    Ok(Evaluation {
        model: folder.to_path_buf(),
        digest: evaluated.model.digest().to_owned(),
        parameters: evaluated.model.config().parameters().total(),
        scores,
        samples,
    })
}
