//! The tables that mixtures and losses are exchanged in: CSV, or parquet.
//!
//! Headers are read and checked in `run_rows`, on top of `records`.
//!
//! Both have one row per run: an identifier, then one number per column.
//!
//! - **Mixtures**: `run,<domain>…`, one weight per domain. The layout of the
//!   published RegMix tables, `index,train_the_pile_<domain>…`, is read too.
//! - **Values**: `run,<target>…`, one loss (or any other score) per target.
//!   The published `index,metric/the_pile_<domain>_val_loss…` is read too. An
//!   empty field or `nan` means that the run has no such value.
//!
//! Columns that are known to be neither, such as `_step` and `Name` of
//! experiment trackers, `*_stderr` of lm-eval or the row numbers of data
//! frames, are left out and named ([`ValueTable::notes`]).
//!
//! Rows of the two are joined by identifier, columns by name; the order of
//! either never matters.

pub(crate) mod columns;
pub(crate) mod foreign;
mod mixtures;
mod names;
mod observations;
pub mod records;
mod run_rows;
pub(crate) mod state;
#[cfg(test)]
mod tests;
mod values;

pub use columns::column_of_runs;
pub use mixtures::MixtureTable;
pub use names::compare_runs;
pub use observations::{Observations, names_in};
pub use run_rows::{RunRow, RunRows};
pub use values::ValueTable;
