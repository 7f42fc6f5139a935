//! Real data for the benches, and a tokenized corpus made of it.
//!
//! Benches run on real text and the published tables, which they look for in
//! `$REGMIX_SHARED`, or in a folder `shared` beside the workspace. Where the data
//! is missing, they print that they are skipped.

use std::path::{Path, PathBuf};

use regmix_data::corpus::{ReadOptions, Source};
use regmix_data::tokenize::{TokenizeOptions, tokenize};
use regmix_data::tokenizer::{BpeOptions, Tokenizer};
use regmix_data::{Silent, TokenCorpus};

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
