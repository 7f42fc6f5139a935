//! Questions from held-out text: which of four continuations follows?
//!
//! The right one follows in the document, the others are taken out of other documents of
//! the same domain. They can be made from every corpus, and a model that has learnt a
//! domain answers more of them correctly.

use crate::error::{Error, Result};
use crate::random::{self, Stream, below};
use crate::shard::Split;
use crate::token_corpus::{TokenCorpus, TokenStream};

/// Choices of a question: the true continuation, and three others.
pub const CHOICES: usize = 4;

/// Draws of a question before a domain counts as too uniform.
const TRIES: usize = 20;

/// How questions are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HeldOut {
    /// Questions of every domain.
    pub questions: usize,
    /// Tokens before a continuation, at most.
    pub context: usize,
    /// Tokens of a continuation.
    pub continuation: usize,
}

impl Default for HeldOut {
    fn default() -> Self {
        Self {
            questions: 100,
            context: 64,
            continuation: 16,
        }
    }
}

/// A question in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOutQuestion {
    /// The tokens before.
    pub context: Vec<u32>,
    /// The continuations.
    pub choices: [Vec<u32>; CHOICES],
    /// The true one.
    pub gold: usize,
}

/// A document's place in its stream, without its separator.
#[derive(Debug, Clone, Copy)]
struct Document {
    start: u64,
    length: u64,
}

impl HeldOut {
    /// The seed of questions where none is given.
    pub const SEED: u64 = 42;

    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the first that is out of range.
    pub fn check(&self) -> Result<()> {
        for (field, value) in [
            ("questions", self.questions),
            ("context", self.context),
            ("continuation", self.continuation),
        ] {
            if value == 0 || value > 1 << 20 {
                return Err(Error::input(format!("{value}: expected 1 to 1048576")).field(field));
            }
        }
        Ok(())
    }

    /// The questions of a domain's validation split: the same for the same corpus, seed
    /// and numbers, on every machine.
    ///
    /// # Errors
    /// When fewer than four documents are longer than a continuation, continuations are
    /// nearly all alike, a number is out of range, or a shard is damaged.
    ///
    /// # Panics
    /// When there is no such domain.
    pub fn questions(
        &self,
        corpus: &TokenCorpus,
        domain: usize,
        seed: u64,
    ) -> Result<Vec<HeldOutQuestion>> {
        self.check()?;
        let stream = corpus.stream(domain, Split::Valid);
        let name = corpus.domains().names().nth(domain).unwrap_or_default();
        // At least one token stands before a continuation.
        let least = self.continuation as u64 + 1;
        let mut documents = Vec::new();
        let mut start = 0;
        for end in stream.document_ends() {
            let length = (end - start).saturating_sub(1);
            if length >= least {
                documents.push(Document { start, length });
            }
            start = end;
        }
        if documents.len() < CHOICES {
            return Err(Error::input(format!(
                "{} documents of `{name}` are held out and longer than {} tokens: expected at \
                 least {CHOICES}",
                documents.len(),
                self.continuation
            ))
            .field("continuation")
            .help("shorten the continuations, or hold out more text"));
        }
        let mut rng = random::stream(seed, name, "held-out questions");
        (0..self.questions)
            .map(|_| {
                for _ in 0..TRIES {
                    if let Some(question) = self.draw(stream, &documents, &mut rng)? {
                        return Ok(question);
                    }
                }
                Err(Error::input(format!(
                    "the documents of `{name}` that are held out repeat each other: no four \
                     continuations of {} tokens differ",
                    self.continuation
                ))
                .field("continuation")
                .help("lengthen the continuations"))
            })
            .collect()
    }

    /// A question; `None` where two continuations are the same.
    fn draw(
        &self,
        stream: &TokenStream,
        documents: &[Document],
        rng: &mut Stream,
    ) -> Result<Option<HeldOutQuestion>> {
        // Four different documents; the first has the question.
        let mut chosen: Vec<usize> = Vec::with_capacity(CHOICES);
        while chosen.len() < CHOICES {
            let next = below(rng, documents.len() as u64) as usize;
            if !chosen.contains(&next) {
                chosen.push(next);
            }
        }
        let mut cuts = Vec::with_capacity(CHOICES);
        for &document in &chosen {
            let Document { start, length } = documents[document];
            let places = length - self.continuation as u64;
            // After 1 to `places` tokens.
            cuts.push((start, 1 + below(rng, places)));
        }
        let tokens = |from: u64, count: usize| -> Result<Vec<u32>> {
            let mut out = vec![0; count];
            stream.copy_tokens(from, &mut out)?;
            Ok(out)
        };
        let mut choices: Vec<Vec<u32>> = (cuts.iter())
            .map(|(start, before)| tokens(start + before, self.continuation))
            .collect::<Result<_>>()?;
        let (start, before) = cuts[0];
        let seen = before.min(self.context as u64);
        let context = tokens(start + before - seen, seen as usize)?;
        let repeated = (1..CHOICES).any(|i| choices[..i].contains(&choices[i]));
        let gold = below(rng, CHOICES as u64) as usize;
        choices.swap(0, gold);
        let choices = choices.try_into();
        Ok(choices
            .ok()
            .filter(|_| !repeated)
            .map(|choices| HeldOutQuestion {
                context,
                choices,
                gold,
            }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DomainSet;
    use crate::manifest::TokenizerEntry;
    use crate::token_corpus::CorpusWriter;

    /// Documents of tokens that are in no other document.
    fn corpus(folder: &std::path::Path, lengths: &[u32]) -> TokenCorpus {
        let tokenizer = TokenizerEntry {
            kind: "none".into(),
            hash: "none".into(),
            vocab_size: 10_001,
            separator: 10_000,
        };
        let domains = DomainSet::from_names(["a"]).unwrap();
        let mut writer = CorpusWriter::create(folder, domains, tokenizer).unwrap();
        for (d, &length) in lengths.iter().enumerate() {
            let mut document: Vec<u32> = (0..length).map(|i| 100 * d as u32 + i).collect();
            document.push(10_000);
            for split in [Split::Train, Split::Valid] {
                writer.push(0, split, &document, 10).unwrap();
            }
        }
        writer.finish().unwrap();
        TokenCorpus::open(folder).unwrap()
    }

    #[test]
    fn the_true_continuation_follows_and_the_others_are_of_other_documents() {
        let dir = tempfile::tempdir().unwrap();
        let corpus = corpus(dir.path(), &[30, 6, 50, 9, 7, 80]);
        let asked = HeldOut {
            questions: 300,
            context: 8,
            continuation: 5,
        };
        let questions = asked.questions(&corpus, 0, 7).unwrap();
        assert_eq!(questions.len(), 300);
        let mut golds = [0; CHOICES];
        let mut of = [0; 6];
        for HeldOutQuestion {
            context,
            choices,
            gold,
        } in &questions
        {
            golds[*gold] += 1;
            let right = &choices[*gold];
            assert_eq!(context.last().unwrap() + 1, right[0]);
            assert!((1..=8).contains(&context.len()));
            let mut documents: Vec<u32> = choices.iter().map(|c| c[0] / 100).collect();
            of[documents[*gold] as usize] += 1;
            documents.sort_unstable();
            documents.dedup();
            assert_eq!(documents.len(), CHOICES);
            for choice in choices {
                assert_eq!(choice.len(), 5);
                assert!(choice.iter().all(|&t| t < 10_000), "no separator");
            }
        }
        assert!(golds.iter().all(|&n| n > 40), "{golds:?}");
        assert!(of.iter().all(|&n| n > 20), "{of:?}");
        assert_eq!(asked.questions(&corpus, 0, 7).unwrap(), questions);
        assert_ne!(asked.questions(&corpus, 0, 8).unwrap(), questions);
    }

    #[test]
    fn too_little_text_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let corpus = corpus(dir.path(), &[30, 6, 50, 5, 4]);
        let asked = HeldOut {
            continuation: 5,
            ..HeldOut::default()
        };
        let err = asked.questions(&corpus, 0, 7).unwrap_err();
        assert_eq!(
            err.problem(),
            "3 documents of `a` are held out and longer than 5 tokens: expected at least 4"
        );
        let none = HeldOut {
            continuation: 0,
            ..asked
        };
        let err = none.questions(&corpus, 0, 7).unwrap_err();
        assert_eq!(err.field_name(), Some("continuation"));
    }
}
