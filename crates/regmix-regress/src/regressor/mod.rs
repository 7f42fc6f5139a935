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

mod auto;
mod bimix;
pub(crate) mod block;
mod dml;
pub(crate) mod elastic_net;
pub(crate) mod ensemble;
pub(crate) mod factor;
pub(crate) mod gbdt;
pub(crate) mod gp;
pub(crate) mod law;
mod law_fit;
pub(crate) mod lbfgs;
pub(crate) mod linear;
mod log_linear;
mod log_linear_fit;
mod model;
mod noise;
mod olmix;
mod uncertainty;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Monitor, Result, Silent};

use crate::samples::Samples;

pub use auto::Auto;
pub use bimix::{Bimix, BimixModel};
pub use dml::Dml;
pub use elastic_net::ElasticNet;
pub use ensemble::{Ensemble, EnsembleModel};
pub use gbdt::{Gbdt, GbdtModel};
pub use gp::{Gp, GpModel, Warp};
pub use law::LawModel;
pub use law_fit::Law;
pub use linear::{Linear, LinearModel, Ridge};
pub use log_linear::LogLinearModel;
pub use model::{CalibratedModel, ConstantModel, Model, score};
pub use olmix::Olmix;

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

    /// Fits a model. A fit that may take longer than half a second checks the
    /// monitor on its way.
    ///
    /// # Errors
    /// When the samples are outside what the regressor can describe, or the
    /// monitor asks to stop.
    fn fit_monitored(
        &self,
        samples: &Samples<'_>,
        seed: u64,
        monitor: &dyn Monitor,
    ) -> Result<Model>;

    /// [`Regressor::fit_monitored`] without a monitor.
    ///
    /// # Errors
    /// When the samples are outside what the regressor can describe.
    fn fit(&self, samples: &Samples<'_>, seed: u64) -> Result<Model> {
        self.fit_monitored(samples, seed, &Silent)
    }

    /// Fits to a resample of earlier samples (a bootstrap), starting from the
    /// model of those where that saves time. Not for cross-validation: the
    /// earlier model has seen the held-out rows.
    ///
    /// # Errors
    /// As [`Regressor::fit_monitored`].
    fn refit(
        &self,
        samples: &Samples<'_>,
        seed: u64,
        previous: &Model,
        monitor: &dyn Monitor,
    ) -> Result<Model> {
        let _ = previous;
        self.fit_monitored(samples, seed, monitor)
    }

    /// This regressor as an ensemble, if it is one: its members' predictions
    /// are then not computed again for it.
    fn ensemble(&self) -> Option<&Ensemble> {
        None
    }
}

/// The mean of the values, whatever the mixture.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mean;

impl Regressor for Mean {
    fn name(&self) -> &str {
        "mean"
    }

    fn fit_monitored(&self, samples: &Samples<'_>, _seed: u64, _monitor: &dyn Monitor) -> Result<Model> {
        Ok(Model::Constant(ConstantModel::of(samples.values())))
    }
}

/// The names that [`regressor`] knows, from the plainest to the richest.
pub const NAMES: [&str; 14] = [
    "mean",
    "linear",
    "ridge",
    "elastic_net",
    "bimix",
    "dml",
    "olmix",
    "gbdt",
    "law1",
    "law2",
    "gp",
    "gp_log",
    "ensemble",
    "stacked",
];

/// What is judged where nothing else is asked for: all but those that are
/// there to be compared with.
pub const DEFAULT: [&str; 11] = [
    "mean", "linear", "ridge", "dml", "gbdt", "law1", "law2", "gp", "gp_log", "ensemble", "stacked",
];

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
    if name.contains('+') {
        let members = name.split('+').map(|m| Ok((1.0, regressor(m)?)));
        return Ok(Box::new(Ensemble::weighted(
            name,
            members.collect::<Result<_>>()?,
        )?));
    }
    // Two laws and two processes: the processes are the better half where
    // runs are many, and no worse where they are few.
    let joined = [(0.2, "law1"), (0.2, "law2"), (0.3, "gp"), (0.3, "gp_log")];
    Ok(match name {
        "mean" => Box::new(Mean),
        "linear" => Box::new(Linear),
        "ridge" => Box::new(Ridge::default()),
        "elastic_net" => Box::new(ElasticNet::default()),
        "bimix" => Box::new(Bimix),
        "dml" => Box::new(Dml::default()),
        "olmix" => Box::new(Olmix::default()),
        "gbdt" => Box::new(Gbdt::default()),
        "law1" => Box::new(Law::one()),
        "law2" => Box::new(Law::two()),
        "gp" => Box::new(Gp::default()),
        "gp_log" => Box::new(Gp {
            warp: Warp::Logarithm,
            ..Gp::default()
        }),
        "ensemble" => {
            let members = joined.map(|(weight, m)| Ok((weight, regressor(m)?)));
            let members = members.into_iter().collect::<Result<_>>()?;
            Box::new(Ensemble::weighted(name, members)?)
        }
        "stacked" => {
            let members = joined.map(|(_, m)| regressor(m)).into_iter();
            Box::new(Ensemble::stacked(name, members.collect::<Result<_>>()?)?)
        }
        _ => {
            return Err(Error::input(format!(
                "unknown regressor `{name}`: expected one of {}",
                NAMES.join(", ")
            )));
        }
    })
}
