//! Warnings about the runs of a fit.

use std::collections::BTreeMap;

use regmix_data::table::Observations;

use crate::fit::OutOfFold;
use crate::fit::prepare::Range;
use crate::fit::standard_errors::MeasurementNoise;
use crate::fixed_shares::FixedShares;
use crate::metrics::quantile;
use crate::samples::measured;

/// Runs that a sentence names.
const SHOWN: usize = 5;

/// Warnings about the mixtures: domains without weight, domains in a fixed
/// ratio, too few runs, and the noise between runs of one mixture.
pub(super) fn of_runs(observations: &Observations) -> Vec<String> {
    let mixtures = observations.mixtures.mixtures();
    let names: Vec<&str> = observations.mixtures.domains().names().collect();
    let mut out = FixedShares::of(mixtures).warnings(observations.mixtures.domains());
    if mixtures.len() < names.len() + 1 {
        out.push(format!(
            "{} runs for {} domains: fewer runs than a linear model has parameters; what is fitted \
             rests on assumptions",
            mixtures.len(),
            names.len()
        ));
    }
    for (t, target) in observations.values.targets().iter().enumerate() {
        let Ok((places, samples)) = measured(observations, t) else {
            continue;
        };
        let runs: Vec<&str> = (places.iter())
            .map(|&i| observations.mixtures.runs()[i].as_str())
            .collect();
        out.extend(far_outside(target, &runs, samples.values()));
        if let Some(noise) = samples.repeat_noise() {
            out.push(format!(
                "`{target}`: runs of the same mixture differ by {noise:.4} (standard deviation); no \
                 prediction can be better than that"
            ));
        }
    }
    out
}

/// The runs whose value is far outside of the others, in a sentence: those that
/// were fitted nevertheless.
fn far_outside(target: &str, runs: &[&str], values: &[f64]) -> Option<String> {
    let range = Range::of(values)?;
    let far: Vec<String> = (runs.iter().zip(values))
        .filter(|(_, value)| !range.holds(**value))
        .map(|(run, value)| format!("`{run}` ({value})"))
        .collect();
    (!far.is_empty()).then(|| {
        format!(
            "`{target}`: far outside of the other runs (middle {:.4}): {}{}; if they failed, \
             leave them out",
            range.middle,
            far[..far.len().min(SHOWN)].join(", "),
            if far.len() > SHOWN { " and others" } else { "" }
        )
    })
}

/// Standard deviations that the losses of a run must be away from what the
/// other runs predict, on a quarter of its targets, to be named. Of the 512
/// published runs two to four are, by the seed of the folds.
const UNLIKE: f64 = 4.0;

/// The runs whose losses are not what the other runs predict for their
/// mixture, in a sentence: a mistaken mixture or a run that went wrong without
/// a loss far outside of all others.
pub(super) fn unlike_the_rest(predictions: &[OutOfFold]) -> Option<String> {
    let mut by_run: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for p in predictions.iter().filter(|p| p.sd > 0.0) {
        let distance = (p.measured - p.predicted).abs() / p.sd;
        by_run.entry(&p.run).or_default().push(distance);
    }
    let mut unlike: Vec<(f64, &str)> = (by_run.iter())
        .map(|(run, distances)| (quantile(distances, 0.75), *run))
        .filter(|(distance, _)| *distance > UNLIKE)
        .collect();
    unlike.sort_by(|a, b| b.0.total_cmp(&a.0));
    let named: Vec<String> = (unlike.iter().take(SHOWN))
        .map(|(distance, run)| format!("`{run}` ({distance:.1})"))
        .collect();
    (!named.is_empty()).then(|| {
        format!(
            "losses that are not what the other runs predict for the mixture, with the distance in \
             standard deviations that a quarter of the targets exceeds: {}{}; check these mixtures \
             and runs",
            named.join(", "),
            if unlike.len() > SHOWN {
                " and others"
            } else {
                ""
            }
        )
    })
}

/// The targets whose standard errors are most of what differs between runs.
pub(super) fn noisy(all: &[MeasurementNoise]) -> Option<String> {
    let most = all.iter().filter(|noise| noise.share > 0.5);
    let named: Vec<String> = most
        .map(|noise| format!("{} ({:.0} %)", noise.target, 100.0 * noise.share))
        .collect();
    (!named.is_empty()).then(|| {
        format!(
            "standard errors are more than half of the variance between runs: {}; more items, or \
             the mean of several tasks, would tell mixtures apart better",
            named.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::table::{MixtureTable, ValueTable};

    #[test]
    fn runs_unlike_the_rest_are_named_worst_first() {
        let of = |run: &str, target: &str, measured: f64| OutOfFold {
            run: run.into(),
            target: target.into(),
            measured,
            predicted: 0.0,
            sd: 0.1,
        };
        let mut all = vec![of("a", "x", 0.1), of("a", "y", -0.2)];
        assert_eq!(unlike_the_rest(&all), None);
        all.extend([of("b", "x", 0.45), of("b", "y", -0.45), of("c", "x", 0.9)]);
        let warning = unlike_the_rest(&all).unwrap();
        assert!(
            warning.ends_with("exceeds: `c` (9.0), `b` (4.5); check these mixtures and runs"),
            "{warning}"
        );
    }

    #[test]
    fn unused_proportional_and_repeated_mixtures_are_reported() {
        let mixtures = "run,a,b,c,d\nr0,0.5,0.2,0.3,0\nr1,0.5,0.2,0.3,0\nr2,0.1,0.36,0.54,0\n";
        let losses = "run,a\nr0,2.0\nr1,2.2\nr2,3.0\n";
        let warnings = of_runs(
            &Observations::join(
                MixtureTable::parse(mixtures, "m.csv".as_ref()).unwrap(),
                ValueTable::parse(losses, "l.csv".as_ref()).unwrap(),
            )
            .unwrap(),
        );
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        assert!(warnings[0].contains("`d` has no weight"));
        assert!(warnings[1].contains("`b` and `c` keep the same ratio"));
        assert!(warnings[2].contains("3 runs for 4 domains"));
        assert!(warnings[3].contains("differ by 0.1414"), "{}", warnings[3]);
    }

    #[test]
    fn a_single_mixture_gives_no_warning_about_ratios() {
        let mixtures = "run,a,b\nr0,0.5,0.5\nr1,0.5,0.5\nr2,0.5,0.5\n";
        let losses = "run,a\nr0,2.0\nr1,2.2\nr2,3.0\n";
        let warnings = of_runs(
            &Observations::join(
                MixtureTable::parse(mixtures, "m.csv".as_ref()).unwrap(),
                ValueTable::parse(losses, "l.csv".as_ref()).unwrap(),
            )
            .unwrap(),
        );
        assert!(
            warnings.iter().all(|t| !t.contains("ratio")),
            "{warnings:?}"
        );
    }
}
