//! Training a byte-level BPE.

use tokenizers::AddedToken;
use tokenizers::Trainer;
use tokenizers::models::bpe::{BPE, BpeTrainer};

use super::SEPARATOR;
use super::file::MAX_VOCABULARY;
use super::library::{call, error as library};
use super::split::{BYTE_CHARS, Words, push_byte_chars};
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
    if u64::from(options.vocab_size) > MAX_VOCABULARY {
        return Err(Error::input(format!(
            "a vocabulary of {} entries, expected at most {MAX_VOCABULARY}",
            options.vocab_size
        ))
        .field("vocab_size")
        .help("vocabularies of language models have 4096 to 262144 entries"));
    }
    if texts.iter().all(String::is_empty) {
        return Err(Error::input("no text to train a tokenizer on"));
    }
    // Every merge needs a byte of its own in the sample; the trainer makes room
    // for the whole vocabulary at once.
    let bytes: usize = texts.iter().map(String::len).sum();
    let vocab_size = (options.vocab_size as usize).min(bytes.saturating_add(257));
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size)
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
    call(|| trainer.train(&mut model))?;
    Ok(model)
}
