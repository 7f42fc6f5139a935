//! Corpora on the Hugging Face hub, fetched into a local cache and then read
//! as local files.
//!
//! ```no_run
//! use regmix_data::Silent;
//! use regmix_data::corpus::ReadOptions;
//! use regmix_data::hub::{Hub, HubOptions};
//!
//! let hub = Hub::new(HubOptions::default())?;
//! let dataset = hub.dataset("sail/regmix-data-sample", None, &Silent)?;
//! let files = dataset.beginning_with(&["train/", "valid/"])?;
//! // By their names alone: a README or a test split is not fetched.
//! let source = dataset.source(&files, None, ReadOptions::default())?;
//! let folder = dataset.fetch(&source, &Silent)?;
//! assert_eq!(source.root(), folder);
//! # Ok::<(), regmix_data::Error>(())
//! ```

mod ask;
mod explain;
mod fetch;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod tests;

pub use ask::is_commit;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, Repo, RepoType};
use serde::{Deserialize, Serialize};

use crate::corpus::{Layout, ReadOptions, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::{Monitor, unless_stopped};

/// Where the hub is and where its files are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// The hub's address. Default: the environment's `HF_ENDPOINT`, else
    /// `https://huggingface.co`.
    pub endpoint: Option<String>,
    /// The cache folder, shared with other users of the hub. Default: below
    /// the environment's `HF_HOME`, else `~/.cache/huggingface`.
    pub cache: Option<PathBuf>,
    /// How often a download that broke off is resumed, with longer and longer
    /// pauses. Default 4.
    pub retries: u32,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            endpoint: None,
            cache: None,
            retries: 4,
        }
    }
}

/// The hub. A login is the environment's `HF_TOKEN`, else the one that
/// `hf auth login` left beside the cache.
#[derive(Clone)]
pub struct Hub {
    api: Api,
    cache: Cache,
    endpoint: String,
    has_login: bool,
    retries: u32,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the login, which the connection holds.
        f.debug_struct("Hub")
            .field("endpoint", &self.endpoint)
            .field("cache", self.cache.path())
            .finish_non_exhaustive()
    }
}

/// One dataset at one commit.
#[derive(Debug)]
pub struct HubDataset {
    hub: Hub,
    id: String,
    commit: String,
    listing: Listing,
    unreachable: Option<Error>,
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubFile {
    /// Its path in the dataset, with `/`.
    pub path: String,
    /// Its size, if the hub states it.
    pub bytes: Option<u64>,
}

/// What the hub answered about a commit. A copy is kept in the cache, so that files
/// that are there can be used without the hub.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listing {
    license: Option<String>,
    gated: bool,
    files: Vec<HubFile>,
}

impl Hub {
    /// Prepares to talk to a hub; nothing is sent yet.
    ///
    /// # Errors
    /// When no connection can be set up at all.
    pub fn new(options: HubOptions) -> Result<Self> {
        let of_environment = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        // The library's own retries do not resume a file that an earlier process
        // began, so they are not used.
        let cache = options.cache.map_or_else(Cache::from_env, Cache::new);
        let token = of_environment("HF_TOKEN").map(|token| token.trim().to_owned());
        let token = token.or_else(|| cache.token());
        let endpoint = options.endpoint.or_else(|| of_environment("HF_ENDPOINT"));
        let endpoint = endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let has_login = token.is_some();
        let api = ApiBuilder::from_cache(cache.clone())
            .with_progress(false)
            .with_retries(0)
            .with_endpoint(endpoint.clone())
            .with_token(token)
            .build()
            .map_err(|e| Error::failed(format!("the hub cannot be used: {e}")))?;
        Ok(Self {
            api,
            cache,
            endpoint,
            has_login,
            retries: options.retries,
        })
    }

    /// Whether there is a login.
    pub fn has_login(&self) -> bool {
        self.has_login
    }

    /// The folder that files are kept in.
    pub fn cache(&self) -> &Path {
        self.cache.path()
    }

    /// The page of a dataset.
    fn page(&self, id: &str) -> String {
        format!("{}/datasets/{id}", self.endpoint)
    }

    /// The folder of a dataset in the cache.
    fn folder(&self, id: &str) -> PathBuf {
        self.cache.path().join(repo(id, "main").folder_name())
    }
}

impl HubDataset {
    /// Its name, `owner/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The commit.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The license that its card states.
    pub fn license(&self) -> Option<&str> {
        self.listing.license.as_deref()
    }

    /// Whether files are given only to logins that were granted access.
    pub fn is_gated(&self) -> bool {
        self.listing.gated
    }

    /// The address of its page.
    pub fn page(&self) -> String {
        self.hub.page(&self.id)
    }

    /// Why the hub was not reached, where the list of files is the one of an earlier
    /// answer.
    pub fn unreachable(&self) -> Option<&Error> {
        self.unreachable.as_ref()
    }

    /// All files, in order of names.
    pub fn files(&self) -> &[HubFile] {
        &self.listing.files
    }

    /// The folder that the files of this commit are fetched to.
    pub fn folder(&self) -> PathBuf {
        (self.hub.folder(&self.id)).join(format!("snapshots/{}", self.commit))
    }

    /// The files that begin with one of `prefixes`; all where there are none.
    ///
    /// # Errors
    /// When no file begins with one of them.
    pub fn beginning_with(&self, prefixes: &[impl AsRef<str>]) -> Result<Vec<&HubFile>> {
        let begins = |file: &HubFile, prefix: &str| file.path.starts_with(prefix);
        for prefix in prefixes.iter().map(AsRef::as_ref) {
            if !self.files().iter().any(|f| begins(f, prefix)) {
                return Err(Error::input(format!(
                    "no file of `{}` begins with `{}`",
                    self.id,
                    prefix.escape_debug()
                ))
                .help(format!(
                    "its files begin with {}",
                    self.beginnings().join(", ")
                )));
            }
        }
        let wanted =
            |f: &&HubFile| prefixes.is_empty() || prefixes.iter().any(|p| begins(f, p.as_ref()));
        Ok(self.files().iter().filter(wanted).collect())
    }

    /// The first folders of the files, and files in none; not more than a few, and none
    /// that is hidden.
    pub fn beginnings(&self) -> Vec<String> {
        const SHOWN: usize = 12;
        let first = |f: &HubFile| match f.path.split_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => f.path.clone(),
        };
        let seen = self.files().iter().filter(|f| !f.path.starts_with('.'));
        let mut all: Vec<String> = seen.map(first).collect();
        all.dedup();
        if all.len() > SHOWN {
            all.truncate(SHOWN);
            all.push("...".to_owned());
        }
        all
    }

    /// Files as a corpus, recognised by their names alone: below
    /// [`HubDataset::folder`], where [`HubDataset::fetch`] puts those that are read.
    ///
    /// # Errors
    /// As [`Source::open`], apart from files that cannot be read.
    pub fn source(
        &self,
        files: &[&HubFile],
        layout: Option<Layout>,
        options: ReadOptions,
    ) -> Result<Source> {
        let folder = self.folder();
        let size = |file: &HubFile| match file.bytes {
            Some(bytes) => bytes,
            None => std::fs::metadata(folder.join(&file.path)).map_or(0, |m| m.len()),
        };
        let listed = files.iter().map(|f| (f.path.as_str(), size(f)));
        Source::of_listing(&folder, listed, layout, options)
            .map_err(|e| e.in_file_if_none(format!("hf://{}", self.id)))
    }

    /// The file as it is in the cache.
    fn cached(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder().join(name)).filter(|path| path.exists())
    }
}

fn repo(id: &str, revision: &str) -> Repo {
    Repo::with_revision(id.to_owned(), RepoType::Dataset, revision.to_owned())
}

/// Calls the hub on another thread, as the library cannot be interrupted. Counts in
/// `done` what came; `work` ends at its next piece of data when `left_alone` is set.
fn patiently<T: Send + 'static>(
    monitor: &dyn Monitor,
    progress: &Progress,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    /// The library waits for ever.
    const SILENCE: Duration = Duration::from_secs(60);
    let (mut last, mut since) = (u64::MAX, Instant::now());
    let result = unless_stopped(monitor, work, || {
        let done = progress.done.load(Ordering::Relaxed);
        if done != last {
            (last, since) = (done, Instant::now());
            monitor.at(done);
        }
        if since.elapsed() < SILENCE {
            return Ok(());
        }
        let seconds = SILENCE.as_secs();
        Err(Error::new(
            ErrorKind::Io,
            format!("nothing came from the hub for {seconds} seconds, fetching `{what}`"),
        )
        .help("check the network, and run the same command again: what was fetched is kept"))
    });
    progress
        .left_alone
        .store(result.is_err(), Ordering::Relaxed);
    result
}

/// What the thread that talks to the hub and the one that waits for it share.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Bytes so far.
    done: Arc<AtomicU64>,
    left_alone: Arc<AtomicBool>,
}
