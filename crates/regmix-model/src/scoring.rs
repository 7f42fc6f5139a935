//! Log-likelihoods of continuations.

use regmix_data::{Error, Monitor, Result};

use crate::config::ModelConfig;
use crate::device::Device;
use crate::run::TrainedModel;
use crate::trainer::Trainer;

/// Tokens of a batch.
const BATCH: usize = 1 << 12;

/// The shortest sequences that are computed: shorter ones are filled up.
const SHORTEST: usize = 16;

/// What is scored: the log-likelihood of the last tokens of a sequence, given the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// All tokens, the continuation at the end.
    pub tokens: Vec<u32>,
    /// How many of them are the continuation.
    pub scored: usize,
}

/// How well a model predicts a continuation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Its log-likelihood, in nats.
    pub log_likelihood: f64,
    /// Whether each of its tokens is the most likely one; only where that was asked for.
    pub is_greedy: Option<bool>,
}

impl Continuation {
    /// Whether a model of sequences of `context` tokens sees all of it.
    pub fn is_seen_whole(&self, context: usize) -> bool {
        self.seen(context).len() == self.tokens.len()
    }

    /// The last tokens that a model can see. The first of a sequence is not predicted.
    fn seen(&self, context: usize) -> &[u32] {
        &self.tokens[self.tokens.len().saturating_sub(context + 1)..]
    }
}

impl TrainedModel {
    /// Scores continuations. Sequences longer than the context are shortened on the left.
    /// With `greedy` the most likely tokens are determined as well, which takes longer.
    ///
    /// # Errors
    /// When a continuation is empty, has no token before it, or is longer than the model's
    /// sequences; when a token is unknown to the model; when the device fails or `monitor`
    /// requests a stop.
    pub fn score(
        &self,
        continuations: &[Continuation],
        greedy: bool,
        device: &Device,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Score>> {
        let longest = self.config().context;
        for Continuation { tokens, scored } in continuations {
            if *scored == 0 || *scored >= tokens.len() || *scored > longest {
                return Err(Error::input(format!(
                    "a continuation of {scored} tokens in a sequence of {}: expected 1 to {}, \
                     after at least one other",
                    tokens.len(),
                    longest
                )));
            }
        }
        let mut scores = vec![None; continuations.len()];
        // Short sequences in models for short ones: positions are rotations.
        let mut context = SHORTEST.min(longest);
        loop {
            let fits = |i: &usize| continuations[*i].seen(longest).len() <= context + 1;
            let mut numbers = Vec::from_iter(0..continuations.len());
            numbers.retain(|i| scores[*i].is_none() && fits(i));
            if !numbers.is_empty() {
                let config = ModelConfig {
                    context,
                    ..self.config().clone()
                };
                let mut trainer = self.trainer_as(&config, device)?;
                for batch in numbers.chunks((BATCH / context).max(1)) {
                    monitor.check()?;
                    let asked: Vec<_> = batch.iter().map(|i| &continuations[*i]).collect();
                    let found = score_batch(&mut trainer, context, &asked, greedy)?;
                    for (i, score) in batch.iter().zip(found) {
                        scores[*i] = Some(score);
                    }
                    monitor.advance(batch.len() as u64);
                }
            }
            if context == longest {
                return Ok(scores.into_iter().flatten().collect());
            }
            context = (2 * context).min(longest);
        }
    }
}

/// Scores continuations that fit into sequences of `context` tokens, all at once.
fn score_batch(
    trainer: &mut Trainer,
    context: usize,
    batch: &[&Continuation],
    greedy: bool,
) -> Result<Vec<Score>> {
    // What fills a row up comes after all that is scored, which does not see it.
    let mut rows = vec![0; batch.len() * (context + 1)];
    for (row, asked) in rows.chunks_mut(context + 1).zip(batch) {
        let seen = asked.seen(context);
        row[..seen.len()].copy_from_slice(seen);
    }
    let losses = trainer.token_losses(&rows, batch.len())?;
    let results = losses
        .chunks(context)
        .zip(rows.chunks(context + 1))
        .zip(batch);
    results
        .map(|((losses, row), asked)| {
            // The loss at a place is that of the token after it.
            let end = asked.seen(context).len() - 1;
            let places = end - asked.scored..end;
            let loss: f64 = losses[places.clone()].iter().map(|l| f64::from(*l)).sum();
            let is_greedy = match greedy {
                false => None,
                true => {
                    let logits = trainer.logits(&row[..end])?;
                    let mut places = places;
                    Some(places.all(|p| largest(&logits[p]) == row[p + 1] as usize))
                }
            };
            Ok(Score {
                log_likelihood: -loss,
                is_greedy,
            })
        })
        .collect()
}

/// The place of the largest number; the first of several.
fn largest(numbers: &[f32]) -> usize {
    let best = numbers
        .iter()
        .enumerate()
        .reduce(|best, next| match next.1 > best.1 {
            true => next,
            false => best,
        });
    best.map_or(0, |(place, _)| place)
}
