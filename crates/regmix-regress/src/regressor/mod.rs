//! Regressors: from samples to a fitted [`Model`].
//!
//! | name | model | linear in weights | suited to |
//! |---|---|---|---|
//! | `mean` | the mean of the values | yes | the baseline that others must beat |
//! | `linear` | least squares on the weights | yes | quick look; ranks poorly away from the middle |
//! | `ridge` | the same, shrunk; strength by inner cross-validation | yes | few rows |
//! | `elastic_net` | shrunk, with zeros; strength by inner cross-validation | yes | many domains, few that matter |
//! | `law1` | power law with cross terms | no | the default choice for losses |
//! | `gbdt` | gradient-boosted trees | no | any shape, from a few hundred rows on |

pub(crate) mod elastic_net;
pub(crate) mod factor;
pub(crate) mod gbdt;
pub(crate) mod law;
mod law_fit;
mod lbfgs;
pub(crate) mod linear;
mod model;
mod noise;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use crate::samples::Samples;

pub use elastic_net::ElasticNet;
pub use gbdt::{Gbdt, GbdtModel};
pub use law::Law1Model;
pub use law_fit::Law1;
pub use linear::{Linear, LinearModel, Ridge};
pub use model::{ConstantModel, Model};

/// A predicted value with its uncertainty, both in the target's unit (nats
/// per token for losses).
///
/// `sd` is predictive: it covers what the fit does not know and the noise of
/// one further run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The expected value.
    pub mean: f64,
    /// The standard deviation of a new measurement around `mean`.
    pub sd: f64,
}

impl Prediction {
    /// The central 90 % interval under a normal distribution, `mean ± 1.645 sd`.
    pub fn interval90(self) -> (f64, f64) {
        let half = crate::metrics::Z90 * self.sd;
        (self.mean - half, self.mean + half)
    }
}

/// Something that learns a map from mixture to value.
///
/// The same samples and seed always give the same model.
pub trait Regressor: Send + Sync {
    /// The name under which [`regressor`] knows it.
    fn name(&self) -> &str;

    /// Fits a model.
    ///
    /// # Errors
    /// When the samples are outside what the regressor can describe.
    fn fit(&self, samples: &Samples<'_>, seed: u64) -> Result<Model>;

    /// Fits to slightly changed samples (a bootstrap), starting from a model
    /// fitted before where that saves time. Not for cross-validation: the
    /// earlier model has seen the held-out rows.
    ///
    /// # Errors
    /// As [`Regressor::fit`].
    fn refit(&self, samples: &Samples<'_>, seed: u64, previous: &Model) -> Result<Model> {
        let _ = previous;
        self.fit(samples, seed)
    }
}

/// The mean of the values, whatever the mixture.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean;

impl Regressor for Mean {
    fn name(&self) -> &str {
        "mean"
    }

    fn fit(&self, samples: &Samples<'_>, _seed: u64) -> Result<Model> {
        Ok(Model::Constant(ConstantModel::of(samples.values())))
    }
}

/// The names that [`regressor`] knows, from the plainest to the richest.
pub const NAMES: [&str; 6] = ["mean", "linear", "ridge", "elastic_net", "law1", "gbdt"];

/// The regressor of a name, with its default settings.
///
/// ```
/// use regmix_regress::regressor::regressor;
///
/// assert_eq!(regressor("law1")?.name(), "law1");
/// let err = regressor("magic").err().unwrap();
/// assert!(err.to_string().contains("expected one of mean, linear"));
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When there is none of that name; the error lists [`NAMES`].
pub fn regressor(name: &str) -> Result<Box<dyn Regressor>> {
    Ok(match name {
        "mean" => Box::new(Mean),
        "linear" => Box::new(Linear),
        "ridge" => Box::new(Ridge::default()),
        "elastic_net" => Box::new(ElasticNet::default()),
        "law1" => Box::new(Law1::default()),
        "gbdt" => Box::new(Gbdt::default()),
        _ => {
            return Err(Error::input(format!(
                "unknown regressor `{name}`: expected one of {}",
                NAMES.join(", ")
            )));
        }
    })
}
