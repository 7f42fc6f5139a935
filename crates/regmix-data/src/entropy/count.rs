//! The entropies of tokens and of pairs, from their counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::pairs::{PairCounts, Word};
use super::windows::Windows;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::shard::TokenWidth;

/// Sequences that a thread takes at a time.
const BLOCK: u64 = 64;

/// The largest vocabulary. There is a count for every entry.
const VOCABULARY: u32 = 1 << 24;

/// Entropies in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    pub(super) shannon: f64,
    pub(super) joint: f64,
    pub(super) conditional: f64,
}

/// Counts the tokens and pairs of sequences with tokens below `vocab_size`; the pairs
/// take at most about `memory` bytes.
pub(super) fn count(
    windows: &Windows<'_>,
    vocab_size: u32,
    memory: usize,
    monitor: &dyn Monitor,
) -> Result<Counted> {
    if vocab_size > VOCABULARY {
        return Err(Error::input(format!(
            "a vocabulary of {vocab_size} entries, expected at most {VOCABULARY} for entropies"
        )));
    }
    let narrow = TokenWidth::for_vocab(vocab_size) == TokenWidth::U16;
    if narrow && windows.tokens() <= u64::from(u32::MAX) {
        count_as::<u32>(windows, vocab_size, memory, monitor)
    } else {
        count_as::<u64>(windows, vocab_size, memory, monitor)
    }
}

/// The same with pairs and counts of a given width.
pub(super) fn count_as<W: Word>(
    windows: &Windows<'_>,
    vocab_size: u32,
    memory: usize,
    monitor: &dyn Monitor,
) -> Result<Counted> {
    let mut tokens = TokenCounts::new(vocab_size);
    let mut pairs = BTreeMap::new();
    let mut next = Some(0);
    while let Some(first) = next {
        let counts = PairCounts::<W>::new(first, memory);
        let read = read(
            windows,
            &counts,
            (first == 0).then_some(vocab_size),
            monitor,
        )?;
        read.iter().for_each(|part| tokens.add(part));
        let (found, rest) = counts.finish();
        for (count, n) in found {
            *pairs.entry(count).or_default() += n;
        }
        next = rest;
    }
    let joint = Spectrum::of(&pairs);
    let first = Spectrum::of_counts(tokens.with_a_next());
    Ok(Counted {
        shannon: Spectrum::of_counts(tokens.all.iter().copied()).entropy(),
        joint: joint.entropy(),
        conditional: (joint.entropy() - first.entropy()).max(0.0),
    })
}

/// Reads all sequences on all threads, and counts their pairs, and their tokens if a
/// vocabulary is given.
fn read<W: Word>(
    windows: &Windows<'_>,
    pairs: &PairCounts<W>,
    vocab_size: Option<u32>,
    monitor: &dyn Monitor,
) -> Result<Vec<TokenCounts>> {
    let next = AtomicU64::new(0);
    let work = || -> Result<TokenCounts> {
        let mut tokens = TokenCounts::new(vocab_size.unwrap_or(0));
        let mut batch = pairs.batch();
        let mut buffer = Vec::new();
        loop {
            let block = next.fetch_add(BLOCK, Ordering::Relaxed);
            if block >= windows.len() {
                break;
            }
            monitor.check()?;
            let mut done = 0;
            for i in block..(block + BLOCK).min(windows.len()) {
                let sequence = windows.read(i, &mut buffer)?;
                batch.push(sequence);
                if vocab_size.is_some() {
                    tokens.push(sequence);
                    done += sequence.len() as u64;
                }
            }
            monitor.advance(done);
        }
        batch.flush();
        Ok(tokens)
    };
    rayon::broadcast(|_| {
        let worked = work();
        if worked.is_err() {
            next.store(windows.len(), Ordering::Relaxed);
        }
        worked
    })
    .into_iter()
    .collect()
}

/// How often every token comes, and how often as the last of a sequence.
struct TokenCounts {
    all: Vec<u64>,
    last: Vec<u64>,
}

impl TokenCounts {
    fn new(vocab_size: u32) -> Self {
        let zeros = || vec![0; vocab_size as usize];
        Self {
            all: zeros(),
            last: zeros(),
        }
    }

    fn push(&mut self, sequence: &[u32]) {
        for token in sequence {
            self.all[*token as usize] += 1;
        }
        if let Some(token) = sequence.last() {
            self.last[*token as usize] += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        for (sum, part) in [(&mut self.all, &other.all), (&mut self.last, &other.last)] {
            sum.iter_mut().zip(part).for_each(|(sum, n)| *sum += n);
        }
    }

    /// How often every token is the first of a pair.
    fn with_a_next(&self) -> impl Iterator<Item = u64> + '_ {
        self.all
            .iter()
            .zip(&self.last)
            .map(|(all, last)| all - last)
    }
}

/// The two sums over counts of which an entropy consists.
struct Spectrum {
    total: u64,
    /// The sum of `c ln c`.
    weighted: f64,
}

impl Spectrum {
    /// From how often each count comes. The order of the sum is that of the counts,
    /// whoever counted them.
    fn of(spectrum: &BTreeMap<u64, u64>) -> Self {
        let total = spectrum.iter().map(|(count, n)| count * n).sum();
        let terms = spectrum.iter().map(|(count, n)| {
            let c = *count as f64;
            *n as f64 * c * c.ln()
        });
        Self {
            total,
            weighted: terms.sum(),
        }
    }

    fn of_counts(counts: impl Iterator<Item = u64>) -> Self {
        let mut spectrum = BTreeMap::new();
        for count in counts.filter(|count| *count > 0) {
            *spectrum.entry(count).or_default() += 1;
        }
        Self::of(&spectrum)
    }

    /// In nats; 0 where nothing was counted.
    fn entropy(&self) -> f64 {
        match self.total {
            0 => 0.0,
            total => ((total as f64).ln() - self.weighted / total as f64).max(0.0),
        }
    }
}
