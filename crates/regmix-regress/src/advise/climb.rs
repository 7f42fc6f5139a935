//! The next round of proxies by CLIMB's rule.

use rand::RngExt;
use rand::seq::SliceRandom;

use regmix_data::random::stream;
use regmix_data::{Error, Mixture, Monitor, Result};

use crate::advise::scorer::Scorer;
use crate::constraints::Constraints;
use crate::fit::Fit;
use crate::objective::Objective;
use crate::search::simulate::{SimulateOptions, top_draws};

/// How the mixtures of a round of CLIMB are chosen.
///
/// | field | default | range |
/// |---|---|---|
/// | `runs` | 16 | 1 to `simulate.best`: mixtures of the round |
/// | `objective` | mean of all targets | targets of the fit |
/// | `constraints` | none | feasible |
/// | `round` | 2 | any: rounds of one seed draw other mixtures |
/// | `seed` | 0 | any |
/// | `simulate` | 100 000 draws around the natural mixture, of which the best 1000 are chosen from | `simulate.seed` is replaced |
#[derive(Debug, Clone, PartialEq)]
pub struct ClimbOptions {
    /// Mixtures of the round.
    pub runs: usize,
    /// What is to be minimised in the end.
    pub objective: Objective,
    /// Floors, caps and limits of groups.
    pub constraints: Option<Constraints>,
    /// The number of the round.
    pub round: u64,
    /// Seed of the draws and the choice.
    pub seed: u64,
    /// How many mixtures are drawn, and how many of the best are chosen from.
    pub simulate: SimulateOptions,
}

impl Default for ClimbOptions {
    fn default() -> Self {
        Self {
            runs: 16,
            objective: Objective::Mean,
            constraints: None,
            round: 2,
            seed: 0,
            simulate: SimulateOptions {
                best: 1000,
                ..SimulateOptions::default()
            },
        }
    }
}

/// Mixtures for the next round of proxies, as CLIMB (arXiv 2504.13161) chooses them: many
/// mixtures are drawn and predicted by a fit to all proxies so far, and those of the round
/// are taken at random from the best, so that they differ from each other. They come in
/// the order of their predictions, the best first.
///
/// CLIMB fits boosted trees (the regressor `gbdt`) in every round. How many of the best
/// it chooses from is not in the paper as far as we know; the default is 1 % of the draws.
///
/// The same fit and options always give the same mixtures. Cost: that of
/// [`simulate`](crate::search::simulate).
///
/// ```
/// use regmix_data::table::{MixtureTable, Observations, ValueTable};
/// use regmix_data::Silent;
/// use regmix_regress::{ClimbOptions, Fit, FitOptions, climb_round};
///
/// let (mut mixtures, mut losses) = (String::from("run,web,code\n"), String::from("run,web\n"));
/// for i in 0..40 {
///     let w = (f64::from(i) + 0.5) / 40.0;
///     mixtures += &format!("r{i},{w},{}\n", 1.0 - w);
///     losses += &format!("r{i},{}\n", 2.0 + (w - 0.7).powi(2));
/// }
/// let runs = Observations::join(
///     MixtureTable::parse(&mixtures, "mixtures.csv".as_ref())?,
///     ValueTable::parse(&losses, "losses.csv".as_ref())?,
/// )?;
/// let options = FitOptions { regressors: vec!["gbdt".into()], ..FitOptions::default() };
/// let fit = Fit::train(&runs, &options)?;
/// let next = climb_round(&fit, &ClimbOptions { runs: 4, ..ClimbOptions::default() }, &Silent)?;
/// assert_eq!(next.len(), 4);
/// assert!(next.iter().all(|m| (m.get("web").unwrap() - 0.7).abs() < 0.1));
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When an option is out of range, the objective names an unknown target, the constraints
/// are over other domains, and when the monitor asks to stop.
pub fn climb_round(
    fit: &Fit,
    options: &ClimbOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<Mixture>> {
    let of = options.simulate.best;
    if !(1..=of).contains(&options.runs) {
        return Err(Error::input(format!(
            "{} runs, expected 1 to {of}, the number of mixtures that they are chosen from",
            options.runs
        ))
        .field("runs"));
    }
    let objective = (options.objective).with_known_baseline(fit.natural().is_some());
    let scorer = Scorer::new(fit, &objective)?;
    let limits = Constraints::or_none(options.constraints.as_ref(), fit.domains())?;
    let mut rng = stream(options.seed, &format!("round-{}", options.round), "climb");
    let drawing = SimulateOptions {
        seed: rng.random(),
        ..options.simulate
    };
    let best = top_draws(&scorer, &fit.prior(), &limits, &drawing, monitor)?;
    let mut places: Vec<usize> = (0..best.len()).collect();
    places.shuffle(&mut rng);
    places.truncate(options.runs);
    places.sort_unstable();
    Ok(places
        .into_iter()
        .map(|place| best[place].clone())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::options::FitOptions;
    use regmix_data::table::{MixtureTable, Observations, ValueTable};
    use regmix_data::{DomainSet, Silent};

    /// A fit of a plane: the loss falls with the weight of `a`.
    fn fit() -> Fit {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let mut rng = stream(1, "test", "climb");
        let rows: Vec<(String, Mixture)> = (0..24)
            .map(|i| {
                let weights = (0..3).map(|_| rng.random::<f64>() + 0.05).collect();
                let mixture = Mixture::normalized(domains.clone(), weights).unwrap();
                (format!("r{i}"), mixture)
            })
            .collect();
        let losses = (rows.iter())
            .map(|(run, m)| (run.clone(), vec![3.0 - m.weights()[0]]))
            .collect::<Vec<_>>();
        let runs = Observations::join(
            MixtureTable::new(domains, rows).unwrap(),
            ValueTable::new(vec!["x".to_owned()], losses).unwrap(),
        );
        let options = FitOptions {
            regressors: vec!["linear".to_owned()],
            ..FitOptions::default()
        };
        Fit::train(&runs.unwrap(), &options).unwrap()
    }

    fn options() -> ClimbOptions {
        ClimbOptions {
            runs: 5,
            simulate: SimulateOptions {
                draws: 2000,
                best: 100,
                ..SimulateOptions::default()
            },
            ..ClimbOptions::default()
        }
    }

    #[test]
    fn a_round_is_among_the_best_draws_and_within_limits() {
        let fit = fit();
        let limits = Constraints::none(fit.domains().clone());
        let limits = limits.with_cap("a", 0.6).unwrap();
        let options = ClimbOptions {
            constraints: Some(limits.clone()),
            ..options()
        };
        let round = climb_round(&fit, &options, &Silent).unwrap();
        assert_eq!(round, climb_round(&fit, &options, &Silent).unwrap());
        assert_eq!(round.len(), 5);
        for (i, mixture) in round.iter().enumerate() {
            assert!(limits.allows(mixture.weights()), "{mixture:?}");
            // More than one draw in twenty has `a` at its cap.
            assert!((mixture.weights()[0] - 0.6).abs() < 1e-9, "{mixture:?}");
            assert!(round[..i].iter().all(|other| other != mixture));
        }
        let next = ClimbOptions {
            round: 3,
            ..options
        };
        let next = climb_round(&fit, &next, &Silent).unwrap();
        assert!(next.iter().all(|mixture| !round.contains(mixture)));
    }

    #[test]
    fn the_best_come_first_and_not_only_the_very_best() {
        let fit = fit();
        let round = climb_round(&fit, &options(), &Silent).unwrap();
        let of_a: Vec<f64> = round.iter().map(|m| m.weights()[0]).collect();
        assert!(of_a.windows(2).all(|pair| pair[0] >= pair[1]), "{of_a:?}");
        let all = ClimbOptions {
            runs: 100,
            ..options()
        };
        let all = climb_round(&fit, &all, &Silent).unwrap();
        assert!(round.iter().all(|mixture| all.contains(mixture)));
        assert!(round != all[..5]);
    }

    #[test]
    fn a_round_without_runs_is_refused() {
        let refused = |runs| {
            let options = ClimbOptions { runs, ..options() };
            climb_round(&fit(), &options, &Silent)
                .unwrap_err()
                .to_string()
        };
        let expected = "expected 1 to 100, the number of mixtures that they are chosen from";
        assert_eq!(refused(0), format!("`runs`: 0 runs, {expected}"));
        assert_eq!(refused(101), format!("`runs`: 101 runs, {expected}"));
    }
}
