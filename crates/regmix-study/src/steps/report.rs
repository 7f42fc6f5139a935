//! Writing `report.html`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use regmix_data::{Mixture, Monitor, Result, TokenCorpus, artefact};
use regmix_dynamic::{ControllerState, Trajectories};
use regmix_regress::scale::ScaleFit;
use regmix_regress::{Interactions, LearningCurve};

use super::status::{CorpusOnce, stale_parts};
use super::verdicts::Verdicts;
use super::{design, losses, scale};
use crate::check::TargetCheck;
use crate::config::{RunSection, ScheduleMode};
use crate::files;
use crate::report::{AtTarget, Expected, Report, Subject, UNIT, count};
use crate::stamp::remade_by;
use crate::study::{Study, natural_mixture};

/// Writes the page about everything that is finished, and returns its path.
pub(crate) fn report(study: &Study, monitor: &dyn Monitor) -> Result<PathBuf> {
    let recommendation = study.recommendation()?;
    let fit = study.load_fit()?;
    let corpus = study.corpus()?;
    let verdicts = Verdicts::read(study, &recommendation)?;
    let stale = report_stale(study, &verdicts, monitor)?;
    let natural = natural_mixture(corpus.manifest())?;
    let interactions = Interactions::around(&fit, &natural.reordered(fit.domains())?)?;
    monitor.check()?;
    let trajectories = trajectories(study, &corpus, monitor)?;
    let (check, compared) = (verdicts.check, verdicts.compared);
    let schedule = match study.path(files::SCHEDULE).exists() {
        true => Some(study.load_schedule()?),
        false => None,
    };
    let decisions = decisions(study, check.as_ref())?;
    let scheduled = trajectories_on_schedules(study, check.as_ref(), &corpus)?;
    let design = study.mixtures()?;
    let learning = match study.path(files::LEARNING_CURVE).exists() {
        true => Some(LearningCurve::read_csv(study.path(files::LEARNING_CURVE))?),
        false => None,
    };
    let at_target = at_target(study, &recommendation.mixture, monitor)?;
    monitor.check()?;
    let html = Report {
        subject: Subject::Study,
        unit: Some(UNIT),
        name: &study.config().study.name,
        recommendation: Some(&recommendation),
        fit: Some(&fit),
        learning: learning.as_ref(),
        interactions: Some(&interactions),
        trajectories: trajectories.as_ref(),
        check: check.as_ref(),
        at_target: at_target.as_ref(),
        compared: compared.as_ref(),
        schedule: schedule.as_ref(),
        scheduled: scheduled.as_ref(),
        decisions: &decisions,
        corpus: Some(corpus.manifest()),
        design: Some(&design),
        proxy_epochs: &design::proxy_epochs(study)?,
        facts: &facts(study, corpus.vocab_size(), &stale)?,
        commands: &next_commands(check.is_some(), verdicts.earlier.contains_key("check")),
        stale: &stale,
    }
    .html();
    let path = study.path(files::REPORT);
    artefact::write_atomic(&path, html.as_bytes())?;
    Ok(path)
}

/// What laws of scale say about the target; `None` where none are fitted.
fn at_target(study: &Study, found: &Mixture, monitor: &dyn Monitor) -> Result<Option<AtTarget>> {
    if !study.path(files::SCALE).exists() || study.config().sizes().is_empty() {
        return Ok(None);
    }
    let fit = files::SCALE.read(study.root(), |_| {
        ScaleFit::load(study.path(files::FIT_FOLDER))
    })?;
    let asked = scale::question(study, &fit, (None, None))?;
    let natural = natural_mixture(study.corpus()?.manifest())?;
    let optimum = match fit.optimum(&asked, monitor) {
        // A target smaller than the proxies, for one: the rest of the page does not need it.
        Err(e) if e.is_input() => {
            monitor.message(&format!(
                "the page has no section about the target's size: {e}"
            ));
            return Ok(None);
        }
        found => found?,
    };
    let expected = |mixture: &Mixture| -> Result<Option<Expected>> {
        let (objective, losses) = fit.estimate(&asked, mixture)?;
        Ok(Some(Expected {
            objective: Some(objective),
            losses,
        }))
    };
    Ok(Some(AtTarget {
        found: expected(found)?,
        natural: expected(&natural)?,
        optimum: Some(optimum),
        fit,
    }))
}

/// Losses along training, from the runs themselves. A study may be copied to
/// another machine without them; the table is then all there is.
fn trajectories(
    study: &Study,
    corpus: &TokenCorpus,
    monitor: &dyn Monitor,
) -> Result<Option<Trajectories>> {
    let measured = losses::finished_proxies(study, corpus)?;
    if !measured.is_empty() {
        return Ok(Some(measured));
    }
    let table = study.path(files::TRAJECTORIES);
    if !table.exists() {
        return Ok(None);
    }
    monitor.message(&format!(
        "the runs are not here: losses along training are taken from {} and cannot be checked",
        table.display()
    ));
    Trajectories::read_csv(table).map(Some)
}

/// Says which parts of the page were made from other inputs, and returns them with what
/// changed.
fn report_stale(
    study: &Study,
    verdicts: &Verdicts,
    monitor: &dyn Monitor,
) -> Result<Vec<(&'static str, String)>> {
    let mut stale = match stale_parts(study, None, &CorpusOnce::of(study), monitor) {
        // What is damaged on the page is an error later.
        Err(e) if !e.is_interrupted() => BTreeMap::new(),
        stale => stale?,
    };
    for part in verdicts.earlier.keys() {
        stale.remove(part);
    }
    for (part, changes) in &stale {
        let part = match *part {
            "runs" => "the configuration of the runs".to_owned(),
            part => format!("the {part}"),
        };
        monitor.message(&format!(
            "{part} is out of date ({changes}); the page shows what was made before"
        ));
    }
    for (part, why) in &verdicts.earlier {
        let (file, verb) = match *part {
            "check" => (files::CHECK, "target"),
            _ => (files::COMPARISON, "compare"),
        };
        monitor.message(&format!(
            "{file} is out of date ({why}); the page leaves it out: run `regmix {verb} --redo`"
        ));
    }
    stale.extend(verdicts.earlier.clone());
    Ok(stale.into_iter().collect())
}

/// Losses along training of the targets of the check that had a schedule.
fn trajectories_on_schedules(
    study: &Study,
    check: Option<&TargetCheck>,
    corpus: &TokenCorpus,
) -> Result<Option<Trajectories>> {
    let modes = [ScheduleMode::Offline, ScheduleMode::Online].map(ScheduleMode::name);
    let all = check.map_or(&[][..], |check| &check.runs);
    let runs: Vec<String> = (modes.iter())
        .flat_map(|mode| all.iter().filter(move |r| r.arm == *mode))
        .filter(|r| study.path(files::TARGETS).join(&r.run).exists())
        .map(|r| r.run.clone())
        .collect();
    match runs.is_empty() {
        true => Ok(None),
        false => losses::read_runs(&study.path(files::TARGETS), &runs, corpus).map(Some),
    }
}

/// What the controller decided in the targets of the check.
fn decisions(study: &Study, check: Option<&TargetCheck>) -> Result<Vec<(String, ControllerState)>> {
    let runs = check.map_or(&[][..], |check| &check.runs);
    let mut out = Vec::new();
    for run in runs.iter().filter(|r| r.arm == ScheduleMode::Online.name()) {
        let path = study
            .path(files::TARGETS)
            .join(&run.run)
            .join(files::DECISIONS);
        if path.exists() {
            let state = ControllerState::load(path).map_err(|e| remade_by("target", e))?;
            out.push((run.run.clone(), state));
        }
    }
    Ok(out)
}

fn facts(
    study: &Study,
    vocab: u32,
    stale: &[(&'static str, String)],
) -> Result<Vec<(String, String)>> {
    let config = study.config();
    let proxy = match stale.iter().any(|(part, _)| *part == "runs") {
        true => "Proxy by study.toml, not as trained",
        false => "Proxy",
    };
    let run = |section: &RunSection| -> Result<String> {
        let model = section.model(vocab)?;
        let p = model.parameters();
        let text = config
            .text_share(section)?
            .map_or_else(String::new, |share| {
                format!(" of 1/{:.1} of every domain (match_epochs)", 1.0 / share)
            });
        Ok(format!(
            "{}: {} parameters ({} embedding, {} other), {} steps of {} x {} tokens = {} \
             tokens{text}",
            section.preset,
            count(p.total() as u64),
            count(p.embedding as u64),
            count(p.non_embedding as u64),
            count(section.steps),
            section.batch_size,
            model.context,
            count(section.tokens()?),
        ))
    };
    let rows = [
        (proxy, run(&config.proxy)?),
        ("Target", run(&config.target)?),
        ("Vocabulary", count(u64::from(vocab))),
        (
            "Design",
            format!("{:?}, {} runs", config.design.sampler, config.design.runs).to_lowercase(),
        ),
        ("Objective", config.goal()?.to_string()),
        (
            "Repetition limit",
            format!("{} epochs", config.constraints.max_epochs),
        ),
        ("Seed", config.study.seed.to_string()),
        ("regmix", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    Ok(rows
        .map(|(label, value)| (label.to_owned(), value))
        .to_vec())
}

fn next_commands(checked: bool, checked_before: bool) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    if !checked {
        let command = match checked_before {
            true => "regmix target --redo",
            false => "regmix target",
        };
        rows.push(("Check the mixture on larger models", command));
    }
    rows.push((
        "Predict the losses of your own mixtures",
        "regmix predict --mixtures mine.csv --out predicted.csv",
    ));
    rows.push((
        "Search again for another objective or other limits",
        "edit study.toml, then: regmix optimize --redo",
    ));
    rows.iter()
        .map(|(what, command)| ((*what).to_owned(), (*command).to_owned()))
        .collect()
}
