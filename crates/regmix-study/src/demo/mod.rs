//! The demo: a whole study on text that is on the machine already.

mod corpus;
mod extract;

use std::path::Path;

use regmix_data::{Error, Monitor, Result};

use crate::config::hub_dataset;
use crate::files::{DEMO_TEXT, STUDY_FILE};
use crate::steps::hub_text::{self, HubName};
use crate::study::Study;

pub use corpus::DemoCorpus;
use corpus::{HASH, registries};

/// The objective on the sources of the dependencies, whose domains are known.
const CODE: &str = "\
[objective.weights]             # a model that writes code and explains it
rust_code = 0.5
c_code = 0.25
rust_docs = 0.25

[constraints]
max_epochs = 4.0

[constraints.cap]               # about three times what the corpus has
c_code = 0.33";

/// The objective on a corpus of the user.
const MEAN: &str = "\
[objective]
loss = \"mean\"                   # over all domains

[constraints]
max_epochs = 4.0";

/// The text of `study.toml` for a corpus.
fn text(path: &Path, is_users: bool) -> String {
    let path = path.to_string_lossy();
    let quoted = toml::Value::String(path.into_owned()).to_string();
    let objective = if is_users { MEAN } else { CODE };
    include_str!("study.toml")
        .replace("{objective}", objective)
        .replace("\"{corpus}\"", &quoted)
}

/// Whether the text of a study is the one that is wanted: a study of a dataset on the hub
/// names its commit, the user may name a branch.
fn is_text_of(has: &Path, wanted: &Path) -> bool {
    if has == wanted {
        return true;
    }
    let (Some(has), Some(wanted)) = (hub_dataset(has), hub_dataset(wanted)) else {
        return false;
    };
    let wanted = HubName::of(wanted);
    HubName::of(has).id == wanted.id && wanted.pinned().is_none()
}

/// The study of the demo in a folder; see [`Study::demo`].
pub(crate) fn open_or_begin(
    root: &Path,
    corpus: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<(Study, Option<DemoCorpus>)> {
    // The user's path is relative to the current folder, not to the study.
    let wanted = match corpus {
        Some(path) if hub_dataset(path).is_some() => path.to_path_buf(),
        Some(path) => std::path::absolute(path).map_err(|e| Error::io(path, e))?,
        None => Path::new(DEMO_TEXT).to_path_buf(),
    };
    if root.join(STUDY_FILE).exists() {
        let study = Study::open(root)?;
        let has = &study.config().corpus.path;
        if !is_text_of(has, &wanted) {
            return Err(Error::input(format!(
                "it is a study of `{}`, not of `{}`",
                has.display(),
                wanted.display()
            ))
            .in_file(root.join(STUDY_FILE))
            .help("choose another folder with `--out DIR`"));
        }
        if corpus.is_some() || study.path(DEMO_TEXT).join("valid").exists() {
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
            embedded.write(&root.join(DEMO_TEXT))?;
            Some(embedded)
        }
    };
    if root.join(STUDY_FILE).exists() {
        return Ok((Study::open(root)?, embedded));
    }
    let text = match hub_dataset(&wanted) {
        Some(dataset) => {
            let pinned = hub_text::pin(HubName::of(dataset), monitor)?;
            pinned.write_into(&text(&pinned.path, true))
        }
        None => text(&wanted, corpus.is_some()),
    };
    Ok((Study::init_with(root, &text)?, embedded))
}

#[cfg(test)]
mod tests {
    use regmix_data::Silent;

    use super::*;

    #[test]
    fn a_study_of_a_commit_is_continued_under_the_name_of_a_branch() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let has = format!("hf://me/data@{commit}");
        let is_text_of = |wanted: &str| is_text_of(has.as_ref(), wanted.as_ref());
        assert!(is_text_of(&has));
        assert!(!is_text_of("hf://me/other") && !is_text_of("me/data"));
        assert!(is_text_of("hf://me/data") && is_text_of("hf://me/data@main"));
    }

    #[test]
    fn the_demo_study_is_valid_and_its_target_larger() {
        let parse = |is_users| {
            let text = text(Path::new("a \"b\""), is_users);
            crate::config::StudyConfig::parse(&text, Path::new("study.toml")).unwrap()
        };
        let config = parse(false);
        assert_eq!(parse(true).corpus.path, Path::new("a \"b\""));
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
    fn a_folder_of_another_corpus_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (own, root) = (dir.path().join("own"), dir.path().join("demo"));
        Study::demo(&root, Some(&own), &Silent).unwrap();
        Study::demo(&root, Some(&own), &Silent).unwrap();
        let err = Study::demo(&root, None, &Silent).unwrap_err();
        assert!(err.help_text().unwrap().contains("--out"), "{err:?}");
    }
}
