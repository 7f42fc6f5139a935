//! Real data for the benches, and a tokenized corpus made of it.
//!
//! Benches run on real text and the published tables, which they look for in
//! `$REGMIX_SHARED`, or in a folder `shared` beside the workspace. Where the data
//! is missing, they print that they are skipped.

use std::path::{Path, PathBuf};

use rand::Rng;
use regmix_data::corpus::{ReadOptions, Source};
use regmix_data::manifest::TokenizerEntry;
use regmix_data::shard::Split;
use regmix_data::tokenize::{TokenizeOptions, tokenize};
use regmix_data::tokenizer::{BpeOptions, Tokenizer};
use regmix_data::{CorpusWriter, DomainSet, Silent, TokenCorpus, random};

/// A file or folder of the shared data, if it exists.
pub fn shared(path: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("REGMIX_SHARED").map_or(beside, PathBuf::from);
    let found = root.join(path);
    if !found.exists() {
        #[allow(clippy::print_stderr)] // Otherwise nobody sees why nothing is measured.
        {
            eprintln!("skipped: {path} is not in $REGMIX_SHARED or ../shared");
        }
        return None;
    }
    Some(found)
}

/// The small corpus of fourteen domains, if it exists.
pub fn mini_corpus() -> Option<Source> {
    let folder = shared("data/corpus/mini")?;
    Some(Source::open(folder, None, ReadOptions::default()).expect("the shared corpus is readable"))
}

/// A byte-pair encoding of 4,096 entries trained on a source.
pub fn bpe(source: &Source) -> Tokenizer {
    let sample = source
        .sample(4 << 20, &Silent)
        .expect("the shared corpus is readable");
    Tokenizer::train_bpe(&sample, &BpeOptions::new(4096)).expect("there is text to train on")
}

/// Tokenizes a source into a folder.
pub fn tokenized(source: &Source, tokenizer: &Tokenizer, folder: &Path) -> TokenCorpus {
    let options = TokenizeOptions::default();
    tokenize(source, tokenizer, folder, &options, &Silent).expect("the corpus is sound");
    TokenCorpus::open(folder).expect("the corpus was just written")
}

/// A corpus of so many bytes of tokens below 50,257 in four domains of different size.
/// The frequency of a token is one over its rank, as in text, but a token does not depend
/// on the one before: there are more different pairs than in text.
pub fn zipf_corpus(folder: &Path, bytes: u64) -> TokenCorpus {
    const VOCAB: u32 = 50_257;
    let tokenizer = TokenizerEntry {
        kind: "file".to_owned(),
        hash: "none".to_owned(),
        vocab_size: VOCAB,
        separator: 0,
    };
    let domains = DomainSet::from_names(["half", "quarter", "eighth", "rest"]);
    let domains = domains.expect("names are valid");
    let mut writer = CorpusWriter::create(folder, domains, tokenizer).expect("a sound tokenizer");
    let mut numbers = random::stream(1, "bench", "zipf");
    let mut draw = || {
        let uniform = f64::from(numbers.next_u32()) / (1_u64 << 32) as f64;
        f64::from(VOCAB).powf(uniform) as u32
    };
    for (domain, share) in [2, 4, 8, 8].into_iter().enumerate() {
        let documents = bytes / 2 / share / 1000;
        for _ in 0..documents {
            let document: Vec<u32> = (0..1000).map(|_| draw()).collect();
            let pushed = writer.push(domain, Split::Train, &document, 4000);
            pushed.expect("the folder can be written");
        }
    }
    writer.finish().expect("the folder can be written");
    TokenCorpus::open(folder).expect("the corpus was just written")
}
