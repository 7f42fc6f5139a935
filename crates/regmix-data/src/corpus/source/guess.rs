//! The layout of a corpus, from the names of its files and folders.
//!
//! | what is there | layout | as in |
//! |---|---|---|
//! | `web-0.jsonl`, `web-00000-of-00003.parquet`, `train/web-0.jsonl` | files | RegMix, C4 |
//! | `web/train-00000-of-00001.parquet`, `train/web/a.jsonl`, `web/a.txt` | folders | repositories of data sets, Dolma |
//! | `train/00.jsonl`, `val.jsonl`, `data/train-00000-of-00003.parquet` | labels | the Pile, SlimPajama |

use super::Layout;
use super::assign::Candidate;
use super::listing::Entry;
use super::names::{FileNames, SplitName, is_wrapper};
use crate::corpus::file_type::{Content, FileType};

/// How many folders from the root on hold everything and name nothing, such
/// as `data`.
pub(super) fn wrappers(entries: &[Entry]) -> usize {
    let documents: Vec<&Entry> = entries
        .iter()
        .filter(|e| matches!(Content::of(&e.name), Content::Documents { .. }))
        .collect();
    let mut depth = 0;
    loop {
        let mut folders = documents.iter().map(|e| e.folders.get(depth));
        let first = match folders.next() {
            Some(Some(first)) if is_wrapper(first) => first,
            _ => return depth,
        };
        if folders.any(|other| other != Some(first)) {
            return depth;
        }
        depth += 1;
    }
}

/// The layout of a corpus of these files, if there are any; `labelled` where
/// the user has named the field of the labels.
pub(super) fn layout(files: &[Candidate<'_>], labelled: bool) -> Option<Layout> {
    if files.is_empty() {
        return None;
    }
    if labelled {
        return Some(Layout::Labels);
    }
    let names = FileNames::of(files.iter().map(|f| f.stem));
    let is_test = |f: &&Candidate<'_>| f.split == Some(SplitName::Test);
    let (mut named, mut named_prose, mut in_folders, mut prose_in_folders) = (0, 0, 0, 0);
    for file in files.iter().filter(|f| !is_test(f)) {
        let is_prose = FileType::of(&file.entry.path) == Some(FileType::Text);
        if !file.folders.is_empty() {
            in_folders += 1;
            prose_in_folders += usize::from(is_prose);
        } else if names.read(file.stem).domain.is_some() {
            named += 1;
            named_prose += usize::from(is_prose);
        }
    }
    // A list of addresses or a note beside the folders of domains is no domain.
    let notes = named == named_prose && in_folders > prose_in_folders;
    Some(match (named > 0 && !notes, in_folders > 0) {
        (true, _) => Layout::Files,
        (false, true) => Layout::Folders,
        (false, false) => Layout::Labels,
    })
}
