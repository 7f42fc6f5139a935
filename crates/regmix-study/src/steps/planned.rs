//! Runs as `study.toml` plans them now, to compare those in folders with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regmix_data::table::MixtureTable;
use regmix_data::{Error, ErrorKind, Result, TokenCorpus};
use regmix_model::{RunSegment, RunSpec, RunStatus, stored_spec};

use super::runs::Runs;
use super::{design, experts, losses, sizes};
use crate::config::RunSection;
use crate::files;
use crate::stamp::remade_by;
use crate::study::Study;

/// A run as it would be trained now.
pub(super) struct PlannedRun {
    /// Its folder in the study.
    folder: PathBuf,
    spec: RunSpec,
    /// Whether it starts from a trained model. Which one is compared when it is trained.
    continues: bool,
    /// Whether it may be on any mixture.
    any_mixture: bool,
}

impl PlannedRun {
    /// What changed since a run was started in its folder, if anything did.
    fn changes(&self, study: &Study) -> Result<Option<String>> {
        let folder = study.path(&self.folder);
        let old = stored_spec(&folder).map_err(|e| remade_by(files::trained_by(&folder), e))?;
        let Some(old) = old else {
            return Ok(None);
        };
        let mut now = self.spec.clone().with_weights_of(&old);
        if self.continues {
            let start = old.starts_from.clone();
            now.starts_from = Some(start.unwrap_or_else(|| "a trained model".to_owned()));
        }
        if self.any_mixture {
            now.mixture.clone_from(&old.mixture);
            now.later_segments.clone_from(&old.later_segments);
            now.steered_by.clone_from(&old.steered_by);
        }
        Ok(now.changes_since(&old))
    }
}

/// The configurations of the proxies on the mixtures of a design.
pub(super) fn proxy_specs(
    study: &Study,
    mixtures: &MixtureTable,
    corpus: &TokenCorpus,
    runs: &Runs<'_>,
) -> Result<Vec<RunSpec>> {
    let config = study.config();
    let segments = design::segments(study, mixtures)?;
    (mixtures.iter())
        .map(|(run, mixture)| {
            let mut spec = runs.spec(run, config.study.seed, mixture)?;
            for segment in segments.get(run).into_iter().flatten().skip(1) {
                spec.later_segments.push(RunSegment {
                    step: (segment.from * config.proxy.steps as f64).round() as u64,
                    mixture: segment.mixture.reordered(corpus.domains())?,
                });
            }
            Ok(spec)
        })
        .collect()
}

/// The runs that fits are made from: proxies, those of other sizes, and experts.
fn runs_of_fit(study: &Study, corpus: &TokenCorpus) -> Result<Vec<PlannedRun>> {
    let config = study.config();
    let mixtures = study.mixtures()?.reordered(corpus.domains())?;
    let planned = |section: &RunSection, folder: PathBuf, spec: RunSpec| PlannedRun {
        folder,
        spec,
        continues: section.from.is_some(),
        any_mixture: false,
    };
    let runs = Runs::unopened(study, &config.proxy, corpus);
    let mut out: Vec<PlannedRun> = (proxy_specs(study, &mixtures, corpus, &runs)?.into_iter())
        .map(|spec| {
            let folder = Path::new(files::PROXIES).join(&spec.run);
            planned(&config.proxy, folder, spec)
        })
        .collect();
    for size in &sizes::planned(study, &mixtures)? {
        let section = size.size.model;
        let runs = Runs::unopened(study, section, corpus);
        for (run, folder) in size.runs.iter().zip(size.folders()) {
            if let Some(mixture) = mixtures.get(run) {
                let spec = runs.spec(run, config.study.seed, mixture)?;
                out.push(planned(section, folder, spec));
            }
        }
    }
    if config.fit.experts {
        let section = experts::section(study);
        let specs = experts::specs(study, corpus, &Runs::unopened(study, &section, corpus))?;
        let folders = experts::folders(corpus.domains().len());
        out.extend((folders.zip(specs)).map(|(folder, spec)| planned(&section, folder, spec)));
    }
    Ok(out)
}

/// The targets of the check. Only the found mixture is compared: the others take time to
/// make, and change with it.
fn targets(study: &Study, corpus: &TokenCorpus) -> Result<Vec<PlannedRun>> {
    let config = study.config();
    let (check, section) = (&config.check, &config.target);
    let found = match study.path(files::MIXTURE).exists() {
        true => study.recommendation().ok(),
        false => None,
    };
    let runs = Runs::unopened(study, section, corpus);
    let natural = crate::study::natural_mixture(corpus.manifest())?;
    let mut out = Vec::new();
    for arm in check.arms() {
        let own = found.as_ref().filter(|_| arm == files::FOUND);
        let mixture = own.map_or(&natural, |found| &found.mixture);
        for k in 1..=check.seeds {
            let run = files::target_run(arm, k);
            let mut spec = runs.spec(&run, config.study.seed + k, mixture)?;
            spec.data_order = Some(files::DATA_ORDER_OF_TARGETS.to_owned());
            out.push(PlannedRun {
                folder: Path::new(files::TARGETS).join(run),
                spec,
                continues: section.from.is_some(),
                any_mixture: own.is_none(),
            });
        }
    }
    Ok(out)
}

/// The first finished run of a fit that was made with another configuration, by its folder
/// in the study, and what changed.
pub(super) fn first_outdated(
    study: &Study,
    corpus: &TokenCorpus,
) -> Result<Option<(PathBuf, String)>> {
    for run in runs_of_fit(study, corpus)? {
        if let Some(changes) = run.changes(study)?
            && let RunStatus::Done(_) = RunStatus::read(&study.path(&run.folder))?
        {
            return Ok(Some((run.folder, changes)));
        }
    }
    Ok(None)
}

/// Checks that the finished runs of the fit are those that `study.toml` asks for.
///
/// # Errors
/// `Stale` where one was made with another configuration.
pub(super) fn require_current(study: &Study, corpus: &TokenCorpus) -> Result<()> {
    losses::require_text_share(study)?;
    let Some((folder, changes)) = first_outdated(study, corpus)? else {
        return Ok(());
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let problem = format!("run `{name}` was made with another configuration ({changes})");
    Err(Error::new(ErrorKind::Stale, problem)
        .in_file(study.path(&folder).join("run.toml"))
        .help(
            "train such runs again with `regmix train --redo`, which keeps the old ones; or put \
             the configuration back",
        ))
}

/// All runs as they are planned, by their folders in the study.
#[derive(Default)]
pub(super) struct Plan(BTreeMap<PathBuf, PlannedRun>);

impl Plan {
    /// That of a study, whose corpus is asked for where there is one. Runs that cannot be
    /// planned are left out: the steps that train them say why.
    pub(super) fn of<'a>(study: &Study, corpus: impl FnOnce() -> Result<&'a TokenCorpus>) -> Self {
        let exists = [files::CORPUS, files::DESIGN].map(|file| study.path(file).exists());
        if exists.contains(&false) {
            return Self::default();
        }
        let Ok(corpus) = corpus() else {
            return Self::default();
        };
        let of_fit = runs_of_fit(study, corpus).unwrap_or_default();
        let targets = targets(study, corpus).unwrap_or_default();
        let all = of_fit.into_iter().chain(targets);
        Self(all.map(|run| (run.folder.clone(), run)).collect())
    }

    /// Whether the run in a folder, with this fingerprint, has another configuration.
    /// What is damaged is left to the steps that read it.
    pub(super) fn is_outdated(&self, study: &Study, folder: &Path, fingerprint: &str) -> bool {
        let Some(run) = self.0.get(folder) else {
            return false;
        };
        run.spec.fingerprint() != fingerprint && matches!(run.changes(study), Ok(Some(_)))
    }
}
