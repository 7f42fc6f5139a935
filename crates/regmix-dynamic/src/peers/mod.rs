//! Other methods that choose the mixture while a model trains, for comparison: ODM, ADO and
//! Aioli.
//!
//! None of them needs proxies. After every step, ODM and ADO take the mean training loss of
//! each domain that the batch contained, and return the mixture of the next step. Aioli takes
//! the validation losses of all domains at some steps ([`Peer::steps`]), and gives the
//! mixture up to the next of them. The same losses always give the same mixtures.

mod ado;
mod aioli;
mod controller;
mod odm;
mod power_law;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Mixture, Result};

pub use ado::{Ado, AdoOptions};
pub use aioli::{Aioli, AioliOptions};
pub use controller::{PeerController, PeerState};
pub use odm::{Odm, OdmOptions};

/// Makes a mixture of weights that sum to 1, within limits if there are some, such as
/// `Constraints::project`.
pub type Limit<'a> = &'a dyn Fn(&[f64]) -> Result<Mixture>;

/// A method that chooses mixtures from the losses of the run itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Peer {
    /// Online data mixing by a bandit.
    Odm(Odm),
    /// Adaptive data optimization by scaling laws.
    Ado(Ado),
    /// Aioli, by what training on every domain does to every validation loss.
    Aioli(Aioli),
}

impl Peer {
    /// The mixture of the first step.
    pub fn first(&self) -> &Mixture {
        match self {
            Self::Odm(odm) => odm.first(),
            Self::Ado(ado) => ado.first(),
            Self::Aioli(aioli) => aioli.first(),
        }
    }

    /// The steps after which it takes the validation losses of all domains; `None` where it
    /// takes the training losses of every step.
    pub fn steps(&self) -> Option<&[u64]> {
        match self {
            Self::Odm(_) | Self::Ado(_) => None,
            Self::Aioli(aioli) => Some(aioli.steps()),
        }
    }

    /// Takes what a step of training gave: its number, counted from 1, and the mean loss
    /// of every domain in nats per token, `None` where the batch held none of it. Returns
    /// the mixture of the steps that follow, which is the method's after `limit`.
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
            Self::Aioli(aioli) => aioli.observe(step, losses, limit),
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
