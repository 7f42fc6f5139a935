//! From options to a mixture.

use regmix_data::{Mixture, Result};

use super::{Method, RecommendOptions};
use crate::constraints::Constraints;
use crate::fit::Fit;
use crate::objective::{Objective, Scorer};
use crate::search::{SimulateOptions, Smooth, Surface, Termination, anneal, best_draw, simulate};

/// Draws for one more start of a descent.
const DRAWS: usize = 256;

/// As many times more where there is no derivative to follow, as for trees:
/// draws then do most of the work.
const WITHOUT_DERIVATIVE: usize = 16;

/// A search result, whichever the method.
pub(super) struct Found {
    pub(super) weights: Vec<f64>,
    pub(super) termination: Option<Termination>,
    pub(super) evaluations: usize,
}

impl Fit {
    /// An objective with the penalties that a search is to heed.
    pub(crate) fn penalised(
        &self,
        objective: &Objective,
        options: &RecommendOptions,
    ) -> Result<Scorer> {
        let scorer = (self.scorer(objective)?)
            .with_caution(options.caution)
            .with_distance(options.distance, self)?;
        match options.kl {
            0.0 => Ok(scorer),
            kl => scorer.with_kl(kl, &self.prior()),
        }
    }

    pub(crate) fn constraints(&self, options: &RecommendOptions) -> Result<Constraints> {
        let given = match &options.constraints {
            Some(constraints) => constraints.reordered(self.domains())?,
            None => Constraints::none(self.domains().clone()),
        };
        match &options.budget {
            Some(budget) => given.and(&budget.caps(self.domains())?),
            None => Ok(given),
        }
    }

    /// What the recommendation is compared with, and where searches start:
    /// the natural mixture where it is known, the uniform one, UniMax where
    /// a budget makes it another one, and the mixture of the best observed run.
    pub(crate) fn reference_mixtures(
        &self,
        objective: &Objective,
        options: &RecommendOptions,
    ) -> Result<Vec<(String, Mixture)>> {
        let mut out = Vec::new();
        if let Some(natural) = self.natural() {
            out.push(("natural".to_owned(), natural));
        }
        let uniform = Mixture::uniform(self.domains().clone());
        out.push(("uniform".to_owned(), uniform.clone()));
        if let Some(budget) = &options.budget {
            let unimax = budget.unimax(self.domains())?;
            // Where repetition limits nothing it is the uniform one.
            if unimax.tv_distance(&uniform) > 1e-9 {
                out.push(("unimax".to_owned(), unimax));
            }
        }
        if let Some(best) = self.best_observed(objective)? {
            out.push(("best_observed".to_owned(), best.1.clone()));
        }
        Ok(out)
    }

    /// The run with the best measured objective, among those that have all
    /// its targets, with that value.
    ///
    /// # Errors
    /// When the objective names an unknown target.
    pub fn best_observed(&self, objective: &Objective) -> Result<Option<(&str, &Mixture, f64)>> {
        let runs = self.observations().mixtures.iter();
        let best = (runs.zip(self.observed(objective)?))
            .map(|((run, mixture), value)| (run, mixture, value))
            .filter(|(_, _, value)| value.is_finite())
            .min_by(|a, b| a.2.total_cmp(&b.2));
        Ok(best.map(|(run, mixture, value)| (run, mixture, objective.sign() * value)))
    }

    /// The measured objective of every run, always to be made small; not
    /// finite where a target was not measured.
    pub(crate) fn observed(&self, objective: &Objective) -> Result<Vec<f64>> {
        let scorer = self.scorer(objective)?;
        let of_row = |row: &Vec<f64>| {
            let values: Vec<f64> = scorer.places().iter().map(|&t| row[t]).collect();
            scorer.of_values(&values)
        };
        Ok(self
            .observations()
            .values
            .rows()
            .iter()
            .map(of_row)
            .collect())
    }

    pub(super) fn search(
        &self,
        scorer: &Scorer,
        constraints: &Constraints,
        references: &[(String, Mixture)],
        options: &RecommendOptions,
    ) -> Result<Found> {
        let prior = self.prior();
        if options.method == Method::Simulate {
            let drawing = SimulateOptions {
                seed: options.seed,
                ..options.simulate
            };
            let found = simulate(scorer, &prior, constraints, &drawing)?;
            return Ok(Found {
                weights: found.mixture.weights().to_vec(),
                termination: None,
                evaluations: found.kept + 1,
            });
        }
        let (starts, drawn) = self.starts(scorer, constraints, references, options)?;
        let found = anneal(scorer, &starts, constraints, &options.descend)?;
        Ok(Found {
            weights: found.mixture.weights().to_vec(),
            termination: Some(found.termination),
            evaluations: drawn + found.evaluations,
        })
    }

    /// The references and the best of a few draws; and how many draws that
    /// took.
    pub(crate) fn starts(
        &self,
        surface: &impl Surface,
        constraints: &Constraints,
        references: &[(String, Mixture)],
        options: &RecommendOptions,
    ) -> Result<(Vec<Mixture>, usize)> {
        let prior = self.prior();
        let draws = match surface.gradient(prior.weights()) {
            Some(_) => DRAWS,
            None => DRAWS * WITHOUT_DERIVATIVE,
        };
        let mut starts: Vec<Mixture> = references.iter().map(|r| r.1.clone()).collect();
        starts.extend(best_draw(
            surface,
            &prior,
            constraints,
            draws,
            options.seed,
        )?);
        Ok((starts, draws))
    }

    /// Searches a refit's surface, starting from the optimum of this fit.
    pub(super) fn search_again(
        &self,
        scorer: &Scorer,
        constraints: &Constraints,
        optimum: &[f64],
        options: &RecommendOptions,
    ) -> Result<Vec<f64>> {
        match options.method {
            Method::Simulate => Ok(self.search(scorer, constraints, &[], options)?.weights),
            Method::Descend => {
                let domains = Smooth::domains(scorer).clone();
                let start = Mixture::normalized(domains, optimum.to_vec())?;
                let found = anneal(scorer, &[start], constraints, &options.descend)?;
                Ok(found.mixture.weights().to_vec())
            }
        }
    }
}
