//! Questions in tokens, and what a model answers.

use regmix_data::{Monitor, Result};
use regmix_model::{Continuation, Device, Score, TrainedModel};

use super::accuracy::{Answered, Answers, TaskScore, together};
use super::{HELD_OUT, Sample};

/// Questions of a task in tokens.
pub(crate) struct Asked {
    pub(super) name: String,
    /// Of all choices of all questions, in order.
    pub(super) continuations: Vec<Continuation>,
    /// How long the choices of every question are, in characters and bytes, and which is
    /// right.
    pub(super) questions: Vec<Choices>,
    /// Whether the continuation must be the most likely of all.
    pub(super) exact: bool,
    /// Whether log-likelihoods are divided by lengths, too.
    pub(super) normalized: bool,
    /// Whether F1 of the second choice is computed.
    pub(super) f1: bool,
    /// Examples before every question.
    pub(super) shots: usize,
    pub(super) of_domain: bool,
}

/// The choices of a question.
pub(super) struct Choices {
    /// Characters and bytes of each.
    pub(super) lengths: Vec<[usize; 2]>,
    pub(super) gold: usize,
}

impl Asked {
    /// How many continuations are scored.
    pub(crate) fn size(&self) -> u64 {
        self.continuations.len() as u64
    }

    /// How many questions are longer than what a model of so many tokens sees.
    fn cut(&self, context: usize) -> usize {
        let mut rest = &self.continuations[..];
        let is_cut = |choices: &&Choices| {
            let (own, others) = rest.split_at(choices.lengths.len());
            rest = others;
            own.iter().any(|c| !c.is_seen_whole(context))
        };
        self.questions.iter().filter(is_cut).count()
    }

    /// A line on what a model does not see of the questions of a file; none where it sees
    /// all.
    pub(crate) fn cut_in_words(&self, context: usize) -> Option<String> {
        let cut = Some(self.cut(context)).filter(|cut| *cut > 0 && !self.of_domain)?;
        Some(format!(
            "{}: {cut} of {} questions are longer than the {context} tokens that the model \
             sees; their beginnings are cut off",
            self.name,
            self.questions.len()
        ))
    }

    fn answers(&self, scores: &[Score]) -> Answers {
        let mut rest = scores;
        let questions = self.questions.iter().map(|choices| {
            let (own, others) = rest.split_at(choices.lengths.len());
            rest = others;
            Answered {
                log_likelihoods: own.iter().map(|score| score.log_likelihood).collect(),
                lengths: choices.lengths.clone(),
                gold: choices.gold,
                is_greedy: own.first().and_then(|score| score.is_greedy),
            }
        });
        Answers(questions.collect())
    }
}

/// The scores of a model, by task; for questions from held-out text by domain, and all
/// domains together at the end. `keep` gets what the model thinks of every choice.
///
/// # Errors
/// When the device fails, or `monitor` requests a stop.
pub(crate) fn scores(
    asked: &[Asked],
    model: &TrainedModel,
    device: &Device,
    monitor: &dyn Monitor,
    keep: &mut dyn FnMut(Vec<Sample>),
) -> Result<Vec<TaskScore>> {
    let mut scores = Vec::new();
    let mut of_domains = Vec::new();
    for task in asked {
        let found = model.score(&task.continuations, task.exact, device, monitor)?;
        let answers = task.answers(&found);
        keep(answers.samples(&task.name).collect());
        let score = TaskScore {
            shots: task.shots,
            cut: task.cut(model.config().context),
            f1: task.f1.then(|| answers.f1()),
            ..answers.score(&task.name, task.normalized)
        };
        if task.of_domain {
            of_domains.push(score.clone());
        }
        scores.push(score);
    }
    scores.extend(together(HELD_OUT, &of_domains));
    Ok(scores)
}
