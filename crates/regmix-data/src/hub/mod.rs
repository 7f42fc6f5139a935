//! Corpora on the Hugging Face hub, fetched into a local cache and then read
//! as local files.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use regmix_data::corpus::{ReadOptions, Source};
//! use regmix_data::hub::{Hub, HubOptions};
//!
//! let hub = Hub::new(HubOptions::default())?;
//! let dataset = hub.dataset("sail/regmix-data-sample", None)?;
//! let never = AtomicBool::new(false);
//! let folder = dataset.fetch(&["train/", "valid/"], &mut |_| {}, &never)?;
//! let source = Source::open(folder, None, ReadOptions::default())?;
//! # Ok::<(), regmix_data::Error>(())
//! ```

#[cfg(test)]
mod tests;

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::monitor::Monitor;

/// Where the hub is and where its files are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// The hub's address. Default: the environment's `HF_ENDPOINT`, else
    /// `https://huggingface.co`.
    pub endpoint: Option<String>,
    /// The cache folder, shared with other users of the hub. Default: below
    /// the environment's `HF_HOME`, else `~/.cache/huggingface`.
    pub cache: Option<PathBuf>,
    /// How often a file whose download broke off is taken up again, with
    /// longer and longer pauses. Default 4.
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

/// The hub.
#[derive(Debug, Clone)]
pub struct Hub {
    api: Api,
    cache: Cache,
    retries: u32,
}

/// One dataset at one commit.
#[derive(Debug)]
pub struct HubDataset {
    id: String,
    commit: String,
    files: Vec<HubFile>,
    repo: ApiRepo,
    cached: CacheRepo,
    retries: u32,
}

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    /// Its path in the dataset, with `/`.
    pub path: String,
    /// Its size, if the hub says so.
    pub bytes: Option<u64>,
}

/// How far a fetch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubProgress {
    /// The file being fetched.
    pub path: String,
    /// Bytes of it that are here.
    pub bytes: u64,
    /// Its size in bytes.
    pub bytes_total: u64,
    /// Files that are complete.
    pub files: usize,
    /// Files to fetch in all.
    pub files_total: usize,
}

#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
}

impl Hub {
    /// Prepares to talk to a hub; nothing is sent yet.
    ///
    /// # Errors
    /// When no connection can be set up at all.
    pub fn new(options: HubOptions) -> Result<Self> {
        // The library's own retries lose their place in a file that an earlier
        // process began, so they stay off.
        let cache = options.cache.map_or_else(Cache::from_env, Cache::new);
        let mut builder = ApiBuilder::from_cache(cache.clone())
            .with_progress(false)
            .with_retries(0);
        let endpoint = options
            .endpoint
            .or_else(|| std::env::var("HF_ENDPOINT").ok());
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        let api = builder.build().map_err(|e| explain(e, "the hub").0)?;
        Ok(Self {
            api,
            cache,
            retries: options.retries,
        })
    }

    /// Asks for the files of a dataset, `owner/name`, at a branch, tag or
    /// commit; `main` if none is named. What is fetched later is of the commit
    /// that the answer names, whatever happens on the hub meanwhile.
    ///
    /// # Errors
    /// When the name is not one, the hub cannot be reached, or has no such
    /// dataset or revision.
    pub fn dataset(&self, id: &str, revision: Option<&str>) -> Result<HubDataset> {
        let plain = |s: &str| {
            !s.is_empty()
                && !s.starts_with('.')
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if id.split('/').count() > 2 || !id.split('/').all(plain) {
            return Err(Error::input(format!(
                "`{}` is not a dataset, expected `owner/name`",
                id.escape_debug()
            )));
        }
        let of = |revision: &str| {
            Repo::with_revision(id.to_owned(), RepoType::Dataset, revision.to_owned())
        };
        let info: Info = self
            .api
            .repo(of(revision.unwrap_or("main")))
            .info_request()
            .query("blobs", "true")
            .call()
            .map_err(|e| explain(ApiError::RequestError(Box::new(e)), id).0)?
            .into_json()
            .map_err(|e| {
                Error::failed(format!(
                    "the hub's answer about `{id}` is not understood: {e}"
                ))
            })?;
        // Names become paths in the cache.
        let inside = |name: &str| {
            !name.is_empty()
                && Path::new(name)
                    .components()
                    .all(|c| matches!(c, Component::Normal(_)))
        };
        let strange = info.siblings.iter().find(|s| !inside(&s.rfilename));
        if let Some(Sibling { rfilename, .. }) = strange {
            return Err(Error::input(format!(
                "the hub lists a file `{}` in `{id}`, expected a relative path without `..`",
                rfilename.escape_debug()
            )));
        }
        if !plain(&info.sha) {
            return Err(Error::failed(format!("the hub names no commit of `{id}`")));
        }
        let mut files: Vec<HubFile> = info
            .siblings
            .into_iter()
            .map(|s| HubFile {
                path: s.rfilename,
                bytes: s.size,
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(HubDataset {
            id: id.to_owned(),
            repo: self.api.repo(of(&info.sha)),
            cached: self.cache.repo(of(&info.sha)),
            commit: info.sha,
            files,
            retries: self.retries,
        })
    }
}

impl HubDataset {
    /// The commit.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// All files, in order of names.
    pub fn files(&self) -> &[HubFile] {
        &self.files
    }

    /// Fetches the files that begin with one of `prefixes` and gives the
    /// folder they are in. What is in the cache is not fetched again, and a
    /// download that broke off goes on where it stopped.
    ///
    /// The folder also has files that were fetched earlier of this commit.
    ///
    /// # Errors
    /// When no file matches, the hub cannot be reached, a file has another
    /// size than the hub said, the disk refuses, or `monitor` asks to stop (noticed
    /// between files).
    pub fn fetch(
        &self,
        prefixes: &[&str],
        watch: &mut dyn FnMut(&HubProgress),
        monitor: &dyn Monitor,
    ) -> Result<PathBuf> {
        let wanted: Vec<&HubFile> = self
            .files
            .iter()
            .filter(|f| prefixes.iter().any(|p| f.path.starts_with(p)))
            .collect();
        let mut folder = None;
        for (done, file) in wanted.iter().enumerate() {
            if monitor.stop_requested() {
                return Err(
                    Error::new(ErrorKind::Interrupted, "interrupted while fetching")
                        .help("run the same command again: it goes on where it stopped"),
                );
            }
            let mut meter = Meter {
                watch,
                state: HubProgress {
                    path: file.path.clone(),
                    bytes: 0,
                    bytes_total: file.bytes.unwrap_or(0),
                    files: done,
                    files_total: wanted.len(),
                },
            };
            let path = self.fetch_one(file, &mut meter)?;
            let depth = Path::new(&file.path).components().count();
            folder = path.ancestors().nth(depth).map(Path::to_path_buf);
        }
        folder.ok_or_else(|| {
            Error::input(format!(
                "no file of `{}` begins with {}",
                self.id,
                prefixes.join(" or ")
            ))
        })
    }

    fn fetch_one(&self, file: &HubFile, meter: &mut Meter<'_>) -> Result<PathBuf> {
        let path = match self.cached.get(&file.path) {
            Some(path) => path,
            None => self.download(file, meter)?,
        };
        let size = std::fs::metadata(&path)
            .map_err(|e| Error::io(&path, e))?
            .len();
        if let Some(expected) = file.bytes.filter(|&n| n != size) {
            // The name is a link to the content: both go, or it would be found
            // again.
            if let Ok(content) = std::fs::canonicalize(&path) {
                let _ = std::fs::remove_file(content);
            }
            let _ = std::fs::remove_file(&path);
            return Err(Error::failed(format!(
                "`{}` came with {size} bytes, expected {expected}",
                file.path
            ))
            .help("run the same command again; the file was removed from the cache"));
        }
        Ok(path)
    }

    fn download(&self, file: &HubFile, meter: &mut Meter<'_>) -> Result<PathBuf> {
        let mut attempt = 0;
        loop {
            match self.repo.download_with_progress(&file.path, &mut *meter) {
                Ok(path) => return Ok(path),
                Err(err) => {
                    let (err, transient) = explain(err, &file.path);
                    if !transient || attempt >= self.retries {
                        return Err(err);
                    }
                    std::thread::sleep(Duration::from_millis(500) * 2u32.pow(attempt.min(6)));
                    attempt += 1;
                }
            }
        }
    }
}

/// Hands the library's progress on.
struct Meter<'a> {
    watch: &'a mut dyn FnMut(&HubProgress),
    state: HubProgress,
}

impl hf_hub::api::Progress for &mut Meter<'_> {
    fn init(&mut self, size: usize, _: &str) {
        (self.state.bytes, self.state.bytes_total) = (0, size as u64);
    }

    fn update(&mut self, bytes: usize) {
        self.state.bytes += bytes as u64;
        (self.watch)(&self.state);
    }

    fn finish(&mut self) {}
}

/// Says what went wrong with `what`, and whether trying again may help.
fn explain(err: ApiError, what: &str) -> (Error, bool) {
    let text = err.to_string();
    let status = match err {
        ApiError::RequestError(e) => (*e).into_response().map(|r| r.status()),
        ApiError::IoError(e) => {
            let transient = !matches!(
                e.kind(),
                std::io::ErrorKind::StorageFull
                    | std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::ReadOnlyFilesystem
            );
            let err = Error::new(ErrorKind::Io, format!("fetching `{what}` broke off: {e}"))
                .help("run the same command again: it goes on where it stopped")
                .caused_by(e);
            return (err, transient);
        }
        ApiError::LockAcquisition(path) => {
            let err = Error::new(ErrorKind::Io, "another process is fetching this file")
                .in_file(path)
                .help("wait for it to finish, and run the same command again");
            return (err, false);
        }
        _ => {
            let err = Error::failed(format!(
                "the hub's answer about `{what}` is not understood: {text}"
            ));
            return (err, false);
        }
    };
    let err = Error::new(ErrorKind::Io, format!("fetching `{what}` failed: {text}"));
    match status {
        Some(401 | 403) => {
            let help = "the dataset is private or gated: ask for access on its page, and log in \
                        with `huggingface-cli login`";
            (err.help(help), false)
        }
        Some(404) => (
            err.help("check the name of the dataset, its revision and the hub's address"),
            false,
        ),
        Some(416) => {
            let help = "an earlier download left too much behind: remove the `.part` files in the \
                        hub's cache, and run the same command again";
            (err.help(help), false)
        }
        Some(code) if code < 500 && code != 429 => (err, false),
        _ => (
            err.help("check the network and `HF_ENDPOINT`; what was fetched is kept"),
            true,
        ),
    }
}
