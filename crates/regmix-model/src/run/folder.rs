//! The configuration in a run's folder, `run.toml`.

use std::path::Path;

use regmix_data::{Error, ErrorKind, Result, artefact};
use serde::{Deserialize, Serialize};

use super::spec::RunSpec;

/// The content of `run.toml`.
#[derive(Serialize, Deserialize)]
pub(super) struct RunFile {
    regmix_version: String,
    pub(super) fingerprint: String,
    #[serde(flatten)]
    pub(super) spec: RunSpec,
}

/// Writes `run.toml`, or checks that the file that is there has the same
/// configuration.
pub(super) fn claim(spec: &RunSpec, folder: &Path) -> Result<()> {
    if is_claimed(spec, folder)? {
        return Ok(());
    }
    let path = folder.join("run.toml");
    let file = RunFile {
        regmix_version: env!("CARGO_PKG_VERSION").to_owned(),
        fingerprint: spec.fingerprint(),
        spec: spec.clone(),
    };
    let text =
        toml::to_string_pretty(&file).map_err(|e| Error::failed(e.to_string()).in_file(&path))?;
    artefact::write_atomic(&path, text.as_bytes())
}

/// Whether a run was started in a folder.
///
/// # Errors
/// When it was started with another configuration, or its `run.toml` is there
/// but cannot be read.
pub(crate) fn is_claimed(spec: &RunSpec, folder: &Path) -> Result<bool> {
    let Some(old) = stored(folder)? else {
        return Ok(false);
    };
    if old.fingerprint == spec.fingerprint() {
        return Ok(true);
    }
    Err(Error::new(
        ErrorKind::Stale,
        format!(
            "run `{}` was started with another configuration ({})",
            spec.run,
            spec.changes_since(&old.spec).unwrap_or_default()
        ),
    )
    .in_file(folder.join("run.toml"))
    .help("put the configuration back, or redo the run with `--redo`"))
}

/// The fingerprint in a run's folder, if a run was started there.
///
/// # Errors
/// When its `run.toml` is there but cannot be read.
pub fn stored_fingerprint(folder: &Path) -> Result<Option<String>> {
    Ok(stored(folder)?.map(|file| file.fingerprint))
}

/// The configuration of the run that was started in a folder, if one was.
///
/// # Errors
/// When its `run.toml` is there but cannot be read.
pub fn stored_spec(folder: &Path) -> Result<Option<RunSpec>> {
    Ok(stored(folder)?.map(|file| file.spec))
}

/// The content of `run.toml`, if it is there.
pub(super) fn stored(folder: &Path) -> Result<Option<RunFile>> {
    let path = folder.join("run.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text)
            .map(Some)
            .map_err(|e| Error::input(e.message().to_owned()).in_file(path)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path, e)),
    }
}
