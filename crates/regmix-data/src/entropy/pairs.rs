//! Counting how often every pair of tokens comes, in bounded memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

/// Pairs are divided among so many parts, by a hash: what a part sorts at a time fits into
/// a processor's cache.
const PARTS: usize = 1024;

/// The pairs of a part that a thread holds.
const BATCH: usize = 64;

/// A part sorts at least so many pairs at a time.
const WAITING: usize = 1 << 15;

/// A pair of tokens as one number, and a number of pairs.
pub(super) trait Word: Copy + Ord + Default + Send + Sync + 'static {
    fn of_pair(first: u32, second: u32) -> Self;
    /// The part of a pair.
    fn part(self) -> usize;
    fn of_count(count: usize) -> Self;
    fn plus(&mut self, other: Self);
    fn number(self) -> u64;
}

/// Vocabularies of at most 65,536 entries, and fewer than 2^32 pairs.
impl Word for u32 {
    #[inline]
    fn of_pair(first: u32, second: u32) -> Self {
        first << 16 | second
    }
    #[inline]
    fn part(self) -> usize {
        part(u64::from(self))
    }
    #[inline]
    fn of_count(count: usize) -> Self {
        count as Self
    }
    #[inline]
    fn plus(&mut self, other: Self) {
        *self += other;
    }
    fn number(self) -> u64 {
        self.into()
    }
}

/// Any vocabulary.
impl Word for u64 {
    #[inline]
    fn of_pair(first: u32, second: u32) -> Self {
        u64::from(first) << 32 | u64::from(second)
    }
    #[inline]
    fn part(self) -> usize {
        part(self)
    }
    #[inline]
    fn of_count(count: usize) -> Self {
        count as Self
    }
    #[inline]
    fn plus(&mut self, other: Self) {
        *self += other;
    }
    fn number(self) -> u64 {
        self
    }
}

/// The upper bits of a product, which spread pairs evenly.
#[inline]
fn part(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PARTS.ilog2())) as usize
}

/// Some of the pairs.
struct Part<W> {
    /// Those that were counted, in order, with their counts.
    counted: Vec<(W, W)>,
    /// Those that are not yet.
    waiting: Vec<W>,
}

impl<W: Word> Default for Part<W> {
    fn default() -> Self {
        Self {
            counted: Vec::new(),
            waiting: Vec::new(),
        }
    }
}

impl<W: Word> Part<W> {
    /// Takes pairs, and counts all that wait where they are many.
    fn add(&mut self, pairs: &[W]) {
        self.waiting.extend_from_slice(pairs);
        // Beside many counted pairs, so many wait that merging costs little for each.
        if self.waiting.len() >= WAITING.max(self.counted.len() / 2) {
            self.count();
        }
    }

    /// Sorts what waits and merges it with what was counted.
    fn count(&mut self) {
        // By a closure of this crate: the compiler takes the sort of plain numbers from the
        // first dependency that has it, and some are compiled without optimisation.
        self.waiting.sort_unstable_by_key(|pair| *pair);
        let runs = || self.waiting.chunk_by(|a, b| a == b);
        let mut merged = Vec::with_capacity(self.counted.len() + runs().count());
        let mut before = self.counted.iter().copied().peekable();
        for run in runs() {
            let (pair, mut count) = (run[0], W::of_count(run.len()));
            while let Some(smaller) = before.next_if(|(key, _)| *key < pair) {
                merged.push(smaller);
            }
            if let Some((_, more)) = before.next_if(|(key, _)| *key == pair) {
                count.plus(more);
            }
            merged.push((pair, count));
        }
        merged.extend(before);
        self.counted = merged;
        self.waiting.clear();
    }

    fn bytes(&self) -> usize {
        (2 * self.counted.capacity() + self.waiting.capacity()) * size_of::<W>()
    }
}

/// The counts of those pairs whose part is one of `first..end`.
///
/// Where they take more memory than allowed, the upper half of the parts is given up
/// (`end` falls), to be counted when all tokens are read again. Counts are therefore
/// exact at every size, and only time is lost.
pub(super) struct PairCounts<W> {
    parts: Vec<Mutex<Part<W>>>,
    first: usize,
    end: AtomicUsize,
    used: AtomicUsize,
    memory: usize,
    giving_up: Mutex<()>,
}

impl<W: Word> PairCounts<W> {
    /// Parts from `first` on.
    pub(super) fn new(first: usize, memory: usize) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            first,
            end: AtomicUsize::new(PARTS),
            used: AtomicUsize::new(0),
            memory,
            giving_up: Mutex::new(()),
        }
    }

    /// A batch for one thread.
    pub(super) fn batch(&self) -> Batch<'_, W> {
        Batch {
            counts: self,
            waiting: vec![W::default(); PARTS * BATCH],
            lengths: vec![0; PARTS],
        }
    }

    /// How often there is a pair that comes so and so often, and the first part that was
    /// not counted, if there is one.
    pub(super) fn finish(self) -> (BTreeMap<u64, u64>, Option<usize>) {
        let end = self.end.into_inner();
        let spectra: Vec<BTreeMap<u64, u64>> = (self.parts[self.first..end].par_iter())
            .map(|part| {
                let mut part = std::mem::take(&mut *locked(part));
                part.count();
                spectrum(&part.counted)
            })
            .collect();
        let mut all = BTreeMap::new();
        for (count, pairs) in spectra.into_iter().flatten() {
            *all.entry(count).or_default() += pairs;
        }
        (all, (end < PARTS).then_some(end))
    }

    fn add(&self, number: usize, pairs: &[W]) {
        let mut part = locked(&self.parts[number]);
        // Looked at under the lock: what is given up stays empty.
        if number >= self.end.load(Ordering::SeqCst) {
            return;
        }
        let before = part.bytes();
        part.add(pairs);
        let after = part.bytes();
        // Also under the lock, so that nothing is taken back before it is added.
        self.used
            .fetch_sub(before.saturating_sub(after), Ordering::SeqCst);
        let grown = after.saturating_sub(before);
        let used = self.used.fetch_add(grown, Ordering::SeqCst) + grown;
        drop(part);
        if used > self.memory && grown > 0 {
            self.give_up();
        }
    }

    /// Gives the upper half of the parts up; one is always kept.
    fn give_up(&self) {
        let _one = locked(&self.giving_up);
        let old = self.end.load(Ordering::SeqCst);
        let new = self.first + (old - self.first) / 2;
        if self.used.load(Ordering::SeqCst) <= self.memory || new == self.first {
            return;
        }
        self.end.store(new, Ordering::SeqCst);
        for part in &self.parts[new..old] {
            let given_up = std::mem::take(&mut *locked(part));
            self.used.fetch_sub(given_up.bytes(), Ordering::SeqCst);
        }
    }
}

/// Pairs on their way to the parts.
pub(super) struct Batch<'a, W> {
    counts: &'a PairCounts<W>,
    /// Of every part, [`BATCH`] places.
    waiting: Vec<W>,
    lengths: Vec<usize>,
}

impl<W: Word> Batch<'_, W> {
    /// Counts every two tokens that follow each other.
    pub(super) fn push(&mut self, tokens: &[u32]) {
        let end = self.counts.end.load(Ordering::SeqCst);
        for pair in tokens.windows(2) {
            let pair = W::of_pair(pair[0], pair[1]);
            let part = pair.part();
            if !(self.counts.first..end).contains(&part) {
                continue;
            }
            let length = &mut self.lengths[part];
            self.waiting[part * BATCH + *length] = pair;
            *length += 1;
            if *length == BATCH {
                self.add(part);
            }
        }
    }

    /// Counts what still waits.
    pub(super) fn flush(&mut self) {
        (self.counts.first..PARTS).for_each(|part| self.add(part));
    }

    fn add(&mut self, part: usize) {
        let length = std::mem::take(&mut self.lengths[part]);
        let pairs = &self.waiting[part * BATCH..][..length];
        self.counts.add(part, pairs);
    }
}

/// How many pairs come once, twice, and so on.
fn spectrum<W: Word>(counted: &[(W, W)]) -> BTreeMap<u64, u64> {
    // Most pairs are rare.
    let mut rare = [0_u64; 1024];
    let mut spectrum = BTreeMap::new();
    for (_, count) in counted {
        let count = count.number();
        match rare.get_mut(count as usize) {
            Some(pairs) => *pairs += 1,
            None => *spectrum.entry(count).or_default() += 1,
        }
    }
    let rare = (0..).zip(rare).filter(|(_, pairs)| *pairs > 0);
    spectrum.extend(rare);
    spectrum
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
