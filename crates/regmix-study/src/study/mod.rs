//! A study: its folder, its configuration, and its finished artefacts.

mod verbs;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Mixture, Monitor, Result, TokenCorpus, artefact};
use regmix_dynamic::{Controller, Schedule};
use regmix_regress::{Fit, Recommendation};

use crate::config::{StudyConfig, check_runs, hub_dataset, place, template};
use crate::files::{self, STUDY_FILE};
use crate::stamp::remade_by;
use crate::steps::hub_text::{self, HubName};

/// A folder with a `study.toml`.
#[derive(Debug, Clone)]
pub struct Study {
    root: PathBuf,
    config: StudyConfig,
}

/// What every step needs besides its study.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Receives progress. When it asks to stop, the step saves what is finished
    /// and stops.
    pub monitor: &'a dyn Monitor,
    /// Whether finished artefacts whose inputs changed are made again.
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
    /// Opens a study by its folder, and removes the temporary files of processes
    /// that were killed there.
    ///
    /// # Errors
    /// When its `study.toml` is missing or wrong.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref().to_path_buf();
        let config = StudyConfig::load(&root.join(STUDY_FILE))?;
        sweep(root.clone());
        Ok(Self { root, config })
    }

    /// Writes a commented `study.toml` into a folder, which is made if it is
    /// missing.
    ///
    /// For a corpus on the Hugging Face hub, `hf://owner/name[@revision]`, the hub is
    /// asked first: `monitor` receives what there is, and the file names the commit, so
    /// that the study stays the same when the dataset changes. Nothing is downloaded.
    ///
    /// # Errors
    /// When there is one already, or it cannot be written; when the hub does not
    /// show the dataset, cannot be reached, or this build has no feature `hub`.
    pub fn init(
        root: impl AsRef<Path>,
        name: &str,
        corpus: &Path,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        require_vacant(&root.as_ref().join(STUDY_FILE))?;
        let text = match hub_dataset(corpus) {
            Some(dataset) => {
                let pinned = hub_text::pin(HubName::of(dataset), monitor)?;
                pinned.write_into(&template(name, &pinned.path))
            }
            None => template(name, corpus),
        };
        Self::init_with(root, &text)
    }

    /// Writes the given text as `study.toml`.
    ///
    /// # Errors
    /// When there is one already, it cannot be written, or the text is not a valid
    /// study.
    pub fn init_with(root: impl AsRef<Path>, text: &str) -> Result<Self> {
        let root = root.as_ref();
        let path = root.join(STUDY_FILE);
        require_vacant(&path)?;
        StudyConfig::parse(text, &path)?;
        artefact::write_atomic(&path, text.as_bytes())?;
        Self::open(root)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration in `study.toml`.
    pub fn config(&self) -> &StudyConfig {
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
        let corpus = files::CORPUS.read(&self.root, |_| {
            TokenCorpus::open(self.path(files::CORPUS_FOLDER))
        })?;
        for (section, run) in [
            ("proxy", &self.config.proxy),
            ("target", &self.config.target),
        ] {
            run.model(corpus.vocab_size())
                .map_err(|e| self.place(e, section))?;
        }
        Ok(corpus)
    }

    /// The tokenized corpus, to be trained on: its shards are checked against
    /// their hashes, those that changed since the last check.
    ///
    /// # Errors
    /// As [`Study::corpus`], and when a shard is damaged or `monitor` requests a
    /// stop.
    pub(crate) fn checked_corpus(&self, monitor: &dyn Monitor) -> Result<TokenCorpus> {
        let corpus = self.corpus()?;
        corpus.verify_changed(monitor)?;
        Ok(corpus)
    }

    /// The design's mixtures.
    ///
    /// # Errors
    /// When it was not drawn yet, is damaged, or a run has a name that cannot be
    /// that of a folder.
    pub fn mixtures(&self) -> Result<MixtureTable> {
        files::DESIGN.read(&self.root, |path| read_design(&path))
    }

    /// As [`Study::mixtures`], also where the step that writes them was stopped.
    pub(crate) fn mixtures_as_they_are(&self) -> Result<MixtureTable> {
        read_design(&self.path(files::DESIGN)).map_err(|e| {
            match files::DESIGN.is_users_own(&self.root) {
                true => e,
                false => remade_by("design", e),
            }
        })
    }

    /// The finished fit.
    ///
    /// # Errors
    /// When it was not made yet, or is damaged.
    pub fn load_fit(&self) -> Result<Fit> {
        files::FIT.read(&self.root, |_| Fit::load(self.path(files::FIT_FOLDER)))
    }

    /// The finished mixture.
    ///
    /// # Errors
    /// When it was not searched yet, or is damaged.
    pub fn recommendation(&self) -> Result<Recommendation> {
        files::MIXTURE.read(&self.root, Recommendation::load)
    }

    /// The finished schedule.
    ///
    /// # Errors
    /// When it was not planned yet, or is damaged.
    pub fn load_schedule(&self) -> Result<Schedule> {
        files::SCHEDULE.read(&self.root, Schedule::load)
    }

    /// A controller at the start of a run on the finished schedule.
    ///
    /// # Errors
    /// As [`Study::load_schedule`].
    pub fn controller(&self) -> Result<Controller> {
        files::CONTROLLER.read(&self.root, Controller::load)
    }

    /// Says which section of `study.toml` an error is about, and where it is.
    pub(crate) fn place(&self, error: Error, section: &str) -> Error {
        let path = self.path(STUDY_FILE);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        place(error, section, &text, &path)
    }
}

/// Reads the mixtures of a design, whose runs become folders.
///
/// # Errors
/// When it cannot be read, or a run has a name that cannot be that of a folder.
pub(crate) fn read_design(path: &Path) -> Result<MixtureTable> {
    let table = MixtureTable::read_csv(path)?;
    check_runs(&table).map_err(|e| e.in_file(path))?;
    Ok(table)
}

/// An error where there is a study file already.
fn require_vacant(path: &Path) -> Result<()> {
    match path.exists() {
        false => Ok(()),
        true => Err(Error::input("there is a study here already")
            .in_file(path)
            .help("choose another folder, or edit that file")),
    }
}

/// Removes what killed processes left in a study. A hundred thousand files take
/// long: the rest is removed while the step works.
fn sweep(root: PathBuf) {
    const WAIT: Duration = Duration::from_millis(300);
    let (send, swept) = mpsc::channel();
    std::thread::spawn(move || {
        artefact::sweep(&root, false);
        for folder in files::SWEPT {
            artefact::sweep(&root.join(folder), true);
        }
        // Nobody waits for it any more if it took long.
        send.send(()).ok();
    });
    swept.recv_timeout(WAIT).ok();
}

/// Token shares of the training split: the natural mixture.
///
/// # Errors
/// When the corpus holds no token.
pub(crate) fn natural_mixture(manifest: &Manifest) -> Result<Mixture> {
    let tokens = manifest
        .domains
        .iter()
        .map(|d| d.train.tokens as f64)
        .collect();
    Mixture::normalized(manifest.domain_set()?, tokens)
}
