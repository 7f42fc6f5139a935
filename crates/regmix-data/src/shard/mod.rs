//! Token shards: files of packed tokens, read through a memory map.
//!
//! One shard holds tokens of one domain and one split. The layout of a `.tok`
//! file, all numbers little endian:
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic `RGMXTOK\n` |
//! | 4 | format version, `u32` |
//! | 4 | length `H` of the header, `u32`, at most 64 KiB |
//! | `H` | header: JSON, padded with spaces |
//! | `tokens` × 2 or 4 | the tokens, `u16` if the vocabulary has at most 65,536 entries, else `u32` |
//! | `documents` × 8 | for each document the number of tokens up to its end, `u64` |
//!
//! The header states how many tokens and documents follow. A reader checks
//! that these numbers match the length of the file before it allocates memory.
//!
//! ```
//! use regmix_data::shard::{Shard, ShardLabel, ShardWriter, Split};
//! use regmix_data::Domain;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("web-00000.tok");
//! let label = ShardLabel {
//!     domain: Domain::new("web")?,
//!     split: Split::Train,
//!     vocab_size: 257,
//!     tokenizer: "none".to_owned(),
//! };
//! let mut writer = ShardWriter::create(&path, label)?;
//! writer.push_document(&[104, 105, 256], 2)?;
//! writer.finish()?;
//!
//! let shard = Shard::open(&path)?;
//! assert_eq!(shard.header().tokens, 3);
//! let mut tokens = [0; 2];
//! shard.copy_tokens(1, &mut tokens)?;
//! assert_eq!(tokens, [105, 256]);
//! # Ok::<(), regmix_data::Error>(())
//! ```

mod format;
mod map;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use format::{ShardHeader, Split, TokenWidth};
pub use reader::Shard;
pub(crate) use writer::SealedShard;
pub use writer::{ShardLabel, ShardSummary, ShardWriter};
