//! What is minimised: one target, or a weighted sum of targets.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Result};

use crate::fit::Fit;
use crate::metrics::pearson;
use crate::regressor::{Model, Prediction};
use crate::search::Surface;

/// What is minimised.
///
/// ```
/// use regmix_regress::Objective;
///
/// assert_eq!(Objective::parse("pile_cc").to_string(), "pile_cc");
/// assert_eq!(Objective::parse("mean"), Objective::Mean);
/// let two = Objective::weighted([("web".to_owned(), 2.0), ("code".to_owned(), 1.0)].into())?;
/// assert_eq!(two.to_string(), "1 code + 2 web");
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// One target's value.
    Target(String),
    /// The mean of all targets.
    Mean,
    /// A weighted sum, in the order of the names. Negative weights are for
    /// scores that are to be made large.
    Weighted(BTreeMap<String, f64>),
}

impl Objective {
    /// `mean`, or the name of a target.
    pub fn parse(name: &str) -> Self {
        match name {
            "mean" => Self::Mean,
            _ => Self::Target(name.to_owned()),
        }
    }

    /// A weighted sum of targets. The weights are used as they are: with
    /// weights that sum to 1 the objective is a loss again.
    ///
    /// # Errors
    /// When there is no weight, one is not finite, or all are zero.
    pub fn weighted(weights: BTreeMap<String, f64>) -> Result<Self> {
        if let Some((name, w)) = weights.iter().find(|(_, w)| !w.is_finite()) {
            return Err(Error::input(format!("weight {w}, expected a finite number")).field(name));
        }
        if weights.values().all(|w| *w == 0.0) {
            return Err(Error::input(
                "an objective needs at least one weight that is not zero",
            ));
        }
        Ok(Self::Weighted(weights))
    }

    /// The targets of a fit that take part, by place, with their weights.
    ///
    /// # Errors
    /// When a target is unknown.
    pub(crate) fn resolve(&self, fit: &Fit) -> Result<Vec<(usize, f64)>> {
        match self {
            Self::Target(name) => Ok(vec![(fit.target_place(name)?, 1.0)]),
            Self::Mean => {
                let n = fit.targets().len();
                Ok((0..n).map(|t| (t, 1.0 / n as f64)).collect())
            }
            Self::Weighted(weights) => (weights.iter().filter(|(_, w)| **w != 0.0))
                .map(|(name, w)| Ok((fit.target_place(name)?, *w)))
                .collect(),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(name) => f.write_str(name),
            Self::Mean => f.write_str("mean"),
            Self::Weighted(weights) => {
                for (i, (name, w)) in weights.iter().enumerate() {
                    let plus = if i > 0 { " + " } else { "" };
                    write!(f, "{plus}{w} {name}")?;
                }
                Ok(())
            }
        }
    }
}

/// An objective over the models of a fit: a [`Surface`] to search on.
///
/// The standard deviation combines those of the targets,
/// `sd² = Σ_ij a_i a_j ρ_ij sd_i sd_j`, with ρ the correlation of the
/// out-of-fold errors over the runs that both targets have (1 where fewer
/// than 8, the cautious side for weights of one sign).
#[derive(Debug, Clone)]
pub struct Scorer {
    domains: DomainSet,
    /// `(weight, model)` of the targets that take part.
    terms: Vec<(f64, Model)>,
    correlation: Vec<Vec<f64>>,
    caution: f64,
}

impl Fit {
    /// Binds an objective to this fit's models.
    ///
    /// # Errors
    /// When the objective names an unknown target.
    pub fn scorer(&self, objective: &Objective) -> Result<Scorer> {
        let parts = objective.resolve(self)?;
        let terms = parts
            .iter()
            .map(|&(t, a)| (a, self.targets()[t].model.clone()))
            .collect();
        let errors: Vec<BTreeMap<&str, f64>> = parts
            .iter()
            .map(|&(t, _)| self.errors(&self.targets()[t].target))
            .collect();
        let correlation = (0..parts.len())
            .map(|i| {
                (0..parts.len())
                    .map(|j| correlation(&errors, i, j))
                    .collect()
            })
            .collect();
        Ok(Scorer {
            domains: self.domains().clone(),
            terms,
            correlation,
            caution: 0.0,
        })
    }

    /// Out-of-fold errors of one target by run, in units of their predicted
    /// standard deviation.
    fn errors(&self, target: &str) -> BTreeMap<&str, f64> {
        (self.predictions().iter().filter(|p| p.target == target))
            .map(|p| (p.run.as_str(), (p.measured - p.predicted) / p.sd.max(1e-12)))
            .collect()
    }
}

fn correlation(errors: &[BTreeMap<&str, f64>], i: usize, j: usize) -> f64 {
    if i == j {
        return 1.0;
    }
    let both: (Vec<f64>, Vec<f64>) = errors[i]
        .iter()
        .filter_map(|(run, a)| Some((*a, *errors[j].get(run)?)))
        .unzip();
    let rho = pearson(&both.0, &both.1);
    if both.0.len() < Fit::MIN_ROWS || rho.is_nan() {
        1.0
    } else {
        rho
    }
}

impl Scorer {
    /// Adds `caution` standard deviations to the value that is searched on,
    /// so that a search keeps away from where the models know little. 0 is
    /// off; 1.64 asks for the upper end of the 90 % interval.
    #[must_use]
    pub fn with_caution(mut self, caution: f64) -> Self {
        self.caution = caution.max(0.0);
        self
    }

    /// The same objective over other models of the same targets.
    pub(crate) fn with_models(&self, models: impl IntoIterator<Item = Model>) -> Self {
        let terms = self.terms.iter().map(|t| t.0).zip(models).collect();
        Self {
            terms,
            ..self.clone()
        }
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        self.terms.iter().map(|t| &t.1)
    }

    /// The expected objective; weights in the order of the domains. Cost
    /// O(targets · D).
    pub fn mean(&self, weights: &[f64]) -> f64 {
        let ln = crate::regressor::law::ln_weights(weights);
        self.terms
            .iter()
            .map(|(a, model)| a * model.mean_with(weights, &ln))
            .sum()
    }

    /// The objective with its standard deviation. Cost O(targets · D² +
    /// targets²).
    pub fn predict(&self, weights: &[f64]) -> Prediction {
        let parts: Vec<(f64, Prediction)> = self
            .terms
            .iter()
            .map(|(a, model)| (*a, model.predict(weights)))
            .collect();
        let mean = parts.iter().map(|(a, p)| a * p.mean).sum();
        let mut variance = 0.0;
        for ((a, p), row) in parts.iter().zip(&self.correlation) {
            for ((b, q), rho) in parts.iter().zip(row) {
                variance += a * b * rho * p.sd * q.sd;
            }
        }
        Prediction {
            mean,
            sd: variance.max(0.0).sqrt(),
        }
    }
}

impl Surface for Scorer {
    fn domains(&self) -> &DomainSet {
        &self.domains
    }

    fn value(&self, weights: &[f64]) -> f64 {
        if self.caution > 0.0 {
            let p = self.predict(weights);
            return p.mean + self.caution * p.sd;
        }
        self.mean(weights)
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        if self.caution > 0.0 {
            return None;
        }
        let mut sum = vec![0.0; weights.len()];
        for (a, model) in &self.terms {
            for (s, g) in sum.iter_mut().zip(model.gradient(weights)?) {
                *s += a * g;
            }
        }
        Some(sum)
    }
}
