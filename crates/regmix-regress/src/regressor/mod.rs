//! Regressors: from samples to a fitted [`Model`].
//!
//! | name | model | linear in weights | suited to |
//! |---|---|---|---|
//! | `mean` | the mean of the values | yes | the baseline that others must beat |
//! | `linear` | least squares on the weights | yes | quick look; ranks poorly away from the middle |
//! | `ridge` | the same, shrunk; strength by inner cross-validation | yes | few rows |
//! | `elastic_net` | shrunk, with zeros; strength by inner cross-validation | yes | many domains, few that matter |
//! | `bimix` | power law in the target's own weight | no | very few rows; domains that do not help each other |
//! | `dml` | log-linear law | no | few rows; smooth losses away from weight 0 |
//! | `olmix` | the same law, fitted as Olmix does | no | comparison with Olmix |
//! | `gbdt` | gradient-boosted trees, RegMix's own choice | no | any shape, from a few hundred rows on |
//! | `law1` | power law with cross terms | no | losses, few rows |
//! | `law2` | two such terms | no | losses, more rows |
//! | `gp` | Gaussian process | no | any smooth target, many rows |
//! | `gp_log` | the same on logarithms of weights | no | weights over orders of magnitude |
//! | `ensemble` | two laws and two processes | no | the default choice for losses |
//! | `stacked` | the same, weighted by out-of-fold errors | no | many rows |
//!
//! Names joined by `+` are the mean of those, such as `law1+gp`.

pub(crate) mod bimix;
pub(crate) mod block;
pub(crate) mod gbdt;
pub(crate) mod gp;
pub(crate) mod interface;
pub(crate) mod law;
pub(crate) mod linear;
pub(crate) mod log_linear;
pub(crate) mod mean;
pub(crate) mod model;
pub(crate) mod noise;
pub(crate) mod uncertainty;

pub use crate::ensemble::Ensemble;
pub use crate::judge::auto::Auto;
pub use crate::registry::{DEFAULT, NAMES, regressor};
pub use bimix::fit::Bimix;
pub use bimix::model::BimixModel;
pub use gbdt::fit::Gbdt;
pub use gbdt::model::GbdtModel;
pub use gp::fit::Gp;
pub use gp::inputs::Warp;
pub use gp::model::GpModel;
pub use interface::{FitContext, Regressor};
pub use law::fit::Law;
pub use law::model::LawModel;
pub use linear::elastic_net::ElasticNet;
pub use linear::least_squares::{Linear, Ridge};
pub use linear::model::LinearModel;
pub use log_linear::dml::Dml;
pub use log_linear::model::LogLinearModel;
pub use log_linear::olmix::Olmix;
pub use mean::Mean;
pub use model::calibrated::CalibratedModel;
pub use model::constant::ConstantModel;
pub use model::ensemble::EnsembleModel;
pub use model::{Model, score};
