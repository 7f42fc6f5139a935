//! Published methods made of a regressor and a search, on proxies.

use regmix_data::table::Observations;
use regmix_data::{Mixture, Monitor, Result, TokenCorpus};
use regmix_regress::{Fit, FitOptions, Method, RecommendOptions, recommend_monitored};

use super::limits::{budget, place_bound, target_tokens};
use crate::compare::Preset;
use crate::study::{Study, natural_mixture};
use crate::tables::limited;

/// Fits the regressor of a published method to proxies, among them those of the study's
/// own fit, which says which targets are accuracies.
pub(super) fn fitted(
    study: &Study,
    corpus: &TokenCorpus,
    preset: Preset,
    (runs, own): (&Observations, &Fit),
    monitor: &dyn Monitor,
) -> Result<Fit> {
    let config = study.config();
    let options = FitOptions {
        regressors: vec![preset.regressor().to_owned()],
        folds: config.fit.folds,
        seed: config.study.seed,
        natural: Some(natural_mixture(corpus.manifest())?),
        keep_outliers: config.fit.keep_outliers,
        scores: own.scores().map(|t| t.target.clone()).collect(),
        ..FitOptions::default()
    };
    Fit::train_monitored(runs, &options, monitor)
}

/// The mixture that a published method finds by its fit, within the limits of the study.
pub(super) fn mixture(
    study: &Study,
    corpus: &TokenCorpus,
    preset: Preset,
    fit: &Fit,
    monitor: &dyn Monitor,
) -> Result<Mixture> {
    let config = study.config();
    let options = RecommendOptions {
        objective: config.goal()?,
        budget: Some(budget(
            corpus.manifest(),
            &config.constraints,
            target_tokens(study)?,
        )),
        method: match preset {
            Preset::Regmix => Method::Simulate,
            _ => Method::Descend,
        },
        kl: preset.kl(),
        bootstrap: 0,
        seed: config.study.seed,
        ..RecommendOptions::default()
    };
    let found = limited(fit, &config.constraints, options)
        .and_then(|options| recommend_monitored(fit, &options, monitor))
        .map_err(|e| place_bound(study, e))?;
    Ok(found.mixture)
}
