//! Setting runs aside, so that they are trained again.

use std::path::{Path, PathBuf};

use regmix_data::{Error, ErrorKind, Result};
use regmix_model::lease::{self, Sharing, file_system_time};
use serde::Serialize;

use super::status::{CorpusOnce, runs};
use crate::progress::{Index, RunRow, RunState};
use crate::stamp::set_aside;
use crate::study::Study;

/// A run that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retried {
    /// Its folder in the study, which is free now.
    pub folder: PathBuf,
    /// Where it is kept, in the study.
    pub kept: PathBuf,
    /// The command that makes it again, as in [`RunRow`].
    pub made_by: &'static str,
}

/// Sets runs aside: those that failed, or those that are named.
pub(crate) fn retry(study: &Study, names: Option<&[String]>) -> Result<Vec<Retried>> {
    let index = Index::open(study.root());
    let rows = runs(study, &index, &CorpusOnce::of(study))?;
    let chosen: Vec<&RunRow> = match names {
        Some(names) => (names.iter())
            .map(|name| named(&rows, name))
            .collect::<Result<_>>()?,
        None => (rows.iter())
            .filter(|row| row.state == RunState::Failed)
            .collect(),
    };
    // All or none: what cannot be set aside is found before the first is.
    for row in &chosen {
        check_free(study, row)?;
    }
    let mut retried = Vec::with_capacity(chosen.len());
    for row in chosen {
        let folder = study.path(&row.folder);
        if !folder.exists() {
            continue; // Named twice.
        }
        // A worker that takes it at this moment loses its lease and notices.
        check_free(study, row)?;
        let kept = set_aside(&folder)?;
        tracing::info!(run = row.run, kept = %kept.display(), "set aside");
        retried.push(Retried {
            folder: row.folder.clone(),
            kept: row
                .folder
                .with_file_name(kept.file_name().unwrap_or_default()),
            made_by: row.made_by,
        });
    }
    Ok(retried)
}

/// The run of a name or of a folder.
fn named<'a>(rows: &'a [RunRow], name: &str) -> Result<&'a RunRow> {
    let name = name.trim_end_matches('/');
    let of_folder = rows.iter().find(|row| row.folder == Path::new(name));
    let of_name: Vec<&RunRow> = rows.iter().filter(|row| row.run == name).collect();
    match (of_folder, &of_name[..]) {
        (Some(row), _) => Ok(row),
        (None, [row]) => Ok(*row),
        (None, []) => {
            let all = rows.iter().map(|row| row.run.as_str());
            let nearest = all.min_by_key(|run| strsim::damerau_levenshtein(run, name));
            let error = Error::input(format!("the study has no run `{name}`")).field("RUN");
            Err(match nearest {
                Some(run) => error.help(format!(
                    "did you mean `{run}`? `regmix status --runs` lists all"
                )),
                None => error.help("run `regmix design` first"),
            })
        }
        (None, several) => {
            let folders = several.iter().map(|row| row.folder.display().to_string());
            Err(Error::input(format!(
                "`{name}` names {} runs: {}",
                several.len(),
                folders.collect::<Vec<_>>().join(", ")
            ))
            .field("RUN")
            .help("name the folder of the one that is meant"))
        }
    }
}

/// An error where there is nothing to set aside, or a process trains the run.
fn check_free(study: &Study, row: &RunRow) -> Result<()> {
    let folder = study.path(&row.folder);
    if !folder.exists() {
        let problem = "the run was not started: there is nothing to set aside";
        return Err(Error::input(problem)
            .in_file(folder)
            .help(format!("`regmix {}` makes it", row.made_by)));
    }
    let now = file_system_time(&folder);
    match lease::read(&folder, now)? {
        Some(lease) if !lease.is_stale(Sharing::default().stale_after) => {
            let busy = format!("{} is training this run", lease.owner());
            let error = Error::new(ErrorKind::Io, busy).in_file(folder);
            Err(error.help("wait for that process, or stop it"))
        }
        _ => Ok(()),
    }
}
