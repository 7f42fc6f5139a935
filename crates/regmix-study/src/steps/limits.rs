//! What limits the mixture of a study: its tokens, and those of the target.

use std::collections::BTreeMap;

use regmix_data::manifest::Manifest;
use regmix_data::{DomainSet, Error, Result, TokenCorpus};
use regmix_regress::{Budget, Constraints};

use crate::config::ConstraintSection;
use crate::files;
use crate::study::Study;
use crate::tables::bounded;

/// Places an error of [`bounded`](crate::tables::bounded) in the study file.
pub(super) fn place_bound(study: &Study, e: Error) -> Error {
    let field = e.field_name().map(str::to_owned);
    match field.as_deref().and_then(|field| field.rsplit_once('.')) {
        Some((table, domain)) => study.place(e.field(domain), table),
        None => e.in_file(study.path(files::STUDY_FILE)),
    }
}

/// Tokens of the run that the mixture is for.
pub(super) fn target_tokens(study: &Study) -> Result<f64> {
    study.config().target_tokens()
}

/// How often domains may be repeated, by the tokens of the corpus.
pub(super) fn budget(
    manifest: &Manifest,
    section: &ConstraintSection,
    target_tokens: f64,
) -> Budget {
    let available: BTreeMap<String, f64> = (manifest.domains.iter())
        .map(|d| (d.name.as_str().to_owned(), d.train.tokens as f64))
        .collect();
    Budget {
        available,
        target_tokens,
        max_epochs: section.max_epochs,
    }
}

/// The bounds that `study.toml` gives mixtures over some domains.
pub(super) fn given_bounds(study: &Study, domains: DomainSet) -> Result<Constraints> {
    let free = Constraints::none(domains);
    bounded(free, &study.config().constraints).map_err(|e| place_bound(study, e))
}

/// The bounds of the study's mixtures, those of repetition in the target included.
pub(super) fn constraints(study: &Study, manifest: &Manifest) -> Result<Constraints> {
    let section = &study.config().constraints;
    let domains = manifest.domain_set()?;
    let given = given_bounds(study, domains.clone())?;
    let budget = budget(manifest, section, target_tokens(study)?);
    given.and(&budget.caps(&domains)?)
}

/// The bounds of mixtures that further proxies are trained on: those of the study's
/// mixtures, and where the design limits repetition, that limit.
pub(super) fn of_proxies(study: &Study, corpus: &TokenCorpus) -> Result<Constraints> {
    let config = study.config();
    let manifest = corpus.manifest();
    let wanted = constraints(study, manifest)?;
    if config.design.max_epochs <= 0.0 {
        return Ok(wanted);
    }
    // Of a part of the text, a proxy sees every token more often.
    let share = config.text_share(&config.proxy)?.unwrap_or(1.0);
    let proxies = Budget {
        max_epochs: config.design.max_epochs,
        ..budget(
            manifest,
            &config.constraints,
            config.proxy.tokens()? as f64 / share,
        )
    };
    proxies.caps(wanted.domains())?.and(&wanted)
}
