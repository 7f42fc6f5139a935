//! What the hub says about a dataset.

use std::io::Read;
use std::path::{Component, Path, PathBuf};

use hf_hub::api::sync::ApiError;
use serde::Deserialize;
use serde_json::Value;

use super::explain::explain;
use super::{Hub, HubDataset, HubFile, Listing, Progress, patiently, repo};
use crate::artefact;
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::Monitor;

/// A hundred times the answer about the largest datasets, in bytes.
const MAX_ANSWER: u64 = 1 << 30;

#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
    /// `false`, or how access is granted.
    #[serde(default)]
    gated: Value,
    #[serde(default, rename = "cardData")]
    card: Value,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
}

impl Hub {
    /// Lists the files of a dataset, `owner/name`, at a branch, tag or commit;
    /// `main` if none is named. Files are later fetched from the commit that the
    /// answer names, even if the branch has changed.
    ///
    /// If the hub cannot be reached, the files of a commit that was asked for
    /// before are known without it; see [`HubDataset::unreachable`].
    ///
    /// # Errors
    /// When the name is malformed, the hub cannot be reached, has no such
    /// dataset or revision, or does not show it, or `monitor` requests a stop.
    pub fn dataset(
        &self,
        id: &str,
        revision: Option<&str>,
        monitor: &dyn Monitor,
    ) -> Result<HubDataset> {
        check_names(id, revision)?;
        let dataset = |commit: String, listing, unreachable| HubDataset {
            hub: self.clone(),
            id: id.to_owned(),
            commit,
            listing,
            unreachable,
        };
        match self.ask(id, revision.unwrap_or("main"), monitor) {
            Ok(info) => {
                let listing = listing(id, info.siblings, &info.card, &info.tags, &info.gated)?;
                // Without this copy nothing is lost but work without the hub.
                artefact::write_json(self.listing_path(id, &info.sha), &listing).ok();
                Ok(dataset(info.sha, listing, None))
            }
            Err(e) if e.is_io() => {
                let known = revision.filter(|r| is_commit(r)).and_then(|commit| {
                    let listing = artefact::read_json(self.listing_path(id, commit)).ok()?;
                    Some((commit.to_owned(), listing))
                });
                match known {
                    Some((commit, listing)) => Ok(dataset(commit, listing, Some(e))),
                    None => Err(e),
                }
            }
            Err(e) => Err(e),
        }
    }

    fn ask(&self, id: &str, revision: &str, monitor: &dyn Monitor) -> Result<Info> {
        let asked = self.api.repo(repo(id, revision));
        let answer = patiently(monitor, &Progress::default(), id, move || {
            let answer = asked.info_request().query("blobs", "true").call();
            let answer = answer.map_err(|e| ApiError::RequestError(Box::new(e)))?;
            let mut text = String::new();
            let reader = answer.into_reader();
            reader.take(MAX_ANSWER).read_to_string(&mut text)?;
            Ok(text)
        })?;
        let text = answer.map_err(|e| explain(e, self, id, revision).0)?;
        let info: Info = serde_json::from_str(&text).map_err(|e| {
            Error::failed(format!(
                "the hub's answer about `{id}` was not understood: {e}"
            ))
        })?;
        match is_commit(&info.sha) {
            true => Ok(info),
            false => Err(Error::failed(format!("the hub names no commit of `{id}`"))),
        }
    }

    /// Where the list of the files of a commit is kept.
    fn listing_path(&self, id: &str, commit: &str) -> PathBuf {
        self.folder(id).join(format!("regmix/{commit}.json"))
    }
}

/// Whether a revision is a whole commit, which never changes.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Names become paths in the cache and parts of addresses.
fn check_names(id: &str, revision: Option<&str>) -> Result<()> {
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
        ))
        .help("copy the name from the top of its page on the hub"));
    }
    match revision.filter(|r| !r.split('/').all(plain)) {
        None => Ok(()),
        Some(revision) => Err(Error::input(format!(
            "`{}` is not a branch, a tag or a commit of `{id}`",
            revision.escape_debug()
        ))
        .help("leave out what is after `@` for the branch `main`")),
    }
}

fn listing(
    id: &str,
    siblings: Vec<Sibling>,
    card: &Value,
    tags: &[String],
    gated: &Value,
) -> Result<Listing> {
    let inside = |name: &str| {
        !name.is_empty()
            && !name.chars().any(char::is_control)
            && Path::new(name)
                .components()
                .all(|c| matches!(c, Component::Normal(_)))
    };
    if let Some(Sibling { rfilename, .. }) = siblings.iter().find(|s| !inside(&s.rfilename)) {
        return Err(Error::new(
            ErrorKind::Input,
            format!(
                "the hub lists a file `{}` in `{id}`, expected a relative path without `..`",
                rfilename.escape_debug()
            ),
        )
        .help("tell the owner of the dataset; files of such names are not fetched"));
    }
    let mut files: Vec<HubFile> = siblings
        .into_iter()
        .map(|s| HubFile {
            path: s.rfilename,
            bytes: s.size,
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Listing {
        license: license(card, tags),
        gated: !matches!(gated, Value::Null | Value::Bool(false)),
        files,
    })
}

/// The license by the dataset's card, else by its tags.
fn license(card: &Value, tags: &[String]) -> Option<String> {
    let words = |value: &Value| -> Vec<String> {
        match value {
            Value::String(one) => vec![one.clone()],
            Value::Array(all) => all
                .iter()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        }
    };
    let mut found = words(&card["license"]);
    if found.is_empty() {
        let of_tag = |tag: &String| tag.strip_prefix("license:").map(str::to_owned);
        found = tags.iter().filter_map(of_tag).collect();
    }
    // `other` has its name beside it.
    if let (true, Some(name)) = (found == ["other"], card["license_name"].as_str()) {
        found = vec![format!("other ({name})")];
    }
    let shown = found.join(", ");
    let shown: String = shown
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    (!shown.trim().is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_license_is_that_of_the_card_or_of_the_tags() {
        let tags = ["language:en".to_owned(), "license:odc-by".to_owned()];
        let of = |card: Value| license(&card, &tags).unwrap();
        assert_eq!(of(json!({"license": "mit"})), "mit");
        assert_eq!(of(json!({"license": ["mit", "cc0-1.0"]})), "mit, cc0-1.0");
        assert_eq!(of(json!(null)), "odc-by");
        assert_eq!(of(json!({"language": "en"})), "odc-by");
        let other = json!({"license": "other", "license_name": "my\u{1b}[1m terms"});
        assert_eq!(of(other), "other (my[1m terms)");
        assert_eq!(license(&json!({}), &[]), None);
    }
}
