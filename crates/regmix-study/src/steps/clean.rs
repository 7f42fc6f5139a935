//! What a study holds that no step needs any more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_model::RunStatus;
use serde::Serialize;

use crate::files;
use crate::stamp::is_aside;
use crate::study::Study;

/// Kinds of what can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftoverKind {
    /// A run, or all runs, that `--redo`, `retry` or a new design set aside.
    SetAside,
    /// A checkpoint of a finished run.
    Checkpoint,
    /// The weights that a finished run has kept.
    Weights,
}

/// Something that can go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Its path in the study: a file, or a folder that was set aside.
    pub path: PathBuf,
    /// Its size, or that of all files in it.
    pub bytes: u64,
}

/// The folders of runs, apart from those of other sizes.
const FOLDERS: [&str; 5] = [
    files::PROXIES,
    files::TARGETS,
    files::EXPERTS,
    files::CLIMB,
    files::DOREMI,
];

/// Of these, folders of runs whose models a step may read again: their weights stay.
const OF_METHODS: [&str; 3] = [files::DOREMI, files::CLIMB, files::EXPERTS];

/// Checkpoints in the folder of a run.
const CHECKPOINTS: [&str; 3] = [
    "checkpoint/state.safetensors",
    "checkpoint/state.next.safetensors",
    "checkpoint/state.previous.safetensors",
];

/// Finds what can go, in the order of paths; kept weights only where they are asked for.
pub(crate) fn leftovers(study: &Study, weights: bool) -> Result<Vec<Leftover>> {
    let mut found = Vec::new();
    let planned = runs_of_design(study)?;
    let named = FOLDERS.iter().copied().chain([files::SECOND_SIZE]);
    for name in folders_in(study.root())? {
        if named.clone().any(|of| is_aside(&name, Some(of))) {
            found.push(aside(study, PathBuf::from(name))?);
        }
    }
    let sizes = folders_of_runs(study)?;
    for below in FOLDERS.iter().map(PathBuf::from).chain(sizes) {
        // A size may be set aside as a whole.
        if is_aside(&below.to_string_lossy(), None) {
            found.push(aside(study, below)?);
            continue;
        }
        for name in folders_in(&study.path(&below))? {
            let run = below.join(&name);
            if is_aside(&name, None) && !planned.contains(&name) {
                found.push(aside(study, run)?);
            } else {
                let weights = weights && OF_METHODS.iter().all(|of| below != Path::new(of));
                of_run(study, &run, weights, &mut found)?;
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Removes what was found.
pub(crate) fn remove(study: &Study, found: &[Leftover]) -> Result<()> {
    for leftover in found {
        let path = study.path(&leftover.path);
        match leftover.kind {
            LeftoverKind::SetAside => fs::remove_dir_all(&path),
            LeftoverKind::Checkpoint | LeftoverKind::Weights => fs::remove_file(&path),
        }
        .map_err(|e| Error::io(&path, e))?;
        tracing::info!(path = %path.display(), bytes = leftover.bytes, "removed");
        if leftover.kind != LeftoverKind::SetAside
            && let Some(folder) = path.parent()
        {
            // It stays where something else is in it.
            fs::remove_dir(folder).ok();
        }
    }
    Ok(())
}

/// The names of the runs of the design, if there is one. Steps refuse some of them, but
/// what was trained under such a name is kept.
///
/// # Errors
/// When the design cannot be read: its runs are then not known.
fn runs_of_design(study: &Study) -> Result<BTreeSet<String>> {
    let path = study.path(files::DESIGN);
    match path.exists() {
        true => Ok(MixtureTable::read_csv(path)?
            .runs()
            .iter()
            .cloned()
            .collect()),
        false => Ok(BTreeSet::new()),
    }
}

/// The folders that runs of other sizes are in, of this or an earlier state of
/// `study.toml`, and those of whole sizes that were set aside.
fn folders_of_runs(study: &Study) -> Result<Vec<PathBuf>> {
    let named = folders_in(&study.path(files::SIZES))?;
    let named = named.iter().map(|name| Path::new(files::SIZES).join(name));
    let second = PathBuf::from(files::SECOND_SIZE);
    Ok(std::iter::once(second).chain(named).collect())
}

/// The names of the folders in a folder; links are none.
pub(super) fn folders_in(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(folder, e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let kind = entry.file_type().map_err(|e| Error::io(entry.path(), e))?;
        if kind.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

fn aside(study: &Study, path: PathBuf) -> Result<Leftover> {
    Ok(Leftover {
        kind: LeftoverKind::SetAside,
        bytes: size(&study.path(&path))?,
        path,
    })
}

/// The checkpoints of a finished run, and its weights.
fn of_run(study: &Study, run: &Path, weights: bool, found: &mut Vec<Leftover>) -> Result<()> {
    // What is damaged is left to the steps that read it.
    if !matches!(RunStatus::read(&study.path(run)), Ok(RunStatus::Done(_))) {
        return Ok(());
    }
    let model = weights.then_some(("checkpoint/model.safetensors", LeftoverKind::Weights));
    let states = CHECKPOINTS.map(|name| (name, LeftoverKind::Checkpoint));
    for (name, kind) in states.into_iter().chain(model) {
        let path = run.join(name);
        let whole = study.path(&path);
        if fs::symlink_metadata(&whole).is_ok_and(|m| m.is_file()) {
            let bytes = size(&whole)?;
            found.push(Leftover { kind, path, bytes });
        }
    }
    Ok(())
}

/// The size of a file, or of all files below a folder; links are not followed.
fn size(path: &Path) -> Result<u64> {
    let io = |e| Error::io(path, e);
    let metadata = fs::symlink_metadata(path).map_err(io)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut sum = 0;
    for entry in fs::read_dir(path).map_err(io)? {
        sum += size(&entry.map_err(io)?.path())?;
    }
    Ok(sum)
}
