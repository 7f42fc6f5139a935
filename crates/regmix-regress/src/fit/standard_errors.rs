//! Standard errors of the values, beside what a fit explains.

use std::collections::BTreeMap;

use serde::Serialize;

use regmix_data::table::{Observations, ValueTable, names_in};
use regmix_data::{Error, Result};

use crate::fit::Fit;
use crate::metrics::variance;
use crate::samples::measured;

/// What evaluation harnesses append to the name of a metric.
const SUFFIX: &str = "_stderr";

/// The standard error of every value, where it is known, such as those of accuracies that
/// lm-eval writes.
///
/// Models do not use them, for two reasons. A harness counts the items of a task as drawn
/// anew for every run, but all runs answer the same ones, so that the noise *between* runs is
/// smaller by an amount that the errors do not tell. And those of one task hardly differ
/// between runs, so that as weights they would change little.
#[derive(Debug, Clone, PartialEq)]
pub struct StandardErrors {
    /// By target, then by run.
    of: BTreeMap<String, BTreeMap<String, f64>>,
}

impl StandardErrors {
    /// Finds the errors of the values of some runs in a table with their names; a column may
    /// end in `_stderr`. Fields may be empty, and targets missing.
    ///
    /// # Errors
    /// When a run with values has no row, a column is no target, or an error is negative or
    /// not finite.
    pub fn new(table: &ValueTable, observations: &Observations) -> Result<Self> {
        let values = &observations.values;
        let rows = names_in(values.runs(), table.runs());
        if let Some(run) = values.runs().iter().find(|run| !rows.contains_key(*run)) {
            return Err(Error::input(format!(
                "no standard errors of run `{run}`: expected a row for every run with values"
            ))
            .help("the tables are joined by run: add its row, with empty fields if need be"));
        }
        let places: BTreeMap<&String, &Vec<f64>> = table.runs().iter().zip(table.rows()).collect();
        let mut of: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for (column, name) in table.targets().iter().enumerate() {
            let known = |target: &str| values.targets().iter().any(|t| t == target);
            let target = match (known(name), name.strip_suffix(SUFFIX)) {
                (false, Some(target)) if known(target) => target,
                _ => name,
            };
            if !known(target) {
                return Err(Error::input(format!(
                    "unknown target `{name}`: expected one of {}",
                    values.targets().join(", ")
                )));
            }
            let own = of.entry(target.to_owned()).or_default();
            for run in values.runs() {
                let error = places[&rows[run]][column];
                if error.is_nan() {
                    continue;
                }
                if !(error.is_finite() && error >= 0.0) {
                    return Err(Error::input(format!(
                        "run `{run}`: standard error {error}, expected a finite number of at \
                         least 0"
                    ))
                    .field(name));
                }
                if own.insert(run.clone(), error).is_some() {
                    return Err(Error::input(format!(
                        "two columns of standard errors of `{target}`: expected one"
                    ))
                    .field(name));
                }
            }
        }
        Ok(Self { of })
    }

    /// The root mean square over some runs of a target; `None` where no error is known.
    pub(crate) fn of_target<'a>(
        &self,
        target: &str,
        runs: impl Iterator<Item = &'a String>,
    ) -> Option<f64> {
        let own = self.of.get(target)?;
        let known: Vec<f64> = runs.filter_map(|run| own.get(run).copied()).collect();
        let squares: f64 = known.iter().map(|e| e * e).sum();
        (!known.is_empty()).then(|| (squares / known.len() as f64).sqrt())
    }
}

/// The standard error of a target's values beside their spread and what was learnt of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasurementNoise {
    /// The target.
    pub target: String,
    /// Root mean square of the standard errors.
    pub standard_error: f64,
    /// Standard deviation of the values between runs.
    pub spread: f64,
    /// The part of the variance between runs that the standard errors could be, at most 1.
    pub share: f64,
    /// The part that the chosen regressor predicts of runs that it has not seen (R²).
    pub predicted: f64,
}

impl Fit {
    /// Standard errors of the targets whose errors were given
    /// ([`FitOptions::errors`](crate::FitOptions::errors)), beside what was learnt of them.
    ///
    /// What is neither predicted nor a standard error is left for better models or more runs.
    /// Where both parts are together more than 1, the noise between runs is smaller than
    /// the standard errors, as it is where all runs answer the same items.
    pub fn measurement_noise(&self) -> Vec<MeasurementNoise> {
        let targets = self.targets().iter().enumerate();
        targets
            .filter_map(|(t, target)| {
                let standard_error = target.standard_error?;
                let (places, samples) = measured(self.observations(), t).ok()?;
                // Earlier runs come last, and nothing is judged on them.
                let new = places.iter().filter(|i| **i < self.rows() - self.earlier());
                let variance = variance(&samples.values()[..new.count()]);
                let share = standard_error * standard_error / variance;
                let entry = self.league().get(&target.regressor, &target.target);
                Some(MeasurementNoise {
                    target: target.target.clone(),
                    standard_error,
                    spread: variance.sqrt(),
                    share: if variance > 0.0 { share.min(1.0) } else { 1.0 },
                    predicted: entry.map_or(f64::NAN, |entry| entry.r2),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::options::FitOptions;
    use regmix_data::random::stream;
    use regmix_data::table::MixtureTable;

    fn runs() -> Observations {
        let (mut mixtures, mut values) = (String::from("run,a,b\n"), String::from("run,x,y\n"));
        for i in 0..24 {
            let w = (f64::from(i) + 0.5) / 24.0;
            // The sign has no pattern that weights could explain.
            let noise = if (i * i + i / 3) % 2 == 0 {
                0.02
            } else {
                -0.02
            };
            mixtures += &format!("{i},{w},{}\n", 1.0 - w);
            values += &format!("{i},{},{}\n", 0.3 + 0.1 * w + noise, 0.5 + 0.1 * w);
        }
        let mixtures = MixtureTable::parse(&mixtures, "m.csv".as_ref()).unwrap();
        let values = ValueTable::parse(&values, "v.csv".as_ref()).unwrap();
        Observations::join(mixtures, values).unwrap()
    }

    /// A table with one error for all values of `x`.
    fn table(error: &str) -> ValueTable {
        let rows: String = (0..24).map(|i| format!("{i},{error}\n")).collect();
        ValueTable::parse(&format!("run,x\n{rows}"), "e.csv".as_ref()).unwrap()
    }

    #[test]
    fn errors_stand_beside_what_was_learnt() {
        let runs = runs();
        let fit = |errors| {
            let options = FitOptions {
                regressors: vec!["linear".to_owned()],
                errors,
                ..FitOptions::default()
            };
            Fit::train(&runs, &options).unwrap()
        };
        let with = fit(Some(StandardErrors::new(&table("0.02"), &runs).unwrap()));
        let [noise] = &with.measurement_noise()[..] else {
            panic!("one target has errors");
        };
        assert_eq!((noise.target.as_str(), noise.standard_error), ("x", 0.02));
        // A uniform weight has variance 1/12, a tenth of it 1/1200.
        let variance = 0.02f64.powi(2) + 0.01 / 12.0;
        assert!(
            (noise.share - 0.02f64.powi(2) / variance).abs() < 0.1,
            "{noise:?}"
        );
        assert!(noise.predicted < 1.0 - 0.7 * noise.share, "{noise:?}");
        // Models are the same without them, and a saved fit keeps them.
        let without = fit(None);
        assert!(without.measurement_noise().is_empty());
        assert_eq!(without.targets()[0].model, with.targets()[0].model);
        let dir = tempfile::tempdir().unwrap();
        with.save(dir.path()).unwrap();
        assert_eq!(
            Fit::load(dir.path()).unwrap().measurement_noise(),
            with.measurement_noise()
        );
        assert_eq!(with.warnings().len(), without.warnings().len());
        let most = fit(Some(StandardErrors::new(&table("0.03"), &runs).unwrap()));
        let warned = most.warnings().last().unwrap();
        assert!(
            warned.starts_with("standard errors are more than half"),
            "{warned}"
        );
        assert!(warned.contains("x ("), "{warned}");
    }

    #[test]
    fn wrong_tables_are_refused() {
        let runs = runs();
        let refused =
            |table: &ValueTable| StandardErrors::new(table, &runs).unwrap_err().to_string();
        assert_eq!(
            refused(&table("-0.1")),
            "`x`: run `0`: standard error -0.1, expected a finite number of at least 0"
        );
        let some = ValueTable::new(vec!["x".into()], [("1".into(), vec![0.1])]).unwrap();
        assert_eq!(
            refused(&some),
            "no standard errors of run `0`: expected a row for every run with values"
        );
        let row = |i: i32| (i.to_string(), vec![0.1]);
        let unknown = ValueTable::new(vec!["z".into()], (0..24).map(row)).unwrap();
        assert_eq!(
            refused(&unknown),
            "unknown target `z`: expected one of x, y"
        );
        let row = |i: i32| (i.to_string(), vec![0.1, 0.1]);
        let twice = vec!["x".to_owned(), "x_stderr".to_owned()];
        let twice = ValueTable::new(twice, (0..24).map(row)).unwrap();
        assert_eq!(
            refused(&twice),
            "`x_stderr`: two columns of standard errors of `x`: expected one"
        );
    }

    #[test]
    fn what_harnesses_write_is_read() {
        let runs = runs();
        let mut rng = stream(1, "errors", "test");
        use rand::RngExt;
        // Other names of the same runs, a suffix, and a missing field.
        let rows = (0..24).map(|i| (format!("{i}.0"), vec![rng.random::<f64>(), f64::NAN]));
        let names = vec!["x_stderr".to_owned(), "y".to_owned()];
        let table = ValueTable::new(names, rows).unwrap();
        let errors = StandardErrors::new(&table, &runs).unwrap();
        let (first, run) = (table.rows()[0][0], "0".to_owned());
        assert_eq!(errors.of_target("x", [&run].into_iter()), Some(first));
        assert_eq!(errors.of_target("y", [&run].into_iter()), None);
    }
}
