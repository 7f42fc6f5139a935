//! `[eval]`: questions on which the accuracies of models are measured.

use std::collections::BTreeMap;
use std::path::PathBuf;

use regmix_data::held_out::HeldOut;
use regmix_data::tasks::Task;
use regmix_data::{Error, Result};
use regmix_regress::Objective;
use serde::{Deserialize, Serialize};

use super::StudyConfig;
use super::rules::Misplaced;
use crate::eval::HELD_OUT;

/// `[eval]`: questions whose accuracies are targets of the fit beside the losses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSection {
    /// Questions from the held-out text of the corpus; none if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<HeldOutSection>,
    /// The first questions of every file; all without a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Examples before every question of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shots: Option<usize>,
    /// Files of questions, by names of your own, which are those of the targets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, TaskSection>,
}

/// `[eval.held_out]`: which of four continuations follows?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeldOutSection {
    /// Questions of every domain.
    pub questions: usize,
    /// Tokens before a continuation, at most.
    pub context: usize,
    /// Tokens of a continuation.
    pub continuation: usize,
    /// Of the questions.
    pub seed: u64,
    /// Whether the accuracy on each domain is a target besides their mean.
    pub per_domain: bool,
}

impl Default for HeldOutSection {
    fn default() -> Self {
        let HeldOut {
            questions,
            context,
            continuation,
        } = HeldOut::default();
        Self {
            questions,
            context,
            continuation,
            seed: HeldOut::SEED,
            per_domain: false,
        }
    }
}

impl HeldOutSection {
    /// How questions are made.
    pub fn questions(&self) -> HeldOut {
        HeldOut {
            questions: self.questions,
            context: self.context,
            continuation: self.continuation,
        }
    }
}

/// `[eval.tasks.NAME]`: a file of questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSection {
    /// Its format.
    pub task: Task,
    /// JSON lines; relative to the study.
    pub path: PathBuf,
    /// JSON lines that the examples of `shots` are drawn from, relative to the study; those
    /// of `path` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<PathBuf>,
    /// The accuracy that counts; `acc_norm` where the task has it if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreName>,
}

/// Accuracies of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreName {
    /// By log-likelihoods.
    Acc,
    /// By log-likelihoods per character.
    AccNorm,
    /// By log-likelihoods per byte.
    AccBytes,
}

impl StudyConfig {
    /// What is minimised: the objective of `[objective]`. An accuracy of `[eval]` that it
    /// names is maximised.
    ///
    /// # Errors
    /// When the weights are unusable, or `relative_to` has nothing to act on.
    pub fn goal(&self) -> Result<Objective> {
        match self.objective.objective()? {
            Objective::Target(name) if self.is_accuracy(&name) => {
                Ok(Objective::Target(name).maximize())
            }
            other => Ok(other),
        }
    }

    /// The same where losses alone are known, for what `user` does: along training, or at
    /// other sizes.
    ///
    /// # Errors
    /// As [`StudyConfig::goal`], and when it names an accuracy.
    pub fn goal_of_losses(&self, user: &str) -> Result<Objective> {
        let goal = self.goal()?;
        match goal.named().into_iter().find(|name| self.is_accuracy(name)) {
            None => Ok(goal),
            Some(accuracy) => Err(Error::input(format!(
                "the objective has `{accuracy}`, an accuracy, which is measured at the end of \
                 proxies alone: {user} needs an objective of losses"
            ))
            .help("name losses in [objective], then: regmix optimize --redo")),
        }
    }

    /// Whether `[eval]` gives a target of this name.
    pub(crate) fn is_accuracy(&self, name: &str) -> bool {
        let Some(eval) = &self.eval else {
            return false;
        };
        let held_out = (eval.held_out.as_ref()).is_some_and(|section| {
            let domain = name.strip_prefix(HELD_OUT);
            match domain {
                Some("") => true,
                Some(domain) => section.per_domain && domain.starts_with('/'),
                None => false,
            }
        });
        held_out || eval.tasks.contains_key(name)
    }
}

/// What `[eval]` must satisfy beyond its types.
pub(super) fn check(config: &StudyConfig) -> Result<(), Misplaced> {
    let Some(eval) = &config.eval else {
        return Ok(());
    };
    if eval.held_out.is_none() && eval.tasks.is_empty() {
        let e = Error::input("nothing is asked: expected [eval.held_out] or [eval.tasks.NAME]");
        return Err(("eval", e.field("tasks")));
    }
    if !config.proxy.keep_weights {
        let e = Error::input(
            "proxies are asked the questions of [eval] after their training: expected \
             `keep_weights = true`",
        );
        return Err(("proxy", e.field("keep_weights")));
    }
    if let Some(section) = &eval.held_out {
        (section.questions().check()).map_err(|e| ("eval.held_out", e))?;
    }
    if eval.limit == Some(0) {
        let e = Error::input("out of range, expected at least 1 question");
        return Err(("eval", e.field("limit")));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    for name in eval.tasks.keys() {
        let taken = [HELD_OUT, "mean", "worst"].contains(&name.as_str());
        if taken || name.is_empty() || !name.chars().all(fits) {
            let e = Error::input(format!(
                "`{name}`: expected letters, digits, _, - and ., and none of {HELD_OUT}, mean, \
                 worst"
            ));
            return Err(("eval.tasks", e.field(name)));
        }
    }
    for (name, weight) in &config.objective.weights {
        if *weight > 0.0 && config.is_accuracy(name) {
            let e = Error::input(format!(
                "{weight} for an accuracy, which is better when higher: expected a negative \
                 weight, since the sum is minimised"
            ));
            return Err(("objective.weights", e.field(name)));
        }
    }
    Ok(())
}
