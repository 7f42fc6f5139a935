//! Multiple-choice tasks from JSON lines, with the prompts of lm-evaluation-harness.
//!
//! A [`Task`] turns a row of its data set into a [`Question`]: texts whose
//! log-likelihoods are compared. Prompts are those of version 0.4.13 of lm-eval, without
//! examples before the question (0-shot) or with some ([`Shots`]); rows have the fields of the
//! data sets that lm-eval loads.
//!
//! | task | fields of a row | prompt |
//! |---|---|---|
//! | `choices` | `query`, `choices`, `gold` | the query, a blank, a choice |
//! | `arc` | `question`, `choices` (`text`, `label`), `answerKey` | `Question: ...\nAnswer:` |
//! | `copa` | `premise`, `question`, `choice1`, `choice2`, `label` | `premise because` or `therefore` |
//! | `hellaswag` | `activity_label`, `ctx_a`, `ctx_b`, `endings`, `label` | `activity: context` |
//! | `lambada` | `text` | all words but the last |
//! | `logiqa` | `context`, `question`, `options`, `label` | `Passage: ...`, with the options |
//! | `multirc` | `paragraph`, `question`, `answer`, `label` | `paragraph\nQuestion: ...\nAnswer:` |
//! | `openbookqa` | `question_stem`, `choices` (`text`, `label`), `answerKey` | the stem |
//! | `piqa` | `goal`, `sol1`, `sol2`, `label` | `Question: ...\nAnswer:` |
//! | `qqp` | `question1`, `question2`, `label` | both questions |
//! | `race` | `article`, `problems` | `Article: ...`, with the earlier problems |
//! | `sciq` | `support`, `question`, `distractor1` to `3`, `correct_answer` | `support\nQuestion: ...\nAnswer:` |
//! | `social_iqa` | `context`, `question`, `answerA` to `C`, `label` | `Q: ...\nA:` |
//! | `winogrande` | `sentence`, `option1`, `option2`, `answer` | the sentence up to an option; what follows is scored |

mod prompts;
mod python;
mod row;
mod shots;

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use row::Row;
use shots::Examples;

pub use shots::Shots;

/// What stands between a prompt and a choice.
const DELIMITER: &str = " ";

/// A format of rows, and how a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Rows of your own: `query`, `choices`, `gold`.
    Choices,
    /// ARC, easy and challenge.
    Arc,
    /// COPA.
    Copa,
    /// HellaSwag.
    Hellaswag,
    /// LAMBADA: the last word of a passage.
    Lambada,
    /// LogiQA.
    Logiqa,
    /// MultiRC.
    Multirc,
    /// OpenBookQA.
    Openbookqa,
    /// PIQA.
    Piqa,
    /// Quora question pairs.
    Qqp,
    /// RACE.
    Race,
    /// SciQ.
    Sciq,
    /// Social IQa.
    SocialIqa,
    /// WinoGrande.
    Winogrande,
}

/// The tasks by their names.
const NAMES: [(&str, Task); 14] = [
    ("choices", Task::Choices),
    ("arc", Task::Arc),
    ("copa", Task::Copa),
    ("hellaswag", Task::Hellaswag),
    ("lambada", Task::Lambada),
    ("logiqa", Task::Logiqa),
    ("multirc", Task::Multirc),
    ("openbookqa", Task::Openbookqa),
    ("piqa", Task::Piqa),
    ("qqp", Task::Qqp),
    ("race", Task::Race),
    ("sciq", Task::Sciq),
    ("social_iqa", Task::SocialIqa),
    ("winogrande", Task::Winogrande),
];

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, task)| task == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Task {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, task)| *task).ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            Error::input(format!(
                "unknown task `{name}`: expected one of {}",
                known.join(", ")
            ))
        })
    }
}

/// What is scored: the continuation, given the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The text before.
    pub context: String,
    /// The text whose log-likelihood counts.
    pub continuation: String,
}

/// A question: one request for each choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// In the order of the choices.
    pub requests: Vec<Request>,
    /// The texts whose lengths normalise log-likelihoods.
    pub choices: Vec<String>,
    /// The right one.
    pub gold: usize,
}

impl Question {
    /// A prompt before choices.
    fn new(prompt: &str, choices: Vec<String>, gold: usize) -> Self {
        let requests = choices.iter().map(|choice| Request {
            context: prompt.to_owned(),
            continuation: format!("{DELIMITER}{choice}"),
        });
        Self {
            requests: requests.collect(),
            choices,
            gold,
        }
    }
}

impl Task {
    /// Whether the continuation must be what the model finds most likely, in place of
    /// the most likely among choices.
    pub fn is_exact(self) -> bool {
        self == Self::Lambada
    }

    /// Whether lm-eval divides log-likelihoods of this task by lengths as well.
    pub fn is_normalized(self) -> bool {
        !matches!(self, Self::Lambada | Self::Winogrande)
    }

    /// Whether lm-eval computes F1 of this task: of the second choice, which is `yes`.
    pub fn has_f1(self) -> bool {
        self == Self::Qqp
    }

    /// Whether one example more is drawn than is shown. lm-eval does so where a data set has
    /// no test split, and where it has one never takes the question out of the examples.
    fn draws_one_more(self) -> bool {
        !matches!(
            self,
            Self::Arc | Self::Lambada | Self::Logiqa | Self::Openbookqa | Self::Race | Self::Sciq
        )
    }

    /// Reads the questions of a file of JSON lines, the first `limit` of them, with examples
    /// before each, if any. A question is never among its own examples.
    ///
    /// ```
    /// use regmix_data::tasks::Task;
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("piqa.jsonl");
    /// let row = r#"{"goal": "open a jar", "sol1": "twist it", "sol2": "eat it", "label": 0}"#;
    /// std::fs::write(&path, row).unwrap();
    /// let questions = Task::Piqa.read(&path, None, None)?;
    /// assert_eq!(questions[0].requests[0].context, "Question: open a jar\nAnswer:");
    /// assert_eq!(questions[0].requests[1].continuation, " eat it");
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a file cannot be read, has no row or too few for the examples, or a row lacks a
    /// field; the error names line and field.
    pub fn read(
        self,
        path: &Path,
        limit: Option<usize>,
        shots: Option<&Shots>,
    ) -> Result<Vec<Question>> {
        let asked = self.rows(path, limit)?;
        let Some(shots) = shots.filter(|shots| shots.count > 0) else {
            return Ok(asked.into_iter().map(|(_, question)| question).collect());
        };
        let from = shots.examples.as_deref().unwrap_or(path);
        let pool = self.rows(from, None)?.into_iter();
        let (pool, texts): (Vec<Row>, Vec<String>) = pool
            .map(|(row, question)| (row, shots::example(self, &question)))
            .unzip();
        let in_pool = |e: Error| e.in_file(from);
        let mut examples = Examples::new(self, shots, &pool, texts).map_err(in_pool)?;
        let with_examples = |(row, mut question)| {
            examples.put_before(&mut question, &row)?;
            Ok(question)
        };
        let questions: Result<_> = asked.into_iter().map(with_examples).collect();
        questions.map_err(in_pool)
    }

    fn rows(self, path: &Path, limit: Option<usize>) -> Result<Vec<(Row, Question)>> {
        let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
        let mut questions = Vec::new();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            if limit.is_some_and(|limit| questions.len() >= limit) {
                break;
            }
            let line = line.map_err(|e| Error::io(path, e))?;
            if line.trim().is_empty() {
                continue;
            }
            let question = Row::parse(&line).and_then(|row| {
                let question = self.question(&row)?;
                Ok((row, question))
            });
            questions.push(question.map_err(|e| e.in_file(path).line(number as u64 + 1))?);
        }
        match questions.is_empty() {
            true => Err(Error::input("no rows: expected JSON lines").in_file(path)),
            false => Ok(questions),
        }
    }

    fn question(self, row: &Row) -> Result<Question> {
        let question = prompts::question(self, row)?;
        let (choices, gold) = (question.choices.len(), question.gold);
        if gold >= question.requests.len() {
            return Err(Error::input(format!(
                "the right choice is number {gold}: expected 0 to {}",
                choices.saturating_sub(1)
            )));
        }
        if let Some(empty) = question.choices.iter().position(String::is_empty) {
            return Err(Error::input(format!(
                "choice {empty} is empty: expected a text"
            )));
        }
        Ok(question)
    }
}

#[cfg(test)]
mod tests;
