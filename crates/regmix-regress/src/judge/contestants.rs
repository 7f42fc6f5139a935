//! The regressors that are judged against each other.

use std::sync::Arc;

use rayon::prelude::*;

use regmix_data::{Monitor, Result};

use crate::cross_validation::{CrossValidation, CvOptions, cross_validate_beside};
use crate::ensemble::Ensemble;
use crate::registry::{Known, known, regressor};
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::regressor::model::ensemble::EnsembleModel;
use crate::samples::Samples;

/// What was judged for one target: a cross-validation each, or why there is
/// none.
pub(crate) struct Judged {
    /// In the order of [`Contestants::compared`].
    pub(crate) compared: Vec<Result<Arc<CrossValidation>>>,
    /// As [`Contestants::singles`].
    singles: Vec<Result<Arc<CrossValidation>>>,
}

/// The regressors to choose from.
pub(crate) struct Contestants {
    /// Those that are compared, `mean` first.
    pub(crate) compared: Vec<Known>,
    /// Those that are cross-validated: the single regressors among them, and
    /// the members of the ensembles. Ensembles are combined from their
    /// members' predictions.
    singles: Vec<Box<dyn Regressor>>,
}

impl Contestants {
    /// The regressors to judge, the mean first: each once.
    pub(crate) fn new<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut names = vec!["mean"];
        for name in wanted {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let compared: Vec<Known> = names.iter().map(|n| known(n)).collect::<Result<_>>()?;
        let mut single: Vec<&str> = Vec::new();
        for contestant in &compared {
            match contestant {
                Known::Single(regressor) => single.push(regressor.name()),
                Known::Ensemble(ensemble) => single.extend(ensemble.members().map(Regressor::name)),
            }
        }
        let mut singles: Vec<Box<dyn Regressor>> = Vec::new();
        for name in single {
            if singles.iter().all(|s| s.name() != name) {
                singles.push(regressor(name)?);
            }
        }
        Ok(Self { compared, singles })
    }

    /// How many cross-validations [`judge`](Self::judge) makes.
    pub(crate) fn jobs(&self, targets: usize) -> usize {
        targets * self.singles.len()
    }

    /// Cross-validates all regressors on every target. Samples `beside` those
    /// of a target are fitted with them, but never judged.
    /// Advances the monitor by one after every cross-validation.
    ///
    /// # Errors
    /// When the monitor asks to stop. Other errors are part of the result.
    pub(crate) fn judge(
        &self,
        targets: &[&Samples<'_>],
        beside: &[Option<&Samples<'_>>],
        cv: &CvOptions,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Judged>> {
        let jobs: Vec<(usize, usize)> = (0..targets.len())
            .flat_map(|t| (0..self.singles.len()).map(move |r| (t, r)))
            .collect();
        let mut judged = jobs
            .par_iter()
            .map(|&(t, r)| {
                let beside = beside.get(t).copied().flatten();
                let out = cross_validate_beside(&*self.singles[r], targets[t], beside, cv, monitor);
                monitor.advance(1);
                out.map(Arc::new)
            })
            .collect::<Vec<_>>()
            .into_iter();
        monitor.check()?;
        Ok((targets.iter())
            .map(|samples| {
                let singles: Vec<_> = judged.by_ref().take(self.singles.len()).collect();
                let compared = (self.compared.iter())
                    .map(|contestant| match contestant {
                        Known::Single(regressor) => singles[self.single(regressor.name())].clone(),
                        Known::Ensemble(ensemble) => {
                            let members = ensemble.usable(|m| self.of_single(m, &singles))?;
                            Ensemble::combine(samples.values(), &members).map(Arc::new)
                        }
                    })
                    .collect();
                Judged { compared, singles }
            })
            .collect())
    }

    /// Fits a regressor to all rows of a target, `all`; `samples` are those
    /// that it was judged on.
    pub(crate) fn fit(
        &self,
        r: usize,
        samples: &Samples<'_>,
        all: &Samples<'_>,
        judged: &Judged,
        context: FitContext<'_>,
    ) -> Result<Model> {
        let ensemble = match &self.compared[r] {
            Known::Single(regressor) => return regressor.fit_with(all, context),
            Known::Ensemble(ensemble) => ensemble,
        };
        let members = ensemble.usable(|m| self.of_single(m, &judged.singles))?;
        let weights = Ensemble::weights_of(samples.values(), &members)?;
        let models = (members.iter().zip(weights))
            .map(|(m, weight)| Ok((weight, m.member.fit_with(all, context)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Model::Ensemble(EnsembleModel::new(models)))
    }

    fn single(&self, name: &str) -> usize {
        // `new` has put every name there.
        (self.singles.iter().position(|s| s.name() == name)).unwrap_or(0)
    }

    /// The cross-validation of a member.
    fn of_single<'a>(
        &self,
        member: &dyn Regressor,
        singles: &'a [Result<Arc<CrossValidation>>],
    ) -> Result<&'a CrossValidation> {
        match &singles[self.single(member.name())] {
            Ok(cv) => Ok(cv),
            Err(e) => Err(e.clone()),
        }
    }
}
