//! All files below a folder, with links followed.

use std::path::{Path, PathBuf};

use super::NotRead;
use crate::corpus::file_type::FileType;
use crate::error::{Error, Result};

/// A file below the root of a corpus.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// As [`super::SourceFile::content`].
    pub(super) content: PathBuf,
    /// The folders between the root and the file.
    pub(super) folders: Vec<String>,
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// Every file below `root` in order of names, and what cannot be looked into:
/// hidden files and folders, links to nothing, and links to a folder that the
/// link is in.
pub(super) fn list(root: &Path) -> Result<(Vec<Entry>, Vec<NotRead>)> {
    let mut entries = Vec::new();
    let mut not_read = Vec::new();
    let mut walk = walkdir::WalkDir::new(root)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                not_read.push(unreachable(root, e)?);
                continue;
            }
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.depth() > 0 && is_hidden(&name) {
            if entry.file_type().is_dir() {
                walk.skip_current_dir();
            }
            not_read.push(NotRead::new(entry.path(), HIDDEN));
            continue;
        }
        if entry.file_type().is_dir() {
            continue;
        }
        if !entry.file_type().is_file() {
            not_read.push(NotRead::new(entry.path(), "neither a file nor a folder"));
            continue;
        }
        let path = entry.into_path();
        let content = match link_in_text(&path, &name) {
            None => path.clone(),
            Some(target) if target.is_file() => target,
            Some(_) => {
                not_read.push(NotRead::new(&path, "a link to nothing, stored as text"));
                continue;
            }
        };
        let bytes = std::fs::metadata(&content)
            .map_err(|e| Error::io(&content, e))?
            .len();
        // A root that is a file itself has no part below it.
        let inside = path.strip_prefix(root).unwrap_or(&path);
        let folders = inside.parent().into_iter().flat_map(Path::components);
        let folders = folders
            .map(|c| c.as_os_str().to_string_lossy().into_owned())
            .collect();
        entries.push(Entry {
            folders,
            name,
            bytes,
            path,
            content,
        });
    }
    Ok((entries, not_read))
}

/// As [`list`], of files that need not exist, by their paths below `root` and sizes.
pub(super) fn named<'a>(
    root: &Path,
    files: impl IntoIterator<Item = (&'a str, u64)>,
) -> (Vec<Entry>, Vec<NotRead>) {
    let mut files: Vec<(&str, u64)> = files.into_iter().collect();
    files.sort_by(|a, b| a.0.split('/').cmp(b.0.split('/')));
    let (mut entries, mut not_read) = (Vec::new(), Vec::new());
    for (inside, bytes) in files {
        let path = root.join(inside);
        let mut folders: Vec<String> = inside.split('/').map(str::to_owned).collect();
        if folders.iter().any(|part| is_hidden(part)) {
            not_read.push(NotRead::new(&path, HIDDEN));
            continue;
        }
        entries.push(Entry {
            name: folders.pop().unwrap_or_default(),
            folders,
            bytes,
            content: path.clone(),
            path,
        });
    }
    (entries, not_read)
}

/// Why a hidden file is not read.
const HIDDEN: &str = "hidden";

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// Where a file of JSON lines or parquet leads that holds nothing but a path.
/// So git stores links where the system has none, and so some copies and
/// archives do.
fn link_in_text(path: &Path, name: &str) -> Option<PathBuf> {
    const LONGEST: u64 = 1024;
    let (_, file_type) = FileType::split_name(name)?;
    let is_short = std::fs::metadata(path).is_ok_and(|m| (1..=LONGEST).contains(&m.len()));
    if file_type == FileType::Text || !is_short {
        return None;
    }
    let text = String::from_utf8(std::fs::read(path).ok()?).ok()?;
    let of_path = |c: char| !c.is_control() && !c.is_whitespace() && !"{}[]\"'<>:,;".contains(c);
    if text.chars().any(|c| !of_path(c)) || text.starts_with('/') {
        return None;
    }
    Some(path.parent()?.join(text))
}

/// What cannot be followed because of a link; other errors are errors.
fn unreachable(root: &Path, error: walkdir::Error) -> Result<NotRead> {
    let path = error.path().unwrap_or(root).to_path_buf();
    if let Some(folder) = error.loop_ancestor() {
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        let name = match folder.as_os_str().is_empty() {
            true => "the folder of the corpus".to_owned(),
            false => format!("`{}`", folder.display()),
        };
        return Ok(NotRead::new(&path, &format!("a link back to {name}")));
    }
    let error = std::io::Error::from(error);
    let is_link = std::fs::symlink_metadata(&path).is_ok_and(|m| m.file_type().is_symlink());
    match error.kind() {
        std::io::ErrorKind::NotFound if is_link => Ok(NotRead::new(&path, "a link to nothing")),
        _ => Err(Error::io(&path, error)),
    }
}
