//! A faster encoder than the tokenizer library's general pipeline, for the
//! tokenizers for which both have the same result.

use std::sync::{Mutex, PoisonError};

use tokenizers::{Model, ModelWrapper, PreTokenizerWrapper, Tokenizer as Inner};

use super::cache::WordCache;
use super::split::{Words, push_byte_chars};
use crate::error::{Error, Result};
use crate::monitor::Monitor;

/// Words between two looks at whether to stop: some milliseconds of work.
const WORDS_PER_CHECK: usize = 1 << 14;

/// A faster encoder.
pub(super) enum Fast {
    /// Token `b` is byte `b`.
    Bytes,
    /// Words are split as in GPT-2, and each word's tokens depend only on the
    /// word. A thread that encodes takes a cache from the list and returns it.
    Words(Mutex<Vec<WordCache>>),
}

impl Fast {
    /// The encoder for a tokenizer, if there is one: the tokenizer must have a
    /// byte-level alphabet, no normalizer, and no added tokens except special
    /// ones, which are not searched for in text.
    pub(super) fn new(inner: &Inner) -> Option<Self> {
        let Some(PreTokenizerWrapper::ByteLevel(pre)) = inner.get_pre_tokenizer() else {
            return None;
        };
        let ModelWrapper::BPE(model) = inner.get_model() else {
            return None;
        };
        let plain = inner.get_normalizer().is_none()
            && !pre.add_prefix_space
            && model.dropout.is_none_or(|d| d == 0.0)
            && inner
                .get_added_vocabulary()
                .get_added_tokens_decoder()
                .values()
                .all(|t| t.special);
        if !plain {
            return None;
        }
        if pre.use_regex {
            return Some(Self::Words(Mutex::default()));
        }
        let is_byte = |b: usize| {
            let name = super::split::BYTE_CHARS[b].to_string();
            model.token_to_id(&name) == Some(b as u32)
        };
        let no_merges = model.get_vocab_size() == 256 && (0..256).all(is_byte);
        no_merges.then_some(Self::Bytes)
    }

    pub(super) fn encode(
        &self,
        inner: &Inner,
        text: &str,
        monitor: &dyn Monitor,
    ) -> Result<Vec<u32>> {
        let pool = match self {
            Self::Bytes => return Ok(text.bytes().map(u32::from).collect()),
            Self::Words(pool) => pool,
        };
        let lock = || pool.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = lock().pop();
        let mut cache = taken.unwrap_or_else(WordCache::new);
        let mut out = Vec::with_capacity(text.len() / 3 + 1);
        let mut name = String::new();
        let model = inner.get_model();
        let mut result = Ok(());
        for (at, word) in Words::new(text).enumerate() {
            if at % WORDS_PER_CHECK == 0 {
                result = monitor.check();
                if result.is_err() {
                    break;
                }
            }
            result = cache.append(word.as_bytes(), &mut out, |out| {
                name.clear();
                push_byte_chars(word, &mut name);
                let tokens = model.tokenize(&name).map_err(super::library::error)?;
                out.extend(tokens.iter().map(|t| t.id));
                Ok::<(), Error>(())
            });
            if result.is_err() {
                break;
            }
        }
        lock().push(cache);
        result.map(|()| out)
    }
}
