//! Several regressors as one.

pub(crate) mod stacking;

use regmix_data::{Error, Result};

use crate::cross_validation::{CrossValidation, CvOptions, cross_validate_beside};
use crate::ensemble::stacking::Learnt;
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::regressor::model::ensemble::EnsembleModel;
use crate::samples::Samples;

/// Fits several regressors to the same samples and averages them
/// ([`EnsembleModel`]).
///
/// Errors of a law and of a Gaussian process have little to do with each
/// other: the law is wrong in its form, the process where runs are few. A
/// member that cannot describe the samples is left out; when none can, the
/// first error is given.
///
/// | name | members | weights |
/// |---|---|---|
/// | `ensemble` | `law1`, `law2`, `gp`, `gp_log` | 0.2, 0.2, 0.3, 0.3 |
/// | `stacked` | the same | by out-of-fold predictions of five inner folds; of two draws of them with fewer than 64 rows |
/// | `a+b` | `a`, `b`, any number | equal |
///
/// Cost: the sum of the members'; six times that when stacked, eleven times with
/// fewer than 64 rows.
///
/// Given weights win with few runs, where weights learnt are noise. Neither
/// helps when all members are wrong in the same way. Learning weights for
/// held-out predictions is stacking (Wolpert 1992,
/// doi 10.1016/S0893-6080(05)80023-1); minimised is
/// `Σ_i (y_i - Σ_k w_k m_k(i))² / sd_i²` over w ≥ 0, Σ w = 1. In a
/// [`Fit`](crate::Fit) of several targets, the mean of their learnt weights counts as
/// four rows beside those of each target.
///
/// ```
/// use regmix_regress::{Samples, regressor::{Ensemble, Law, Linear, Model, Regressor}};
///
/// let rows: Vec<Vec<f64>> = (0..24).map(|i| f64::from(i) / 23.0).map(|w| vec![w, 1.0 - w]).collect();
/// let losses = rows.iter().map(|w| 2.0 + (0.02 + w[0]).powf(-0.3)).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?.with_own_domain(Some(0));
/// let both = Ensemble::stacked("both", vec![Box::new(Linear), Box::new(Law::one())])?;
/// let Model::Ensemble(model) = both.fit(&samples, 0)? else { unreachable!() };
/// // The law has the right form, the line has not.
/// let weights: Vec<f64> = model.members().map(|(weight, _)| weight).collect();
/// assert!(weights[1] > weights[0]);
/// # Ok::<(), regmix_data::Error>(())
/// ```
pub struct Ensemble {
    name: String,
    members: Vec<Box<dyn Regressor>>,
    /// One per member; `None` learns them.
    weights: Option<Vec<f64>>,
}

/// A member that can describe some samples.
pub(crate) struct Usable<'a, T> {
    pub(crate) weight: Option<f64>,
    pub(crate) member: &'a dyn Regressor,
    pub(crate) result: T,
}

impl Ensemble {
    /// Joins regressors under a name, with weights that need not sum to 1.
    ///
    /// # Errors
    /// When there are none, or a weight is not positive.
    pub fn weighted(
        name: impl Into<String>,
        members: Vec<(f64, Box<dyn Regressor>)>,
    ) -> Result<Self> {
        if let Some((weight, member)) = members.iter().find(|(w, _)| !(*w > 0.0 && w.is_finite())) {
            return Err(
                Error::input(format!("weight {weight}, expected a positive number"))
                    .field(member.name()),
            );
        }
        let (weights, members) = members.into_iter().unzip();
        Self::checked(name.into(), members, Some(weights))
    }

    /// Joins regressors under a name, with weights learnt from out-of-fold
    /// predictions.
    ///
    /// # Errors
    /// When there are none.
    pub fn stacked(name: impl Into<String>, members: Vec<Box<dyn Regressor>>) -> Result<Self> {
        Self::checked(name.into(), members, None)
    }

    fn checked(
        name: String,
        members: Vec<Box<dyn Regressor>>,
        weights: Option<Vec<f64>>,
    ) -> Result<Self> {
        if members.is_empty() {
            return Err(Error::input(format!(
                "ensemble `{name}`: expected at least one member"
            )));
        }
        Ok(Self {
            name,
            members,
            weights,
        })
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &dyn Regressor> {
        self.members.iter().map(|m| &**m)
    }

    /// The members that `f` succeeds for, with what it gives; the first
    /// error when there are none.
    pub(crate) fn usable<'a, T>(
        &'a self,
        f: impl Fn(&'a dyn Regressor) -> Result<T>,
    ) -> Result<Vec<Usable<'a, T>>> {
        let mut out = Vec::new();
        let mut failed = None;
        for (place, member) in self.members().enumerate() {
            match f(member) {
                Ok(result) => out.push(Usable {
                    weight: self.weights.as_ref().map(|w| w[place]),
                    member,
                    result,
                }),
                Err(e) => failed = failed.or(Some(e)),
            }
        }
        match failed {
            Some(e) if out.is_empty() => Err(e),
            _ => Ok(out),
        }
    }

    /// The weights of usable members, with sum 1: those given, or learnt from
    /// their cross-validations, of which the first `judged` repeats judge the
    /// ensemble.
    pub(crate) fn learn(
        measured: &[f64],
        members: &[Usable<'_, &CrossValidation>],
        judged: usize,
    ) -> Result<Learnt> {
        Learnt::of(given(members), measured, &results(members), judged)
    }

    /// Whether its weights are learnt.
    pub(crate) fn learns(&self) -> bool {
        self.weights.is_none()
    }
}

/// The weights given to usable members, with sum 1.
fn given<T>(members: &[Usable<'_, T>]) -> Option<Vec<f64>> {
    let weights: Vec<f64> = members.iter().map(|m| m.weight).collect::<Option<_>>()?;
    let sum: f64 = weights.iter().sum();
    Some(weights.into_iter().map(|w| w / sum).collect())
}

pub(crate) fn results<'a>(members: &[Usable<'_, &'a CrossValidation>]) -> Vec<&'a CrossValidation> {
    members.iter().map(|m| m.result).collect()
}

impl Regressor for Ensemble {
    fn name(&self) -> &str {
        &self.name
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        let FitContext { seed, monitor, .. } = context;
        if let Some(Model::Ensemble(ensemble)) = context.previous
            && ensemble.members().count() == self.members.len()
        {
            // Every member from its own earlier model; weights stay.
            let models = (self.members.iter().zip(ensemble.members()))
                .map(|(m, (weight, model))| {
                    Ok((weight, m.fit_with(samples, context.after(model))?))
                })
                .collect::<Result<Vec<_>>>()?;
            return Ok(Model::Ensemble(EnsembleModel::new(models)));
        }
        let context = FitContext::new(seed, monitor);
        if self.weights.is_some() {
            let models = self.usable(|m| m.fit_with(samples, context))?;
            monitor.check()?;
            let models = (models.into_iter()).map(|m| (m.weight.unwrap_or(1.0), m.result));
            return Ok(Model::Ensemble(EnsembleModel::new(models)));
        }
        let inner = CvOptions {
            repeats: stacking::repeats(samples.len(), 1),
            seed,
            ..CvOptions::default()
        };
        let judged = self.usable(|m| cross_validate_beside(m, samples, None, &inner, monitor))?;
        monitor.check()?;
        let members: Vec<&CrossValidation> = judged.iter().map(|m| &m.result).collect();
        let weights = stacking::weights(samples.values(), &members, |_| true)?;
        let models = (judged.iter().zip(weights))
            .map(|(m, weight)| Ok((weight, m.member.fit_with(samples, context)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Model::Ensemble(EnsembleModel::new(models)))
    }
}
