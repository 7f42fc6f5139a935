//! Targets trained by several methods.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::arms::{Course, PlannedArm, peer, published_arm, schedule_arms};
use super::plain_mixtures::Maker;
use super::runs::{Compute, check_precision};
use super::target::train_arms;
use super::{climb, doremi, experts, mixmin, preset, scale, sizes};
use crate::compare::{Method, MethodComparison, Preset, SearchCost, Tried};
use crate::config::RunSection;
use crate::files;
use crate::plain_mixture::PlainMixture;
use crate::study::{Context, Study};
use crate::workers::TrainOptions;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Mixture, Result, TokenCorpus, artefact};
use regmix_model::{Device, FinishedRun};
use regmix_regress::{Fit, Recommendation, best_observed};

/// Finds the mixtures of all methods, trains targets on them, and compares these. `None`
/// while some runs are left to other workers.
pub(crate) fn compare(
    study: &Study,
    device: &Device,
    options: TrainOptions,
    cx: Context<'_>,
) -> Result<Option<MethodComparison>> {
    let config = study.config();
    check_precision(study, device, "target", &config.target)?;
    let methods = config.compare.chosen();
    let methods = methods.map_err(|e| study.place(e, "compare"))?;
    let corpus = study.checked_corpus(cx.monitor)?;
    let found = study.recommendation()?;
    let finder = Finder {
        study,
        corpus: &corpus,
        found: &found,
        fit: study.load_fit()?,
        maker: Maker::new(study, &corpus, cx.monitor),
        proxies: OnceCell::new(),
        cx,
    };
    let compute = Compute {
        corpus: &corpus,
        device,
        options,
    };
    methods
        .iter()
        .try_for_each(|method| finder.check(*method))?;
    let (mut arms, mut costs) = (Vec::new(), Vec::new());
    for method in methods {
        let Some((arm, cost)) = finder.arm(method, compute)? else {
            return Ok(None);
        };
        arms.push(arm);
        costs.push(cost);
    }
    let rows = arms
        .iter()
        .map(|arm| (arm.name.clone(), arm.mixture.clone()));
    let table = MixtureTable::new(corpus.domains().clone(), rows)?;
    table.write_csv(study.path(files::COMPARED_MIXTURES))?;
    let seeds = config.compare.seeds;
    if seeds < 2 {
        cx.monitor
            .message("one seed: differences have no interval, and may all be noise");
    }
    let trained = train_arms(study, &mut arms, seeds, &found.objective, compute, cx)?;
    let Some((spec, runs)) = trained else {
        return Ok(None);
    };
    let tried = (arms.into_iter().zip(costs))
        .map(|(arm, cost)| Tried {
            name: arm.name,
            mixture: arm.mixture,
            cost,
        })
        .collect();
    let flops = spec.model.train_flops_per_token() * spec.tokens() as f64;
    let target = (spec.model.parameters().total(), spec.tokens(), flops);
    let compared = MethodComparison::new(found.objective.clone(), target, tried, runs)?;
    artefact::write_json(study.path(files::COMPARISON), &compared)?;
    Ok(Some(compared))
}

/// Finds mixtures.
struct Finder<'a> {
    study: &'a Study,
    corpus: &'a TokenCorpus,
    found: &'a Recommendation,
    fit: Fit,
    maker: Maker<'a>,
    /// What the study's proxies cost, once it was read.
    proxies: OnceCell<SearchCost>,
    cx: Context<'a>,
}

impl Finder<'_> {
    /// The arm of a method, and what finding it cost. `None` where another worker trains
    /// what it needs.
    fn arm(
        &self,
        method: Method,
        compute: Compute<'_>,
    ) -> Result<Option<(PlannedArm, SearchCost)>> {
        let name = method.to_string();
        let fixed = |mixture: Mixture| -> Result<PlannedArm> {
            Ok(PlannedArm {
                mixture: mixture.reordered(self.corpus.domains())?,
                name: name.clone(),
                predicted: None,
                course: Course::Fixed,
            })
        };
        let placed = |e: Error| self.placed(e);
        Ok(Some(match method {
            Method::Found => {
                let cost = self.proxies()?.and(self.experts_of_the_fit()?);
                (fixed(self.found.mixture.clone())?, cost)
            }
            Method::BestObserved => {
                let best = best_observed(&self.fit, &self.found.objective)?;
                let best = best.ok_or_else(|| {
                    placed(Error::input("no proxy has all losses of the objective"))
                })?;
                (fixed(best.1.clone())?, self.proxies()?)
            }
            Method::AtTarget => {
                let laws = scale::current(self.study)?;
                let best = scale::optimum(self.study, &laws, (None, None), self.cx)?;
                let cost = self.proxies()?.and(self.other_sizes()?);
                (fixed(best.mixture)?, cost)
            }
            Method::Plain(plain) => {
                let mixture = self.maker.make(plain).map_err(placed)?;
                (fixed(mixture)?, SearchCost::default())
            }
            Method::Preset(preset) => (fixed(self.preset(preset)?)?, self.proxies()?),
            Method::Doremi => {
                let Some(outcome) = self.doremi(compute)? else {
                    return Ok(None);
                };
                (fixed(outcome)?, self.doremi_cost()?)
            }
            Method::Mixmin => {
                let Some(found) = self.mixmin(compute)? else {
                    return Ok(None);
                };
                (fixed(found)?, self.experts()?)
            }
            Method::Climb => {
                let Some(found) = climb::climb(self.study, &self.fit, compute, self.cx)? else {
                    return Ok(None);
                };
                let section = &self.study.config().proxy;
                let cost = self.cost(section, found.proxies.into_iter())?;
                (fixed(found.mixture)?, cost)
            }
            Method::RegmixD { online } => {
                let arm = published_arm(self.study, name, online, self.cx)?;
                (arm, self.proxies()?)
            }
            Method::Schedule(mode) => {
                let modes = BTreeSet::from([mode]);
                let cx = self.cx;
                let arms = schedule_arms(self.study, &modes, &self.found.objective, cx)?;
                let arm = arms.into_iter().next();
                let arm = arm.ok_or_else(|| Error::failed(format!("no arm for {name}")))?;
                let cost = match mode.is_planned() {
                    true => self.proxies()?.and(self.other_sizes()?),
                    false => SearchCost::default(),
                };
                (arm, cost)
            }
        }))
    }

    /// The mixture of a published method, from the fitted proxies, within the limits of the
    /// study.
    fn preset(&self, preset: Preset) -> Result<Mixture> {
        let monitor = self.cx.monitor;
        monitor.message(&format!("searching the mixture of {}", preset.as_str()));
        let (study, corpus) = (self.study, self.corpus);
        let proxies = (self.fit.observations(), &self.fit);
        let fit = preset::fitted(study, corpus, preset, proxies, monitor)?;
        preset::mixture(study, corpus, preset, &fit, monitor)
    }

    /// Refuses a method that lacks what it needs, before anything is trained.
    fn check(&self, method: Method) -> Result<()> {
        match method {
            Method::Plain(plain @ PlainMixture::Utilimax) => {
                let made = self.maker.make(plain);
                made.map(drop).map_err(|e| self.placed(e))
            }
            // A run may be too short for it.
            Method::Schedule(mode) if !mode.is_planned() => peer(self.study, mode).map(drop),
            Method::Climb => {
                let proxies = self.fit.observations().mixtures.len();
                if proxies >= climb::LEAST {
                    return Ok(());
                }
                let e = Error::input(format!(
                    "`{method}` shares the proxies of the study out over three rounds, and there \
                     are {proxies} on one mixture that are finished: expected at least {}",
                    climb::LEAST
                ));
                let help = "add proxies (`regmix design --next N`), or leave the method out";
                Err(self.placed(e).help(help))
            }
            _ => Ok(()),
        }
    }

    /// Says that an error is about the methods of the study, unless it is about a file.
    fn placed(&self, e: Error) -> Error {
        match e.is_input() && e.path().is_none() {
            true => self.study.place(e.field("methods"), "compare"),
            false => e,
        }
    }

    fn mixmin(&self, compute: Compute<'_>) -> Result<Option<Mixture>> {
        let found = mixmin::mixmin(self.study, &self.found.objective, compute, self.cx);
        found.map_err(|e| self.placed(e))
    }

    fn doremi(&self, compute: Compute<'_>) -> Result<Option<Mixture>> {
        let outcome = doremi::doremi(self.study, compute.device, compute.options, self.cx)?;
        Ok(outcome.map(|outcome| outcome.mixture))
    }

    /// What the study's proxies cost.
    fn proxies(&self) -> Result<SearchCost> {
        if let Some(known) = self.proxies.get() {
            return Ok(*known);
        }
        let names = self.study.mixtures()?;
        let folders = names.runs().iter();
        let folders = folders.map(|run| Path::new(files::PROXIES).join(run));
        let cost = self.cost(&self.study.config().proxy, folders)?;
        Ok(*self.proxies.get_or_init(|| cost))
    }

    /// What the models of single domains cost.
    fn experts(&self) -> Result<SearchCost> {
        let folders = experts::folders(self.corpus.domains().len());
        self.cost(&experts::section(self.study), folders)
    }

    /// The same, where the fit needs them.
    fn experts_of_the_fit(&self) -> Result<SearchCost> {
        match self.study.config().fit.experts {
            true => self.experts(),
            false => Ok(SearchCost::default()),
        }
    }

    /// What runs of other sizes cost.
    fn other_sizes(&self) -> Result<SearchCost> {
        let mut sum = SearchCost::default();
        for planned in sizes::planned(self.study, &self.study.mixtures()?)? {
            sum = sum.and(self.cost(planned.size.model, planned.folders())?);
        }
        Ok(sum)
    }

    /// What DoReMi's references and proxies cost.
    fn doremi_cost(&self) -> Result<SearchCost> {
        let config = self.study.config();
        let runs = (1..=config.doremi.rounds).flat_map(|n| {
            [format!("reference-{n}"), format!("proxy-{n}")]
                .map(|run| Path::new(files::DOREMI).join(run))
        });
        self.cost(&config.doremi.run(&config.proxy), runs)
    }

    /// What the finished runs of some folders cost.
    fn cost(
        &self,
        section: &RunSection,
        folders: impl Iterator<Item = PathBuf>,
    ) -> Result<SearchCost> {
        let per_token = section
            .model(self.corpus.vocab_size())?
            .train_flops_per_token();
        let mut sum = SearchCost::default();
        for folder in folders {
            let Some(run) = FinishedRun::read(&self.study.path(folder))? else {
                continue;
            };
            let tokens = run.summary.tokens;
            sum = sum.and(SearchCost {
                tokens,
                flops: per_token * tokens as f64,
                seconds: run.lines.last().map_or(0.0, |line| line.train_seconds),
            });
        }
        Ok(sum)
    }
}
