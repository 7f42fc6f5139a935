//! Finding the mixture.

use regmix_data::{Error, Result, TokenCorpus};
use regmix_regress::{RecommendOptions, Recommendation, Scorer, recommend_monitored};

use super::limits::{self, budget};
use crate::files;
use crate::stamp::{Stamp, digest};
use crate::study::{Context, Study};
use crate::tables::limited;

/// Searches the best mixture under the constraints, or reads it.
pub(crate) fn optimize(study: &Study, cx: Context<'_>) -> Result<Recommendation> {
    let path = study.path(files::MIXTURE);
    let config = study.config();
    files::FIT.require(study.root())?;
    let corpus = study.corpus()?;
    let stamp = stamp(study, &corpus)?;
    let load = || Recommendation::load(&path);
    if let Some(found) = stamp.finished(cx.redo, cx.monitor, load)? {
        return Ok(found);
    }
    cx.monitor.message("searching the mixture");
    let options = RecommendOptions {
        objective: config.goal()?,
        budget: Some(budget(
            corpus.manifest(),
            &config.constraints,
            limits::target_tokens(study)?,
        )),
        kl: config.objective.kl,
        caution: config.objective.caution,
        distance: config.objective.distance,
        seed: config.study.seed,
        ..RecommendOptions::default()
    };
    let fit = study.load_fit()?;
    Scorer::new(&fit, &options.objective).map_err(|e| {
        let weighted = !config.objective.weights.is_empty();
        study.place(
            e.field(if weighted { "weights" } else { "loss" }),
            "objective",
        )
    })?;
    let found = limited(&fit, &config.constraints, options)
        .and_then(|options| recommend_monitored(&fit, &options, cx.monitor))
        .map_err(|e| limits::place_bound(study, e))?;
    stamp.begin()?;
    found.save(&path)?;
    stamp.write()?;
    Ok(found)
}

/// What a mixture searched now would be made from.
pub(crate) fn stamp(study: &Study, corpus: &TokenCorpus) -> Result<Stamp> {
    let config = study.config();
    let path = study.path(files::FIT);
    let fit = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    files::MIXTURE
        .stamp(study.root())
        .with("corpus", &corpus.fingerprint())?
        .with("fit", &digest(&fit))?
        .with("objective", &config.objective)?
        .with("constraints", &config.constraints)?
        .with("target_tokens", &limits::target_tokens(study)?)
}
