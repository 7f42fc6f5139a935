//! Whether all hosts of a campaign see the same folder.
//!
//! A launch writes a number that no other folder has into the study and gives it
//! to every worker. A worker on a host where the path of the study leads to
//! another folder (a local disk, another mount, an old copy) finds no number or
//! a different one. It stops before it trains runs in a folder that no other
//! host sees.

use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

use regmix_data::{Error, Result, artefact, process};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::study::Study;

#[derive(Serialize, Deserialize)]
struct Campaign {
    nonce: String,
}

/// The number of the study's campaign. It is chosen and written if there is none
/// yet, and kept otherwise, so that workers of an earlier launch still find theirs.
///
/// # Errors
/// When `campaign.json` is damaged or cannot be written.
pub fn begin(study: &Study) -> Result<String> {
    if let Some(nonce) = current(study)? {
        return Ok(nonce);
    }
    // The keys of a hasher come from the system's random numbers.
    let number = RandomState::new().hash_one((SystemTime::now(), std::process::id()));
    let nonce = format!("{number:016x}");
    let campaign = Campaign {
        nonce: nonce.clone(),
    };
    artefact::write_json(study.path(files::CAMPAIGN), &campaign)?;
    Ok(nonce)
}

/// The number that is written in the study, if any.
///
/// # Errors
/// When `campaign.json` is damaged.
pub fn current(study: &Study) -> Result<Option<String>> {
    let path = study.path(files::CAMPAIGN);
    match path.exists() {
        true => read(study).map(Some),
        false => Ok(None),
    }
}

fn read(study: &Study) -> Result<String> {
    let path = study.path(files::CAMPAIGN);
    let campaign: Campaign = artefact::read_json(&path).map_err(|e| match e.is_input() {
        true => e.help("remove the file, and launch again"),
        false => e,
    })?;
    Ok(campaign.nonce)
}

/// Checks that this host sees the folder that a worker's campaign was launched
/// from. `nonce` is what the launch gave to the worker.
///
/// # Errors
/// When `campaign.json` is missing, damaged, or of another campaign.
pub fn check(study: &Study, nonce: &str) -> Result<()> {
    let found = match current(study)? {
        Some(found) if found == nonce => return Ok(()),
        Some(found) => format!("the campaign of this folder is `{found}`"),
        None => "this folder has no campaign".to_owned(),
    };
    Err(
        Error::input(format!("{found}: expected `{nonce}`, that of the launch"))
            .in_file(study.path(files::CAMPAIGN))
            .help(format!(
                "the host `{}` does not share the folder that the workers were launched from: mount it \
                 at {} on every host, or launch from this one",
                process::host_name(),
                study.root().display()
            )),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study(folder: &std::path::Path) -> Study {
        Study::init(folder, "s", "text".as_ref(), &regmix_data::Silent).unwrap()
    }

    #[test]
    fn every_launch_of_a_study_has_the_same_number() {
        let dir = tempfile::tempdir().unwrap();
        let study = study(dir.path());
        assert_eq!(current(&study).unwrap(), None);
        let nonce = begin(&study).unwrap();
        assert_eq!(nonce.len(), 16);
        assert_eq!(begin(&study).unwrap(), nonce);
        assert_eq!(current(&study).unwrap(), Some(nonce.clone()));
        check(&study, &nonce).unwrap();
    }

    #[test]
    fn another_folder_under_the_same_path_is_noticed() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [here, there] = [study(dirs[0].path()), study(dirs[1].path())];
        let nonce = begin(&there).unwrap();
        let error = check(&here, &nonce).unwrap_err();
        assert_eq!(
            error.problem(),
            format!("this folder has no campaign: expected `{nonce}`, that of the launch")
        );
        let help = error.help_text().unwrap();
        let root = here.root().display();
        assert!(
            help.ends_with(&format!(
                "does not share the folder that the workers were launched from: mount it at \
                 {root} on every host, or launch from this one"
            )),
            "{help}"
        );
        let own = begin(&here).unwrap();
        assert_ne!(own, nonce);
        assert_eq!(
            check(&here, &nonce).unwrap_err().problem(),
            format!(
                "the campaign of this folder is `{own}`: expected `{nonce}`, that of the launch"
            )
        );
    }

    #[test]
    fn a_damaged_campaign_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let study = study(dir.path());
        std::fs::write(study.path(files::CAMPAIGN), "{\"nonce\": ").unwrap();
        for error in [begin(&study).unwrap_err(), check(&study, "x").unwrap_err()] {
            assert!(
                error.to_string().contains("not the expected JSON"),
                "{error}"
            );
            assert_eq!(error.help_text(), Some("remove the file, and launch again"));
        }
    }
}
