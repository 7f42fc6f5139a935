//! The demo: a whole study on text that is on the machine already.

mod corpus;
mod extract;

use std::path::Path;

use regmix_data::{Error, Result};

use crate::config::hub_dataset;
use crate::study::{STUDY_FILE, Study};

pub use corpus::DemoCorpus;
use corpus::{HASH, registries};

impl Study {
    /// The demo's study in `root`: opened where it is, else begun, on the
    /// user's own corpus or on the sources of regmix's dependencies. Gives
    /// the sizes of the embedded corpus's domains when that was just made.
    ///
    /// # Errors
    /// When the corpus cannot be read or is not the recorded one, the folder
    /// cannot be written, or holds a study of another corpus.
    pub fn demo(root: &Path, corpus: Option<&Path>) -> Result<(Self, Option<DemoCorpus>)> {
        let text = |path: &Path| {
            let path = path.to_string_lossy();
            let quoted = toml::Value::String(path.into_owned()).to_string();
            include_str!("study.toml").replace("\"{corpus}\"", &quoted)
        };
        // A path of the user's is relative to where the command runs, not to
        // the study.
        let wanted = match corpus {
            Some(path) if hub_dataset(path).is_some() => path.to_path_buf(),
            Some(path) => std::path::absolute(path).map_err(|e| Error::io(path, e))?,
            None => Path::new("text").to_path_buf(),
        };
        if root.join(STUDY_FILE).exists() {
            let study = Self::open(root)?;
            let has = &study.config().corpus.path;
            if *has != wanted {
                return Err(Error::input(format!(
                    "it is a study of `{}`, not of `{}`",
                    has.display(),
                    wanted.display()
                ))
                .in_file(root.join(STUDY_FILE))
                .help("choose another folder with `--out DIR`"));
            }
            if corpus.is_some() || study.path("text/valid").exists() {
                return Ok((study, None));
            }
        }
        let embedded = match corpus {
            Some(_) => None,
            None => {
                let embedded = DemoCorpus::read(&registries())?;
                if embedded.hash() != HASH.trim() {
                    return Err(Error::input(
                        "the sources in cargo's registry folder are not the recorded ones",
                    )
                    .help(
                        "remove the `registry/src` folder of your cargo home and build again, or \
                         give your own text: `regmix demo --corpus DIR`",
                    ));
                }
                embedded.write(&root.join("text"))?;
                Some(embedded)
            }
        };
        let study = match root.join(STUDY_FILE).exists() {
            true => Self::open(root)?,
            false => Self::init_with(root, &text(&wanted))?,
        };
        Ok((study, embedded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_study_is_valid_and_its_target_larger() {
        let text = include_str!("study.toml");
        let config = crate::config::Config::parse(text, Path::new("study.toml")).unwrap();
        let size = |run: &crate::config::RunSection| {
            run.model(config.tokenizer.vocab_size)
                .unwrap()
                .parameters()
                .total()
        };
        assert!(size(&config.target) >= 4 * size(&config.proxy));
        assert!(config.check.seeds >= 3);
    }

    #[test]
    fn a_folder_of_another_corpus_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let (own, root) = (dir.path().join("own"), dir.path().join("demo"));
        Study::demo(&root, Some(&own)).unwrap();
        Study::demo(&root, Some(&own)).unwrap();
        let err = Study::demo(&root, None).unwrap_err();
        assert!(err.help_text().unwrap().contains("--out"), "{err:?}");
    }
}
