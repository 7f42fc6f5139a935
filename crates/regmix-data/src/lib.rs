//! Domains, mixtures, corpora, token shards and the mixing data loader of regmix.
//!
//! The most important types:
//!
//! - [`DomainSet`]: the named sources of a study, in order.
//! - [`Mixture`]: weights over them, shares of tokens.
//! - [`table::Observations`]: mixtures and losses of runs, from two CSV tables.
//! - `TokenCorpus`: a tokenized corpus, memory-mapped.
//! - `Loader`: the training sequences of a run, by number.
//!
//! Every fallible function returns the one [`Error`]; long computations report
//! to a [`Monitor`]. Without features, this crate has only the types that all
//! others share, with [`design`]s and [`table`]s, and builds in seconds.
//!
//! - Feature `shards` adds memory-mapped token shards, the mixing loader, and questions
//!   from held-out text.
//! - Feature `corpus` adds corpus readers (JSON lines, parquet, text, source
//!   trees; plain, gzip or zstd) and tokenizers.
//! - Feature `entropy` adds entropies of domains, and mixtures that follow from them.
//! - Feature `exchange` adds tables from logs of trackers, mixtures in the formats of
//!   trainers, and multiple-choice tasks.
//! - Feature `hub` adds corpora on the Hugging Face hub.
//!
//! Examples: `own_sampler` (a sampler of designs), `own_corpus_reader` (text that regmix
//! cannot read, with feature `shards`).

mod alike;
pub mod artefact;
#[cfg(feature = "corpus")]
pub mod corpus;
pub mod design;
mod domain;
#[cfg(feature = "entropy")]
pub mod entropy;
mod error;
#[cfg(feature = "exchange")]
pub mod exchange;
#[cfg(feature = "shards")]
pub mod held_out;
#[cfg(feature = "hub")]
pub mod hub;
mod leftovers;
#[cfg(feature = "shards")]
pub mod loader;
#[cfg(feature = "shards")]
pub mod manifest;
mod mixture;
mod monitor;
#[cfg(feature = "corpus")]
mod parquet;
mod pile;
pub mod process;
pub mod random;
mod run_event;
pub mod sealed;
#[cfg(feature = "shards")]
pub mod shard;
pub mod table;
#[cfg(feature = "exchange")]
pub mod tasks;
#[cfg(feature = "shards")]
mod token_corpus;
#[cfg(feature = "corpus")]
pub mod tokenize;
#[cfg(feature = "corpus")]
pub mod tokenizer;
pub mod vector;

pub use domain::{Domain, DomainSet};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "shards")]
pub use loader::{Loader, LoaderConfig, Place, ValidationSet};
pub use mixture::Mixture;
pub use monitor::{Monitor, Muted, Silent, Unit, size_in_words, unless_stopped};
pub use pile::PileMixture;
pub use run_event::{Evaluation, RunEvent};
#[cfg(feature = "shards")]
pub use token_corpus::{CorpusWriter, TokenCorpus, TokenStream};
