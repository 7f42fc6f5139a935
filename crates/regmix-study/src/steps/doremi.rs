//! DoReMi: a mixture from a reference model and a proxy.

use std::collections::BTreeMap;
use std::sync::Arc;

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Mixture, Result, TokenCorpus, artefact};
use regmix_model::doremi::{Doremi, DoremiResult};
use regmix_model::{Device, FinishedRun, Job, RunStatus};
use serde::Serialize;

use super::plain_mixtures::Maker;
use super::runs::{Compute, Runs, check_precision, train_runs};
use crate::config::DoremiSection;
use crate::files;
use crate::stamp::digest;
use crate::study::{Context, Study};
use crate::workers::TrainOptions;

/// No further round is made once no weight changes by as much (arXiv 2305.10429).
const SETTLED: f64 = 1e-3;

/// What DoReMi found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DoremiOutcome {
    /// The mixture of the last round.
    pub mixture: Mixture,
    /// All rounds.
    pub rounds: Vec<DoremiRound>,
    /// Tokens that all models were trained on, references included.
    pub tokens: u64,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DoremiRound {
    /// What the reference was trained on.
    pub reference: Mixture,
    /// The mean of the proxy's weights: the mixture that it found.
    pub mixture: Mixture,
    /// The proxy's weights after its last step.
    pub last: Mixture,
    /// The greatest difference between a weight of `mixture` and of `reference`.
    pub change: f64,
    /// The domain with nearly all of the weight, if there is one: the result is
    /// then of little use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapsed: Option<String>,
    /// Validation losses at the end, nats per token by domain: the proxy's, then
    /// the reference's.
    pub losses: [BTreeMap<String, f64>; 2],
}

/// Trains references and proxies, and writes the mixture to `doremi/mixture.csv`.
/// `None` where another worker still trains one of them.
pub(crate) fn doremi(
    study: &Study,
    device: &Device,
    options: TrainOptions,
    cx: Context<'_>,
) -> Result<Option<DoremiOutcome>> {
    let section = &study.config().doremi;
    let run = section.run(&study.config().proxy);
    check_precision(study, device, "proxy", &run)?;
    let corpus = study.checked_corpus(cx.monitor)?;
    let compute = Compute {
        corpus: &corpus,
        device,
        options,
    };
    let maker = Maker::new(study, &corpus, cx.monitor);
    let mut reference =
        (maker.make(section.reference)).map_err(|e| study.place(e.field("reference"), "doremi"))?;
    let runs = Runs::open(study, "proxy", &run, &corpus, cx.monitor)?;
    let mut rounds: Vec<DoremiRound> = Vec::new();
    let mut tokens = 0;
    for number in 1..=section.rounds {
        let jobs = jobs(study, &runs, section, number, &reference)?;
        for (job, what) in jobs.iter().zip(["train reference", "train DoReMi's proxy"]) {
            let statuses = train_runs([what, ""], &run, std::slice::from_ref(job), compute, cx)?;
            match statuses.first() {
                Some(RunStatus::Done(summary)) => tokens += summary.tokens,
                Some(RunStatus::Failed(reason)) => {
                    return Err(Error::failed(reason.clone()).in_file(&job.folder));
                }
                _ => return Ok(None),
            }
        }
        let round = round(&jobs, reference, &corpus)?;
        let settled = round.change < SETTLED;
        reference = round.mixture.clone();
        rounds.push(round);
        if settled {
            break;
        }
    }
    let outcome = DoremiOutcome {
        mixture: reference,
        rounds,
        tokens,
    };
    let row = ("doremi".to_owned(), outcome.mixture.clone());
    let table = MixtureTable::new(corpus.domains().clone(), [row])?;
    let folder = study.path(files::DOREMI);
    table.write_csv(folder.join("mixture.csv"))?;
    artefact::write_json(folder.join("doremi.json"), &outcome)?;
    Ok(Some(outcome))
}

/// The reference and the proxy of a round.
fn jobs(
    study: &Study,
    runs: &Runs<'_>,
    section: &DoremiSection,
    number: u64,
    reference: &Mixture,
) -> Result<[Job; 2]> {
    let folder = study.path(files::DOREMI);
    let seed = study.config().study.seed;
    let options = (section.options()).map_err(|e| study.place(e, "doremi"))?;
    let name = format!("reference-{number}");
    let reference = runs.job(runs.spec(&name, seed, reference)?, folder.join(&name));
    let name = format!("proxy-{number}");
    let uniform = Mixture::uniform(reference.spec.mixture.domains().clone());
    let mut proxy = runs.spec(&name, seed, &uniform)?;
    let by = serde_json::to_string(&options).map_err(|e| Error::failed(e.to_string()))?;
    proxy.weighed_by = Some(digest(format!("{by} {}", reference.spec.fingerprint())));
    let weigh = Doremi::new(&reference.folder, options)?;
    let mut proxy = runs.job(proxy, folder.join(&name));
    proxy.weigh = Some(Arc::new(weigh));
    Ok([reference, proxy])
}

/// What a finished round found.
fn round(jobs: &[Job; 2], reference: Mixture, corpus: &TokenCorpus) -> Result<DoremiRound> {
    let last = |job: &Job| -> Result<BTreeMap<String, f64>> {
        let finished = FinishedRun::read(&job.folder)?;
        let run =
            finished.ok_or_else(|| Error::failed("a finished run is gone").in_file(&job.folder))?;
        Ok(run.summary.loss)
    };
    let [of_reference, proxy] = jobs;
    let losses = [last(proxy)?, last(of_reference)?];
    let found = DoremiResult::read(&proxy.folder, corpus.domains())?;
    let reference = reference.reordered(corpus.domains())?;
    let pairs = found.mixture.weights().iter().zip(reference.weights());
    let change = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    Ok(DoremiRound {
        collapsed: found.collapsed().map(str::to_owned),
        mixture: found.mixture,
        last: found.last,
        reference,
        change,
        losses,
    })
}
