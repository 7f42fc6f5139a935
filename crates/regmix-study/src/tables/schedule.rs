//! Schedules from tables of the user's own runs.

use std::path::Path;

use regmix_data::table::{MixtureTable, RunRows, compare_runs};
use regmix_data::{Error, Mixture, Monitor, Result};
use regmix_dynamic::{
    Controller, DynamicConfig, Planner, Request, RunLength, Schedule, Segments, SizeCalibration,
    SizeLaw, StageLosses, State, Trajectories, Transitions,
};
use regmix_regress::{Budget, Constraints, Objective};

use super::limits::bounded;
use super::optimize::warn_of_baseline;
use crate::config::{ObjectiveFile, stage_settings};

/// How a schedule is planned from tables.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// An objective file, with its limits; the mean of all domains without
    /// limits if there is none.
    pub objective: Option<&'a Path>,
    /// The natural mixture: a table of mixtures whose first row it is. If it is
    /// left out, the first segment is on the mean of the runs' mixtures, and a
    /// worst case is one against the uniform mixture.
    pub prior: Option<&'a Path>,
    /// A TOML file with the keys of `[dynamic]`.
    pub settings: Option<&'a Path>,
    /// The run that the schedule is for.
    pub target: RunLength,
    /// Steps of a whole proxy; those of the longest one if left out.
    pub proxy_steps: Option<u64>,
    /// Runs of a second size of models, to measure the size correction by.
    pub second: Option<SecondSize<'a>>,
    /// Seed, added to that of the settings.
    pub seed: u64,
}

/// Runs of a second size.
#[derive(Debug, Clone, Copy)]
pub struct SecondSize<'a> {
    /// Their trajectories; runs with the names of proxies are on the same
    /// mixtures.
    pub trajectories: &'a Path,
    /// The form of the correction.
    pub law: SizeLaw,
    /// Parameters of the second size, divided by those of a proxy.
    pub ratio: f64,
    /// Parameters of the target, divided by those of a proxy.
    pub target_ratio: f64,
}

/// Reads trajectories: parquet if the file is named so, else CSV.
fn read_trajectories(path: &Path) -> Result<Trajectories> {
    let parquet = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
    match parquet {
        true => Trajectories::from_rows(RunRows::read_parquet(path)?, path),
        false => Trajectories::read_csv(path),
    }
}

/// Plans a schedule from a table of trajectories (`run,step,tokens,<domain>…`,
/// CSV or, by its name, parquet)
/// and one of mixtures (`run,<domain>…`, or `run,from,<domain>…` where runs
/// switch), and a controller that starts from it.
///
/// # Errors
/// When a file cannot be read or is wrong, tables do not fit each other, or as
/// [`Planner::fit_monitored`] and [`Planner::schedule_monitored`].
pub fn plan(
    trajectories: &Path,
    mixtures: &Path,
    plan: &Plan<'_>,
    monitor: &dyn Monitor,
) -> Result<(Schedule, Controller)> {
    let mut config: DynamicConfig = match plan.settings {
        Some(path) => stage_settings(path)?,
        None => DynamicConfig::default(),
    };
    config.seed = config.seed.wrapping_add(plan.seed);
    let runs = read_segments(mixtures)?;
    let table = read_trajectories(trajectories)?
        .named_as(runs.runs())
        .sorted_by_run();
    (runs.domains().more_than_one()).map_err(|e| e.in_file(mixtures))?;
    let losses = (StageLosses::new(&table, &config.grid()?, config.resample, plan.proxy_steps))
        .map_err(|e| e.in_file_if_none(trajectories))?;
    let rows = Transitions::new(&losses, &runs).map_err(|e| e.in_file_if_none(mixtures))?;
    let prior = match plan.prior {
        Some(path) => MixtureTable::read_csv(path)?.mixtures()[0].clone(),
        None => mean_of(&runs)?,
    };
    let unlimited = Constraints::none(runs.domains().clone());
    let (objective, constraints, budget) = match plan.objective {
        None => (Objective::Mean, unlimited, None),
        Some(path) => {
            let file = ObjectiveFile::load(path)?;
            let constraints =
                bounded(unlimited, &file.constraints).map_err(|e| e.in_file_if_none(path))?;
            // Repetition is that of the target which is planned for.
            let budget = (!file.available.is_empty()).then(|| Budget {
                available: file.available.clone(),
                target_tokens: plan.target.tokens as f64,
                max_epochs: file.constraints.max_epochs,
            });
            let objective = file.objective().map_err(|e| e.in_file_if_none(path))?;
            (objective, constraints, budget)
        }
    };
    warn_of_baseline(&objective, plan.prior.is_some(), monitor);
    let objective = objective.with_known_baseline(plan.prior.is_some());
    let calibration = match &plan.second {
        None => None,
        Some(second) => {
            let path = second.trajectories;
            let large = read_trajectories(path)?.sorted_by_run();
            let ratios = [second.ratio, second.target_ratio];
            // Stage points are shares of a run, here of the longest one.
            let measured = (StageLosses::new(&large, &config.grid()?, config.resample, None))
                .and_then(|l| {
                    measure_size_correction(&config, second.law, &losses, &l, ratios, &objective)
                });
            Some(measured.map_err(|e| e.in_file_if_none(path))?)
        }
    };
    let request = Request {
        objective,
        prior,
        constraints: Some(constraints),
        budget,
        target: plan.target,
        config,
    };
    let bytes = std::fs::read(trajectories).map_err(|e| Error::io(trajectories, e))?;
    let fingerprint = &blake3::hash(&bytes).to_hex()[..32];
    let planned = plan_request(&rows, request, calibration.as_ref(), fingerprint, monitor)?;
    let remedy = "add runs with several mixtures to `--mixtures`, as `run,from,<domain>...`";
    warn_without_switches(&runs, remedy, monitor);
    Ok(planned)
}

/// Says that no run switches: what a switch does is then not measured.
pub(crate) fn warn_without_switches(runs: &Segments, remedy: &str, monitor: &dyn Monitor) {
    if runs.switching_runs() == 0 {
        monitor.message(&format!(
            "warning: no run switches its mixture, so that the effect of a switch is an \
             extrapolation from runs on one mixture each: {remedy}"
        ));
    }
}

/// Plans a schedule and its controller. The name `corpus` of the data goes into
/// the controller.
pub(crate) fn plan_request(
    rows: &Transitions,
    mut request: Request,
    calibration: Option<&SizeCalibration>,
    corpus: &str,
    monitor: &dyn Monitor,
) -> Result<(Schedule, Controller)> {
    if let Some(calibration) = calibration {
        request.config.size = calibration.correction.clone();
    }
    let planner = Planner::fit_monitored(rows, request, monitor)?;
    let schedule = judged(&planner, calibration, monitor)?;
    let controller = Controller::new(&planner, &schedule, corpus)?;
    Ok((schedule, controller))
}

/// Folds of the cross-validation that measures the accuracy of a stage model.
const FOLDS: usize = 5;

/// A schedule with the accuracy of its stage model and what its size correction
/// is based on.
fn judged(
    planner: &Planner,
    calibration: Option<&SizeCalibration>,
    monitor: &dyn Monitor,
) -> Result<Schedule> {
    let mut schedule = planner.schedule_monitored(monitor)?;
    match planner.accuracy(FOLDS, monitor) {
        Ok(accuracy) => schedule.accuracy = accuracy,
        Err(e) if e.is_interrupted() => return Err(e),
        Err(e) => (schedule.notes).push(format!("the stage model could not be judged: {e}")),
    }
    if let Some(calibration) = calibration {
        schedule.predicted_target = planner.at_target(&schedule);
        schedule.notes.push(calibration.words());
    }
    Ok(schedule)
}

/// The size correction for losses, or for the objective where that is the
/// state of the stage model.
pub(crate) fn measure_size_correction(
    config: &DynamicConfig,
    law: SizeLaw,
    small: &StageLosses,
    large: &StageLosses,
    ratios: [f64; 2],
    objective: &Objective,
) -> Result<SizeCalibration> {
    let objective = (config.state == State::Objective).then_some(objective);
    SizeCalibration::measure(law, small, large, ratios, objective)
}

/// A table of mixtures, with or without a column `from`.
fn read_segments(path: &Path) -> Result<Segments> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let header = text.lines().next().unwrap_or_default();
    match header.split(',').nth(1).map(str::trim) {
        Some("from") => Segments::parse(&text, path),
        _ => Ok(Segments::fixed(&MixtureTable::parse(&text, path)?)),
    }
}

fn mean_of(runs: &Segments) -> Result<Mixture> {
    let mut mean = vec![0.0; runs.domains().len()];
    let mut names: Vec<&String> = runs.runs().iter().collect();
    names.sort_by(|a, b| compare_runs(a, b));
    for run in names {
        for (m, w) in mean.iter_mut().zip(runs.mean(run, 0.0, 1.0)?) {
            *m += w;
        }
    }
    Mixture::normalized(runs.domains().clone(), mean)
}
