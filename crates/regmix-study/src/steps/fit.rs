//! Fitting losses to mixtures.

use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, Mixture, Result, TokenCorpus};
use regmix_dynamic::Trajectories;
use regmix_regress::{
    Fit, FitOptions, LearningCurve, LearningOptions, StandardErrors, learning_curve_monitored,
};
use serde::{Deserialize, Serialize};

use super::loss_inputs::loss_inputs;
use super::scores::Questions;
use super::{design, experts, losses, planned};
use crate::config::{ApproximateSection, EarlierSection};
use crate::files;
use crate::progress::Index;
use crate::report::UNIT;
use crate::stamp::{Stamp, digest, remade_by};
use crate::study::{Context, Study, natural_mixture};
use crate::tables::earlier_runs;

/// Fits the final losses of all finished proxies, or reads the fit.
pub(crate) fn fit(study: &Study, cx: Context<'_>) -> Result<Fit> {
    let all = study.mixtures()?;
    let corpus = study.corpus()?;
    planned::require_current(study, &corpus)?;
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
    let accuracies = match Questions::of(study, &corpus)? {
        None => None,
        Some(questions) => Some(questions.tables(&study.path(files::PROXIES), losses.runs())?),
    };
    let approximate = approximate(study, &corpus, cx)?;
    let stamp = stamp_of_digests(study, &digests(&mixtures, &losses, accuracies.as_ref()))?;
    let folder = study.path(files::FIT_FOLDER);
    if let Some(fit) = stamp.finished(cx.redo, cx.monitor, || Fit::load(&folder))? {
        return Ok(fit);
    }
    cx.monitor
        .message(&format!("fitting {} runs", mixtures.len()));
    let mut values = losses;
    let mut scores = Vec::new();
    if let Some((accuracies, _)) = &accuracies {
        scores.extend(accuracies.targets().iter().cloned());
        values = beside(&values, accuracies)?;
    }
    let observations = Observations::join(mixtures, values)?;
    let errors = (accuracies.as_ref())
        .map(|(_, errors)| StandardErrors::new(errors, &observations))
        .transpose()?;
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
        unit: Some(UNIT.to_owned()),
        keep_outliers: config.fit.keep_outliers,
        errors,
        scores: scores.into_iter().collect(),
        approximate,
        ..FitOptions::default()
    };
    let fit = Fit::train_monitored(&observations, &options, cx.monitor);
    let fit = fit.map_err(|e| of_approximate(study, e))?;
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
            .help(match files::DESIGN.is_users_own(study.root()) {
                true => "add runs that are not in design/segments.csv, and train them",
                false => "lower `design.switching`, then: regmix design --redo",
            }));
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
const SCORES: &str = "scores";

/// The columns of two tables of the same runs.
pub(super) fn beside(losses: &ValueTable, accuracies: &ValueTable) -> Result<ValueTable> {
    let targets = [losses.targets(), accuracies.targets()].concat();
    let rows = (losses.runs().iter().zip(losses.rows())).zip(accuracies.rows());
    ValueTable::new(
        targets,
        rows.map(|((run, a), b)| (run.clone(), [&a[..], b].concat())),
    )
}

/// Digests of what the runs measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Digests {
    mixtures: String,
    losses: String,
    /// Of the accuracies and their errors.
    scores: Option<String>,
    /// Where there are not all accuracies: what is missing, in words.
    unasked: Option<String>,
}

fn digests(
    mixtures: &MixtureTable,
    losses: &ValueTable,
    accuracies: Option<&(ValueTable, ValueTable)>,
) -> Digests {
    Digests {
        mixtures: digest(mixtures.to_csv()),
        losses: digest(losses.to_csv()),
        scores: accuracies.map(|(values, errors)| digest(values.to_csv() + &errors.to_csv())),
        unasked: None,
    }
}

fn stamp_of_digests(study: &Study, digests: &Digests) -> Result<Stamp> {
    let stamp = settings_stamp(study)?
        .with(MIXTURES, &digests.mixtures)?
        .with(LOSSES, &digests.losses)?;
    match &digests.scores {
        Some(scores) => stamp.with(SCORES, scores),
        None => Ok(stamp),
    }
}

/// What a fit would be made from, apart from the runs.
fn settings_stamp(study: &Study) -> Result<Stamp> {
    let stamp = files::FIT
        .stamp(study.root())
        .with("seed", &study.config().study.seed)?
        .with("fit", &study.config().fit)?;
    let tables = (earlier_section(study).into_iter())
        .flat_map(|earlier| {
            [
                ("earlier mixtures", earlier.mixtures),
                ("earlier losses", earlier.losses),
            ]
        })
        .chain(
            approximate_section(study)
                .into_iter()
                .flat_map(|approximate| {
                    [
                        ("approximate mixtures", approximate.mixtures),
                        ("approximate losses", approximate.losses),
                    ]
                }),
        );
    // Experts may not be trained yet.
    let mut there = tables.filter(|(_, path)| path.exists() || !study.config().fit.experts);
    there.try_fold(stamp, |stamp, (name, path)| {
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        stamp.with(name, &digest(text))
    })
}

/// Approximate losses of many mixtures, where the study has some.
fn approximate(
    study: &Study,
    corpus: &TokenCorpus,
    cx: Context<'_>,
) -> Result<Option<Observations>> {
    match (study.config().fit.experts, approximate_section(study)) {
        (true, _) => experts::mixed(study, corpus).map(Some),
        (false, Some(section)) => section.read(corpus.domains(), cx.monitor).map(Some),
        (false, None) => Ok(None),
    }
}

/// Says which key of `study.toml` an error about approximate losses comes from.
fn of_approximate(study: &Study, error: Error) -> Error {
    match (error.field_name(), study.config().fit.experts) {
        (Some("approximate"), true) => study.place(error.field("experts"), "fit"),
        (Some("approximate"), false) => study.place(error, "fit"),
        _ => error,
    }
}

/// `[fit.approximate]`, or the tables of the experts, with paths that do not depend on the
/// current folder.
fn approximate_section(study: &Study) -> Option<ApproximateSection> {
    let fit = &study.config().fit;
    if fit.experts {
        return Some(ApproximateSection {
            mixtures: study.path(files::MIXED_MIXTURES),
            losses: study.path(files::MIXED_LOSSES),
        });
    }
    let section = fit.approximate.as_ref()?;
    Some(ApproximateSection {
        mixtures: study.root().join(&section.mixtures),
        losses: study.root().join(&section.losses),
    })
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
    let questions = Questions::of(study, corpus)?;
    let read = || -> Result<Option<Digests>> {
        let trajectories = losses::finished_proxies(study, corpus)?;
        if trajectories.is_empty() {
            return Ok(None);
        }
        let (mixtures, losses) = static_runs(study, &design, &trajectories)?;
        let Some(questions) = &questions else {
            return Ok(Some(digests(&mixtures, &losses, None)));
        };
        let accuracies = questions.tables(&study.path(files::PROXIES), losses.runs());
        Ok(Some(match accuracies {
            Ok(accuracies) => digests(&mixtures, &losses, Some(&accuracies)),
            // The step that fits says what is missing.
            Err(e) if e.is_input() => Digests {
                unasked: Some(e.problem().to_owned()),
                ..digests(&mixtures, &losses, None)
            },
            Err(e) => return Err(e),
        }))
    };
    let found = match index {
        Some(index) => {
            let mut inputs = loss_inputs(study, &design, corpus)?;
            if let Some(questions) = &questions {
                inputs.besides.push_str(&questions.digest());
            }
            index.digests("fit", &inputs, read)?
        }
        None => read()?,
    };
    match found {
        Some(digests) => {
            let stamp = stamp_of_digests(study, &digests)?;
            let Some(unasked) = digests.unasked.filter(|_| study.path(files::FIT).exists()) else {
                return stamp.staleness();
            };
            let others = stamp.staleness_apart_from(&[SCORES])?;
            Ok(Some(match others {
                Some(others) => format!("{others}; {unasked}"),
                None => unasked,
            }))
        }
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
        true => settings_stamp(study)?.staleness_apart_from(&[MIXTURES, LOSSES, SCORES]),
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
