//! Further arms of the check, those of `[check.others]`: mixtures, schedules and
//! controllers from files, and mixtures that need no run.

use std::path::Path;

use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Error, Mixture, Result};
use regmix_dynamic::{Controller, Schedule};
use serde_json::Value;

use super::arms::{Course, PlannedArm};
use super::plain_mixtures::Maker;
use crate::plain_mixture::{NAMES, PlainMixture};
use crate::study::Study;
use crate::tables::mixture_of_json;

/// One arm for every entry of `[check.others]`.
pub(super) fn arms_from_files(
    study: &Study,
    domains: &DomainSet,
    maker: &Maker<'_>,
) -> Result<Vec<PlannedArm>> {
    let mut arms = Vec::new();
    for (name, file) in &study.config().check.others {
        let path = study.resolve(file);
        let placed = |e: Error| study.place(e.field(name), "check.others");
        let plain = file.to_str().map(str::parse::<PlainMixture>);
        let (mixture, course) = match plain {
            Some(Ok(plain)) => (maker.make(plain).map_err(placed)?, Course::Fixed),
            // More likely a name with a slip in it than a file.
            Some(Err(e)) if file.extension().is_none() && !path.exists() => {
                let help = format!("expected a .csv or .json file, or one of {NAMES}");
                return Err(placed(e.help(help)));
            }
            _ => read(name, domains, &path).map_err(|e| e.in_file_if_none(&path))?,
        };
        arms.push(PlannedArm {
            name: name.clone(),
            mixture,
            // Only mixtures that this study's fit has found are predicted.
            predicted: None,
            course,
        });
    }
    Ok(arms)
}

/// What a file holds, by its content: the mean mixture of the run, and how it
/// changes.
fn read(name: &str, domains: &DomainSet, path: &Path) -> Result<(Mixture, Course)> {
    if path.extension().is_none_or(|e| e != "json") {
        let table = MixtureTable::read_csv(path)?;
        let own = match table.len() {
            1 => table.mixtures().first(),
            _ => table.get(name),
        };
        let mixture = own.ok_or_else(|| {
            Error::input(format!(
                "{} mixtures, none of them called `{name}`: expected one row, or one of that name",
                table.len()
            ))
        })?;
        return Ok((mixture.reordered(domains)?, Course::Fixed));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|e| Error::input(format!("not JSON: {e}")).line(e.line() as u64))?;
    let has = |key: &str| value.get(key).is_some();
    if has("segments") {
        let schedule = Schedule::load(path)?;
        let (first, mut changes) = Course::planned(&schedule)?;
        for change in &mut changes {
            change.mixture = change.mixture.reordered(domains)?;
        }
        Ok((
            schedule.mean.reordered(domains)?,
            Course::Planned(first.reordered(domains)?, changes),
        ))
    } else if has("model") {
        let controller = Controller::load(path)?;
        let first = controller.mixture().reordered(domains)?;
        Ok((
            first.clone(),
            Course::steered(first, controller, text.as_bytes()),
        ))
    } else {
        let mixture = mixture_of_json(path, &text, &value)?;
        Ok((mixture.reordered(domains)?, Course::Fixed))
    }
}
