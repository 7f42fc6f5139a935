//! The regressors that are judged against each other.

use std::sync::Arc;

use rayon::prelude::*;

use regmix_data::{Error, Monitor, Result};

use crate::cross_validation::{CrossValidation, CvOptions, cross_validate_beside};
use crate::ensemble::stacking::{self, Learnt};
use crate::ensemble::{Ensemble, Usable, results};
use crate::registry::{Known, known, regressor};
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::regressor::model::ensemble::EnsembleModel;
use crate::samples::Samples;

/// What was judged for one target: a cross-validation each, or why there is
/// none.
#[derive(Clone)]
pub(crate) struct Judged {
    /// In the order of [`Contestants::compared`].
    pub(crate) compared: Vec<Result<Arc<CrossValidation>>>,
    /// The weights of ensembles, in the same order.
    weights: Vec<Option<Learnt>>,
    /// The places of the singles that can describe the target.
    usable: Vec<usize>,
}

impl Judged {
    /// The same with predicted means changed; `change` has the place of the row among the
    /// samples, and the mean.
    pub(crate) fn moved(&self, change: impl Fn(usize, f64) -> f64) -> Self {
        let moved = |cv: &Arc<CrossValidation>| Arc::new(cv.moved(&change));
        let compared = self.compared.iter();
        Self {
            compared: compared
                .map(|cv| cv.as_ref().map(moved).map_err(Error::clone))
                .collect(),
            weights: self.weights.clone(),
            usable: self.usable.clone(),
        }
    }
}

/// The judgement of a single regressor on one target.
type Single = Result<Arc<CrossValidation>>;

/// The members of an ensemble that can describe a target.
type Members<'a> = Vec<Usable<'a, &'a CrossValidation>>;

/// Draws learnt weights towards those of other targets, among targets with the
/// same usable members and the same folds: others would show held-out runs.
fn share(members: &[Result<Members<'_>>], learnt: &mut [Result<Learnt>]) {
    let mut left: Vec<(&Members<'_>, &mut Learnt)> = (members.iter().zip(learnt))
        .filter_map(|(members, learnt)| Some((members.as_ref().ok()?, learnt.as_mut().ok()?)))
        .collect();
    while !left.is_empty() {
        let first = left[0].0;
        let alike = |members: &Members<'_>| {
            let names = |of: &Members<'_>| {
                of.iter()
                    .map(|m| m.member.name().to_owned())
                    .collect::<Vec<_>>()
            };
            names(members) == names(first) && members[0].result.folds == first[0].result.folds
        };
        let (mut same, others): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(members, _)| alike(members));
        let rows = first[0].result.predictions[0].len();
        let mut weights: Vec<&mut Learnt> = same.iter_mut().map(|(_, l)| &mut **l).collect();
        Learnt::share(&mut weights, rows);
        left = others;
    }
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
                let single = &*self.singles[r];
                let cv = CvOptions {
                    repeats: match self.teaches(single.name()) {
                        true => stacking::repeats(targets[t].len(), cv.repeats),
                        false => cv.repeats,
                    },
                    ..*cv
                };
                let out = cross_validate_beside(single, targets[t], beside, &cv, monitor);
                monitor.advance(1);
                out.map(Arc::new)
            })
            .collect::<Vec<_>>()
            .into_iter();
        monitor.check()?;
        let singles: Vec<Vec<_>> = (targets.iter())
            .map(|_| judged.by_ref().take(self.singles.len()).collect())
            .collect();
        Ok(self.joined(targets, &singles, cv.repeats))
    }

    /// Whether the weights of an ensemble are learnt from a single's predictions.
    fn teaches(&self, single: &str) -> bool {
        self.compared.iter().any(|known| match known {
            Known::Ensemble(e) => e.learns() && e.members().any(|m| m.name() == single),
            Known::Single(_) => false,
        })
    }

    /// Adds the ensembles to what was judged, `[targets][singles]`. Regressors are
    /// compared by the same `repeats`; more of them only teach weights.
    fn joined(
        &self,
        targets: &[&Samples<'_>],
        singles: &[Vec<Single>],
        repeats: usize,
    ) -> Vec<Judged> {
        let mut out: Vec<Judged> = (singles.iter())
            .map(|singles| Judged {
                usable: (0..singles.len()).filter(|&s| singles[s].is_ok()).collect(),
                compared: Vec::with_capacity(self.compared.len()),
                weights: vec![None; self.compared.len()],
            })
            .collect();
        for (place, contestant) in self.compared.iter().enumerate() {
            let ensemble = match contestant {
                Known::Single(regressor) => {
                    let single = self.single(regressor.name());
                    for (judged, singles) in out.iter_mut().zip(singles) {
                        let cv = match &singles[single] {
                            Ok(cv) if cv.folds.len() > repeats => Ok(Arc::new(cv.first(repeats))),
                            cv => cv.clone(),
                        };
                        judged.compared.push(cv);
                    }
                    continue;
                }
                Known::Ensemble(ensemble) => ensemble,
            };
            let members: Vec<Result<Members<'_>>> = (singles.iter())
                .map(|singles| ensemble.usable(|m| self.of_single(m, singles)))
                .collect();
            let mut learnt: Vec<Result<Learnt>> = (targets.iter().zip(&members))
                .map(|(samples, members)| match members {
                    Ok(members) => Ensemble::learn(samples.values(), members, repeats),
                    Err(e) => Err(e.clone()),
                })
                .collect();
            if ensemble.learns() {
                share(&members, &mut learnt);
            }
            for ((judged, members), learnt) in out.iter_mut().zip(&members).zip(learnt) {
                let cv = match (members, &learnt) {
                    (Ok(members), Ok(learnt)) => Ok(Arc::new(learnt.combine(&results(members)))),
                    (Err(e), _) | (_, Err(e)) => Err(e.clone()),
                };
                judged.compared.push(cv);
                judged.weights[place] = learnt.ok();
            }
        }
        out
    }

    /// The contestant that a choice starts from: an ensemble, one that learns
    /// its weights if there is one.
    pub(crate) fn start(&self) -> Option<usize> {
        let ensembles = || {
            (self.compared.iter().enumerate()).filter_map(|(place, known)| match known {
                Known::Ensemble(ensemble) => Some((place, ensemble)),
                Known::Single(_) => None,
            })
        };
        (ensembles().find(|(_, ensemble)| ensemble.learns()))
            .or_else(|| ensembles().next())
            .map(|(place, _)| place)
    }

    /// Fits a regressor to all rows of a target.
    pub(crate) fn fit(
        &self,
        r: usize,
        samples: &Samples<'_>,
        judged: &Judged,
        context: FitContext<'_>,
    ) -> Result<Model> {
        let ensemble = match (&self.compared[r], &judged.compared[r]) {
            (Known::Single(regressor), _) => return regressor.fit_with(samples, context),
            (Known::Ensemble(_), Err(e)) => return Err(e.clone()),
            (Known::Ensemble(ensemble), Ok(_)) => ensemble,
        };
        let weights = judged.weights[r].iter().flat_map(|learnt| &learnt.all);
        let models = (ensemble.members())
            .filter(|m| judged.usable.contains(&self.single(m.name())))
            .zip(weights)
            .map(|(member, weight)| Ok((*weight, member.fit_with(samples, context)?)))
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
        singles: &'a [Single],
    ) -> Result<&'a CrossValidation> {
        match &singles[self.single(member.name())] {
            Ok(cv) => Ok(cv),
            Err(e) => Err(e.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cross_validation::cross_validate;
    use rand::RngExt;
    use regmix_data::Silent;
    use regmix_data::random::stream;

    const MEMBERS: [&str; 4] = ["law1", "law2", "gp", "gp_log"];

    /// Mixtures of three domains, and losses with noise.
    fn runs(n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut rng = stream(0, "contestants", "test");
        let mut random = || -> f64 { rng.random() };
        (0..n)
            .map(|_| {
                let parts = [random() + 0.02, random(), random()];
                let sum: f64 = parts.iter().sum();
                let row: Vec<f64> = parts.iter().map(|p| p / sum).collect();
                let loss = 2.0 + (0.02 + row[0] + 0.3 * row[1]).powf(-0.3) + 0.05 * random();
                (row, loss)
            })
            .unzip()
    }

    #[test]
    fn weights_of_few_runs_are_learnt_from_two_draws_of_folds_and_judged_by_one() {
        for (n, draws) in [(20, 2), (63, 2), (64, 1)] {
            let (rows, losses) = runs(n);
            let samples = Samples::new(rows.iter().map(Vec::as_slice), losses).unwrap();
            let samples = samples.with_own_domain(Some(0));
            let contestants = Contestants::new(["stacked"]).unwrap();
            let options = CvOptions::default();
            let judged = contestants.judge(&[&samples], &[], &options, &Silent);
            let judged = judged.unwrap().remove(0);
            for cv in &judged.compared {
                let cv = cv.as_ref().unwrap();
                assert_eq!((cv.predictions.len(), cv.folds.len()), (1, 1));
            }
            let weights = |repeats: usize| {
                let options = CvOptions { repeats, ..options };
                let cvs = MEMBERS.map(|name| {
                    cross_validate(&*regressor(name).unwrap(), &samples, &options).unwrap()
                });
                let members = cvs.iter().collect::<Vec<_>>();
                stacking::weights(samples.values(), &members, |_| true).unwrap()
            };
            let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
            let learnt = &judged.weights[1].as_ref().unwrap().all;
            assert!(near(learnt, &weights(draws)), "{n}: {learnt:?}");
            assert!(!near(learnt, &weights(3 - draws)), "{n}: {learnt:?}");
            // By itself, the ensemble learns the same.
            let alone = regressor("stacked").unwrap().fit(&samples, 0).unwrap();
            let Model::Ensemble(alone) = alone else {
                panic!("{n}: no ensemble");
            };
            let alone: Vec<f64> = alone.members().map(|(weight, _)| weight).collect();
            assert!(near(learnt, &alone), "{n}: {learnt:?}, alone {alone:?}");
        }
    }

    #[test]
    fn repeats_that_are_asked_for_judge_and_teach() {
        let (rows, losses) = runs(20);
        let samples = Samples::new(rows.iter().map(Vec::as_slice), losses).unwrap();
        let contestants = Contestants::new(["law1", "stacked"]).unwrap();
        let options = CvOptions {
            repeats: 3,
            ..CvOptions::default()
        };
        let judged = contestants.judge(&[&samples], &[], &options, &Silent);
        for cv in &judged.unwrap()[0].compared {
            assert_eq!(cv.as_ref().unwrap().predictions.len(), 3);
        }
    }
}
