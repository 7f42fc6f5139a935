//! Other methods that choose the mixture while a model trains, to compare with: ODM and
//! ADO.
//!
//! Both need no proxies. After every step they take the mean training loss of each domain
//! that the batch held, and give the mixture of the next step. The same losses always give
//! the same mixtures.

mod ado;
mod controller;
mod odm;
mod power_law;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Mixture, Result};

pub use ado::{Ado, AdoOptions};
pub use controller::{PeerController, PeerState};
pub use odm::{Odm, OdmOptions};

/// Makes a mixture of weights that sum to 1, within limits if there are some, such as
/// `Constraints::project`.
pub type Limit<'a> = &'a dyn Fn(&[f64]) -> Result<Mixture>;

/// A method that chooses the mixture of every step from training losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Peer {
    /// Online data mixing by a bandit.
    Odm(Odm),
    /// Adaptive data optimization by scaling laws.
    Ado(Ado),
}

impl Peer {
    /// The mixture of the first step.
    pub fn first(&self) -> &Mixture {
        match self {
            Self::Odm(odm) => odm.first(),
            Self::Ado(ado) => ado.first(),
        }
    }

    /// Takes what a step of training gave: its number, counted from 1, and the mean loss
    /// of every domain in nats per token, `None` where the batch held none of it. Returns
    /// the mixture of the next step, which is the method's after `limit`.
    ///
    /// # Errors
    /// When steps do not follow each other, the number of losses is not that of domains, or
    /// a loss is not a number above 0: the mixture stays as it was. Those of `limit`.
    pub fn observe(
        &mut self,
        step: u64,
        losses: &[Option<f64>],
        limit: Limit<'_>,
    ) -> Result<Mixture> {
        match self {
            Self::Odm(odm) => odm.observe(step, losses, limit),
            Self::Ado(ado) => ado.observe(step, losses, limit),
        }
    }
}

/// Checks an observation.
fn check(last: u64, step: u64, losses: &[Option<f64>], domains: usize) -> Result<()> {
    if step != last + 1 {
        let e = Error::input(format!("step {step}: expected {}, the next one", last + 1));
        return Err(e.field("step"));
    }
    if losses.len() != domains {
        return Err(Error::input(format!(
            "{} losses: expected {domains}, one per domain",
            losses.len()
        ))
        .field("losses"));
    }
    match losses
        .iter()
        .flatten()
        .find(|loss| !(loss.is_finite() && **loss > 0.0))
    {
        Some(loss) => {
            Err(Error::input(format!("loss {loss}: expected a number above 0")).field("losses"))
        }
        None => Ok(()),
    }
}
