//! Mixtures, schedules and controllers from elsewhere that targets are trained
//! on beside the found mixture.

use std::path::Path;

use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Error, Mixture, Result};
use regmix_dynamic::{Controller, Schedule};
use regmix_regress::Recommendation;
use serde_json::Value;

use super::schedule::changes;
use super::target::{ArmPlan, Course};
use crate::study::Study;

impl Study {
    /// One arm for every entry of `[check.others]`.
    pub(super) fn other_arms(&self, domains: &DomainSet) -> Result<Vec<ArmPlan>> {
        let mut arms = Vec::new();
        for (name, file) in &self.config().check.others {
            let path = self.resolve(file);
            let (mixture, course) =
                read(name, domains, &path).map_err(|e| e.in_file_if_none(&path))?;
            arms.push(ArmPlan {
                name: name.clone(),
                mixture,
                // Only what this study's own fit finds is predicted.
                predicted: None,
                course,
            });
        }
        Ok(arms)
    }
}

/// What a file says, by its content: the mixture over the run, and its course.
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
        let (first, mut changes) = changes(&schedule)?;
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
            Course::online(first, controller, text.as_bytes()),
        ))
    } else if has("mixture") {
        let found = Recommendation::load(path)?.mixture;
        Ok((found.reordered(domains)?, Course::Fixed))
    } else {
        Err(Error::input(
            "neither a mixture, a schedule nor a controller: expected a .csv of mixtures, or what \
             `regmix optimize` or `regmix schedule` wrote",
        ))
    }
}
