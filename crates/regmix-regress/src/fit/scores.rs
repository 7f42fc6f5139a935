//! Scores beside losses: targets that are better when higher.
//!
//! They are fitted apart. Regressors are chosen, weighted and calibrated with regard to all
//! targets of a fit, and noisy accuracies would otherwise change the models of losses.

use std::collections::BTreeSet;

use regmix_data::table::{Observations, ValueTable};
use regmix_data::{Error, Monitor, Result};

use super::train;
use crate::fit::options::FitOptions;
use crate::fit::{Fit, TargetFit};
use crate::judge::league::League;
use crate::objective::Objective;

/// Fits losses and scores, each by themselves.
pub(super) fn train(
    observations: &Observations,
    options: &FitOptions,
    monitor: &dyn Monitor,
) -> Result<Fit> {
    if options.scores.is_empty() {
        return train::train(observations, options, monitor);
    }
    let targets = observations.values.targets();
    if let Some(unknown) = options.scores.iter().find(|s| !targets.contains(s)) {
        return Err(Error::input(format!(
            "unknown target `{unknown}`: expected one of {}",
            targets.join(", ")
        ))
        .field("scores"));
    }
    let part = |scores: bool| -> Result<Option<Fit>> {
        let wanted = |target: &String| options.scores.contains(target) == scores;
        let own = with_targets(observations, wanted);
        if own.values.targets().is_empty() {
            return Ok(None);
        }
        let options = FitOptions {
            scores: BTreeSet::new(),
            earlier: (options.earlier.as_ref()).map(|earlier| with_targets(earlier, wanted)),
            // Losses have the unit; scores have none.
            unit: options.unit.clone().filter(|_| !scores),
            approximate: options.approximate.clone().filter(|_| !scores),
            ..options.clone()
        };
        let mut fit = match scores {
            false => train::train(&own, &options, monitor)?,
            true => train::train_scores(&own, &options, monitor)?,
        };
        for target in &mut fit.saved.targets {
            target.is_score = scores;
        }
        Ok(Some(fit))
    };
    match (part(false)?, part(true)?) {
        (Some(losses), Some(scores)) => joined(losses, scores),
        (Some(fit), None) | (None, Some(fit)) => Ok(fit),
        (None, None) => train::train(observations, options, monitor),
    }
}

/// The same runs with some of their targets.
fn with_targets(observations: &Observations, wanted: impl Fn(&String) -> bool) -> Observations {
    let named = observations.values.targets().iter().enumerate();
    let places: Vec<usize> = named.filter(|(_, t)| wanted(t)).map(|(i, _)| i).collect();
    Observations {
        values: observations.values.with_targets(&places),
        ..observations.clone()
    }
}

/// One fit of both, losses first.
fn joined(mut losses: Fit, scores: Fit) -> Result<Fit> {
    let values = [&losses, &scores].map(|fit| &fit.observations.values);
    let targets = values.map(|values| values.targets().to_vec()).concat();
    let rows = (values[0].runs().iter().zip(values[0].rows())).zip(values[1].rows());
    let rows = rows.map(|((run, a), b)| (run.clone(), [&a[..], b].concat()));
    losses.observations.values = ValueTable::new(targets, rows)?;
    let entries = [losses.league.entries(), scores.league.entries()].concat();
    losses.league = League::new(entries);
    losses.predictions.extend(scores.predictions);
    losses.saved.targets.extend(scores.saved.targets);
    losses.saved.dropped.extend(scores.saved.dropped);
    for warning in scores.saved.warnings {
        if !losses.saved.warnings.contains(&warning) {
            losses.saved.warnings.push(warning);
        }
    }
    Ok(losses)
}

impl Fit {
    /// The targets that are losses; all where all are scores ([`FitOptions::scores`]).
    /// Objectives over all targets are over these.
    pub fn losses(&self) -> impl Iterator<Item = &TargetFit> {
        let places = self.counted().into_iter();
        places.map(|place| &self.targets()[place])
    }

    /// The targets that are scores beside losses.
    pub fn scores(&self) -> impl Iterator<Item = &TargetFit> {
        self.targets().iter().filter(|target| target.is_score)
    }

    /// The places of [`Fit::losses`] among the targets.
    pub(crate) fn counted(&self) -> Vec<usize> {
        let all = 0..self.targets().len();
        let losses: Vec<usize> = (all.clone())
            .filter(|&t| !self.targets()[t].is_score)
            .collect();
        match losses.is_empty() {
            true => all.collect(),
            false => losses,
        }
    }

    /// The unit of an objective's values: that of the losses, where it is made of them alone.
    pub fn unit_of(&self, objective: &Objective) -> Option<&str> {
        let named = objective.named();
        let is_loss = |name: &&str| self.scores().all(|score| score.target != *name);
        self.unit().filter(|_| named.iter().all(is_loss))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::scorer::Scorer;
    use crate::cross_validation::CrossValidation;
    use crate::judge::league::Entry;
    use crate::objective::Baseline;
    use crate::prediction::Prediction;
    use regmix_data::table::MixtureTable;

    /// Runs with two losses, and an accuracy where `with` says so.
    fn runs(with: bool) -> Observations {
        let (mut mixtures, mut values) = (String::from("run,a,b\n"), String::from("run,a"));
        values += if with { ",acc,b\n" } else { ",b\n" };
        for i in 0..24 {
            let w = (f64::from(i) + 0.5) / 24.0;
            let acc = 0.3 + 0.1 * w + 0.01 * f64::from(i * i % 5);
            mixtures += &format!("{i},{w},{}\n", 1.0 - w);
            values += &match with {
                true => format!("{i},{},{acc},{}\n", 3.0 - w, 2.0 + w * w),
                false => format!("{i},{},{}\n", 3.0 - w, 2.0 + w * w),
            };
        }
        let mixtures = MixtureTable::parse(&mixtures, "m.csv".as_ref()).unwrap();
        let values = ValueTable::parse(&values, "v.csv".as_ref()).unwrap();
        Observations::join(mixtures, values).unwrap()
    }

    fn options(scores: &[&str]) -> FitOptions {
        FitOptions {
            regressors: ["linear", "law1", "ensemble"].map(str::to_owned).to_vec(),
            scores: scores.iter().map(|s| (*s).to_owned()).collect(),
            unit: Some("nats per token".to_owned()),
            ..FitOptions::default()
        }
    }

    #[test]
    fn the_pick_among_scores_is_the_highest() {
        // As losses, accuracies are picked at the low end, which is the worst.
        let flipped = |scores: &[&str]| {
            let fit = Fit::train(&runs(true), &options(scores)).unwrap();
            let entry = fit.league().get("law1", "acc").unwrap();
            (entry.regret, entry.optimism, entry.spearman)
        };
        let (as_loss, as_score) = (flipped(&[]), flipped(&["acc"]));
        assert!(as_score.2 > 0.7, "{as_score:?}");
        // The lowest accuracy is 0.13 below the greatest.
        assert!((0.0..0.05).contains(&as_score.0), "{as_score:?}");
        assert_ne!(as_loss.1, as_score.1);
        let negated = Entry::new("x", "acc", &[0.1, 0.5], &picked(&[0.2, 0.3]));
        assert!((negated.optimism - (0.1 - 0.2)).abs() < 1e-12);
        let score = negated.of_score(&[0.1, 0.5], &picked(&[0.2, 0.3]));
        assert!((score.optimism - (0.3 - 0.5)).abs() < 1e-12 && score.regret == 0.0);
        let wrong = Entry::new("x", "acc", &[0.1, 0.5], &picked(&[0.3, 0.2]));
        let wrong = wrong.of_score(&[0.1, 0.5], &picked(&[0.3, 0.2]));
        assert!((wrong.regret - 0.4).abs() < 1e-12);
    }

    fn picked(means: &[f64]) -> CrossValidation {
        CrossValidation::judged(means.len(), |i| Prediction {
            mean: means[i],
            sd: 1.0,
        })
    }

    #[test]
    fn scores_change_no_model_of_a_loss_and_no_mean() {
        let alone = Fit::train(&runs(false), &options(&[])).unwrap();
        let both = Fit::train(&runs(true), &options(&["acc"])).unwrap();
        let names: Vec<&str> = both.targets().iter().map(|t| t.target.as_str()).collect();
        assert_eq!(names, ["a", "b", "acc"]);
        assert_eq!(both.targets()[..2], alone.targets()[..]);
        assert_eq!(both.losses().count(), 2);
        assert!(both.scores().all(|t| t.target == "acc" && t.is_score));
        for objective in [Objective::Mean, Objective::Worst(Baseline::Uniform)] {
            let [one, other] = [&alone, &both].map(|fit| Scorer::new(fit, &objective).unwrap());
            assert_eq!(one.predict(&[0.3, 0.7]), other.predict(&[0.3, 0.7]));
            assert_eq!(both.unit_of(&objective), Some("nats per token"));
        }
        let accuracy = Objective::parse("acc").maximize();
        assert_eq!(both.unit_of(&accuracy), None);
        let scorer = Scorer::new(&both, &accuracy).unwrap();
        assert!(scorer.mean(&[0.9, 0.1]) < scorer.mean(&[0.1, 0.9]));
        let measured: Vec<&str> = (both.predictions().iter())
            .filter(|p| p.target == "acc")
            .map(|p| p.run.as_str())
            .collect();
        assert_eq!(measured.len(), 24);

        let dir = tempfile::tempdir().unwrap();
        both.save(dir.path()).unwrap();
        assert_eq!(Fit::load(dir.path()).unwrap(), both);
    }

    #[test]
    fn only_targets_can_be_scores_and_scores_alone_count_alike() {
        let err = Fit::train(&runs(true), &options(&["accuracy"])).unwrap_err();
        assert_eq!(
            err.to_string(),
            "`scores`: unknown target `accuracy`: expected one of a, acc, b"
        );
        let all = Fit::train(&runs(true), &options(&["a", "acc", "b"])).unwrap();
        assert_eq!(all.losses().count(), 3);
    }
}
