//! The search for the best mixture.

use regmix_data::{Mixture, Monitor, Result};

use crate::advise::observed::{best_observed, spread};
use crate::advise::recommend::options::{Method, RecommendOptions};
use crate::advise::scorer::Scorer;
use crate::constraints::Constraints;
use crate::fit::Fit;
use crate::objective::Objective;
use crate::search::anneal::{Smooth, anneal};
use crate::search::options::Termination;
use crate::search::simulate::{SimulateOptions, best_draw, simulate_monitored};
use crate::search::surface::Surface;

/// Draws for one more start of a descent.
const DRAWS: usize = 256;

/// As many times more for surfaces without a derivative, such as trees: the
/// draws then do most of the work.
const WITHOUT_DERIVATIVE: usize = 16;

/// A search result, whichever the method.
pub(super) struct Found {
    pub(super) weights: Vec<f64>,
    pub(super) termination: Option<Termination>,
    pub(super) evaluations: usize,
}

/// An objective with the penalties of a search.
pub(crate) fn penalised(
    fit: &Fit,
    objective: &Objective,
    options: &RecommendOptions,
) -> Result<Scorer> {
    let scorer = Scorer::new(fit, objective)?
        .with_caution(options.caution)
        .with_distance(options.distance, fit)?;
    match options.kl {
        0.0 => Ok(scorer),
        kl => scorer.with_kl(kl, &fit.prior()),
    }
}

/// What the recommendation is compared with, and where searches start: the
/// natural mixture where it is known, the uniform one, UniMax where a budget
/// makes it another one, and the mixture of the best observed run.
pub(crate) fn reference_mixtures(
    fit: &Fit,
    objective: &Objective,
    options: &RecommendOptions,
) -> Result<Vec<(String, Mixture)>> {
    let mut out = Vec::new();
    if let Some(natural) = fit.natural() {
        out.push(("natural".to_owned(), natural));
    }
    let uniform = Mixture::uniform(fit.domains().clone());
    out.push(("uniform".to_owned(), uniform.clone()));
    if let Some(budget) = &options.budget {
        let unimax = budget.unimax(fit.domains())?;
        // Where repetition limits nothing it is the uniform one.
        if unimax.tv_distance(&uniform) > 1e-9 {
            out.push(("unimax".to_owned(), unimax));
        }
    }
    if let Some(best) = best_observed(fit, objective)? {
        out.push(("best_observed".to_owned(), best.1.clone()));
    }
    Ok(out)
}

/// Searches from the references and the best of a few draws.
pub(super) fn search(
    fit: &Fit,
    scorer: &Scorer,
    constraints: &Constraints,
    references: &[(String, Mixture)],
    options: &RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Found> {
    let prior = fit.prior();
    if options.method == Method::Simulate {
        let drawing = SimulateOptions {
            seed: options.seed,
            ..options.simulate
        };
        let found = simulate_monitored(scorer, &prior, constraints, &drawing, monitor)?;
        return Ok(Found {
            weights: found.mixture.weights().to_vec(),
            termination: None,
            evaluations: found.kept + 1,
        });
    }
    let (starts, drawn) = starts(fit, scorer, constraints, references, options, monitor)?;
    let descend = options.descend.for_spread(spread(fit, scorer));
    let found = anneal(scorer, &starts, constraints, &descend, monitor)?;
    Ok(Found {
        weights: found.mixture.weights().to_vec(),
        termination: Some(found.termination),
        evaluations: drawn + found.evaluations,
    })
}

/// The references and the best of a few draws; and how many draws that took.
pub(crate) fn starts(
    fit: &Fit,
    surface: &impl Surface,
    constraints: &Constraints,
    references: &[(String, Mixture)],
    options: &RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<(Vec<Mixture>, usize)> {
    let prior = fit.prior();
    let draws = match surface.gradient(prior.weights()) {
        Some(_) => DRAWS,
        None => DRAWS * WITHOUT_DERIVATIVE,
    };
    let mut starts: Vec<Mixture> = references.iter().map(|r| r.1.clone()).collect();
    let best = best_draw(surface, &prior, constraints, draws, options.seed, monitor)?;
    starts.extend(best);
    Ok((starts, draws))
}

/// Searches a refit's surface, starting from the optimum of this fit.
pub(super) fn search_again(
    fit: &Fit,
    scorer: &Scorer,
    constraints: &Constraints,
    optimum: &[f64],
    options: &RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<f64>> {
    match options.method {
        Method::Simulate => Ok(search(fit, scorer, constraints, &[], options, monitor)?.weights),
        Method::Descend => {
            let domains = Smooth::domains(scorer).clone();
            let start = Mixture::normalized(domains, optimum.to_vec())?;
            let descend = options.descend.for_spread(spread(fit, scorer));
            let found = anneal(scorer, &[start], constraints, &descend, monitor)?;
            Ok(constraints.cleared(found.mixture.weights()))
        }
    }
}
