//! Training a byte-level BPE.

use tokenizers::AddedToken;
use tokenizers::Trainer;
use tokenizers::models::bpe::{BPE, BpeTrainer};

use super::split::{BYTE_CHARS, Words, push_byte_chars};
use super::{SEPARATOR, library};
use crate::error::{Error, Result};

/// How a tokenizer is trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpeOptions {
    /// Entries of the vocabulary, at least 257: bytes, separator, and pairs
    /// merged in order of frequency. A small sample may result in fewer.
    pub vocab_size: u32,
    /// How often a pair must occur to be merged. Default 2.
    pub min_frequency: u64,
}

impl BpeOptions {
    /// A vocabulary of this size.
    pub fn new(vocab_size: u32) -> Self {
        Self {
            vocab_size,
            min_frequency: 2,
        }
    }
}

pub(super) fn train(texts: &[String], options: &BpeOptions) -> Result<BPE> {
    if options.vocab_size < 257 {
        return Err(Error::input(format!(
            "a vocabulary of {} entries, expected at least 257",
            options.vocab_size
        ))
        .field("vocab_size")
        .help("256 entries are bytes and one is the separator"));
    }
    if texts.iter().all(String::is_empty) {
        return Err(Error::input("no text to train a tokenizer on"));
    }
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(options.vocab_size as usize)
        .min_frequency(options.min_frequency)
        .initial_alphabet(BYTE_CHARS.iter().copied().collect())
        .special_tokens(vec![AddedToken::from(SEPARATOR, true)])
        .build();
    trainer
        .feed(texts.iter(), |text| {
            let words = Words::new(text).map(|word| {
                let mut name = String::with_capacity(2 * word.len());
                push_byte_chars(word, &mut name);
                name
            });
            Ok(words.collect())
        })
        .map_err(library)?;
    let mut model = BPE::default();
    trainer.train(&mut model).map_err(library)?;
    Ok(model)
}
