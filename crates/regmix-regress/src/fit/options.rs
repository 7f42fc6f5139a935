//! How to fit.

use std::collections::BTreeSet;

use regmix_data::Mixture;
use regmix_data::table::Observations;

use crate::fit::standard_errors::StandardErrors;
use crate::registry::DEFAULT;

/// How to fit.
///
/// | field | default | range |
/// |---|---|---|
/// | `regressors` | [`DEFAULT`](crate::regressor::DEFAULT) | known names; `mean` is always judged too |
/// | `choice` | automatic | |
/// | `folds` | 5 | 2 or more |
/// | `repeats` | 1 | 1 or more |
/// | `seed` | 0 | any |
/// | `natural` | none | a mixture over the same domains |
/// | `earlier` | none | runs over the same domains and targets, see [`Earlier`](crate::Earlier) |
/// | `keep_outliers` | no | |
/// | `unit` | none | the unit of the values |
/// | `errors` | none | standard errors of the values |
/// | `scores` | none | targets that are better when higher |
/// | `approximate` | none | approximate losses of other mixtures, over the same domains |
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// Names of the regressors to judge.
    pub regressors: Vec<String>,
    /// How to choose among them.
    pub choice: Choice,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// Repeats of the cross-validation. The weights of `stacked` are learnt from at
    /// least two with fewer than 64 runs.
    pub repeats: usize,
    /// Seed of folds and fits.
    pub seed: u64,
    /// The mixture of the corpus itself, if known: a start and a reference for
    /// searches.
    pub natural: Option<Mixture>,
    /// Runs from before the domains changed. They are fitted together with the
    /// others, but nothing is judged, chosen or calibrated on them.
    pub earlier: Option<Observations>,
    /// Whether values are fitted that are more than 50 standard deviations from
    /// the middle of their target (by the middle half of its values). Otherwise
    /// they are left out, where they are at most 5 % of a target's values.
    pub keep_outliers: bool,
    /// The unit of the values, such as `nats per token`; shown beside results,
    /// never converted.
    pub unit: Option<String>,
    /// Standard errors of the values. They are compared with what the fit explains
    /// ([`Fit::measurement_noise`](crate::Fit::measurement_noise)), and change no model.
    pub errors: Option<StandardErrors>,
    /// Targets that are better when higher and have another unit than the losses beside
    /// them, such as accuracies. They are fitted apart from the others, whose models are the
    /// same with and without them, and take no part in objectives over all targets.
    pub scores: BTreeSet<String>,
    /// Approximate losses of many mixtures, such as those of smaller proxies or of the mixed
    /// predictions of experts ([`ExpertLosses`](crate::ExpertLosses)). Targets are joined by
    /// name. A share of them is subtracted from the measured losses, and regressors are
    /// fitted to the difference. The share is chosen from 0, ½, ¾ and 1 by cross-validation
    /// ([`Fit::approximate`](crate::Fit::approximate)). The fit takes four times as long.
    pub approximate: Option<Observations>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            regressors: DEFAULT.map(str::to_owned).to_vec(),
            choice: Choice::Auto,
            folds: 5,
            repeats: 1,
            seed: 0,
            natural: None,
            earlier: None,
            keep_outliers: false,
            unit: None,
            errors: None,
            scores: BTreeSet::new(),
            approximate: None,
        }
    }
}

/// Which regressor to use for a target.
///
/// `Auto` starts from an ensemble (`stacked` among the defaults) for all
/// targets; without one, from the regressor with the lowest cross-validated mean
/// absolute error over all targets, each in units of the mean's error. With few
/// runs the lowest of a dozen errors is mostly luck, so another regressor
/// replaces it only if it is clearly better: for all targets, when its errors on
/// the same runs are smaller by more than two standard errors over all targets
/// together; for a single target, by more than three. `mean` is always judged
/// too: where its error is not larger than that of the chosen regressor, it is
/// used, since the runs show no effect of the mixture, and the fit warns of it.
///
/// Errors are absolute. Rank correlation does not see whether predictions have
/// the right scale, which sums of targets, gaps in nats and intervals all need.
/// Squared errors would leave the choice to the few runs with a weight so near
/// zero that its rounding moves the loss.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// By cross-validation.
    #[default]
    Auto,
    /// One regressor for all targets.
    Named(String),
}
