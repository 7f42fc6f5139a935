//! Regressors by their names.

use regmix_data::{Error, Result};

use crate::ensemble::Ensemble;
use crate::regressor::bimix::fit::Bimix;
use crate::regressor::gbdt::fit::Gbdt;
use crate::regressor::gp::fit::Gp;
use crate::regressor::gp::inputs::Warp;
use crate::regressor::interface::Regressor;
use crate::regressor::law::fit::Law;
use crate::regressor::linear::elastic_net::ElasticNet;
use crate::regressor::linear::least_squares::{Linear, Ridge};
use crate::regressor::log_linear::dml::Dml;
use crate::regressor::log_linear::olmix::Olmix;
use crate::regressor::mean::Mean;

/// The names that [`regressor`] knows, from the simplest to the richest.
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

/// The regressors that are judged by default: all but those that are only
/// there for comparison.
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
    Ok(match known(name)? {
        Known::Single(regressor) => regressor,
        Known::Ensemble(ensemble) => Box::new(ensemble),
    })
}

/// A regressor by itself, or an ensemble, whose members' predictions need not
/// be computed again for it.
pub(crate) enum Known {
    Single(Box<dyn Regressor>),
    Ensemble(Ensemble),
}

impl Known {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Single(regressor) => regressor.name(),
            Self::Ensemble(ensemble) => ensemble.name(),
        }
    }
}

/// As [`regressor`].
pub(crate) fn known(name: &str) -> Result<Known> {
    let member = |m: &str| match known(m)? {
        Known::Single(regressor) => Ok(regressor),
        Known::Ensemble(_) => Err(Error::input(format!(
            "ensemble `{name}`: expected at least one member, none an ensemble itself"
        ))),
    };
    if name.contains('+') {
        let members = name.split('+').map(|m| Ok((1.0, member(m)?)));
        let members = members.collect::<Result<_>>()?;
        return Ok(Known::Ensemble(Ensemble::weighted(name, members)?));
    }
    // Two laws and two processes: the processes are the better half where
    // runs are many, and no worse where they are few.
    let joined = [(0.2, "law1"), (0.2, "law2"), (0.3, "gp"), (0.3, "gp_log")];
    let single: Box<dyn Regressor> = match name {
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
            let members = joined.map(|(weight, m)| Ok((weight, member(m)?)));
            let members = members.into_iter().collect::<Result<_>>()?;
            return Ok(Known::Ensemble(Ensemble::weighted(name, members)?));
        }
        "stacked" => {
            let members = joined.map(|(_, m)| member(m)).into_iter();
            let members = members.collect::<Result<_>>()?;
            return Ok(Known::Ensemble(Ensemble::stacked(name, members)?));
        }
        _ => {
            return Err(Error::input(format!(
                "unknown regressor `{name}`: expected one of {}",
                NAMES.join(", ")
            )));
        }
    };
    Ok(Known::Single(single))
}
