//! The mixing loader: it decides which sequence of which domain is the next in
//! training.
//!
//! Training reads sequences number 0, 1, 2, …. Which tokens sequence *i*
//! holds depends on the corpus, the seed, the run's name and the mixtures up
//! to *i*, and on nothing else: not on what was read before, on the batch
//! size or on the machine. Stopping and resuming therefore changes nothing.

mod counts;
mod permutation;
mod validation;

#[cfg(test)]
mod tests;

use rand::Rng;

use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::random::{below, stream};
use crate::shard::Split;
use crate::token_corpus::{TokenCorpus, TokenStream};

use counts::Counts;
use permutation::Permutation;

pub use validation::ValidationSet;

/// The configuration of a [`Loader`].
#[derive(Debug, Clone, PartialEq)]
pub struct LoaderConfig {
    /// Tokens per sequence that are predicted, at least 1. A sequence has one
    /// token more: the last is a target only.
    pub seq_len: usize,
    /// The seed of the study.
    pub seed: u64,
    /// The name of the run: each run sees its own order.
    pub run: String,
    /// Sequences per block, at least 1. Shares are met block by block, and
    /// the order is random within a block. Default 64: small enough for short
    /// segments to have the shares of their mixture.
    pub block: u32,
    /// The share of every domain's sequences that are read, above 0 and at most 1.
    /// These are the same in all runs of a seed, whatever their names: a smaller part
    /// is repeated more often. At least one sequence is read. Default 1.
    pub text_share: f64,
}

impl LoaderConfig {
    /// Sequences of `seq_len` predicted tokens in blocks of 64.
    pub fn new(seq_len: usize, seed: u64, run: impl Into<String>) -> Self {
        Self {
            seq_len,
            seed,
            run: run.into(),
            block: 64,
            text_share: 1.0,
        }
    }

    /// Sets the share of every domain's sequences that are read.
    #[must_use]
    pub fn with_text_share(mut self, share: f64) -> Self {
        self.text_share = share;
        self
    }

    /// Sets the number of sequences per block; small runs want it to divide
    /// their length.
    #[must_use]
    pub fn with_block(mut self, block: u32) -> Self {
        self.block = block;
        self
    }
}

/// Where a sequence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The domain's place in the corpus's domain set.
    pub domain: usize,
    /// How often the whole domain was read before this sequence.
    pub epoch: u64,
    /// The number of the sequence within the whole domain: it starts at token
    /// `sequence × seq_len` of the domain's training tokens.
    pub sequence: u64,
}

/// The sequences of one run, by number.
///
/// - A domain's packed tokens are cut into windows of `seq_len + 1` tokens at
///   a stride of `seq_len`, so that every token (but the very first) is
///   predicted exactly once an epoch.
/// - Within an epoch of a domain each of its sequences comes exactly once, in
///   an order that is shuffled anew every epoch.
/// - After every block the number of sequences of a domain is its share of
///   all so far, rounded down or up. Shares never drift, and no domain with a
///   positive weight vanishes.
///
/// Reading forward takes only the time of copying tokens; a jump backwards
/// takes about a microsecond per block from the start.
#[derive(Debug, Clone)]
pub struct Loader {
    corpus: TokenCorpus,
    config: LoaderConfig,
    segments: Vec<Segment>,
    /// Sequences per epoch of each domain.
    sequences: Vec<u64>,
    /// The order of all sequences of a domain of which the first are read, where not
    /// all of them are.
    parts: Vec<Option<Permutation>>,
    cursor: Cursor,
    current: Option<Block>,
    /// The order of the epoch that each domain is in.
    orders: Vec<Option<(u64, Permutation)>>,
}

/// A segment of training: a mixture, and the sequence that it starts at.
#[derive(Debug, Clone)]
struct Segment {
    start: u64,
    mixture: Mixture,
    counts: Counts,
    /// Sequences of each domain before `start`.
    base: Vec<u64>,
}

/// The counts of a segment after some blocks.
#[derive(Debug, Clone)]
struct Cursor {
    segment: usize,
    blocks: u64,
    counts: Counts,
}

/// One block: where its sequences come from.
#[derive(Debug, Clone)]
struct Block {
    segment: usize,
    number: u64,
    /// For each sequence its domain and how many of that domain came before
    /// it, over all segments.
    places: Vec<(u32, u64)>,
}

impl Loader {
    /// A loader with one mixture for all of training.
    ///
    /// ```
    /// # use regmix_data::manifest::TokenizerEntry;
    /// # use regmix_data::shard::Split;
    /// use regmix_data::{CorpusWriter, DomainSet, Loader, LoaderConfig, Mixture, TokenCorpus};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let tokenizer = TokenizerEntry {
    /// #     kind: "bytes".into(), hash: "none".into(), vocab_size: 257, separator: 256,
    /// # };
    /// # let domains = DomainSet::from_names(["web", "code"])?;
    /// # let mut writer = CorpusWriter::create(folder.path(), domains.clone(), tokenizer)?;
    /// # for d in 0..2 { writer.push(d, Split::Train, &[d as u32; 100], 100)?; }
    /// # writer.finish()?;
    /// let corpus = TokenCorpus::open(folder.path())?;
    /// let mixture = Mixture::new(corpus.domains().clone(), vec![0.75, 0.25])?;
    /// let config = LoaderConfig::new(8, 42, "run-0000").with_block(4);
    /// let mut loader = Loader::new(corpus, mixture, config)?;
    ///
    /// let mut tokens = [0; 4 * 9];
    /// loader.fill_batch(0, &mut tokens)?;
    /// assert_eq!(tokens.chunks(9).filter(|sequence| sequence[0] == 0).count(), 3);
    /// // 400 sequences, 300 of them web, which has 12 an epoch.
    /// assert_eq!(loader.implied_epochs(400)[0], 25.0);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the mixture is over other domains than the corpus, a domain with
    /// a positive weight has fewer training tokens than one sequence, or
    /// `seq_len` or `block` is 0, or `text_share` is not above 0 and at most 1.
    pub fn new(corpus: TokenCorpus, mixture: Mixture, config: LoaderConfig) -> Result<Self> {
        if config.seq_len == 0 || config.block == 0 {
            let field = if config.seq_len == 0 {
                "seq_len"
            } else {
                "block"
            };
            return Err(Error::input("0, expected at least 1").field(field));
        }
        if !(config.text_share > 0.0 && config.text_share <= 1.0) {
            return Err(Error::input(format!(
                "a share of {} of the sequences, expected one above 0 and at most 1",
                config.text_share
            ))
            .field("text_share"));
        }
        let count = corpus.domains().len();
        let (parts, sequences) = (corpus.domains().names().enumerate())
            .map(|(d, name)| {
                let whole = corpus.stream(d, Split::Train).sequences(config.seq_len);
                part(whole, name, &config)
            })
            .unzip();
        let mixture = mixture.reordered(corpus.domains())?;
        let counts = Counts::new(&mixture);
        let mut loader = Self {
            cursor: Cursor {
                segment: 0,
                blocks: 0,
                counts: counts.clone(),
            },
            segments: Vec::new(),
            current: None,
            orders: vec![None; count],
            sequences,
            parts,
            corpus,
            config,
        };
        loader.check(&mixture)?;
        loader.segments.push(Segment {
            start: 0,
            mixture,
            counts,
            base: vec![0; count],
        });
        Ok(loader)
    }

    /// Begins a segment with another mixture at sequence number `start`.
    /// Sequences before it stay as they are, also when `start` is inside a
    /// block. Shares are counted from `start`; epochs continue.
    ///
    /// # Errors
    /// When the last segment begins at or after `start`, and as
    /// [`Loader::new`].
    pub fn change_mixture(&mut self, start: u64, mixture: Mixture) -> Result<()> {
        let last = self.segments[self.segments.len() - 1].start;
        if start <= last {
            return Err(Error::input(format!(
                "a segment from sequence {start} on, but the last one begins at {last}: expected \
                 them in order"
            )));
        }
        let mixture = mixture.reordered(self.corpus.domains())?;
        self.check(&mixture)?;
        let base = self.counts(start);
        self.segments.push(Segment {
            start,
            counts: Counts::new(&mixture),
            mixture,
            base,
        });
        Ok(())
    }

    /// The mixture that sequence `i` is drawn by.
    pub fn mixture_at(&self, i: u64) -> &Mixture {
        &self.segments[self.segment_of(i)].mixture
    }

    /// Sequences of each domain in one epoch of the part of it that is read.
    pub fn sequences_per_epoch(&self) -> &[u64] {
        &self.sequences
    }

    /// How many of the first `total` sequences come from each domain.
    pub fn counts(&mut self, total: u64) -> Vec<u64> {
        let segment = self.segment_of(total.saturating_sub(1));
        let offset = total - self.segments[segment].start;
        let size = u64::from(self.config.block);
        let (blocks, rest) = (offset / size, (offset % size) as usize);
        self.move_cursor(segment, blocks);
        let mut counts = self.segments[segment].base.clone();
        for (count, given) in counts.iter_mut().zip(self.cursor.counts.given()) {
            *count += given;
        }
        if rest > 0 {
            self.lay_out(segment, blocks);
            for &(domain, _) in &self.places()[..rest] {
                counts[domain as usize] += 1;
            }
        }
        counts
    }

    /// How often each domain is read when training takes `total` sequences;
    /// 0 for a domain that is not used.
    pub fn implied_epochs(&mut self, total: u64) -> Vec<f64> {
        self.counts(total)
            .iter()
            .zip(&self.sequences)
            .map(|(&c, &n)| if c == 0 { 0.0 } else { c as f64 / n as f64 })
            .collect()
    }

    /// Where sequence `i` comes from.
    pub fn place(&mut self, i: u64) -> Place {
        let segment = self.segment_of(i);
        let offset = i - self.segments[segment].start;
        let size = u64::from(self.config.block);
        self.lay_out(segment, offset / size);
        let (domain, k) = self.places()[(offset % size) as usize];
        let d = domain as usize;
        let (epoch, within) = (k / self.sequences[d], k % self.sequences[d]);
        let sequence = self.order(d, epoch).get(within);
        Place {
            domain: d,
            epoch,
            sequence: self.parts[d].map_or(sequence, |part| part.get(sequence)),
        }
    }

    /// Copies sequence `i` into `out`, of length `seq_len + 1`, and returns where
    /// it comes from.
    ///
    /// # Errors
    /// When `out` has another length or a shard is damaged.
    pub fn copy_sequence(&mut self, i: u64, out: &mut [u32]) -> Result<Place> {
        if out.len() != self.config.seq_len + 1 {
            return Err(wrong_length(out.len(), self.config.seq_len + 1));
        }
        let place = self.place(i);
        self.train(place.domain)
            .copy_tokens(place.sequence * self.config.seq_len as u64, out)?;
        Ok(place)
    }

    /// Copies sequences `start`, `start + 1`, … into `tokens`, of shape
    /// `[batch, seq_len + 1]`.
    ///
    /// # Errors
    /// When `tokens` is not a whole number of sequences or a shard is damaged.
    pub fn fill_batch(&mut self, start: u64, tokens: &mut [u32]) -> Result<()> {
        let len = self.config.seq_len + 1;
        check_buffer(tokens, len)?;
        for (i, out) in (start..).zip(tokens.chunks_exact_mut(len)) {
            self.copy_sequence(i, out)?;
        }
        Ok(())
    }

    fn check(&self, mixture: &Mixture) -> Result<()> {
        for (d, (domain, weight)) in mixture.iter().enumerate() {
            if weight > 0.0 && self.sequences[d] == 0 {
                return Err(Error::input(format!(
                    "{} training tokens, but one sequence takes {}",
                    self.train(d).tokens(),
                    self.config.seq_len + 1
                ))
                .field(domain.as_str())
                .help("set its weight to 0, use shorter sequences, or add text to the domain"));
            }
        }
        Ok(())
    }

    fn train(&self, domain: usize) -> &TokenStream {
        self.corpus.stream(domain, Split::Train)
    }

    fn segment_of(&self, i: u64) -> usize {
        // The first segment begins at 0, so there is always one before.
        self.segments.partition_point(|s| s.start <= i) - 1
    }

    /// Moves the cursor to the counts before block `number` of a segment.
    fn move_cursor(&mut self, segment: usize, number: u64) {
        let cursor = &mut self.cursor;
        if cursor.segment != segment {
            cursor.counts = self.segments[segment].counts.clone();
            (cursor.segment, cursor.blocks) = (segment, 0);
        } else if cursor.blocks > number {
            cursor.counts.reset();
            cursor.blocks = 0;
        }
        while cursor.blocks < number {
            cursor.counts.advance(u64::from(self.config.block));
            cursor.blocks += 1;
        }
    }

    /// Makes `current` the given block of a segment.
    fn lay_out(&mut self, segment: usize, number: u64) {
        let there = |b: &Block| (b.segment, b.number) == (segment, number);
        if self.current.as_ref().is_some_and(there) {
            return;
        }
        self.move_cursor(segment, number);
        let before = self.cursor.counts.given().to_vec();
        self.move_cursor(segment, number + 1);
        let Segment { start, base, .. } = &self.segments[segment];

        let mut places = self.current.take().map_or_else(Vec::new, |b| b.places);
        places.clear();
        for (d, (&from, &to)) in before.iter().zip(self.cursor.counts.given()).enumerate() {
            places.extend((from..to).map(|_| (d as u32, 0)));
        }
        let purpose = format!("loader/order/{start}/{number}");
        shuffle(
            &mut places,
            &mut stream(self.config.seed, &self.config.run, &purpose),
        );
        let mut next: Vec<u64> = base.iter().zip(&before).map(|(b, n)| b + n).collect();
        for (domain, k) in &mut places {
            let next = &mut next[*domain as usize];
            *k = *next;
            *next += 1;
        }
        self.current = Some(Block {
            segment,
            number,
            places,
        });
    }

    fn places(&self) -> &[(u32, u64)] {
        self.current.as_ref().map_or(&[], |b| &b.places)
    }

    fn order(&mut self, domain: usize, epoch: u64) -> Permutation {
        match self.orders[domain] {
            Some((e, order)) if e == epoch => order,
            _ => {
                let name = &self.corpus.domains()[domain];
                let purpose = format!("loader/epoch/{name}/{epoch}");
                let mut rng = stream(self.config.seed, &self.config.run, &purpose);
                let order = Permutation::new(self.sequences[domain], &mut rng);
                self.orders[domain] = Some((epoch, order));
                order
            }
        }
    }
}

/// The part that is read of a domain with so many sequences, and how many it has.
fn part(whole: u64, domain: &str, config: &LoaderConfig) -> (Option<Permutation>, u64) {
    let read = ((whole as f64 * config.text_share).round() as u64).max(1);
    if read >= whole {
        return (None, whole);
    }
    let mut rng = stream(config.seed, "", &format!("loader/part/{domain}"));
    (Some(Permutation::new(whole, &mut rng)), read)
}

/// The shuffle of Fisher and Yates. It is written out because a loader's order
/// is part of a study's results, and the library's may change between versions.
fn shuffle<T>(items: &mut [T], rng: &mut impl Rng) {
    for i in (1..items.len()).rev() {
        let j = below(rng, i as u64 + 1);
        items.swap(i, j as usize);
    }
}

/// Checks that a buffer holds a whole number of sequences of `len` tokens.
fn check_buffer(tokens: &[u32], len: usize) -> Result<()> {
    match tokens.len().is_multiple_of(len) {
        true => Ok(()),
        false => Err(wrong_length(tokens.len(), tokens.len().div_ceil(len) * len)),
    }
}

fn wrong_length(found: usize, expected: usize) -> Error {
    Error::input(format!("a buffer of {found} tokens, expected {expected}"))
}
