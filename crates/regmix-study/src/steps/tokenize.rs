//! From text to token shards.

use regmix_data::corpus::Source;
use regmix_data::tokenize::{Summary, TokenizeOptions, tokenize};
use regmix_data::tokenizer::{BpeOptions, Tokenizer};
use regmix_data::{Error, Result};

use crate::config::TokenizerKind;
use crate::stamp::Stamp;
use crate::study::{Context, Study};
use crate::watch::Unit;

impl Study {
    /// Tokenizes the corpus into `corpus/`; `None` when that is done already.
    ///
    /// # Errors
    /// When the text cannot be read, the tokenizer does not fit, the disk
    /// refuses, the inputs of a finished corpus changed, or the user stops it.
    pub fn tokenize(&self, cx: Context<'_>) -> Result<Option<Summary>> {
        let config = self.config();
        let (layout, options) = config.corpus.source_options()?;
        let root = self.resolve(&config.corpus.path);
        let folder = self.path("corpus");
        let manifest = folder.join("manifest.json");
        let stamp = Stamp::new(folder.join("inputs.json"))
            .with("corpus", &config.corpus)?
            .with("tokenizer", &config.tokenizer)?;
        if manifest.exists() && !root.exists() {
            // A study may travel without its text.
            return Ok(None);
        }
        let source = Source::open(&root, layout, options)?;
        // Sizes stand for contents: hashing a large corpus to learn that
        // nothing is to be done would take as long as tokenizing it.
        let mut files = String::new();
        for file in source.files() {
            let name = file.path.strip_prefix(&root).unwrap_or(&file.path);
            files.push_str(&format!("{} {}\n", name.display(), file.bytes));
        }
        let listing = blake3::hash(files.as_bytes()).to_hex()[..16].to_owned();
        let stamp = stamp.with("files", &listing)?;
        if stamp.is_fresh(&manifest, "tokenize", cx.redo)? {
            return Ok(None);
        }
        let tokenizer = self.tokenizer(&source, cx)?;
        let options = TokenizeOptions {
            valid_share: config.corpus.valid_share,
            drop_duplicates: config.corpus.drop_duplicates,
            ..TokenizeOptions::default()
        };
        let total = source.files().map(|f| f.bytes).sum();
        cx.watch.begin("tokenize", total, Unit::Bytes);
        let summary = tokenize(
            &source,
            &tokenizer,
            &folder,
            &options,
            &mut |progress| cx.watch.at(progress.file_bytes),
            cx.cancel,
        );
        cx.watch.end();
        let summary = summary?;
        stamp.write()?;
        Ok(Some(summary))
    }

    fn tokenizer(&self, source: &Source, cx: Context<'_>) -> Result<Tokenizer> {
        let section = &self.config().tokenizer;
        match section.kind {
            TokenizerKind::Bytes => Tokenizer::bytes(),
            TokenizerKind::File => {
                let Some(path) = &section.path else {
                    return Err(Error::input("the tokenizer `file` needs a path")
                        .in_file(self.path(crate::study::STUDY_FILE))
                        .field("tokenizer.path")
                        .help("for example: path = \"tokenizer.json\""));
                };
                Tokenizer::from_file(self.resolve(path), &section.separator)
            }
            TokenizerKind::Bpe => {
                cx.watch.say(&format!(
                    "training a BPE of {} entries on {} MB",
                    section.vocab_size, section.sample_mb
                ));
                let sample = source.sample(section.sample_mb.max(1) * 1_000_000)?;
                Tokenizer::train_bpe(&sample, &BpeOptions::new(section.vocab_size))
            }
        }
    }
}
