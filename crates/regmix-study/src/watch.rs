//! How a step tells what it is doing.

use std::sync::Once;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of files.
    Bytes,
    /// Tokens trained on.
    Tokens,
    /// Anything else.
    Items,
}

/// Watches a step. Steps call it from several threads.
pub trait Watch: Sync {
    /// A long part begins; `total` in `unit`.
    fn begin(&self, what: &str, total: u64, unit: Unit);
    /// So much of it is done altogether.
    fn at(&self, done: u64);
    /// A further part of it is done.
    fn advance(&self, by: u64);
    /// What is being worked on, in a few words.
    fn note(&self, text: &str);
    /// The part is over.
    fn end(&self);
    /// Something to tell in a line of its own.
    fn say(&self, line: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Watch for Silent {
    fn begin(&self, _: &str, _: u64, _: Unit) {}
    fn at(&self, _: u64) {}
    fn advance(&self, _: u64) {}
    fn note(&self, _: &str) {}
    fn end(&self) {}
    fn say(&self, _: &str) {}
}

/// Runs something that counts its parts, `(done, all)`, and shows how far it
/// is.
pub(crate) fn counted<T>(
    watch: &dyn Watch,
    what: &str,
    run: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> T,
) -> T {
    let begun = Once::new();
    let out = run(&|_, all| {
        begun.call_once(|| watch.begin(what, all as u64, Unit::Items));
        watch.advance(1);
    });
    watch.end();
    out
}
