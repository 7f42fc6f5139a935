//! Corpora on the Hugging Face hub, fetched into a local cache and then read
//! as local files.
//!
//! ```no_run
//! use regmix_data::Silent;
//! use regmix_data::corpus::{ReadOptions, Source};
//! use regmix_data::hub::{Hub, HubOptions};
//!
//! let hub = Hub::new(HubOptions::default())?;
//! let dataset = hub.dataset("sail/regmix-data-sample", None)?;
//! let folder = dataset.fetch(&["train/", "valid/"], &Silent)?;
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
use crate::monitor::{Monitor, Unit};

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
    /// Its size, if the hub states it.
    pub bytes: Option<u64>,
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
        // The library's own retries do not resume a file that an earlier process
        // began, so they are not used.
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

    /// Lists the files of a dataset, `owner/name`, at a branch, tag or commit;
    /// `main` if none is named. Files are later fetched from the commit that the
    /// answer names, even if the branch has changed.
    ///
    /// # Errors
    /// When the name is malformed, the hub cannot be reached, or has no such
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
                    "the hub's answer about `{id}` was not understood: {e}"
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

    /// Fetches the files that begin with one of `prefixes` and returns the folder
    /// that they are in. Files in the cache are not fetched again, and a download
    /// that broke off is resumed.
    ///
    /// The folder also has files of this commit that were fetched earlier.
    /// `monitor` counts bytes, and can stop the work between files.
    ///
    /// # Errors
    /// When no file matches, the hub cannot be reached, a file has another size
    /// than the hub states, a file cannot be written, or `monitor` requested a
    /// stop.
    pub fn fetch(&self, prefixes: &[&str], monitor: &dyn Monitor) -> Result<PathBuf> {
        let wanted: Vec<&HubFile> = (self.files.iter())
            .filter(|f| prefixes.iter().any(|p| f.path.starts_with(p)))
            .collect();
        let sizes = wanted.iter().filter_map(|f| f.bytes);
        monitor.begin("fetch", sizes.sum(), Unit::Bytes);
        let folder = self.fetch_all(&wanted, monitor);
        monitor.end();
        folder?.ok_or_else(|| {
            Error::input(format!(
                "no file of `{}` begins with {}",
                self.id,
                prefixes.join(" or ")
            ))
        })
    }

    /// Fetches files in order; the folder that they are in, if there are any.
    fn fetch_all(&self, wanted: &[&HubFile], monitor: &dyn Monitor) -> Result<Option<PathBuf>> {
        let (mut folder, mut fetched) = (None, 0);
        for (i, file) in wanted.iter().enumerate() {
            if monitor.stop_requested() {
                return Err(Error::interrupted("interrupted while fetching")
                    .help("run the same command again: it continues where it stopped"));
            }
            monitor.note(&format!(
                "{}, {} of {} files",
                file.path,
                i + 1,
                wanted.len()
            ));
            let mut meter = Meter {
                monitor,
                done: fetched,
            };
            let path = self.fetch_one(file, &mut meter)?;
            fetched += std::fs::metadata(&path).map_or(0, |m| m.len());
            monitor.at(fetched);
            let depth = Path::new(&file.path).components().count();
            folder = path.ancestors().nth(depth).map(Path::to_path_buf);
        }
        Ok(folder)
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
            // The name is a link to the content: both are removed, or the file
            // would be found again.
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

/// Passes the library's progress on.
struct Meter<'a> {
    monitor: &'a dyn Monitor,
    /// Bytes of earlier files, and of the present one so far.
    done: u64,
}

impl hf_hub::api::Progress for &mut Meter<'_> {
    fn init(&mut self, _: usize, _: &str) {}

    fn update(&mut self, bytes: usize) {
        self.done += bytes as u64;
        self.monitor.at(self.done);
    }

    fn finish(&mut self) {}
}

/// The error of a request for `what`, and whether trying again may help.
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
                .help("run the same command again: it continues where it stopped")
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
                "the hub's answer about `{what}` was not understood: {text}"
            ));
            return (err, false);
        }
    };
    let err = Error::new(ErrorKind::Io, format!("fetching `{what}` failed: {text}"));
    match status {
        Some(401 | 403) => {
            let help = "the dataset is private or gated: request access on its page, and log in \
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
