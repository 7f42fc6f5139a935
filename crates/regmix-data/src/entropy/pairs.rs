//! Counting how often every pair of tokens comes, in bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;
use rustc_hash::FxBuildHasher;

/// Pairs are divided among so many tables, by a hash: each is small enough for a
/// processor's cache while a batch of its pairs is counted.
const TABLES: usize = 256;

/// The pairs of a batch.
const BATCH: usize = 4096;

/// A pair of tokens as one number, and a number of pairs.
pub(super) trait Word: Copy + Eq + Hash + Default + Send + Sync + 'static {
    fn of_pair(first: u32, second: u32) -> Self;
    /// The table of a pair.
    fn table(self) -> usize;
    fn add_one(&mut self);
    fn number(self) -> u64;
}

/// Vocabularies of at most 65,536 entries, and fewer than 2^32 pairs.
impl Word for u32 {
    #[inline]
    fn of_pair(first: u32, second: u32) -> Self {
        first << 16 | second
    }
    #[inline]
    fn table(self) -> usize {
        table(u64::from(self))
    }
    #[inline]
    fn add_one(&mut self) {
        *self += 1;
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
    fn table(self) -> usize {
        table(self)
    }
    #[inline]
    fn add_one(&mut self) {
        *self += 1;
    }
    fn number(self) -> u64 {
        self
    }
}

/// The upper bits of a product with another odd number than the tables' own hash has,
/// so that the pairs of one table are spread over all of it.
#[inline]
fn table(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
}

type Counts<W> = HashMap<W, W, FxBuildHasher>;

/// The counts of those pairs whose table is one of `first..end`.
///
/// Where they take more memory than allowed, the upper half of the tables is given up
/// (`end` falls), to be counted when all tokens are read again. Counts are therefore
/// exact at every size, and only time is lost.
pub(super) struct PairCounts<W> {
    tables: Vec<Mutex<Counts<W>>>,
    first: usize,
    end: AtomicUsize,
    used: AtomicUsize,
    memory: usize,
    giving_up: Mutex<()>,
}

impl<W: Word> PairCounts<W> {
    /// Tables from `first` on.
    pub(super) fn new(first: usize, memory: usize) -> Self {
        Self {
            tables: (0..TABLES).map(|_| Mutex::default()).collect(),
            first,
            end: AtomicUsize::new(TABLES),
            used: AtomicUsize::new(0),
            memory,
            giving_up: Mutex::new(()),
        }
    }

    /// A batch for one thread.
    pub(super) fn batch(&self) -> Batch<'_, W> {
        Batch {
            counts: self,
            waiting: vec![W::default(); TABLES * BATCH],
            lengths: [0; TABLES],
        }
    }

    /// How often there is a pair that comes so and so often, and the first table that
    /// was not counted, if there is one.
    pub(super) fn finish(self) -> (BTreeMap<u64, u64>, Option<usize>) {
        let end = self.end.into_inner();
        let spectra: Vec<BTreeMap<u64, u64>> = (self.tables[self.first..end].par_iter())
            .map(|table| spectrum(&locked(table)))
            .collect();
        let mut all = BTreeMap::new();
        for (count, pairs) in spectra.into_iter().flatten() {
            *all.entry(count).or_default() += pairs;
        }
        (all, (end < TABLES).then_some(end))
    }

    fn add(&self, table: usize, pairs: &[W]) {
        let mut counts = locked(&self.tables[table]);
        // Looked at under the lock: what is given up stays empty.
        if table >= self.end.load(Ordering::SeqCst) {
            return;
        }
        let before = bytes(&counts);
        for pair in pairs {
            counts.entry(*pair).or_default().add_one();
        }
        let grown = bytes(&counts) - before;
        // Also under the lock, so that nothing is taken back before it is added.
        let used = self.used.fetch_add(grown, Ordering::SeqCst) + grown;
        drop(counts);
        if used > self.memory && grown > 0 {
            self.give_up();
        }
    }

    /// Gives the upper half of the tables up; one is always kept.
    fn give_up(&self) {
        let _one = locked(&self.giving_up);
        let old = self.end.load(Ordering::SeqCst);
        let new = self.first + (old - self.first) / 2;
        if self.used.load(Ordering::SeqCst) <= self.memory || new == self.first {
            return;
        }
        self.end.store(new, Ordering::SeqCst);
        for table in &self.tables[new..old] {
            let counts = std::mem::take(&mut *locked(table));
            self.used.fetch_sub(bytes(&counts), Ordering::SeqCst);
        }
    }
}

/// Pairs on their way to the tables.
pub(super) struct Batch<'a, W> {
    counts: &'a PairCounts<W>,
    /// Of every table, [`BATCH`] places.
    waiting: Vec<W>,
    lengths: [usize; TABLES],
}

impl<W: Word> Batch<'_, W> {
    /// Counts every two tokens that follow each other.
    pub(super) fn push(&mut self, tokens: &[u32]) {
        let end = self.counts.end.load(Ordering::SeqCst);
        for pair in tokens.windows(2) {
            let pair = W::of_pair(pair[0], pair[1]);
            let table = pair.table();
            if !(self.counts.first..end).contains(&table) {
                continue;
            }
            let length = &mut self.lengths[table];
            self.waiting[table * BATCH + *length] = pair;
            *length += 1;
            if *length == BATCH {
                self.add(table);
            }
        }
    }

    /// Counts what still waits.
    pub(super) fn flush(&mut self) {
        (self.counts.first..TABLES).for_each(|table| self.add(table));
    }

    fn add(&mut self, table: usize) {
        let length = std::mem::take(&mut self.lengths[table]);
        let pairs = &self.waiting[table * BATCH..][..length];
        self.counts.add(table, pairs);
    }
}

/// How many pairs come once, twice, and so on.
fn spectrum<W: Word>(counts: &Counts<W>) -> BTreeMap<u64, u64> {
    // Most pairs are rare.
    let mut rare = [0_u64; 1024];
    let mut spectrum = BTreeMap::new();
    #[allow(clippy::iter_over_hash_type)] // Whole numbers: every order has the same sum.
    for count in counts.values() {
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

/// The memory of a table: it has a place for every pair and a byte beside it, and
/// seven of eight places may be taken.
fn bytes<W>(counts: &Counts<W>) -> usize {
    counts.capacity().div_ceil(7) * 8 * (2 * size_of::<W>() + 1)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
