//! From data mixture to loss: regressors, laws, cross-validation and search
//! on the simplex.
//!
//! Many small proxies are trained, each on its own mixture of domains. This
//! crate learns from them what loss a mixture leads to, judges how far that
//! can be trusted, and searches for the mixture with the lowest loss
//! (RegMix, arXiv 2407.01492).
//!
//! - [`Fit`]: judges [`regressor`]s by cross-validation for every target,
//!   chooses one each, and keeps everything in files.
//! - [`Recommendation`]: the best mixture under [`Constraints`], with
//!   intervals, spread, and a warning where it leaves what proxies covered.
//! - [`Fit::next_runs`]: the mixtures to train proxies on next.
//! - [`LearningCurve`]: how accuracy grows with the number of proxies.
//! - [`Front`]: the trade-off of two objectives.
//! - [`search`]: the two searches by themselves, for any [`search::Surface`].
//! - [`BimixLaw`]: the loss of a domain by its weight and the length of
//!   training, from logged trajectories; [`bimix_optimum`], its best mixture.
//! - [`Earlier`], [`recast`], [`Frozen`]: use of earlier runs when the domains
//!   change.
//! - [`unimax`], [`effective_tokens`]: what repetition alone says.
//! - [`metrics`], [`cross_validate`], [`Interactions`], [`Support`]: the
//!   pieces.
//!
//! ```
//! use regmix_data::table::{MixtureTable, Observations, ValueTable};
//! use regmix_regress::{Constraints, Fit, FitOptions, Objective, RecommendOptions};
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
//! let found = fit.recommend(&RecommendOptions {
//!     objective: Objective::Mean,
//!     constraints: Some(Constraints::none(fit.domains().clone()).with_cap("web", 0.8)?),
//!     bootstrap: 4,
//!     ..RecommendOptions::default()
//! })?;
//! assert!((found.mixture.get("web").unwrap() - 0.5).abs() < 0.05);
//! assert!(found.binding.is_empty() && !found.support.out_of_distribution);
//! # Ok::<(), regmix_data::Error>(())
//! ```
//!
//! # What it does not do
//! It trains no language model and reads no corpus: losses come in as tables.
//! It does not correct for the step from proxy to target size; it assumes
//! that both rank mixtures alike, which is to be measured. It does not
//! extrapolate with any guarantee: [`Support`] says where that begins.

mod acquire;
mod baseline;
mod bimix;
mod cautions;
mod choose;
mod constraints;
mod contestants;
mod cross_validation;
mod fit;
mod interactions;
mod league;
mod learning;
pub mod metrics;
mod objective;
mod pareto;
mod progress;
mod recommend;
pub mod regressor;
mod repetition;
mod reuse;
mod samples;
pub mod search;
mod stack;
mod support;
mod train;
mod vector;

pub use acquire::{NextOptions, NextRun};
pub use baseline::unimax;
pub use bimix::{BimixLaw, BimixParameters, BimixPoint, bimix_optimum};
pub use constraints::{Binding, Bound, Constraints, Group};
pub use cross_validation::{CrossValidation, CvOptions, Folds, cross_validate};
pub use fit::{Choice, Dropped, Fit, FitOptions, OutOfFold, TargetFit};
pub use interactions::Interactions;
pub use league::{AUTO, Entry, League};
pub use learning::{LearningCurve, LearningOptions, LearningPoint};
pub use objective::{Baseline, Evaluator, Objective, Scorer};
pub use pareto::{Front, ParetoPoint};
pub use recommend::{
    Budget, Estimate, Gap, Method, Penalties, Provenance, Pull, RecommendOptions, Recommendation,
    Reference, TargetEstimate, WeightSpread,
};
pub use regressor::{Auto, Model, Prediction, Regressor};
pub use repetition::effective_tokens;
pub use reuse::{Earlier, Frozen, Recast, recast};
pub use samples::Samples;
pub use support::Support;
