//! From data mixture to loss: regressors, laws, cross-validation and search
//! on the simplex.
//!
//! Many small proxies are trained, each on its own mixture of domains. This
//! crate learns from them what loss a mixture leads to, judges how far that
//! can be trusted, and searches for the mixture with the lowest loss
//! (RegMix, arXiv 2407.01492).
//!
//! The five most important types:
//!
//! - [`Fit`]: for every target the regressor that predicts it best, chosen by
//!   cross-validation, with the runs that it was fitted to; kept in files.
//! - [`Objective`]: what is minimised (a target, a mean, a weighted sum, a worst case).
//!   [`Evaluator`] evaluates it.
//! - [`Constraints`]: floors, caps and limits on groups of domains.
//! - [`Recommendation`]: the best mixture under these, by [`recommend`], with intervals, its
//!   spread over refits, and a warning where it is outside of what proxies covered.
//! - [`Prediction`]: a predicted value with its standard deviation.
//!
//! Beside them:
//!
//! - [`Regressor`] and [`Model`]: how one target is fitted; [`regressor`] lists
//!   them.
//! - [`next_runs`]: the mixtures to train proxies on next; [`climb_round`], those that CLIMB
//!   would train.
//! - [`learning_curve`]: how accuracy grows with the number of proxies.
//! - [`pareto`]: the trade-off of two objectives.
//! - [`search`]: the two searches by themselves, for any [`search::Surface`].
//! - [`BimixLaw`]: the loss of a domain by its weight and the length of
//!   training, from logged trajectories; [`bimix_optimum`], its best mixture.
//! - [`Earlier`], [`recast`], [`Frozen`]: use of earlier runs when the domains
//!   change.
//! - [`unimax`], [`effective_tokens`]: baselines that use only limits of repetition;
//!   [`utilimax`], one that uses the utilities of domains for tasks.
//! - [`metrics`], [`cross_validate`], [`Interactions`], [`Support`], [`Factor`]: the parts of
//!   which a fit is made.
//!
//! Examples: `recommend` (two CSV files in, a mixture out), `own_regressor` (one of your own,
//! judged beside the others).
//!
//! Computations that can take longer than a second have a variant that ends in `_monitored`: it
//! reports its progress to a [`regmix_data::Monitor`], and stops within a second when the
//! monitor asks for it.
//!
//! ```
//! use regmix_data::table::{MixtureTable, Observations, ValueTable};
//! use regmix_regress::{Constraints, Fit, FitOptions, Objective, RecommendOptions, recommend};
//!
//! // Sixteen proxies over two domains; the loss is lowest in between.
//! let mut mixtures = String::from("run,web,code\n");
//! let mut losses = String::from("run,web,code\n");
//! for i in 0..16 {
//!     let w = (f64::from(i) + 0.5) / 16.0;
//!     mixtures += &format!("r{i},{},{}\n", w, 1.0 - w);
//!     let loss = |own: f64| 2.0 + (0.05 + own).powf(-0.3);
//!     losses += &format!("r{i},{},{}\n", loss(w), loss(1.0 - w));
//! }
//! let fit = Fit::train(
//!     &Observations::join(
//!         MixtureTable::parse(&mixtures, "mixtures.csv".as_ref())?,
//!         ValueTable::parse(&losses, "losses.csv".as_ref())?,
//!     )?,
//!     &FitOptions { regressors: vec!["linear".into(), "law1".into()], ..FitOptions::default() },
//! )?;
//! assert_eq!(fit.target("web")?.regressor, "law1");
//!
//! let options = RecommendOptions {
//!     objective: Objective::Mean,
//!     constraints: Some(Constraints::none(fit.domains().clone()).with_cap("web", 0.8)?),
//!     bootstrap: 4,
//!     ..RecommendOptions::default()
//! };
//! let found = recommend(&fit, &options)?;
//! assert!((found.mixture.get("web").unwrap() - 0.5).abs() < 0.05);
//! assert!(found.binding.is_empty() && !found.support.out_of_distribution);
//! # Ok::<(), regmix_data::Error>(())
//! ```
//!
//! # What it does not do
//!
//! It trains no language model and reads no corpus: losses come in as tables. Apart from
//! [`scale`], it does not correct for the step from proxy to target size; it assumes that both
//! rank mixtures alike. Verify this with larger models. It gives no guarantee when it
//! extrapolates: [`Support`] reports where a mixture is outside of what the proxies cover.

mod advise;
mod bimix;
mod constraints;
mod cross_validation;
mod ensemble;
mod experts;
mod fit;
mod fixed_shares;
mod folds;
mod judge;
mod learning;
pub mod metrics;
mod numeric;
mod objective;
mod prediction;
mod progress;
mod registry;
pub mod regressor;
mod repetition;
mod reuse;
mod samples;
pub mod scale;
pub mod search;
mod utilimax;
mod vector;

pub use advise::climb::{ClimbOptions, climb_round};
pub use advise::coverage::Coverage;
pub use advise::interactions::Interactions;
pub use advise::next_runs::options::NextOptions;
pub use advise::next_runs::{NextRun, next_runs, next_runs_from, next_runs_monitored};
pub use advise::observed::best_observed;
pub use advise::pareto::{Front, ParetoPoint, pareto, pareto_monitored};
pub use advise::recommend::contents::{
    DivergencePenalty, Penalties, Provenance, Reference, TargetEstimate, WeightSpread,
};
pub use advise::recommend::estimate::{Estimate, Gap};
pub use advise::recommend::options::{Method, RecommendOptions};
pub use advise::recommend::{
    BestOf, Recommendation, recommend, recommend_among, recommend_monitored,
};
pub use advise::scorer::Scorer;
pub use advise::support::Support;
pub use bimix::law::{BimixLaw, BimixParameters, BimixPoint};
pub use bimix::optimum::bimix_optimum;
pub use constraints::{Binding, Bound, Constraints, Group};
pub use cross_validation::{CrossValidation, CvOptions, cross_validate};
pub use experts::ExpertLosses;
pub use fit::approximate::ApproximateUse;
pub use fit::options::{Choice, FitOptions};
pub use fit::standard_errors::{MeasurementNoise, StandardErrors};
pub use fit::{Dropped, Fit, OutOfFold, TargetFit};
pub use fixed_shares::{ConstantShare, constant_shares};
pub use folds::Folds;
pub use judge::auto::Auto;
pub use judge::league::{AUTO, Entry, League};
pub use learning::{
    LearningCurve, LearningOptions, LearningPoint, learning_curve, learning_curve_monitored,
};
pub use numeric::factor::Factor;
pub use objective::evaluator::Evaluator;
pub use objective::{Baseline, Objective};
pub use prediction::Prediction;
pub use regressor::{Model, Regressor};
pub use repetition::budget::Budget;
pub use repetition::effective_tokens::effective_tokens;
pub use repetition::unimax::unimax;
pub use reuse::earlier::Earlier;
pub use reuse::frozen::Frozen;
pub use reuse::recast::{Recast, recast};
pub use samples::Samples;
pub use utilimax::{Utilities, utilimax};
