//! MixMin: a mixture from experts, each trained on one domain alone.

use std::path::PathBuf;

use regmix_data::{Error, Mixture, Result, TokenCorpus, ValidationSet};
use regmix_model::{Device, Job, RunStatus, TrainedModel};
use regmix_regress::{ExpertLosses, Objective};

use super::limits::constraints;
use super::runs::{Compute, Runs, train_runs};
use crate::config::RunSection;
use crate::files;
use crate::study::{Context, Study, natural_mixture};

/// Sequences of a batch of validation text.
const BATCH: usize = 8;

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

/// Trains the experts, and searches the mixture of their predictions with the best
/// objective on the validation text, within the limits of the study. `None` where another
/// worker still trains one of them.
pub(super) fn mixmin(
    study: &Study,
    objective: &Objective,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<Option<Mixture>> {
    let corpus = compute.corpus;
    let section = section(study);
    let jobs = jobs(study, &section, corpus, cx)?;
    let statuses = train_runs(["train experts", ""], &section, &jobs, compute, cx)?;
    for (job, status) in jobs.iter().zip(&statuses) {
        match status {
            RunStatus::Done(_) => {}
            RunStatus::Failed(reason) => {
                return Err(Error::failed(reason.clone()).in_file(&job.folder));
            }
            _ => return Ok(None),
        }
    }
    let experts = losses(&jobs, &section, corpus, compute.device, cx)?;
    let limits = constraints(study, corpus.manifest())?;
    let natural = natural_mixture(corpus.manifest())?;
    experts
        .minimise_monitored(objective, Some(&limits), Some(&natural), cx.monitor)
        .map(Some)
}

fn jobs(
    study: &Study,
    section: &RunSection,
    corpus: &TokenCorpus,
    cx: Context<'_>,
) -> Result<Vec<Job>> {
    let runs = Runs::open(study, "proxy", section, corpus, cx.monitor)?;
    let domains = corpus.domains();
    let seed = study.config().study.seed;
    (folders(domains.len()).enumerate())
        .map(|(own, folder)| {
            let alone = (0..domains.len()).map(|d| f64::from(u8::from(d == own)));
            let alone = Mixture::new(domains.clone(), alone.collect())?;
            let name = format!("expert-{}", own + 1);
            Ok(runs.job(runs.spec(&name, seed, &alone)?, study.path(folder)))
        })
        .collect()
}

/// What every expert says about the validation tokens of every domain.
fn losses(
    jobs: &[Job],
    section: &RunSection,
    corpus: &TokenCorpus,
    device: &Device,
    cx: Context<'_>,
) -> Result<ExpertLosses> {
    let domains = corpus.domains();
    let context = section.model(corpus.vocab_size())?.context;
    let set = ValidationSet::new(corpus.clone(), context, section.eval_sequences)?;
    let mut tables: Vec<Vec<f32>> = (0..domains.len())
        .map(|d| vec![0.0; set.sequences(d) * context * jobs.len()])
        .collect();
    for (expert, job) in jobs.iter().enumerate() {
        let mut trainer = TrainedModel::of_run(&job.folder)?.trainer(device)?;
        for (domain, table) in tables.iter_mut().enumerate() {
            cx.monitor.check()?;
            let mut tokens = vec![0; set.sequences(domain) * (context + 1)];
            set.fill_batch(domain, 0, &mut tokens)?;
            let losses = trainer.token_losses(&tokens, BATCH)?;
            for (token, loss) in losses.into_iter().enumerate() {
                table[token * jobs.len() + expert] = loss;
            }
        }
    }
    let names = domains.names().map(str::to_owned);
    ExpertLosses::new(domains.clone(), names.zip(tables).collect())
}
