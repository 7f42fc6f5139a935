//! Finding the mixture.

use std::collections::BTreeMap;

use regmix_data::manifest::Manifest;
use regmix_data::{Error, Monitor, Result, TokenCorpus};
use regmix_regress::{
    Budget, Constraints, Fit, Front, Objective, RecommendOptions, Recommendation, Scorer,
};

use crate::config::{ConstraintSection, ObjectiveFile};
use crate::stamp::Stamp;
use crate::study::{Context, Study};

impl Study {
    /// Searches the best mixture under the constraints, into `mixture.json`;
    /// reads it when it is there already.
    ///
    /// # Errors
    /// When nothing is fitted, the constraints clash, the objective is
    /// unknown, or the inputs of a finished mixture changed.
    pub fn optimize(&self, cx: Context<'_>) -> Result<Recommendation> {
        let path = self.path("mixture.json");
        let config = self.config();
        self.needs(&self.path("fit/fit.json"), "nothing is fitted", "fit")?;
        let corpus = self.corpus()?;
        let stamp = self.mixture_stamp(&corpus)?;
        if stamp.is_fresh(&path, "optimize", cx.redo)? {
            return Recommendation::load(path);
        }
        cx.monitor.message("searching the mixture");
        let options = RecommendOptions {
            objective: config.objective.objective()?,
            budget: Some(budget(
                corpus.manifest(),
                &config.constraints,
                self.target_tokens()?,
            )),
            kl: config.objective.kl,
            caution: config.objective.caution,
            distance: config.objective.distance,
            seed: config.study.seed,
            ..RecommendOptions::default()
        };
        let fit = self.load_fit()?;
        Scorer::new(&fit, &options.objective).map_err(|e| {
            let weighted = !config.objective.weights.is_empty();
            self.place(
                e.field(if weighted { "weights" } else { "loss" }),
                "objective",
            )
        })?;
        let found = optimize_with(&fit, &config.constraints, options, cx.monitor)
            .map_err(|e| self.place_bound(e))?;
        found.save(&path)?;
        stamp.write()?;
        Ok(found)
    }

    /// What a mixture searched now would be made from.
    pub(crate) fn mixture_stamp(&self, corpus: &TokenCorpus) -> Result<Stamp> {
        let config = self.config();
        let path = self.path("fit/fit.json");
        let fit = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        Stamp::new(self.path("mixture.inputs.json"))
            .with("corpus", &corpus.fingerprint())?
            .with("fit", &blake3::hash(&fit).to_hex()[..16].to_owned())?
            .with("objective", &config.objective)?
            .with("constraints", &config.constraints)?
            .with("target_tokens", &self.target_tokens()?)
    }

    /// The finished mixture.
    ///
    /// # Errors
    /// When it was not searched yet, or is damaged.
    pub fn recommendation(&self) -> Result<Recommendation> {
        let path = self.path("mixture.json");
        self.needs(&path, "no mixture was searched", "optimize")?;
        Recommendation::load(path)
    }

    /// Places an error of [`bounded`] in the study file.
    pub(super) fn place_bound(&self, e: Error) -> Error {
        let field = e.field_name().map(str::to_owned);
        match field.as_deref().and_then(|field| field.rsplit_once('.')) {
            Some((table, domain)) => self.place(e.field(domain), table),
            None => e.in_file(self.path(crate::study::STUDY_FILE)),
        }
    }

    /// Tokens of the run that the mixture is for.
    pub(crate) fn target_tokens(&self) -> Result<f64> {
        match self.config().constraints.target_tokens {
            Some(tokens) => Ok(tokens),
            None => {
                let target = &self.config().target;
                let context = target.model(self.corpus()?.vocab_size())?.context;
                Ok(target.steps as f64 * (target.batch_size * context) as f64)
            }
        }
    }
}

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

/// Recommends a mixture for an objective file.
///
/// # Errors
/// As [`optimize_with`]; and when tokens are given for some domains only.
pub fn optimize_file(
    fit: &Fit,
    file: &ObjectiveFile,
    options: RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Recommendation> {
    let mut options = limited_by_file(fit, file, options)?;
    options.objective = file.objective()?;
    recommend_watched(fit, &options, monitor)
}

/// [`regmix_regress::recommend`], with the progress of its refits shown.
///
/// # Errors
/// As [`regmix_regress::recommend`].
pub fn recommend_watched(
    fit: &Fit,
    options: &RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Recommendation> {
    regmix_regress::recommend_monitored(fit, options, monitor)
}

/// The front of two objectives, under the limits and penalties of an objective
/// file if there is one; the file's own objective is not used.
///
/// # Errors
/// As [`regmix_regress::pareto`] and [`optimize_file`].
pub fn pareto(
    fit: &Fit,
    [a, b]: [&Objective; 2],
    points: usize,
    limits: Option<&ObjectiveFile>,
    options: RecommendOptions,
) -> Result<Front> {
    let options = match limits {
        Some(file) => limited_by_file(fit, file, options)?,
        None => options,
    };
    regmix_regress::pareto(fit, a, b, points, &options)
}

/// Adds the limits and penalties of an objective file.
pub(super) fn limited_by_file(
    fit: &Fit,
    file: &ObjectiveFile,
    mut options: RecommendOptions,
) -> Result<RecommendOptions> {
    options.kl = file.kl;
    options.caution = file.caution;
    options.distance = file.distance;
    options.budget =
        match (file.constraints.target_tokens, file.available.is_empty()) {
            (Some(target_tokens), false) => Some(Budget {
                available: file.available.clone(),
                target_tokens,
                max_epochs: file.constraints.max_epochs,
            }),
            (None, true) => None,
            (Some(_), true) => {
                return Err(Error::input(
                    "`target_tokens` limits repetition only with [available]",
                )
                .field("available")
                .help("give the tokens there are of every domain, or leave `target_tokens` out"));
            }
            (None, false) => {
                return Err(Error::input(
                    "[available] limits repetition only with `target_tokens`",
                )
                .field("constraints.target_tokens")
                .help("give the tokens of the run that the mixture is for"));
            }
        };
    limited(fit, &file.constraints, options)
}

/// Recommends a mixture under a section's floors, caps and groups.
///
/// # Errors
/// When a bound names an unknown domain, bounds clash, or the objective is
/// unknown.
pub fn optimize_with(
    fit: &Fit,
    section: &ConstraintSection,
    options: RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Recommendation> {
    recommend_watched(fit, &limited(fit, section, options)?, monitor)
}

/// Adds a section's floors, caps and groups.
pub(super) fn limited(
    fit: &Fit,
    section: &ConstraintSection,
    mut options: RecommendOptions,
) -> Result<RecommendOptions> {
    let base = match options.constraints.take() {
        Some(constraints) => constraints,
        None => Constraints::none(fit.domains().clone()),
    };
    options.constraints = Some(bounded(base, section)?);
    Ok(options)
}

/// Adds a section's floors, caps and groups to constraints; an error names its
/// key as `constraints.<table>.<name>`.
pub(super) fn bounded(
    mut constraints: Constraints,
    section: &ConstraintSection,
) -> Result<Constraints> {
    let named = |e: regmix_data::Error, table: &str, name: &str| {
        e.field(format!("constraints.{table}.{name}"))
    };
    for (domain, &cap) in &section.cap {
        constraints = constraints
            .with_cap(domain, cap)
            .map_err(|e| named(e, "cap", domain))?;
    }
    for (domain, &floor) in &section.floor {
        constraints = constraints
            .with_floor(domain, floor)
            .map_err(|e| named(e, "floor", domain))?;
    }
    for (name, group) in &section.group {
        let members: Vec<&str> = group.domains.iter().map(String::as_str).collect();
        constraints = constraints
            .with_group(name, &members, group.floor, group.cap)
            .map_err(|e| named(e, "group", name))?;
    }
    Ok(constraints)
}
