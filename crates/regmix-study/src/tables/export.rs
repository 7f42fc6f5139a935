//! Mixtures and schedules from files, for a trainer.

use std::path::Path;

use regmix_data::exchange::{ExportPlan, Mapping};
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Mixture, Result};
use regmix_dynamic::Schedule;
use regmix_regress::Recommendation;
use regmix_regress::scale::ScaleOptimum;
use serde_json::Value;

use crate::config::explain;

/// Hard switches that take the place of a ramp: no trainer has ramps.
const RAMP_PARTS: u64 = 4;

/// The mapping of a file: where the data of every domain lies.
///
/// # Errors
/// When the file cannot be read or does not parse.
pub fn read_mapping(path: &Path) -> Result<Mapping> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    toml::from_str(&text).map_err(|e| explain(&e, &text, path))
}

/// What a file holds, by its content: a mixture or a schedule that regmix wrote, a
/// JSON object of domains and weights, or a table of mixtures, of which `run` names
/// the row if there are several.
///
/// # Errors
/// When the file cannot be read or holds none of these.
pub fn read_plan(path: &Path, run: Option<&str>) -> Result<ExportPlan> {
    let plan = match path.extension().is_some_and(|e| e == "json") {
        true => from_json(path, run),
        false => from_table(path, run).map(ExportPlan::of_mixture),
    };
    plan.map_err(|e| e.in_file_if_none(path))
}

/// The mixtures of a schedule, with hard switches.
///
/// # Errors
/// When its steps do not rise.
pub fn plan_of_schedule(schedule: &Schedule) -> Result<ExportPlan> {
    let domains = schedule.mean.domains();
    let switches = (schedule.switches(RAMP_PARTS).into_iter())
        .map(|(step, weights)| Ok((step, Mixture::normalized(domains.clone(), weights)?)))
        .collect::<Result<Vec<_>>>()?;
    let target = schedule.target;
    ExportPlan::of_switches(switches, target.steps, target.tokens as f64)
}

fn from_table(path: &Path, run: Option<&str>) -> Result<Mixture> {
    let table = MixtureTable::read_csv(path)?;
    let row = match (run, table.mixtures()) {
        (Some(run), _) => table.get(run),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    row.cloned().ok_or_else(|| {
        let problem = match run {
            Some(run) => format!("no mixture is called `{run}`: expected one of that name"),
            None => format!("{} mixtures: expected one", table.len()),
        };
        Error::input(problem).help("name a row of the table with `--run`")
    })
}

fn from_json(path: &Path, run: Option<&str>) -> Result<ExportPlan> {
    if run.is_some() {
        return Err(Error::input(
            "`--run` with a .json file: expected a table of mixtures",
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|e| Error::input(format!("not JSON: {e}")).line(e.line() as u64))?;
    if value.get("segments").is_some() {
        return plan_of_schedule(&Schedule::load(path)?);
    }
    mixture_of_json(path, &text, &value).map(ExportPlan::of_mixture)
}

/// The mixture of a JSON file: one that `regmix optimize` wrote, or an object of domains
/// and weights.
pub(crate) fn mixture_of_json(path: &Path, text: &str, value: &Value) -> Result<Mixture> {
    let has = |key: &str| value.get(key).is_some();
    if has("mixture") && has("path") {
        return Ok(ScaleOptimum::load(path)?.mixture);
    }
    if has("mixture") {
        return Ok(Recommendation::load(path)?.mixture);
    }
    serde_json::from_str(text).map_err(|e| {
        Error::input(format!(
            "neither a mixture nor a schedule of regmix, nor an object of domains with their \
             weights: {e}"
        ))
    })
}
