//! Proxies of other sizes and lengths.

use std::path::PathBuf;

use regmix_data::manifest::Manifest;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result, TokenCorpus};
use regmix_dynamic::Trajectories;
use regmix_model::{Job, RunStatus};

use super::runs::{Compute, Runs, train_runs};
use super::{design, losses};
use crate::config::{RunSection, Size};
use crate::files;
use crate::report::count;
use crate::stamp::remade_by;
use crate::study::{Context, Study};

/// The fewest runs of a size that say something about it.
const FEWEST: usize = 3;

/// A size with its runs.
#[derive(Debug, Clone)]
pub(super) struct PlannedSize<'a> {
    pub(super) size: Size<'a>,
    /// The runs: the first of the design that do not switch. Sizes share mixtures so.
    pub(super) runs: Vec<String>,
    /// What all of them cost, by what the proxies cost.
    pub(super) cost: f64,
    /// Parameters of a model.
    pub(super) parameters: u64,
    /// Tokens of a run.
    pub(super) tokens: u64,
}

impl PlannedSize<'_> {
    /// The folders of its runs, in the study.
    pub(super) fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.runs.iter().map(|run| self.size.folder.join(run))
    }
}

/// Floating-point operations of a run.
fn flops(section: &RunSection, vocab: u32) -> Result<f64> {
    Ok(section.model(vocab)?.train_flops_per_token() * section.tokens()? as f64)
}

/// The sizes of a study with their runs, the cheapest run first.
///
/// The step at which a run switches depends on its length, so that switching runs of
/// two sizes would not see the same mixtures: those are left out.
pub(super) fn planned<'a>(
    study: &'a Study,
    mixtures: &MixtureTable,
) -> Result<Vec<PlannedSize<'a>>> {
    if study.config().sizes().is_empty() {
        return Ok(Vec::new());
    }
    let segments = design::segments(study, mixtures)?;
    let fixed = mixtures.runs().iter();
    let fixed = fixed.filter(|run| segments.get(run).is_some_and(|s| s.len() == 1));
    planned_for(study, mixtures.len(), &fixed.cloned().collect::<Vec<_>>())
}

/// The same for so many proxies, of which these do not switch.
pub(super) fn planned_for<'a>(
    study: &'a Study,
    proxies: usize,
    fixed: &[String],
) -> Result<Vec<PlannedSize<'a>>> {
    let config = study.config();
    let sizes = config.sizes();
    if sizes.is_empty() {
        return Ok(Vec::new());
    }
    let vocab = vocabulary(study)?;
    let proxies = flops(&config.proxy, vocab)? * proxies as f64;
    // What a run costs, by what all proxies cost.
    let costs: Vec<f64> = (sizes.iter())
        .map(|size| {
            let own = flops(size.model, vocab);
            let own = own.map_err(|e| study.place(e, &format!("{}.model", size.section)))?;
            Ok(own / proxies)
        })
        .collect::<Result<_>>()?;
    let numbers = Numbers {
        study,
        sizes: &sizes,
        costs: &costs,
        fixed: fixed.len(),
    };
    let numbers = numbers.chosen()?;
    let mut out = Vec::new();
    for ((size, cost), runs) in sizes.into_iter().zip(costs).zip(numbers) {
        let parameters = size.model.model(vocab)?.parameters().total() as u64;
        out.push(PlannedSize {
            runs: fixed[..runs].to_vec(),
            cost: cost * runs as f64,
            parameters,
            tokens: size.model.tokens()?,
            size,
        });
    }
    out.sort_by(|a, b| {
        let each = |p: &PlannedSize<'_>| p.cost / p.runs.len() as f64;
        each(a).total_cmp(&each(b))
    });
    Ok(out)
}

/// How many runs of other sizes a study has.
pub(crate) fn runs(study: &Study, mixtures: &MixtureTable) -> Result<usize> {
    let planned = planned(study, mixtures)?;
    Ok(planned.iter().map(|p| p.runs.len()).sum())
}

/// The entries of the tokenizer; 1 as long as the corpus is not tokenized.
fn vocabulary(study: &Study) -> Result<u32> {
    if !study.path(files::CORPUS).exists() {
        return Ok(1);
    }
    let manifest = Manifest::load(study.path(files::CORPUS_FOLDER));
    let manifest = manifest.map_err(|e| remade_by("tokenize", e))?;
    Ok(manifest.tokenizer.vocab_size)
}

/// How many runs each size has.
struct Numbers<'a> {
    study: &'a Study,
    sizes: &'a [Size<'a>],
    /// Of one run, by what the proxies cost.
    costs: &'a [f64],
    /// Runs of the design that do not switch.
    fixed: usize,
}

impl Numbers<'_> {
    /// The given numbers; for the others as many runs as an equal part of what is left
    /// of `max_cost` pays for.
    fn chosen(&self) -> Result<Vec<usize>> {
        let max = self.study.config().max_cost_of_sizes();
        for size in self.sizes {
            if size.runs.unwrap_or(FEWEST) > self.fixed {
                return Err(self.too_few(size));
            }
        }
        let both = || self.sizes.iter().zip(self.costs);
        let given: f64 = both()
            .filter_map(|(size, cost)| Some(size.runs? as f64 * cost))
            .sum();
        let least: f64 = both()
            .map(|(size, cost)| size.runs.unwrap_or(FEWEST) as f64 * cost)
            .sum();
        // Costs are sums of products of counts: rounding is no reason to refuse.
        if least > max * (1.0 + 1e-9) {
            return Err(self.too_expensive(least, max));
        }
        let free = self.sizes.iter().filter(|s| s.runs.is_none()).count();
        let mut left = max - given;
        let mut out = vec![0; self.sizes.len()];
        // The cheapest first: what they leave of their part goes to the others.
        let mut order: Vec<usize> = (0..self.sizes.len()).collect();
        order.sort_by(|a, b| self.costs[*a].total_cmp(&self.costs[*b]));
        let mut waiting: f64 = both()
            .filter(|(size, _)| size.runs.is_none())
            .map(|(_, cost)| FEWEST as f64 * cost)
            .sum();
        let mut sharing = free;
        for i in order {
            if let Some(runs) = self.sizes[i].runs {
                out[i] = runs;
                continue;
            }
            waiting -= FEWEST as f64 * self.costs[i];
            // Every other one keeps what its fewest runs cost.
            let part = (left / sharing as f64).min(left - waiting);
            let affordable = (part / self.costs[i] * (1.0 + 1e-9)).floor() as usize;
            out[i] = affordable.clamp(FEWEST, self.fixed);
            left -= out[i] as f64 * self.costs[i];
            sharing -= 1;
        }
        Ok(out)
    }

    fn too_few(&self, size: &Size<'_>) -> Error {
        let wanted = size.runs.unwrap_or(FEWEST);
        let error = Error::input(format!(
            "{wanted} runs, but the design has {} that do not switch",
            self.fixed
        ));
        let error = error
            .field("runs")
            .help(match files::DESIGN.is_users_own(self.study.root()) {
                true => "ask for fewer runs of this size, or add runs to design/mixtures.csv",
                false => {
                    "ask for fewer runs of this size; or raise `design.runs` or lower \
                 `design.switching`, then: regmix design --redo"
                }
            });
        self.study.place(error, &size.section)
    }

    fn too_expensive(&self, least: f64, max: f64) -> Error {
        let each: Vec<String> = (self.sizes.iter().zip(self.costs))
            .map(|(size, cost)| {
                let runs = size.runs.unwrap_or(FEWEST);
                format!("{runs} of {} {:.2}", size.name, runs as f64 * cost)
            })
            .collect();
        let error = Error::input(format!(
            "the runs of other sizes cost {least:.2} times what the proxies cost ({}): expected \
             at most {max:.2}",
            each.join(", ")
        ));
        let error = error.field("max_cost").help(format!(
            "raise `max_cost` to {:.2}; or take fewer `runs`, fewer `steps` or smaller models",
            (100.0 * least).ceil() / 100.0
        ));
        self.study.place(error, "sizes")
    }
}

/// What the runs of other sizes cost, in one sentence.
fn words(planned: &[PlannedSize<'_>]) -> String {
    let each: Vec<String> = (planned.iter())
        .map(|p| {
            format!(
                "{} runs of {} ({} parameters, {} tokens)",
                p.runs.len(),
                p.size.name,
                count(p.parameters),
                count(p.tokens)
            )
        })
        .collect();
    format!(
        "other sizes: {}; {:.2} times what the proxies cost",
        each.join(", "),
        planned.iter().map(|p| p.cost).sum::<f64>()
    )
}

/// Trains the other sizes. Returns their runs and their statuses.
pub(super) fn train(
    study: &Study,
    mixtures: &MixtureTable,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<(Vec<Job>, Vec<RunStatus>)> {
    let seed = study.config().study.seed;
    let (mut jobs, mut statuses) = (Vec::new(), Vec::new());
    let all = planned(study, mixtures)?;
    if !all.is_empty() {
        cx.monitor.message(&words(&all));
    }
    for planned in &all {
        let model = planned.size.model;
        let section = format!("{}.model", planned.size.section);
        let runs = Runs::open(study, &section, model, compute.corpus, cx.monitor)?;
        let own: Vec<Job> = (planned.runs.iter().zip(planned.folders()))
            .filter_map(|(run, folder)| Some((run, folder, mixtures.get(run)?)))
            .map(|(run, folder, mixture)| {
                Ok(runs.job(runs.spec(run, seed, mixture)?, study.path(folder)))
            })
            .collect::<Result<_>>()?;
        let name = planned.size.name;
        let names = [format!("train size {name}"), format!("size {name}, ")];
        let names = [names[0].as_str(), names[1].as_str()];
        statuses.extend(train_runs(names, model, &own, compute, cx)?);
        jobs.extend(own);
    }
    Ok((jobs, statuses))
}

/// The losses of the finished runs of a size; empty where none is finished.
pub(super) fn trajectories(
    study: &Study,
    planned: &PlannedSize<'_>,
    corpus: &TokenCorpus,
) -> Result<Trajectories> {
    losses::read_finished(&study.path(&planned.size.folder), &planned.runs, corpus)
}

/// The losses of the finished runs of every size that has some.
pub(super) fn all_trajectories(
    study: &Study,
    mixtures: &MixtureTable,
    corpus: &TokenCorpus,
) -> Result<Vec<Trajectories>> {
    let mut out = Vec::new();
    for planned in &planned(study, mixtures)? {
        let table = trajectories(study, planned, corpus)?;
        if !table.is_empty() {
            out.push(table);
        }
    }
    Ok(out)
}
