//! A second size of proxies, and the size correction that is measured by it.

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result, TokenCorpus};
use regmix_dynamic::{SizeCalibration, StageLosses, Trajectories};
use regmix_model::{Job, RunStatus};

use super::runs::{Compute, spec, train_runs};
use super::{design, losses};
use crate::config::{RunSection, SecondSizeSection};
use crate::files;
use crate::study::{Context, Study};
use crate::tables::measure_size_correction;

/// The runs of the second size: the first of the design that do not switch.
/// The step at which a run switches depends on its length, so that switching
/// runs of two sizes would not see the same mixtures.
pub(super) fn runs(study: &Study, mixtures: &MixtureTable) -> Result<Vec<String>> {
    let Some(section) = &study.config().second_size else {
        return Ok(Vec::new());
    };
    let segments = design::segments(study, mixtures)?;
    let fixed = mixtures.runs().iter();
    let fixed = fixed.filter(|run| segments.get(run).is_some_and(|s| s.len() == 1));
    let runs: Vec<String> = fixed.take(section.runs).cloned().collect();
    if runs.len() < section.runs {
        let error = Error::input(format!(
            "{} runs, but the design has {} that do not switch",
            section.runs,
            runs.len()
        ));
        let error = error.field("runs").help(
            "ask for fewer runs of the second size; or raise `design.runs` or lower \
             `design.switching`, then: regmix design --redo",
        );
        return Err(study.place(error, "second_size"));
    }
    Ok(runs)
}

/// Trains the second size, where the study has one. Returns its runs and their
/// statuses.
pub(super) fn train(
    study: &Study,
    mixtures: &MixtureTable,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<(Vec<Job>, Vec<RunStatus>)> {
    let Some(section) = &study.config().second_size else {
        return Ok((Vec::new(), Vec::new()));
    };
    let seed = study.config().study.seed;
    let mut jobs = Vec::new();
    for run in runs(study, mixtures)? {
        let Some(mixture) = mixtures.get(&run) else {
            continue;
        };
        jobs.push(Job {
            spec: spec(study, &section.model, &run, seed, mixture, compute.corpus)?,
            folder: study.path(files::SECOND_SIZE).join(&run),
            steer: None,
            weigh: None,
        });
    }
    let names = ["train second size", "second size, "];
    let statuses = train_runs(names, &section.model, &jobs, compute, cx)?;
    Ok((jobs, statuses))
}

/// The losses of the second size; `None` where the study has none.
pub(super) fn trajectories(study: &Study, corpus: &TokenCorpus) -> Result<Option<Trajectories>> {
    if study.config().second_size.is_none() {
        return Ok(None);
    }
    let runs = runs(study, &study.mixtures()?)?;
    let table = losses::read_runs(&study.path(files::SECOND_SIZE), &runs, corpus)?;
    Ok(Some(table))
}

/// The size correction, from the losses of both sizes.
pub(super) fn calibration(
    study: &Study,
    section: &SecondSizeSection,
    small: &StageLosses,
    large: &Trajectories,
    corpus: &TokenCorpus,
) -> Result<SizeCalibration> {
    let config = study.config();
    let dynamic = config.stage_config();
    let large = StageLosses::new(
        large,
        &dynamic.grid()?,
        dynamic.resample,
        Some(section.model.steps),
    )?;
    let size = |run: &RunSection| -> Result<f64> {
        Ok(run.model(corpus.vocab_size())?.parameters().total() as f64)
    };
    let proxy = size(&config.proxy)?;
    let ratios = [size(&section.model)? / proxy, size(&config.target)? / proxy];
    let objective = config.objective.objective()?;
    measure_size_correction(&dynamic, section.law, small, &large, ratios, &objective)
        .map_err(|e| study.place(e.field("model"), "second_size"))
}
