//! What to search, and within which limits.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use pyo3::prelude::*;
use regmix_data::{DomainSet, Error, Result};
use regmix_regress::{
    Baseline, Budget, Constraints, Fit, Method, Objective, RecommendOptions, Recommendation,
    recommend_monitored,
};

use crate::tables::Table;

/// What is asked of `optimize`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Question {
    /// `mean`, `worst` or a target, unless there are weights.
    objective: String,
    weights: Option<BTreeMap<String, f64>>,
    relative_to: Option<String>,
    maximize: bool,
    natural: Option<Table>,
    floor: BTreeMap<String, f64>,
    cap: BTreeMap<String, f64>,
    groups: BTreeMap<String, (Vec<String>, f64, f64)>,
    available: Option<BTreeMap<String, f64>>,
    target_tokens: Option<f64>,
    max_epochs: f64,
    kl: f64,
    caution: f64,
    distance: f64,
    method: String,
    bootstrap: usize,
    seed: u64,
}

impl Question {
    /// Searches the best mixture.
    pub(crate) fn answer(self, fit: &Fit, stop: &AtomicBool) -> Result<Recommendation> {
        let options = RecommendOptions {
            objective: self.objective()?,
            constraints: Some(self.constraints(fit.domains())?),
            budget: self.budget()?,
            method: self.method()?,
            kl: self.kl,
            caution: self.caution,
            distance: self.distance,
            bootstrap: self.bootstrap,
            seed: self.seed,
            ..RecommendOptions::default()
        };
        match &self.natural {
            None => recommend_monitored(fit, &options, stop),
            Some(natural) => {
                let fit = fit.clone().with_natural(&natural.mixture()?);
                recommend_monitored(&fit.map_err(|e| e.field("natural"))?, &options, stop)
            }
        }
    }

    fn objective(&self) -> Result<Objective> {
        let baseline = match self.relative_to.as_deref() {
            None => None,
            Some("natural") => Some(Baseline::Natural),
            Some("uniform") => Some(Baseline::Uniform),
            Some("none") => Some(Baseline::None),
            Some(other) => {
                let problem = format!("`{other}`: expected natural, uniform or none");
                return Err(Error::input(problem).field("relative_to"));
            }
        };
        let objective = match &self.weights {
            None => Objective::by_name(&self.objective, baseline)?,
            Some(_) if baseline.is_some() => {
                let problem = "a baseline for a weighted sum: expected one for `worst` only";
                return Err(Error::input(problem).field("relative_to"));
            }
            Some(weights) => Objective::weighted(weights.clone())?,
        };
        Ok(match self.maximize {
            true => objective.maximize(),
            false => objective,
        })
    }

    fn constraints(&self, domains: &DomainSet) -> Result<Constraints> {
        let at = |e: Error, table: &str, name: &str| e.field(format!("{table}.{name}"));
        let mut limits = Constraints::none(domains.clone());
        for (domain, &cap) in &self.cap {
            let limited = limits.with_cap(domain, cap);
            limits = limited.map_err(|e| at(e, "cap", domain))?;
        }
        for (domain, &floor) in &self.floor {
            let limited = limits.with_floor(domain, floor);
            limits = limited.map_err(|e| at(e, "floor", domain))?;
        }
        for (name, (domains, floor, cap)) in &self.groups {
            let members: Vec<&str> = domains.iter().map(String::as_str).collect();
            let limited = limits.with_group(name, &members, *floor, *cap);
            limits = limited.map_err(|e| at(e, "groups", name))?;
        }
        Ok(limits)
    }

    fn budget(&self) -> Result<Option<Budget>> {
        match (&self.available, self.target_tokens) {
            (None, None) => Ok(None),
            (Some(available), Some(target_tokens)) => Ok(Some(Budget {
                available: available.clone(),
                target_tokens,
                max_epochs: self.max_epochs,
            })),
            _ => Err(Error::input(
                "`available` and `target_tokens` limit repetition together: expected both or none",
            )),
        }
    }

    fn method(&self) -> Result<Method> {
        match self.method.as_str() {
            "descend" => Ok(Method::Descend),
            "simulate" => Ok(Method::Simulate),
            other => {
                let problem = format!("`{other}`: expected descend or simulate");
                Err(Error::input(problem).field("method"))
            }
        }
    }
}
