//! From questions to tokens.

use regmix_data::held_out::HeldOut;
use regmix_data::tasks::Request;
use regmix_data::tokenizer::Tokenizer;
use regmix_data::{Result, TokenCorpus};
use regmix_model::Continuation;

use super::asked::{Asked, Choices};
use super::{HELD_OUT, TaskFile};

impl Asked {
    /// The questions of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn task(
        tokenizer: &Tokenizer,
        file: &TaskFile,
        limit: Option<usize>,
    ) -> Result<Self> {
        let questions = file.task.read(&file.path, limit, file.shots.as_ref())?;
        let requests = questions.iter().flat_map(|question| &question.requests);
        let continuations = requests
            .map(|request| encode(tokenizer, request))
            .collect::<Result<_>>()
            .map_err(|e| e.in_file_if_none(&file.path))?;
        let questions = questions
            .iter()
            .enumerate()
            .map(|(number, question)| Choices {
                number,
                lengths: (question.choices.iter())
                    .map(|choice| [choice.chars().count(), choice.len()])
                    .collect(),
                gold: question.gold,
            });
        Ok(Self {
            name: file.task.to_string(),
            continuations,
            questions: questions.collect(),
            exact: file.task.is_exact(),
            normalized: file.task.is_normalized(),
            f1: file.task.has_f1(),
            shots: file.shots.as_ref().map_or(0, |shots| shots.count),
            of_domain: false,
        })
    }

    /// The questions from the held-out text of every domain.
    ///
    /// # Errors
    /// When a domain has too little of it.
    pub(crate) fn held_out(
        corpus: &TokenCorpus,
        held_out: &HeldOut,
        seed: u64,
    ) -> Result<Vec<Self>> {
        let domains = 0..corpus.domains().len();
        domains
            .map(|domain| of_domain(corpus, domain, held_out, seed))
            .collect()
    }
}

/// The tokens of a request, split as lm-eval splits them: blanks at the end of the context
/// belong to the continuation, and what follows the tokens of the context alone is scored.
fn encode(tokenizer: &Tokenizer, request: &Request) -> Result<Continuation> {
    let Request {
        context,
        continuation,
    } = request;
    // Blanks alone leave no token before what is scored.
    if context.trim_end().is_empty() {
        let own = tokenizer.encode(&format!("{context}{continuation}"))?;
        return Ok(Continuation {
            scored: own.len(),
            tokens: [vec![tokenizer.separator()], own].concat(),
        });
    }
    let before = tokenizer.encode(context.trim_end())?.len();
    let tokens = tokenizer.encode(&format!("{context}{continuation}"))?;
    Ok(Continuation {
        scored: tokens.len().saturating_sub(before),
        tokens,
    })
}

/// The questions from a domain's held-out text.
fn of_domain(corpus: &TokenCorpus, domain: usize, held_out: &HeldOut, seed: u64) -> Result<Asked> {
    let drawn = held_out.questions(corpus, domain, seed)?;
    let mut continuations = Vec::new();
    let mut questions = Vec::new();
    for question in drawn {
        let of_choice = |choice: &Vec<u32>| Continuation {
            tokens: [&question.context[..], choice].concat(),
            scored: choice.len(),
        };
        continuations.extend(question.choices.iter().map(of_choice));
        questions.push(Choices {
            number: questions.len(),
            // All have as many tokens.
            lengths: vec![[1; 2]; question.choices.len()],
            gold: question.gold,
        });
    }
    let name = corpus.domains().names().nth(domain).unwrap_or_default();
    Ok(Asked {
        name: format!("{HELD_OUT}/{name}"),
        continuations,
        questions,
        exact: false,
        normalized: false,
        f1: false,
        shots: 0,
        of_domain: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_before_a_continuation_are_scored_with_it() {
        let tokenizer = Tokenizer::bytes().unwrap();
        let encoded = |context: &str| {
            let request = Request {
                context: context.to_owned(),
                continuation: "yes".to_owned(),
            };
            let Continuation { tokens, scored } = encode(&tokenizer, &request).unwrap();
            let separated = tokens[0] == tokenizer.separator();
            (tokenizer.decode(&tokens).unwrap(), separated, scored)
        };
        assert_eq!(encoded("a: "), ("a: yes".to_owned(), false, 4));
        // A context of blanks alone is an empty one: something stands before what is scored.
        assert_eq!(encoded(""), ("yes".to_owned(), true, 3));
        assert_eq!(encoded(" \n"), (" \nyes".to_owned(), true, 5));
    }
}
