//! The verbs of a study.

use std::path::Path;
use std::process::ExitCode;

use regmix_data::{Error, Result};
use regmix_model::Device;
use regmix_study::Study;
use regmix_study::config::{ScheduleMode, hub_dataset};

use super::{Session, command, show};
use crate::args::{Compute, Format};
use crate::output::table::table;
use crate::output::{print, print_json};

pub(super) fn init(session: &Session<'_>, corpus: &Path, name: Option<&str>) -> Result<ExitCode> {
    let root = &session.args.study;
    let absolute = std::path::absolute(root).map_err(|e| Error::io(root, e))?;
    text_at(corpus)?;
    let folder = absolute
        .file_name()
        .map(|n| n.to_string_lossy().into_owned());
    let name = name
        .map(str::to_owned)
        .or(folder)
        .unwrap_or_else(|| "study".to_owned());
    // The study may be anywhere; an absolute path stays right.
    let corpus = match hub_dataset(corpus).is_some() {
        true => corpus.to_path_buf(),
        false => std::path::absolute(corpus).map_err(|e| Error::io(corpus, e))?,
    };
    let study = Study::init(root, &name, &corpus)?;
    let path = study.path(regmix_study::STUDY_FILE);
    session.result(&path, || format!("{}\n", path.display()))?;
    session.tell(&format!(
        "look it through, then: {}",
        command(root, "tokenize")
    ));
    Ok(ExitCode::SUCCESS)
}

/// There must be something to read.
pub(super) fn text_at(corpus: &Path) -> Result<()> {
    if corpus.exists() || hub_dataset(corpus).is_some() {
        return Ok(());
    }
    Err(
        Error::input("there is nothing at this path, expected a folder or a file of text")
            .in_file(corpus)
            .help("give the corpus as `--corpus PATH`"),
    )
}

pub(super) fn tokenize(session: &Session<'_>, redo: bool) -> Result<ExitCode> {
    let study = session.study()?;
    match study.tokenize(session.context(redo))? {
        Some(summary) => show::tokenized(session, &summary)?,
        None => {
            session.tell("the corpus is tokenized already");
            if session.args.format == Format::Json {
                print_json(study.corpus()?.manifest())?;
            }
        }
    }
    next(session, &study)
}

pub(super) fn design(session: &Session<'_>, redo: bool) -> Result<ExitCode> {
    let study = session.study()?;
    let mixtures = study.design(session.context(redo))?;
    let epochs = study.proxy_epochs()?;
    let rows = mixtures.domains().iter().enumerate().map(|(i, domain)| {
        let weights = || mixtures.mixtures().iter().map(move |m| m.weights()[i]);
        let n = mixtures.len() as f64;
        vec![
            domain.to_string(),
            show::percent(weights().sum::<f64>() / n),
            show::percent(weights().fold(f64::INFINITY, f64::min)),
            show::percent(weights().fold(0.0, f64::max)),
            format!("{:.2}", epochs[i].1),
        ]
    });
    match session.args.format {
        Format::Json => {
            let rows = mixtures.iter();
            let rows = rows.map(|(run, m)| serde_json::json!({ "run": run, "mixture": m }));
            print_json(&rows.collect::<Vec<_>>())?;
        }
        Format::Table => {
            print(&format!(
                "{} mixtures in {}\n\n",
                mixtures.len(),
                study.path("design/mixtures.csv").display()
            ));
            print(&table(
                &["domain", "mean", "least", "most", "most epochs"],
                rows,
            ));
        }
    }
    next(session, &study)
}

pub(super) fn next_design(session: &Session<'_>, runs: usize, redo: bool) -> Result<ExitCode> {
    if redo {
        return Err(Error::input(
            "`--next` adds to the design, `--redo` draws it again: expected one of them",
        )
        .field("--next"));
    }
    let study = session.study()?;
    let found = study.next_design(runs, session.context(false))?;
    show::next(session, &found)?;
    next(session, &study)
}

pub(super) fn train(session: &Session<'_>, compute: &Compute, redo: bool) -> Result<ExitCode> {
    let study = session.study()?;
    let device = Device::open(compute.device)?;
    let trajectories = study.train(&device, compute.parallel, session.context(redo))?;
    let path = study.path("trajectories.csv");
    let counts = study.status()?.proxies;
    session.result(&counts, || {
        format!(
            "{} finished proxies; their losses are in {}\n",
            trajectories.len(),
            path.display()
        )
    })?;
    next(session, &study)
}

pub(super) fn status(session: &Session<'_>) -> Result<ExitCode> {
    let study = session.study()?;
    let status = study.status()?;
    session.result(&status, || show::status(&study, &status))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn fit(session: &Session<'_>, learning_curve: bool, redo: bool) -> Result<ExitCode> {
    let study = session.study()?;
    let fit = study.fit(session.context(redo))?;
    let curve = match learning_curve {
        true => Some(study.learning_curve(session.context(redo))?),
        false => None,
    };
    show::fitted(session, &fit, curve.as_ref())?;
    next(session, &study)
}

pub(super) fn optimize(session: &Session<'_>, redo: bool) -> Result<ExitCode> {
    let study = session.study()?;
    let found = study.optimize(session.context(redo))?;
    session.result(&found, || show::mixture(&found))?;
    next(session, &study)
}

pub(super) fn target(
    session: &Session<'_>,
    compute: &Compute,
    schedules: &[ScheduleMode],
    redo: bool,
    gate: bool,
) -> Result<ExitCode> {
    let study = session.study()?;
    let device = Device::open(compute.device)?;
    let check = study.target(&device, compute.parallel, schedules, session.context(redo))?;
    session.result(&check, || show::check(&check))?;
    if gate && !check.held() {
        return Ok(ExitCode::FAILURE);
    }
    next(session, &study)
}

pub(super) fn report(session: &Session<'_>) -> Result<ExitCode> {
    let path = session.study()?.report()?;
    session.result(&path, || format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says on stderr what comes next.
fn next(session: &Session<'_>, study: &Study) -> Result<ExitCode> {
    if let Some(step) = study.status()?.next {
        let verb = step.strip_prefix("regmix ").unwrap_or(&step);
        session.tell(&format!("next: {}", command(study.root(), verb)));
    }
    Ok(ExitCode::SUCCESS)
}
