//! Fitting losses to mixtures.

use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, Mixture, Result, TokenCorpus};
use regmix_dynamic::Trajectories;
use regmix_regress::{Fit, FitOptions, LearningCurve, LearningOptions, learning_curve_monitored};

use super::loss_inputs::loss_inputs;
use super::{design, losses};
use crate::config::EarlierSection;
use crate::files;
use crate::progress::Index;
use crate::stamp::{Stamp, digest, remade_by};
use crate::study::{Context, Study, natural_mixture};
use crate::tables::earlier_runs;

/// Fits the final losses of all finished proxies, or reads the fit.
pub(crate) fn fit(study: &Study, cx: Context<'_>) -> Result<Fit> {
    let all = study.mixtures()?;
    let corpus = study.corpus()?;
    let trajectories = losses::collect_trajectories(study, &corpus)?;
    if trajectories.len() < all.len() {
        cx.monitor.message(&format!(
            "{} of {} proxies are finished; the fit uses those",
            trajectories.len(),
            all.len()
        ));
    }
    let (mixtures, losses) = static_runs(study, &all, &trajectories)?;
    if mixtures.len() < trajectories.len() {
        cx.monitor.message(&format!(
            "{} of them change their mixture during the run and are left to `regmix schedule`",
            trajectories.len() - mixtures.len(),
        ));
    }
    let config = study.config();
    let stamp = stamp(study, &mixtures, &losses)?;
    let folder = study.path(files::FIT_FOLDER);
    if let Some(fit) = stamp.finished(cx.redo, cx.monitor, || Fit::load(&folder))? {
        return Ok(fit);
    }
    cx.monitor
        .message(&format!("fitting {} runs", mixtures.len()));
    let observations = Observations::join(mixtures, losses)?;
    let earlier = (earlier_section(study))
        .map(|section| earlier_runs(&section, &observations, cx.monitor))
        .transpose()?;
    let options = FitOptions {
        earlier,
        regressors: config.fit.regressors.clone(),
        folds: config.fit.folds,
        repeats: config.fit.repeats,
        seed: config.study.seed,
        natural: Some(natural_mixture(corpus.manifest())?),
        unit: Some("nats per token".to_owned()),
        keep_outliers: config.fit.keep_outliers,
        ..FitOptions::default()
    };
    let fit = Fit::train_monitored(&observations, &options, cx.monitor)?;
    stamp.begin()?;
    fit.save(&folder)?;
    stamp.write()?;
    Ok(fit)
}

/// Mixtures and final losses of the finished runs that stay on one
/// mixture.
fn static_runs(
    study: &Study,
    all: &MixtureTable,
    trajectories: &Trajectories,
) -> Result<(MixtureTable, ValueTable)> {
    let segments = design::segments(study, all)?;
    let stays = |run: &str| segments.get(run).is_some_and(|s| s.len() == 1);
    let mut own = Trajectories::new(trajectories.domains().clone());
    for (run, points) in trajectories.iter().filter(|(run, _)| stays(run)) {
        own.push(run, points.to_vec())?;
    }
    if own.is_empty() {
        return Err(Error::input("no finished proxy stays on one mixture")
            .in_file(study.path(files::SEGMENTS))
            .help("lower `design.switching`, then: regmix design --redo"));
    }
    let runs = (all.iter())
        .filter(|(run, _)| own.get(run).is_some())
        .map(|(run, mixture)| (run.to_owned(), mixture.clone()));
    let mixtures = MixtureTable::new(all.domains().clone(), runs)?;
    Ok((mixtures, own.final_losses()?))
}

/// The inputs of a stamp that are made from the runs.
const MIXTURES: &str = "mixtures";
const LOSSES: &str = "losses";

/// What a fit of these runs would be made from.
fn stamp(study: &Study, mixtures: &MixtureTable, losses: &ValueTable) -> Result<Stamp> {
    stamp_of_digests(study, &digests(mixtures, losses))
}

/// Digests of the mixtures and of the losses.
fn digests(mixtures: &MixtureTable, losses: &ValueTable) -> [String; 2] {
    [digest(mixtures.to_csv()), digest(losses.to_csv())]
}

fn stamp_of_digests(study: &Study, [mixtures, losses]: &[String; 2]) -> Result<Stamp> {
    settings_stamp(study)?
        .with(MIXTURES, mixtures)?
        .with(LOSSES, losses)
}

/// What a fit would be made from, apart from the runs.
fn settings_stamp(study: &Study) -> Result<Stamp> {
    let stamp = files::FIT
        .stamp(study.root())
        .with("seed", &study.config().study.seed)?
        .with("fit", &study.config().fit)?;
    let Some(earlier) = earlier_section(study) else {
        return Ok(stamp);
    };
    let read = |path| {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        Ok::<_, Error>(digest(text))
    };
    stamp
        .with("earlier mixtures", &read(&earlier.mixtures)?)?
        .with("earlier losses", &read(&earlier.losses)?)
}

/// `[fit.earlier]`, with paths that do not depend on the current folder.
fn earlier_section(study: &Study) -> Option<EarlierSection> {
    let section = study.config().fit.earlier.as_ref()?;
    Some(EarlierSection {
        mixtures: study.root().join(&section.mixtures),
        losses: study.root().join(&section.losses),
        split: section.split.clone(),
    })
}

/// What changed since the fit was made, if anything did. With an index, losses of
/// runs whose files are as they were are not read again.
pub(crate) fn staleness(
    study: &Study,
    corpus: &TokenCorpus,
    index: Option<&Index>,
) -> Result<Option<String>> {
    let design = study.mixtures()?;
    let read = || -> Result<Option<[String; 2]>> {
        let trajectories = losses::finished_proxies(study, corpus)?;
        if trajectories.is_empty() {
            return Ok(None);
        }
        let (mixtures, losses) = static_runs(study, &design, &trajectories)?;
        Ok(Some(digests(&mixtures, &losses)))
    };
    let found = match index {
        Some(index) => index.digests("fit", &loss_inputs(study, &design, corpus)?, read)?,
        None => read()?,
    };
    match found {
        Some(digests) => stamp_of_digests(study, &digests)?.staleness(),
        None => staleness_without_runs(study, &design),
    }
}

/// A study may be copied to another machine without its runs. They are then
/// taken as unchanged, if the fit has the mixtures of the design.
fn staleness_without_runs(study: &Study, design: &MixtureTable) -> Result<Option<String>> {
    /// How far a fit moves mixtures at most that it takes as having a fixed share.
    const MOVED: f64 = 0.05;
    let fit = study.load_fit()?;
    let fitted = &fit.observations().mixtures;
    let segments = design::segments(study, design)?;
    let is_fitted = |(run, mixture): (&str, &Mixture)| {
        let own = fitted.get(run).map(|own| own.reordered(mixture.domains()));
        segments.get(run).is_none_or(|s| s.len() > 1)
            || own.is_some_and(|own| own.is_ok_and(|own| own.tv_distance(mixture) < MOVED))
    };
    match design.iter().all(is_fitted) {
        true => settings_stamp(study)?.staleness_apart_from(&[MIXTURES, LOSSES]),
        false => Ok(Some("its runs are not there any more".to_owned())),
    }
}

/// Measures how accuracy grows with the number of proxies, or reads it.
pub(crate) fn learning_curve(study: &Study, cx: Context<'_>) -> Result<LearningCurve> {
    let fit = study.load_fit()?;
    let path = study.path(files::LEARNING_CURVE);
    if path.exists() && !cx.redo {
        return LearningCurve::read_csv(path).map_err(|e| remade_by("fit --learning-curve", e));
    }
    let options = LearningOptions {
        seed: study.config().study.seed,
        ..LearningOptions::default()
    };
    let curve = learning_curve_monitored(&fit, &options, cx.monitor)?;
    curve.write_csv(path)?;
    Ok(curve)
}
