//! Counting how often every pair of tokens comes, in bounded memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

/// Pairs are divided among so many tables, by a hash.
const TABLES: usize = 256;

/// Pairs that a table collects at least before it sorts and counts them.
const LOOSE: usize = 1 << 15;

/// A table with more counts collects a part of them: a count is then moved about as
/// often as this, however many there are.
const PART: usize = 4;

/// The pairs of a batch.
const BATCH: usize = 4096;

/// A pair of tokens as one number, and a number of pairs.
pub(super) trait Word: Copy + Ord + Default + Send + Sync + 'static {
    fn of_pair(first: u32, second: u32) -> Self;
    /// The table of a pair.
    fn table(self) -> usize;
    fn of_number(number: usize) -> Self;
    fn plus(self, other: Self) -> Self;
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
    fn of_number(number: usize) -> Self {
        number as u32
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
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
    fn of_number(number: usize) -> Self {
        number as u64
    }
    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }
    fn number(self) -> u64 {
        self
    }
}

/// The upper bits of a product with an odd number: pairs of one token are spread over
/// all tables.
#[inline]
fn table(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
}

/// The counts of the pairs of one table. Sorting many pairs and merging them with the
/// counts reads memory from front to back, which is far faster than to look every
/// pair up in a table that no cache holds.
#[derive(Debug, Default)]
struct Counts<W> {
    /// Pairs with their counts, ascending.
    sorted: Vec<(W, W)>,
    /// Pairs that were not counted yet.
    loose: Vec<W>,
}

impl<W: Word> Counts<W> {
    fn push(&mut self, pairs: &[W]) {
        self.loose.extend_from_slice(pairs);
        if self.loose.len() >= LOOSE.max(self.sorted.len() / PART) {
            self.settle();
        }
    }

    /// Counts what is loose.
    fn settle(&mut self) {
        self.loose.sort_unstable();
        let groups = || self.loose.chunk_by(|a, b| a == b);
        let mut merged = Vec::with_capacity(self.sorted.len() + groups().count());
        let mut new = groups().map(|same| (same[0], W::of_number(same.len())));
        let mut old = std::mem::take(&mut self.sorted).into_iter().peekable();
        let mut next = new.next();
        while let Some((pair, count)) = next {
            while let Some(before) = old.next_if(|before| before.0 < pair) {
                merged.push(before);
            }
            let same = old.next_if(|before| before.0 == pair);
            merged.push((pair, same.map_or(count, |before| before.1.plus(count))));
            next = new.next();
        }
        merged.extend(old);
        self.loose.clear();
        self.sorted = merged;
    }

    /// The memory that it takes.
    fn bytes(&self) -> usize {
        size_of::<W>() * (2 * self.sorted.capacity() + self.loose.capacity())
    }

    /// How many pairs come once, twice, and so on.
    fn spectrum(&self) -> BTreeMap<u64, u64> {
        // Most pairs are rare.
        let mut rare = [0_u64; 1024];
        let mut spectrum = BTreeMap::new();
        for (_, count) in &self.sorted {
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
}

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
            .map(|table| {
                let mut counts = locked(table);
                counts.settle();
                counts.spectrum()
            })
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
        let before = counts.bytes();
        counts.push(pairs);
        let after = counts.bytes();
        // Also under the lock, so that nothing is taken back before it is added.
        let used = match after >= before {
            true => self.used.fetch_add(after - before, Ordering::SeqCst) + (after - before),
            false => self.used.fetch_sub(before - after, Ordering::SeqCst),
        };
        drop(counts);
        if used > self.memory && after > before {
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
            self.used.fetch_sub(counts.bytes(), Ordering::SeqCst);
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
