//! CLIMB: proxies in rounds, each chosen by trees that are fitted to those before.

use std::path::{Path, PathBuf};

use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, Mixture, Result, artefact};
use regmix_model::{Job, RunStatus};
use regmix_regress::{ClimbOptions, Fit, climb_round};

use super::fit::beside;
use super::losses::read_runs;
use super::preset;
use super::runs::{Compute, Runs, train_runs};
use super::scores::{Questions, Ready};
use super::{limits, runs};
use crate::compare::Preset;
use crate::files;
use crate::stamp::{Stamp, digest};
use crate::study::{Context, Study, read_design};

/// The fewest proxies that are shared out over three rounds: the last has two of them.
pub(super) const LEAST: usize = 14;

/// How many proxies the rounds have, 4 to 2 to 1: those of the paper, as far as it says,
/// are 64, 32 and 16. What does not divide falls to the first round.
pub(super) fn rounds(proxies: usize) -> [usize; 3] {
    let (second, third) = (2 * proxies / 7, proxies / 7);
    [proxies - second - third, second, third]
}

/// What CLIMB found.
pub(super) struct Climbed {
    pub(super) mixture: Mixture,
    /// The folders of all its proxies, those of the study among them.
    pub(super) proxies: Vec<PathBuf>,
}

/// Trains the proxies of the later rounds that are not finished, and searches by trees that
/// are fitted to all rounds. The first round are proxies of the study, the first of those in
/// `own`, its fit. `None` where another worker still trains some.
pub(super) fn climb(
    study: &Study,
    own: &Fit,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<Option<Climbed>> {
    let all = own.observations();
    let [first, later @ ..] = rounds(all.mixtures.len());
    let questions = Ready::of(study, compute.corpus)?;
    let known = Questions::of(study, compute.corpus)?;
    let mut proxies = take(all, first)?;
    let of_study = |run: &String| Path::new(files::PROXIES).join(run);
    let mut folders: Vec<PathBuf> = proxies.mixtures.runs().iter().map(of_study).collect();
    for (number, runs) in (2..).zip(later) {
        let round = Round { number, runs };
        let drawn = round.draw(study, (&proxies, own), compute, cx)?;
        let jobs = round.train(study, &drawn, compute, cx)?;
        let Some(jobs) = jobs else {
            return Ok(None);
        };
        if let Some(questions) = &questions {
            let asked: Vec<_> = jobs.iter().map(|(job, status)| (job, status)).collect();
            questions.ask("ask proxies of CLIMB", &asked, compute, cx)?;
        }
        let Some(values) = Round::values(study, &drawn, known.as_ref(), compute)? else {
            return Ok(None);
        };
        let runs = drawn.runs().iter();
        folders.extend(runs.map(|run| Path::new(files::CLIMB).join(run)));
        proxies = joined(&proxies, &drawn, &values)?;
    }
    cx.monitor.message("searching the mixture of climb");
    let (corpus, trees) = (compute.corpus, Preset::Regmix);
    let fit = preset::fitted(study, corpus, trees, (&proxies, own), cx.monitor)?;
    Ok(Some(Climbed {
        mixture: preset::mixture(study, corpus, trees, &fit, cx.monitor)?,
        proxies: folders,
    }))
}

/// The first runs of some.
fn take(all: &Observations, count: usize) -> Result<Observations> {
    let (mixtures, values) = (&all.mixtures, &all.values);
    let named = |(run, mixture): (&str, &Mixture)| (run.to_owned(), mixture.clone());
    Ok(Observations {
        mixtures: MixtureTable::new(
            mixtures.domains().clone(),
            mixtures.iter().take(count).map(named),
        )?,
        values: ValueTable::new(values.targets().to_vec(), rows(values).take(count))?,
    })
}

/// The runs before a round, and those of the round.
fn joined(
    before: &Observations,
    drawn: &MixtureTable,
    values: &ValueTable,
) -> Result<Observations> {
    let mixtures = before.mixtures.iter().chain(drawn.iter());
    let mixtures = mixtures.map(|(run, mixture)| (run.to_owned(), mixture.clone()));
    let targets = before.values.targets();
    let places = targets.iter().filter_map(|target| {
        let mut own = values.targets().iter();
        own.position(|name| name == target)
    });
    let values = values.with_targets(&places.collect::<Vec<_>>());
    Ok(Observations {
        mixtures: MixtureTable::new(before.mixtures.domains().clone(), mixtures)?,
        values: ValueTable::new(targets.to_vec(), rows(&before.values).chain(rows(&values)))?,
    })
}

/// Runs with their values.
fn rows(table: &ValueTable) -> impl Iterator<Item = (String, Vec<f64>)> {
    let rows = table.rows().iter().cloned();
    table.runs().iter().cloned().zip(rows)
}

/// A round after the first.
struct Round {
    /// 2 or 3.
    number: u64,
    /// How many proxies it has.
    runs: usize,
}

impl Round {
    /// The mixtures of the round: those that were drawn, or new ones by trees that are
    /// fitted to `proxies`, all of the rounds before.
    fn draw(
        &self,
        study: &Study,
        (proxies, own): (&Observations, &Fit),
        compute: Compute<'_>,
        cx: Context<'_>,
    ) -> Result<MixtureTable> {
        let path = study.path(self.artefact());
        let stamp = self.stamp(study, proxies, compute)?;
        let read = || read_design(&path);
        if let Some(drawn) = stamp.finished(cx.redo, cx.monitor, read)? {
            return Ok(drawn);
        }
        // Of several workers that find no mixtures, one draws them.
        let folder = path.parent().unwrap_or(study.root());
        let _lock = artefact::wait_for_folder(folder, cx.monitor)?;
        if let Some(drawn) = stamp.finished(cx.redo, cx.monitor, read)? {
            return Ok(drawn);
        }
        let Self { number, runs } = self;
        cx.monitor.message(&format!(
            "choosing the {runs} mixtures of CLIMB's round {number}"
        ));
        let corpus = compute.corpus;
        let fit = preset::fitted(study, corpus, Preset::Regmix, (proxies, own), cx.monitor)?;
        let options = ClimbOptions {
            runs: *runs,
            objective: study.config().goal()?,
            constraints: Some(limits::of_proxies(study, corpus)?),
            round: *number,
            seed: study.config().study.seed,
            ..ClimbOptions::default()
        };
        let mixtures = climb_round(&fit, &options, cx.monitor)?;
        let named = (1..).zip(mixtures);
        let named = named.map(|(place, mixture)| (format!("round-{number}-{place:04}"), mixture));
        let table = MixtureTable::new(corpus.domains().clone(), named)?;
        stamp.begin()?;
        table.write_csv(&path)?;
        stamp.write()?;
        // Weights that are read again can differ by rounding, and so would the runs.
        read()
    }

    fn artefact(&self) -> files::Artefact {
        files::CLIMB_ROUNDS[usize::from(self.number > 2)]
    }

    /// What the mixtures of the round are drawn from.
    fn stamp(&self, study: &Study, proxies: &Observations, compute: Compute<'_>) -> Result<Stamp> {
        let config = study.config();
        let before = proxies.mixtures.to_csv() + &proxies.values.to_csv();
        self.artefact()
            .stamp(study.root())
            .with("runs", &self.runs)?
            .with("seed", &config.study.seed)?
            .with("corpus", &compute.corpus.fingerprint())?
            .with("proxies", &digest(before))?
            .with("objective", &config.goal()?)?
            .with("constraints", &config.constraints)?
            .with("target_tokens", &limits::target_tokens(study)?)?
            .with("design.max_epochs", &config.design.max_epochs)?
            .with("fit.folds", &config.fit.folds)?
            .with("fit.keep_outliers", &config.fit.keep_outliers)
    }

    /// Trains the proxies of the round that are not finished. `None` where other workers
    /// still train some.
    fn train(
        &self,
        study: &Study,
        drawn: &MixtureTable,
        compute: Compute<'_>,
        cx: Context<'_>,
    ) -> Result<Option<Vec<(Job, RunStatus)>>> {
        let section = &study.config().proxy;
        let seed = study.config().study.seed;
        let open = Runs::open(study, "proxy", section, compute.corpus, cx.monitor)?;
        let folder = study.path(files::CLIMB);
        let jobs: Vec<Job> = (drawn.iter())
            .map(|(run, mixture)| Ok(open.job(open.spec(run, seed, mixture)?, folder.join(run))))
            .collect::<Result<_>>()?;
        let what = format!("train round {} of CLIMB", self.number);
        let statuses = train_runs([&what, ""], section, &jobs, compute, cx)?;
        for (job, status) in jobs.iter().zip(&statuses) {
            if let RunStatus::Failed(reason) = status {
                return Err(Error::failed(reason.clone()).in_file(&job.folder));
            }
        }
        let ended = statuses.iter().all(runs::has_ended);
        Ok(ended.then(|| jobs.into_iter().zip(statuses).collect()))
    }

    /// Losses and accuracies of the proxies of the round. `None` where other workers still
    /// measure some.
    fn values(
        study: &Study,
        drawn: &MixtureTable,
        questions: Option<&Questions>,
        compute: Compute<'_>,
    ) -> Result<Option<ValueTable>> {
        let (folder, runs) = (study.path(files::CLIMB), drawn.runs());
        let losses = read_runs(&folder, runs, compute.corpus)?.final_losses()?;
        let Some(questions) = questions else {
            return Ok(Some(losses));
        };
        let folders = runs.iter().map(|run| folder.join(run));
        if questions.count(folders)? < runs.len() {
            return Ok(None);
        }
        let (accuracies, _) = questions.tables(&folder, runs)?;
        beside(&losses, &accuracies).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::DomainSet;

    #[test]
    fn rounds_share_all_proxies_out() {
        assert_eq!(rounds(112), [64, 32, 16]);
        assert_eq!(rounds(LEAST), [8, 4, 2]);
        for proxies in LEAST..200 {
            let [first, second, third] = rounds(proxies);
            assert_eq!(first + second + third, proxies);
            assert!(first > second && second > third && third >= 2);
        }
    }

    #[test]
    fn rounds_are_joined_in_order() {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let mixture = |a: f64| Mixture::new(domains.clone(), vec![a, 1.0 - a]).unwrap();
        let mixtures = |prefix: &str| {
            let rows = [0.25, 0.5].map(|a| (format!("{prefix}{a}"), mixture(a)));
            MixtureTable::new(domains.clone(), rows).unwrap()
        };
        let values = |prefix: &str| {
            let rows = [0.25, 0.5].map(|a| (format!("{prefix}{a}"), vec![a]));
            ValueTable::new(vec!["x".to_owned()], rows).unwrap()
        };
        let all = Observations {
            mixtures: mixtures("own"),
            values: values("own"),
        };
        let first = take(&all, 1).unwrap();
        let both = joined(&first, &mixtures("new"), &values("new")).unwrap();
        assert_eq!(both.mixtures.runs(), ["own0.25", "new0.25", "new0.5"]);
        assert_eq!(both.values.runs(), both.mixtures.runs());
        assert_eq!(both.values.rows(), [vec![0.25], vec![0.25], vec![0.5]]);
    }
}
