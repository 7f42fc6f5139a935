//! Tokenizers: from text to tokens and back.

mod cache;
mod fast;
mod file;
mod library;
mod lost;
mod split;
mod train;

#[cfg(test)]
mod tests;

use std::path::Path;

use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer as Inner};

use crate::artefact::write_atomic;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, TOKENIZER_FILE, TokenizerEntry};
use crate::monitor::{Monitor, Silent};
use fast::Fast;
use library::call;
use lost::Lost;

pub use train::BpeOptions;

/// The separator of documents, unless another is named.
pub const SEPARATOR: &str = "<|endoftext|>";

/// Turns text into tokens and tokens into text.
///
/// Special tokens in a document's text are encoded as plain text: a document
/// that contains the separator does not end there.
///
/// ```
/// use regmix_data::tokenizer::Tokenizer;
///
/// let tokenizer = Tokenizer::bytes()?;
/// let tokens = tokenizer.encode("hé")?;
/// assert_eq!(tokens, [104, 195, 169]);
/// assert_eq!(tokenizer.decode(&tokens)?, "hé");
/// assert_eq!((tokenizer.vocab_size(), tokenizer.separator()), (257, 256));
/// # Ok::<(), regmix_data::Error>(())
/// ```
pub struct Tokenizer {
    kind: &'static str,
    inner: Inner,
    json: String,
    hash: String,
    vocab_size: u32,
    separator: u32,
    separator_text: String,
    fast: Option<Fast>,
    /// Encodes documents where `inner` would find the separator in their text.
    without_separator: Option<Inner>,
    /// Finds text without tokens, where there can be such.
    lost: Option<Lost>,
    notes: Vec<String>,
}

impl Tokenizer {
    /// One token per byte of UTF-8, and the separator: 257 entries.
    ///
    /// # Errors
    /// None in practice: only if the tokenizer library refuses.
    pub fn bytes() -> Result<Self> {
        let vocab: [(String, u32); 256] =
            std::array::from_fn(|b| (split::BYTE_CHARS[b].to_string(), b as u32));
        let model = BPE::builder()
            .vocab_and_merges(vocab, Vec::new())
            .build()
            .map_err(library::error)?;
        let inner = byte_level(model, false)?;
        Self::wrap("bytes", inner, SEPARATOR)
    }

    /// Reads a `tokenizer.json`, as the Hugging Face `tokenizers` library
    /// writes it. `separator` is the token that ends documents, usually
    /// [`SEPARATOR`]. What makes tokens depend on chance, such as `dropout`, is
    /// switched off; see [`Tokenizer::notes`].
    ///
    /// # Errors
    /// When the file cannot be read, is not such a tokenizer, its vocabulary is
    /// empty or has identifiers far beyond its size, or lacks the separator.
    pub fn from_file(path: impl AsRef<Path>, separator: &str) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let checked = file::read(bytes, path)?;
        let mut this = Self::wrap("file", checked.inner, separator).map_err(|e| e.in_file(path))?;
        this.notes = checked.notes;
        Ok(this)
    }

    /// The tokenizer of a tokenized corpus, which lies beside its manifest.
    ///
    /// # Errors
    /// When manifest or tokenizer are missing or damaged, or do not belong together.
    pub fn of_corpus(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let entry = Manifest::load(folder)?.tokenizer;
        let path = folder.join(TOKENIZER_FILE);
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        let inner = file::read(bytes, &path)?.inner;
        let other = || {
            Error::input("not the tokenizer that the corpus beside it was tokenized with")
                .in_file(&path)
                .help("tokenize the corpus again, or put its tokenizer back")
        };
        let separator = inner.id_to_token(entry.separator).ok_or_else(other)?;
        let kind = match entry.kind.as_str() {
            "bytes" => "bytes",
            "bpe" => "bpe",
            _ => "file",
        };
        let this = Self::wrap(kind, inner, &separator).map_err(|e| e.in_file(&path))?;
        match this.hash == entry.hash {
            true => Ok(this),
            false => Err(other()),
        }
    }

    /// Trains a byte-level BPE on sample texts. The same texts in the same
    /// order result in the same tokenizer.
    ///
    /// # Errors
    /// When the vocabulary is smaller than 257 or there is no text.
    pub fn train_bpe(texts: &[String], options: &BpeOptions) -> Result<Self> {
        let inner = byte_level(train::train(texts, options)?, true)?;
        Self::wrap("bpe", inner, SEPARATOR)
    }

    fn wrap(kind: &'static str, mut inner: Inner, separator: &str) -> Result<Self> {
        inner.with_padding(None);
        call(|| inner.with_truncation(None).map(|_| ()))?;
        inner.set_encode_special_tokens(true);
        let Some(id) = inner.token_to_id(separator) else {
            return Err(Error::input(format!(
                "the tokenizer has no token `{separator}` to end documents with"
            ))
            .field("separator")
            .help(
                "name the token that ends a document in this tokenizer with the option `separator`",
            ));
        };
        let largest = inner.get_vocab(true).into_values().max().unwrap_or(0);
        let vocab_size = largest.checked_add(1).ok_or_else(|| {
            Error::input(format!(
                "token identifier {largest}, expected at most {}",
                u32::MAX - 1
            ))
        })?;
        let json = call(|| inner.to_string(false))?;
        let fast = Fast::new(&inner);
        let without_separator = match &fast {
            // Words are encoded by merges of bytes, which never give the separator.
            Some(_) => None,
            None => file::without_separator(&inner, &json, separator),
        };
        let lost = match &fast {
            Some(_) => None,
            None => Lost::new(&inner, &json),
        };
        Ok(Self {
            kind,
            fast,
            without_separator,
            lost,
            notes: Vec::new(),
            hash: blake3::hash(json.as_bytes()).to_hex().to_string(),
            json,
            inner,
            vocab_size,
            separator: id,
            separator_text: separator.to_owned(),
        })
    }

    /// The tokens of a text, without separator.
    ///
    /// # Errors
    /// When the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_counted(text, &Silent).map(|(tokens, _)| tokens)
    }

    /// The tokens of a text, and how many of its bytes no token stands for.
    fn encode_counted(&self, text: &str, monitor: &dyn Monitor) -> Result<(Vec<u32>, u64)> {
        if let Some(fast) = &self.fast {
            return Ok((fast.encode(&self.inner, text, monitor)?, 0));
        }
        let inner = self.without_separator.as_ref().unwrap_or(&self.inner);
        let Some(lost) = &self.lost else {
            let encoding = call(|| inner.encode_fast(text, false))?;
            return Ok((encoding.get_ids().to_vec(), 0));
        };
        let encoding = call(|| inner.encode(text, false))?;
        let tokens = encoding.get_ids().to_vec();
        Ok((tokens, lost.bytes(text, &encoding)))
    }

    /// The tokens of a document, with the separator at the end and nowhere
    /// else.
    ///
    /// # Errors
    /// When the tokenizer refuses the text, makes a separator of a part of it,
    /// or has no token for any of it.
    pub fn encode_document(&self, text: &str) -> Result<Vec<u32>> {
        (self.encode_document_counted(text, &Silent)).map(|(tokens, _)| tokens)
    }

    /// As [`Tokenizer::encode_document`], with the number of bytes that no token
    /// stands for. `monitor` can stop it between words where words are encoded
    /// one by one: with `bytes`, `bpe`, and files of byte-level BPE as in GPT-2.
    /// Other tokenizers encode a document in one piece, since a cut could change
    /// its tokens; they take about a second for each megabyte of it.
    pub(crate) fn encode_document_counted(
        &self,
        text: &str,
        monitor: &dyn Monitor,
    ) -> Result<(Vec<u32>, u64)> {
        let (mut tokens, lost) = self.encode_counted(text, monitor)?;
        if tokens.contains(&self.separator) {
            return Err(Error::input(
                "the tokenizer makes the token that ends documents out of the document's text",
            )
            .field("tokenizer.separator")
            .help("name another separator, which is no piece of the tokenizer's model"));
        }
        if tokens.is_empty() && !text.trim().is_empty() {
            return Err(
                Error::input("the tokenizer has no token for anything in this document")
                    .field("tokenizer.path")
                    .help("choose a tokenizer whose vocabulary covers the text"),
            );
        }
        tokens.push(self.separator);
        Ok((tokens, lost))
    }

    /// What this tokenizer does differently from its file, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The text of tokens. Special tokens are left out, and bytes that are not
    /// UTF-8 are replaced.
    ///
    /// # Errors
    /// When the tokenizer refuses the tokens.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        call(|| self.inner.decode(tokens, true))
    }

    /// Every token is below this.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// The token that ends every document.
    pub fn separator(&self) -> u32 {
        self.separator
    }

    /// Its text.
    pub fn separator_text(&self) -> &str {
        &self.separator_text
    }

    /// BLAKE3 of [`Tokenizer::to_json`], in hex.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The tokenizer as `tokenizer.json`. Reading it and writing it again results
    /// in the same text.
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// Writes [`Tokenizer::to_json`] to a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomic(path, self.json.as_bytes())
    }

    /// The tokenizer's entry in a manifest.
    pub fn entry(&self) -> TokenizerEntry {
        TokenizerEntry {
            kind: self.kind.to_owned(),
            hash: self.hash.clone(),
            vocab_size: self.vocab_size,
            separator: self.separator,
        }
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("entry", &self.entry())
            .field("fast", &self.fast.is_some())
            .finish_non_exhaustive()
    }
}

/// A tokenizer around a model whose alphabet is bytes.
fn byte_level(model: BPE, use_regex: bool) -> Result<Inner> {
    let mut inner = Inner::new(model);
    inner.with_pre_tokenizer(Some(ByteLevel::new(false, false, use_regex)));
    inner.with_decoder(Some(ByteLevelDecoder::default()));
    inner
        .add_special_tokens([AddedToken::from(SEPARATOR, true)])
        .map_err(library::error)?;
    Ok(inner)
}
