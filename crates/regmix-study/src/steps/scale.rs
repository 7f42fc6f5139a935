//! Laws of scale of a study: what its mixtures do at the size and length of the target.

use std::fmt::Write as _;

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result, TokenCorpus, artefact};
use regmix_dynamic::Trajectories;
use regmix_regress::scale::{ScaleFit, ScaleOptimum, ScaleOptions, ScaleQuestion, ScaleRuns};

use super::limits::{budget, given_bounds, target_tokens};
use super::{design, losses, sizes};
use crate::files;
use crate::report::UNIT;
use crate::stamp::{Stamp, digest};
use crate::study::{Context, Study, natural_mixture};
use crate::tables::{ScaleTables, read_scale_runs};

/// The tables that laws of scale are fitted to, as CSV.
pub(super) struct Tables {
    mixtures: String,
    trajectories: String,
    sizes: String,
}

/// Their names in the folder of the sizes.
const MIXTURES: &str = "mixtures.csv";
const TRAJECTORIES: &str = "trajectories.csv";
const PARAMETERS: &str = "sizes.csv";

/// The finished runs of all sizes that stay on one mixture; `None` where only one size
/// has some. A run of another size has the name `<size>/<run>`.
pub(super) fn tables(study: &Study, corpus: &TokenCorpus) -> Result<Option<Tables>> {
    let all = study.mixtures()?;
    let planned = sizes::planned(study, &all)?;
    let proxies = losses::finished_proxies(study, corpus)?;
    if planned.is_empty() || proxies.is_empty() {
        return Ok(None);
    }
    let segments = design::segments(study, &all)?;
    let stays = |run: &str| segments.get(run).is_some_and(|s| s.len() == 1);
    let mut mixtures = Vec::new();
    let mut trajectories = Trajectories::new(proxies.domains().clone());
    let mut parameters = "run,parameters\n".to_owned();
    let vocab = corpus.vocab_size();
    let own = study.config().proxy.model(vocab)?.parameters().total();
    let mut add = |name: String, run: &str, points: &[_], size: u64| -> Result<()> {
        if let Some(mixture) = all.get(run) {
            writeln!(parameters, "{name},{size}").ok();
            mixtures.push((name.clone(), mixture.clone()));
            trajectories.push(name, points.to_vec())?;
        }
        Ok(())
    };
    for (run, points) in proxies.iter().filter(|(run, _)| stays(run)) {
        add(run.to_owned(), run, points, own as u64)?;
    }
    let mut others = 0;
    for planned in &planned {
        for (run, points) in sizes::trajectories(study, planned, corpus)?.iter() {
            let name = format!("{}/{run}", planned.size.name);
            add(name, run, points, planned.parameters)?;
            others += 1;
        }
    }
    if others == 0 {
        return Ok(None);
    }
    Ok(Some(Tables {
        mixtures: MixtureTable::new(all.domains().clone(), mixtures)?.to_csv(),
        trajectories: trajectories.to_csv(),
        sizes: parameters,
    }))
}

impl Tables {
    /// Writes the tables, so that laws can be fitted to a part of them by hand, and
    /// reads them as `regmix fit --trajectories` would.
    pub(super) fn runs(&self, cx: Context<'_>, study: &Study) -> Result<ScaleRuns> {
        let folder = study.path(files::SIZES);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            artefact::write_atomic(&path, text.as_bytes()).map(|()| path)
        };
        let mixtures = write(MIXTURES, &self.mixtures)?;
        let trajectories = write(TRAJECTORIES, &self.trajectories)?;
        let sizes = write(PARAMETERS, &self.sizes)?;
        let tables = ScaleTables {
            mixtures: &mixtures,
            trajectories: &trajectories,
            sizes: Some(&sizes),
        };
        read_scale_runs(tables, cx.monitor)
    }

    /// A digest of everything that laws of scale are fitted to.
    pub(super) fn digest(&self) -> String {
        digest([&*self.mixtures, &self.trajectories, &self.sizes].concat())
    }
}

/// How laws of scale are fitted in a study. Domains whose tokens repeat count by their
/// effective tokens, unless every run reads a part of the text of its own.
pub(super) fn options(study: &Study, corpus: &TokenCorpus) -> ScaleOptions {
    let available = match study.config().proxy.match_epochs {
        true => Vec::new(),
        false => (corpus.manifest().domains.iter())
            .map(|d| d.train.tokens as f64)
            .collect(),
    };
    ScaleOptions {
        available,
        unit: Some(UNIT.to_owned()),
        ..ScaleOptions::default()
    }
}

/// Fits laws of scale to the proxies and the runs of other sizes, or reads them; `None`
/// where only one size has finished runs.
pub(crate) fn fit(study: &Study, cx: Context<'_>) -> Result<Option<ScaleFit>> {
    let corpus = study.corpus()?;
    let Some(tables) = tables(study, &corpus)? else {
        return Ok(None);
    };
    let stamp = stamp(study, &corpus, &tables)?;
    let folder = study.path(files::FIT_FOLDER);
    if let Some(fit) = stamp.finished(cx.redo, cx.monitor, || ScaleFit::load(&folder))? {
        return Ok(Some(fit));
    }
    let runs = tables.runs(cx, study)?;
    cx.monitor.message(&format!(
        "fitting laws of scale to {} runs of {} sizes",
        runs.runs().len(),
        runs.sizes().len()
    ));
    let fit = ScaleFit::train_monitored(&runs, &options(study, &corpus), cx.monitor)?;
    stamp.begin()?;
    fit.save(&folder)?;
    stamp.write()?;
    Ok(Some(fit))
}

fn stamp(study: &Study, corpus: &TokenCorpus, tables: &Tables) -> Result<Stamp> {
    files::SCALE
        .stamp(study.root())
        .with("runs", &tables.digest())?
        .with("available", &options(study, corpus).available)
}

/// What changed since laws of scale were fitted, if anything did. Where the runs are not
/// on this machine, they are taken as unchanged.
pub(crate) fn staleness(study: &Study, corpus: &TokenCorpus) -> Result<Option<String>> {
    if !study.path(files::SCALE).exists() {
        return Ok(None);
    }
    match tables(study, corpus)? {
        Some(tables) => stamp(study, corpus, &tables)?.staleness(),
        None => Ok(None),
    }
}

/// The finished laws of scale, if they are what the runs give.
///
/// # Errors
/// When they were not fitted yet, are damaged or out of date.
pub(crate) fn current(study: &Study) -> Result<ScaleFit> {
    let root = study.root();
    if study.config().sizes().is_empty() {
        return Err(Error::input("the study has one size of proxies")
            .in_file(study.path(files::STUDY_FILE))
            .field("sizes")
            .help(
                "add [sizes] with a [sizes.NAME] or two, then `regmix train` and \
                 `regmix fit --redo`; or name a fit of your own tables: `--fit DIR`",
            ));
    }
    files::SCALE.require(root)?;
    if let Some(changes) = staleness(study, &study.corpus()?)? {
        return Err(files::SCALE.stamp(root).stale(&changes));
    }
    files::SCALE.read(root, |_| ScaleFit::load(study.path(files::FIT_FOLDER)))
}

/// Parameters and tokens of the run that the mixture is for.
pub(crate) fn target(study: &Study, vocab: u32) -> Result<(f64, f64)> {
    let model = study.config().target.model(vocab)?;
    Ok((model.parameters().total() as f64, target_tokens(study)?))
}

/// What is asked at a size and a length, by default those of the target: the objective of
/// the study under its constraints.
pub(super) fn question(
    study: &Study,
    fit: &ScaleFit,
    (parameters, tokens): (Option<f64>, Option<f64>),
) -> Result<ScaleQuestion> {
    let config = study.config();
    let corpus = study.corpus()?;
    let target = target(study, corpus.vocab_size())?;
    let at = (parameters.unwrap_or(target.0), tokens.unwrap_or(target.1));
    let constraints = given_bounds(study, fit.domains().clone())?;
    Ok(ScaleQuestion {
        objective: config.goal_of_losses("a law of scale")?,
        constraints: Some(constraints),
        budget: Some(budget(corpus.manifest(), &config.constraints, at.1)),
        natural: Some(natural_mixture(corpus.manifest())?.reordered(fit.domains())?),
        parameters: at.0,
        tokens: at.1,
    })
}

/// The best mixture there.
pub(crate) fn optimum(
    study: &Study,
    fit: &ScaleFit,
    at: (Option<f64>, Option<f64>),
    cx: Context<'_>,
) -> Result<ScaleOptimum> {
    fit.optimum(&question(study, fit, at)?, cx.monitor)
}
