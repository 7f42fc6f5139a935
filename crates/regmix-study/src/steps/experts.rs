//! Experts: models like the proxies, each trained on one domain alone.

use std::path::{Path, PathBuf};

use regmix_data::table::Observations;
use regmix_data::{Error, Mixture, Result, TokenCorpus, ValidationSet};
use regmix_model::{Device, FinishedRun, Job, RunSpec, RunStatus, TrainedModel};
use regmix_regress::ExpertLosses;

use super::losses::final_losses;
use super::runs::{Compute, Runs, train_runs};
use crate::config::RunSection;
use crate::files;
use crate::stamp::{Stamp, digest, remade_by};
use crate::study::{Context, Study};

/// Sequences of a batch of validation text.
const BATCH: usize = 8;
/// Mixtures at which the experts' predictions are mixed, with those of the design.
const MIXTURES: usize = 300;
/// At least so many of them are drawn.
const DRAWN: usize = 150;

/// The experts' models: those of the proxies, with their weights.
pub(super) fn section(study: &Study) -> RunSection {
    RunSection {
        keep_weights: true,
        ..study.config().proxy.clone()
    }
}

/// The folders of the experts, in the order of the domains. Names of domains may not be
/// names of files.
pub(super) fn folders(domains: usize) -> impl Iterator<Item = PathBuf> {
    (1..=domains).map(|number| PathBuf::from(files::EXPERTS).join(format!("expert-{number}")))
}

/// Trains the experts that are not finished.
pub(super) fn train(
    study: &Study,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<(Vec<Job>, Vec<RunStatus>)> {
    let section = section(study);
    let jobs = jobs(study, &section, compute.corpus, cx)?;
    let trained = train_runs(["train experts", ""], &section, &jobs, compute, cx);
    let statuses = trained.map_err(|e| {
        let of_expert = |path: &Path| path.starts_with(study.path(files::EXPERTS));
        match e.path().is_some_and(of_expert) && !study.config().fit.experts {
            true => remade_by("compare", e),
            false => e,
        }
    })?;
    Ok((jobs, statuses))
}

/// What the experts say about the validation text; they are trained where they are not.
/// `None` where another worker still trains one of them.
pub(super) fn experts(
    study: &Study,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<Option<ExpertLosses>> {
    let (jobs, statuses) = train(study, compute, cx)?;
    for (job, status) in jobs.iter().zip(&statuses) {
        match status {
            RunStatus::Done(_) => {}
            RunStatus::Failed(reason) => {
                return Err(Error::failed(reason.clone()).in_file(&job.folder));
            }
            _ => return Ok(None),
        }
    }
    losses(study, compute.corpus, compute.device, cx).map(Some)
}

fn jobs(
    study: &Study,
    section: &RunSection,
    corpus: &TokenCorpus,
    cx: Context<'_>,
) -> Result<Vec<Job>> {
    let runs = Runs::open(study, "proxy", section, corpus, cx.monitor)?;
    let specs = specs(study, corpus, &runs)?;
    let folders = folders(specs.len()).map(|folder| study.path(folder));
    Ok((specs.into_iter().zip(folders))
        .map(|(spec, folder)| runs.job(spec, folder))
        .collect())
}

/// The configurations of the experts, in the order of the domains.
pub(super) fn specs(study: &Study, corpus: &TokenCorpus, runs: &Runs<'_>) -> Result<Vec<RunSpec>> {
    let domains = corpus.domains();
    let seed = study.config().study.seed;
    (0..domains.len())
        .map(|own| {
            let alone = (0..domains.len()).map(|d| f64::from(u8::from(d == own)));
            let alone = Mixture::new(domains.clone(), alone.collect())?;
            runs.spec(&format!("expert-{}", own + 1), seed, &alone)
        })
        .collect()
}

/// What every finished expert says about the validation tokens of every domain.
fn losses(
    study: &Study,
    corpus: &TokenCorpus,
    device: &Device,
    cx: Context<'_>,
) -> Result<ExpertLosses> {
    let section = section(study);
    let domains = corpus.domains();
    let experts = domains.len();
    let context = section.model(corpus.vocab_size())?.context;
    let set = ValidationSet::new(corpus.clone(), context, section.eval_sequences)?;
    let mut tables: Vec<Vec<f32>> = (0..experts)
        .map(|d| vec![0.0; set.sequences(d) * context * experts])
        .collect();
    for (expert, folder) in folders(experts).enumerate() {
        let mut trainer = TrainedModel::of_run(&study.path(folder))?.trainer(device)?;
        for (domain, table) in tables.iter_mut().enumerate() {
            cx.monitor.check()?;
            let mut tokens = vec![0; set.sequences(domain) * (context + 1)];
            set.fill_batch(domain, 0, &mut tokens)?;
            let losses = trainer.token_losses(&tokens, BATCH)?;
            for (token, loss) in losses.into_iter().enumerate() {
                table[token * experts + expert] = loss;
            }
        }
    }
    let names = domains.names().map(str::to_owned);
    ExpertLosses::new(domains.clone(), names.zip(tables).collect())
}

/// What the tables of mixed predictions are made from: the experts as they are, and the
/// design. `None` where not all experts are finished.
fn stamp(study: &Study, corpus: &TokenCorpus) -> Result<Option<Stamp>> {
    let mut measured = String::new();
    for folder in folders(corpus.domains().len()) {
        let folder = study.path(folder);
        let finished = FinishedRun::read(&folder);
        let Some(finished) = finished.map_err(|e| remade_by("train", e))? else {
            return Ok(None);
        };
        let last = final_losses(&finished, corpus);
        let last = last.map_err(|e| e.in_file(folder.join(files::METRICS)))?;
        measured.push_str(&format!("{last:?}\n"));
    }
    let stamp = files::MIXED_LOSSES.stamp(study.root());
    Ok(Some(
        stamp
            .with("seed", &study.config().study.seed)?
            .with("experts", &digest(measured))?
            .with("design", &digest(study.mixtures()?.to_csv()))?,
    ))
}

/// Mixes the predictions of the experts at many mixtures, into two tables, where all
/// experts are finished and the tables are not those of these experts and this design.
pub(super) fn mix(study: &Study, compute: Compute<'_>, cx: Context<'_>) -> Result<()> {
    let Some(stamp) = stamp(study, compute.corpus)? else {
        return Ok(());
    };
    // Tables of an earlier design are made again: nothing is trained for that.
    if stamp.is_fresh(true)? {
        return Ok(());
    }
    cx.monitor.message("mixing the predictions of the experts");
    let design = study.mixtures()?;
    let experts = losses(study, compute.corpus, compute.device, cx)?;
    // A design of many mixtures is thinned out.
    let every = design.len().div_ceil(MIXTURES - DRAWN);
    let around: Vec<Mixture> = design.mixtures().iter().step_by(every).cloned().collect();
    let more = MIXTURES - around.len();
    let table = experts.table(&around, more, study.config().study.seed, cx.monitor)?;
    stamp.begin()?;
    (table.mixtures).write_csv(study.path(files::MIXED_MIXTURES))?;
    (table.values).write_csv(study.path(files::MIXED_LOSSES))?;
    stamp.write()
}

/// Whether the tables of mixed predictions are those of the experts and the design.
pub(super) fn are_mixed(study: &Study, corpus: &TokenCorpus) -> Result<bool> {
    match stamp(study, corpus)? {
        Some(stamp) => stamp.is_fresh(true),
        None => Ok(false),
    }
}

/// The tables of mixed predictions.
///
/// # Errors
/// When they are missing or out of date.
pub(super) fn mixed(study: &Study, corpus: &TokenCorpus) -> Result<Observations> {
    let path = study.path(files::MIXED_LOSSES);
    let missing = || {
        Error::input("not there: expected the mixed predictions of trained experts")
            .in_file(&path)
            .help("run `regmix train` first, or leave `fit.experts` out")
    };
    let stamp = stamp(study, corpus)?.ok_or_else(missing)?;
    if !path.exists() {
        return Err(missing());
    }
    if let Some(changes) = stamp.staleness()? {
        return Err(stamp.stale(&changes));
    }
    let found = Observations::read_csv(&study.path(files::MIXED_MIXTURES), &path);
    found.map_err(|e| remade_by("train", e))
}
