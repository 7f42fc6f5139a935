//! A model with its tokenizer and a corpus.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use regmix_data::tokenizer::Tokenizer;
use regmix_data::{Error, Result, TokenCorpus};
use regmix_model::TrainedModel;

use crate::files;
use crate::models;

/// A model, with what questions need; each is read at its first use.
pub(super) struct Evaluated {
    pub(super) model: TrainedModel,
    folder: PathBuf,
    study: PathBuf,
    tokenizer: OnceCell<Tokenizer>,
    corpus: OnceCell<TokenCorpus>,
}

impl Evaluated {
    pub(super) fn open(folder: &Path, study: &Path) -> Result<Self> {
        Ok(Self {
            model: TrainedModel::open(folder)?,
            folder: folder.to_path_buf(),
            study: study.to_path_buf(),
            tokenizer: OnceCell::new(),
            corpus: OnceCell::new(),
        })
    }

    /// The model's tokenizer.
    pub(super) fn tokenizer(&self) -> Result<&Tokenizer> {
        cached(&self.tokenizer, || {
            let found = match self.model.corpus() {
                Some(_) => models::tokenizer_of_run(&self.folder, &self.model)?,
                None => models::tokenizer_of_hugging_face(&self.folder)?,
            };
            models::check_vocabulary(&found, self.model.config().vocab_size)
                .map_err(|e| e.in_file_if_none(&self.folder))?;
            Ok(found)
        })
    }

    /// The corpus that it was trained on, or that of the study with the same tokenizer.
    pub(super) fn corpus(&self) -> Result<&TokenCorpus> {
        cached(&self.corpus, || {
            if self.model.corpus().is_some()
                && let Some(own) = models::corpus_of_run(&self.folder)
            {
                let own = TokenCorpus::open(own)?;
                if Some(own.fingerprint()) == self.model.corpus() {
                    return Ok(own);
                }
            }
            let folder = files::CORPUS
                .require(&self.study)
                .map_err(|e| e.help("name the study with `--study`, or give tasks"))?;
            let corpus = TokenCorpus::open(folder.parent().unwrap_or(&self.study))?;
            let known = match self.model.corpus() {
                Some(trained_on) if trained_on == corpus.fingerprint() => true,
                _ => models::check_tokenizer(&self.folder, &corpus)?,
            };
            match known {
                true => Ok(corpus),
                false => Err(Error::input(
                    "its tokenizer is not known: expected that of the study, whose tokens the \
                     questions are made of",
                )
                .in_file(&self.folder)),
            }
        })
    }
}

/// What a cell holds, or what is made now.
fn cached<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if cell.get().is_none() {
        // Nothing else can have filled it.
        cell.set(make()?).ok();
    }
    cell.get().ok_or_else(|| Error::failed("a value was lost"))
}
