//! Text on the Hugging Face hub: what there is, and its files in the cache.

use std::path::PathBuf;

use regmix_data::corpus::Source;
use regmix_data::{Monitor, Result};

use crate::config::CorpusSection;

/// A dataset as a path of `study.toml` names it, `hf://owner/name[@revision]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HubName<'a> {
    pub(crate) id: &'a str,
    pub(crate) revision: Option<&'a str>,
}

/// The files of a corpus on the hub, in the cache.
pub(crate) struct HubText {
    pub(crate) source: Source,
    pub(crate) folder: PathBuf,
}

/// What `init` writes about a dataset.
pub(crate) struct Pinned {
    /// With the commit.
    pub(crate) path: PathBuf,
    /// The branch or tag that was asked for; none where it was a commit.
    pub(crate) branch: Option<String>,
    /// How names of its files begin.
    pub(crate) beginnings: Vec<String>,
}

impl<'a> HubName<'a> {
    /// Of the part after `hf://`.
    pub(crate) fn of(dataset: &'a str) -> Self {
        match dataset.split_once('@') {
            Some((id, revision)) => Self {
                id,
                revision: Some(revision),
            },
            None => Self {
                id: dataset,
                revision: None,
            },
        }
    }
}

impl Pinned {
    /// Says in the text of a study file what its path stands for, and which files there
    /// are, in place of the example that the text may have.
    pub(crate) fn write_into(&self, text: &str) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let path = format!("path = {}", quoted(&self.path.to_string_lossy()));
        let names: Vec<String> = self.beginnings.iter().map(|b| quoted(b)).collect();
        let mut out = String::new();
        let mut in_example = false;
        for line in text.lines() {
            in_example &= line.starts_with('#') && !line.starts_with("# Where");
            in_example |= line.starts_with("# Or a dataset on the Hugging Face hub");
            if in_example {
                continue;
            }
            out += line;
            if line == path {
                if let Some(branch) = &self.branch {
                    out += &format!("  # {branch} when this file was written");
                }
                out += "\n# Beginnings of the names of files to fetch; all that can be read if left out:\n";
                out += &format!("# files = [{}]", names.join(", "));
            }
            out += "\n";
        }
        out
    }
}

#[cfg(feature = "hub")]
mod with_hub {
    use regmix_data::hub::{Hub, HubDataset, HubFile, HubOptions, is_commit};
    use regmix_data::size_in_words;

    use super::*;

    /// What the hub says about a dataset.
    pub(crate) struct Asked {
        dataset: HubDataset,
        has_login: bool,
    }

    impl<'a> HubName<'a> {
        /// The branch, tag or commit.
        fn revision(&self) -> &'a str {
            self.revision.unwrap_or("main")
        }

        /// The commit, where the name has it: then it never changes.
        pub(crate) fn pinned(&self) -> Option<&str> {
            self.revision.filter(|revision| is_commit(revision))
        }
    }

    impl Asked {
        pub(crate) fn ask(name: HubName<'_>, monitor: &dyn Monitor) -> Result<Self> {
            let hub = Hub::new(HubOptions::default())?;
            let dataset = (hub.dataset(name.id, name.revision, monitor))
                .map_err(|e| e.in_file_if_none(format!("hf://{}", name.id)))?;
            if let Some(why) = dataset.unreachable() {
                let commit = short(dataset.commit());
                monitor.message(&format!(
                    "the hub is not there, so the files of {commit} are taken from the cache: {why}"
                ));
            }
            let has_login = hub.has_login();
            Ok(Self { dataset, has_login })
        }

        pub(crate) fn commit(&self) -> &str {
            self.dataset.commit()
        }

        /// Its commit, size and license.
        pub(crate) fn describe(&self, name: HubName<'_>, monitor: &dyn Monitor) {
            let dataset = &self.dataset;
            let revision = match name.revision() {
                revision if is_commit(revision) => short(revision).to_owned(),
                branch => format!("{branch} is {}", short(dataset.commit())),
            };
            let bytes = dataset.files().iter().filter_map(|f| f.bytes).sum();
            let license = match dataset.license() {
                Some(license) => format!("license: {license}"),
                None => "it states no license".to_owned(),
            };
            monitor.message(&format!(
                "hf://{} ({revision}): {} files, {}; {license}",
                dataset.id(),
                dataset.files().len(),
                size_in_words(bytes)
            ));
            if dataset.is_gated() {
                let login = match self.has_login {
                    true => "a login was found here",
                    false => "log in with `hf auth login`, or put a token into HF_TOKEN",
                };
                monitor.message(&format!(
                    "it is gated: its owner grants access on {}; {login}",
                    dataset.page()
                ));
            }
        }

        /// Its files as a corpus, recognised by their names.
        pub(crate) fn source(&self, section: &CorpusSection) -> Result<Source> {
            let files: Vec<&HubFile> = self.dataset.beginning_with(&section.files)?;
            let (layout, options) = section.source_options()?;
            self.dataset.source(&files, layout, options)
        }

        /// Which of them are read.
        pub(crate) fn describe_source(&self, source: &Source, monitor: &dyn Monitor) {
            const SHOWN: usize = 8;
            let bytes = source.files().map(|f| f.bytes).sum();
            let mut line = format!(
                "to be read: {} files, {}, {}",
                source.files().count(),
                size_in_words(bytes),
                source.layout().describe()
            );
            if let Some(domains) = source.domains() {
                let names: Vec<&str> = domains.names().take(SHOWN).collect();
                line += &format!(" ({}: {}", domains.len(), names.join(", "));
                line += if domains.len() > SHOWN { ", ...)" } else { ")" };
            }
            monitor.message(&line);
            if let [first, ..] = source.not_read() {
                monitor.message(&format!(
                    "left alone: {} files, for example {}: {}",
                    source.not_read().len(),
                    (first
                        .path
                        .strip_prefix(source.root())
                        .unwrap_or(&first.path))
                    .display(),
                    first.why
                ));
            }
        }

        /// Fetches what is read of them.
        pub(crate) fn fetch(
            &self,
            section: &CorpusSection,
            monitor: &dyn Monitor,
        ) -> Result<HubText> {
            let source = self.source(section)?;
            self.describe_source(&source, monitor);
            let missing = self.dataset.missing_bytes(&source);
            monitor.message(&match missing {
                0 => format!("all of it is in the cache, {}", source.root().display()),
                _ => format!(
                    "fetching {} to {}",
                    size_in_words(missing),
                    source.root().display()
                ),
            });
            let folder = self.dataset.fetch(&source, monitor)?;
            // Sizes that the hub did not state are known now.
            let source = self.source(section)?;
            Ok(HubText { source, folder })
        }
    }

    /// Asks the hub about a dataset and says what there is; nothing is downloaded.
    pub(crate) fn pin(name: HubName<'_>, monitor: &dyn Monitor) -> Result<Pinned> {
        let asked = Asked::ask(name, monitor)?;
        asked.describe(name, monitor);
        let path = format!("hf://{}@{}", name.id, asked.commit());
        let section = CorpusSection::at(path.clone().into());
        match asked.source(&section) {
            Ok(source) => asked.describe_source(&source, monitor),
            // Keys of [corpus], such as `layout` and `tree`, may help.
            Err(e) => monitor.message(&format!(
                "nothing can be read as it is: {}; see [corpus] in study.toml",
                e.problem()
            )),
        }
        Ok(Pinned {
            path: path.into(),
            branch: name.pinned().is_none().then(|| name.revision().to_owned()),
            beginnings: asked.dataset.beginnings(),
        })
    }

    fn short(commit: &str) -> &str {
        &commit[..12.min(commit.len())]
    }
}

#[cfg(feature = "hub")]
pub(crate) use with_hub::{Asked, pin};

#[cfg(not(feature = "hub"))]
mod without_hub {
    use regmix_data::Error;

    use super::*;

    /// What no build without the feature has.
    pub(crate) enum Asked {}

    impl HubName<'_> {
        pub(crate) fn pinned(&self) -> Option<&str> {
            None
        }
    }

    impl Asked {
        pub(crate) fn ask(name: HubName<'_>, _: &dyn Monitor) -> Result<Self> {
            let HubName { id, .. } = name;
            Err(Error::input(format!(
                "`hf://{id}` is on the Hugging Face hub, which this binary was built without"
            ))
            .field("corpus.path")
            .help("build with `--features hub`, or download the files and name their folder"))
        }

        pub(crate) fn commit(&self) -> &str {
            match *self {}
        }

        pub(crate) fn describe(&self, _: HubName<'_>, _: &dyn Monitor) {
            match *self {}
        }

        pub(crate) fn fetch(&self, _: &CorpusSection, _: &dyn Monitor) -> Result<HubText> {
            match *self {}
        }
    }

    pub(crate) fn pin(name: HubName<'_>, monitor: &dyn Monitor) -> Result<Pinned> {
        match Asked::ask(name, monitor)? {}
    }
}

#[cfg(not(feature = "hub"))]
pub(crate) use without_hub::{Asked, pin};
