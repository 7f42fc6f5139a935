//! Questions in tokens, and what a model answers.

use std::borrow::Cow;

use regmix_data::{Error, Monitor, Result};
use regmix_model::{Continuation, Device, Score, TrainedModel};

use super::accuracy::{Answered, Answers, TaskScore, together};
use super::{HELD_OUT, Sample};

/// Questions of a task in tokens.
#[derive(Clone)]
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
#[derive(Clone)]
pub(super) struct Choices {
    /// The number of the question in the file, or of the domain, from 0.
    pub(super) number: usize,
    /// Characters and bytes of each.
    pub(super) lengths: Vec<[usize; 2]>,
    pub(super) gold: usize,
}

impl Asked {
    /// How many continuations a model of so many tokens scores.
    pub(crate) fn size(&self, context: usize) -> u64 {
        self.fitting(context).continuations.len() as u64
    }

    /// The questions of a file that a model of so many tokens can answer: those with a choice
    /// that is longer are left out. lm-eval stops at such a question. Questions from held-out
    /// text have the length that was asked for.
    fn fitting(&self, context: usize) -> Cow<'_, Self> {
        let is_long = |c: &Continuation| c.scored > context;
        if self.of_domain || !self.continuations.iter().any(is_long) {
            return Cow::Borrowed(self);
        }
        let mut fitting = Self {
            continuations: Vec::new(),
            questions: Vec::new(),
            ..self.clone()
        };
        let mut rest = &self.continuations[..];
        for choices in &self.questions {
            let (own, others) = rest.split_at(choices.lengths.len());
            rest = others;
            if !own.iter().any(is_long) {
                fitting.continuations.extend_from_slice(own);
                fitting.questions.push(choices.clone());
            }
        }
        Cow::Owned(fitting)
    }

    /// The number of the first question that is not among those that fit.
    fn first_left_out(&self, fitting: &Self) -> Option<usize> {
        let kept = fitting.questions.iter().map(|choices| choices.number);
        let all = self.questions.iter().map(|choices| choices.number);
        let mut pairs = all.zip(kept.map(Some).chain(std::iter::repeat(None)));
        pairs.find_map(|(own, kept)| (Some(own) != kept).then_some(own))
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

    /// Lines on what a model of so many tokens does not see of the questions of a file: none
    /// where it sees all.
    pub(crate) fn unseen_in_words(&self, context: usize) -> Vec<String> {
        if self.of_domain {
            return Vec::new();
        }
        let fitting = self.fitting(context);
        let (all, kept) = (self.questions.len(), fitting.questions.len());
        let left_out = self.first_left_out(&fitting).map(|first| {
            format!(
                "{}: {} of {all} questions are left out, the first of them number {}: a choice is \
                 longer than the {context} tokens that the model sees",
                self.name,
                all - kept,
                first + 1
            )
        });
        let cut = Some(fitting.cut(context))
            .filter(|cut| *cut > 0)
            .map(|cut| {
                format!(
                    "{}: {cut} of {kept} questions are longer than the {context} tokens that the \
                 model sees; their beginnings are cut off",
                    self.name
                )
            });
        left_out.into_iter().chain(cut).collect()
    }

    fn answers(&self, scores: &[Score]) -> Answers {
        let mut rest = scores;
        let questions = self.questions.iter().map(|choices| {
            let (own, others) = rest.split_at(choices.lengths.len());
            rest = others;
            Answered {
                question: choices.number,
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
/// Questions with a choice that is longer than the model's sequences are left out.
///
/// # Errors
/// When no question of a task is left, the device fails, or `monitor` requests a stop.
pub(crate) fn scores(
    asked: &[Asked],
    model: &TrainedModel,
    device: &Device,
    monitor: &dyn Monitor,
    keep: &mut dyn FnMut(Vec<Sample>),
) -> Result<Vec<TaskScore>> {
    let mut scores = Vec::new();
    let mut of_domains = Vec::new();
    let context = model.config().context;
    for all in asked {
        let task = &*all.fitting(context);
        if task.questions.is_empty() {
            return Err(Error::input(format!(
                "`{}`: every question has a choice of more than {context} tokens, as many as the \
                 model sees",
                task.name
            ))
            .help("use a model with a longer context, or other questions"));
        }
        let found = model.score(&task.continuations, task.exact, device, monitor)?;
        let answers = task.answers(&found);
        keep(answers.samples(&task.name).collect());
        let score = TaskScore {
            shots: task.shots,
            cut: task.cut(context),
            left_out: all.questions.len() - task.questions.len(),
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
