//! The automatic choice as a regressor.

use regmix_data::{Error, Muted, Result};

use crate::cross_validation::CvOptions;
use crate::judge::contestants::Contestants;
use crate::judge::league::AUTO;
use crate::judge::selection::{Candidate, Rule, choose};
use crate::registry::DEFAULT;
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::samples::Samples;

/// What [`Fit::train`](crate::Fit::train) does for one target, as a
/// regressor: judges others by cross-validation on the given samples,
/// chooses one ([`Choice`](crate::Choice)), fits it to all of them, and
/// calibrates its standard deviation. What a fit of several targets learns
/// from all of them together is not available to it.
///
/// It is what to judge by an outer cross-validation, or on rows that were
/// held out: then the choice has not seen them either.
///
/// | field | default | range |
/// |---|---|---|
/// | `regressors` | [`DEFAULT`](crate::regressor::DEFAULT) | names that [`regressor`](crate::regressor::regressor) knows |
/// | `folds` | 5 | 2 or more |
///
/// Cost: `folds + 1` fits of every regressor; with fewer than 64 rows, `folds` more
/// of those whose weights are learnt ([`Ensemble`](crate::regressor::Ensemble)).
///
/// ```
/// use regmix_regress::{Auto, Regressor, Samples};
///
/// let rows: Vec<Vec<f64>> = (0..20).map(|i| vec![i as f64 / 19.0, 1.0 - i as f64 / 19.0]).collect();
/// let losses = rows.iter().map(|w| 3.0 - w[0]).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?;
/// let auto = Auto { regressors: vec!["mean".into(), "linear".into()], ..Auto::default() };
/// assert!((auto.fit(&samples, 0)?.mean(&[0.5, 0.5]) - 2.5).abs() < 1e-4);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auto {
    /// Names of the regressors to choose from.
    pub regressors: Vec<String>,
    /// Folds of the cross-validation that chooses.
    pub folds: usize,
}

impl Default for Auto {
    fn default() -> Self {
        Self {
            regressors: DEFAULT.map(str::to_owned).to_vec(),
            folds: 5,
        }
    }
}

impl Regressor for Auto {
    fn name(&self) -> &str {
        AUTO
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        let contestants = Contestants::new(self.regressors.iter().map(String::as_str))?;
        let options = CvOptions {
            folds: self.folds,
            repeats: 1,
            seed: context.seed,
        };
        let judged = contestants.judge(&[samples], &[], &options, &Muted(context.monitor))?;
        // Where all rows are of one mixture, folds are of rows.
        let mixtures = match samples.same_mixture() {
            true => (0..samples.len()).collect(),
            false => samples.groups(),
        };
        let target = Candidate {
            measured: samples.values(),
            mixtures: &mixtures,
            judged: judged[0]
                .compared
                .iter()
                .map(|cv| cv.as_deref().ok())
                .collect(),
            varies: !samples.same_value() && !samples.same_mixture(),
        };
        let rule = Rule::Lowest(contestants.start());
        let chosen = choose(&[target], rule, &|_, _, _| true);
        let r = chosen.places[0].ok_or_else(|| {
            match judged[0].compared.iter().find_map(|r| r.as_ref().err()) {
                Some(e) => e.clone(),
                None => Error::failed("no regressor could be fitted"),
            }
        })?;
        let context = FitContext::new(context.seed, context.monitor);
        let model = contestants.fit(r, samples, &judged[0], context)?;
        Ok(model.calibrated(chosen.factors[0]))
    }
}
