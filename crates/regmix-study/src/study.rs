//! The study directory: where everything is, and what belongs together.

use std::path::{Path, PathBuf};

use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, ErrorKind, Mixture, Monitor, Result, TokenCorpus, artefact};

use crate::config::{Config, place, template};

/// The file that a user writes.
pub const STUDY_FILE: &str = "study.toml";

/// A folder with a `study.toml`.
#[derive(Debug, Clone)]
pub struct Study {
    root: PathBuf,
    config: Config,
}

/// What every step is given: the monitor, and whether finished
/// artefacts whose inputs changed may be redone.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Receives progress; when it asks to stop, the step saves what it has and
    /// stops.
    pub monitor: &'a dyn Monitor,
    /// Whether artefacts whose inputs changed are made again.
    pub redo: bool,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("redo", &self.redo)
            .finish_non_exhaustive()
    }
}

impl Study {
    /// Opens a study by its folder.
    ///
    /// # Errors
    /// When its `study.toml` is missing or wrong.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref().to_path_buf();
        let config = Config::load(&root.join(STUDY_FILE))?;
        Ok(Self { root, config })
    }

    /// Writes a commented `study.toml` into a folder, which is made if it is
    /// missing.
    ///
    /// # Errors
    /// When there is one already, or it cannot be written.
    pub fn init(root: impl AsRef<Path>, name: &str, corpus: &Path) -> Result<Self> {
        Self::init_with(root, &template(name, corpus))
    }

    /// Writes the given text as `study.toml`.
    ///
    /// # Errors
    /// As [`Study::init`], and when the text is no study.
    pub fn init_with(root: impl AsRef<Path>, text: &str) -> Result<Self> {
        let root = root.as_ref();
        let path = root.join(STUDY_FILE);
        if path.exists() {
            return Err(Error::input("there is a study here already")
                .in_file(&path)
                .help("choose another folder, or edit that file"));
        }
        Config::parse(text, &path)?;
        artefact::write_atomic(&path, text.as_bytes())?;
        Self::open(root)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `study.toml` says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A path inside the study.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A path that the configuration names: relative ones start at the study.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// The tokenized corpus.
    ///
    /// # Errors
    /// When it was not made yet, is damaged, or its tokenizer does not suit the
    /// models of the study.
    pub fn corpus(&self) -> Result<TokenCorpus> {
        let folder = self.path("corpus");
        self.needs(
            &folder.join("manifest.json"),
            "the corpus is not tokenized",
            "tokenize",
        )?;
        let corpus = TokenCorpus::open(folder)?;
        for (section, run) in [
            ("proxy", &self.config.proxy),
            ("target", &self.config.target),
        ] {
            run.model(corpus.vocab_size())
                .map_err(|e| self.place(e, section))?;
        }
        Ok(corpus)
    }

    /// Puts an error about a key of a section at that key of `study.toml`.
    pub(crate) fn place(&self, error: Error, section: &str) -> Error {
        let path = self.path(STUDY_FILE);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        place(error, section, &text, &path)
    }

    /// The design's mixtures.
    ///
    /// # Errors
    /// When it was not drawn yet, or is damaged.
    pub fn mixtures(&self) -> Result<MixtureTable> {
        let path = self.path("design/mixtures.csv");
        self.needs(&path, "no mixtures were drawn", "design")?;
        MixtureTable::read_csv(path)
    }

    /// Names the step that makes a missing file.
    pub(crate) fn needs(&self, path: &Path, problem: &str, step: &str) -> Result<()> {
        if path.exists() {
            return Ok(());
        }
        Err(Error::input(problem)
            .in_file(path)
            .help(format!("run `regmix {step}` first")))
    }
}

/// Token shares of the training split: the natural mixture.
///
/// # Errors
/// When the corpus holds no token.
pub fn natural_mixture(manifest: &Manifest) -> Result<Mixture> {
    let tokens = manifest
        .domains
        .iter()
        .map(|d| d.train.tokens as f64)
        .collect();
    Mixture::normalized(manifest.domain_set()?, tokens)
}

/// An error when the user asked to stop.
pub(crate) fn interrupted() -> Error {
    Error::new(
        ErrorKind::Interrupted,
        "interrupted; what was finished is kept",
    )
}
