//! Warnings about the runs of a fit, before anything is fitted.

use regmix_data::table::Observations;

use crate::samples::measured;

/// Weights that differ by less, relative to their size, count as equal.
const SAME: f64 = 1e-6;

/// Warnings about the mixtures: domains without weight, domains in a fixed
/// ratio, too few runs, and the noise between runs of one mixture.
pub(super) fn of_mixtures(observations: &Observations) -> Vec<String> {
    let mixtures = observations.mixtures.mixtures();
    let names: Vec<&str> = observations.mixtures.domains().names().collect();
    let column = |j: usize| mixtures.iter().map(move |m| m.weights()[j]);
    let mut out = Vec::new();
    let unused = |j: usize| column(j).all(|w| w == 0.0);
    for (_, name) in names.iter().enumerate().filter(|(j, _)| unused(*j)) {
        out.push(format!(
            "domain `{name}` has no weight in any run: what it does is not known, and a mixture \
             that uses it is a guess"
        ));
    }
    // If all runs have one mixture, every target has a warning of its own.
    let first = mixtures[0].weights();
    let varies = mixtures.iter().any(|m| m.weights() != first);
    for j in (0..names.len()).filter(|j| varies && !unused(*j)) {
        if let Some(i) = (0..j).find(|&i| proportional(column(i), column(j))) {
            out.push(format!(
                "domains `{}` and `{}` keep the same ratio in every run: their effects cannot be \
                 separated",
                names[i], names[j]
            ));
        }
    }
    if mixtures.len() < names.len() + 1 {
        out.push(format!(
            "{} runs for {} domains: fewer runs than a linear model has parameters; what is fitted \
             rests on assumptions",
            mixtures.len(),
            names.len()
        ));
    }
    for (t, target) in observations.values.targets().iter().enumerate() {
        let Ok((_, samples)) = measured(observations, t) else {
            continue;
        };
        if let Some(noise) = samples.repeat_noise() {
            out.push(format!(
                "`{target}`: runs of the same mixture differ by {noise:.4} (standard deviation); no \
                 prediction can be better than that"
            ));
        }
    }
    out
}

/// Whether two columns that are used have the same ratio in every run.
fn proportional(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> bool {
    let pairs: Vec<(f64, f64)> = a.zip(b).collect();
    let Some(&(x, y)) = pairs.iter().find(|(x, y)| *x > 0.0 || *y > 0.0) else {
        return false;
    };
    x > 0.0
        && y > 0.0
        && (pairs.iter()).all(|(a, b)| (a * y - b * x).abs() <= SAME * (a * y).abs().max(b * x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::table::{MixtureTable, ValueTable};

    #[test]
    fn unused_proportional_and_repeated_mixtures_are_reported() {
        let mixtures = "run,a,b,c,d\nr0,0.5,0.2,0.3,0\nr1,0.5,0.2,0.3,0\nr2,0.1,0.36,0.54,0\n";
        let losses = "run,a\nr0,2.0\nr1,2.2\nr2,3.0\n";
        let warnings = of_mixtures(
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
        let warnings = of_mixtures(
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
