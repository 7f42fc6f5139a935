//! What laws of scale are chosen among, and how they are fitted.

use regmix_data::{Monitor, Result};

use crate::scale::anchor::Anchor;
use crate::scale::fitted::Fitting;
use crate::scale::form::LawName;
use crate::scale::runs::ScaleRuns;
use crate::scale::units::Units;

/// The mean of these is used unless others are clearly better: their errors beyond
/// the data have opposite signs.
pub(super) const USUAL: [LawName; 3] = [
    LawName::Additive,
    LawName::Multiplicative,
    LawName::SlodmAdditive,
];

/// What is chosen among, and how data is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) names: &'a [LawName],
    /// Tokens that there are of every domain, and data per token.
    pub(crate) counting: (&'a [f64], &'a [f64]),
    /// Whether Data Mixing Laws as published are judged as well.
    pub(crate) nested: bool,
    /// Whether points before the end of a run have an excess of their own.
    pub(crate) decayed: bool,
    /// What held-out mixtures say about the fits.
    pub(crate) mixtures: AcrossMixtures,
}

impl Choice<'_> {
    /// How laws are fitted from some starts.
    pub(crate) fn fitting(&self, starts: usize) -> Fitting {
        Fitting {
            starts,
            alike: self.mixtures.alike,
        }
    }

    /// The regression that corrects the laws of some runs, where held-out mixtures
    /// ask for one.
    ///
    /// # Errors
    /// When the monitor asks to stop.
    pub(crate) fn anchor(&self, runs: &ScaleRuns, monitor: &dyn Monitor) -> Result<Option<Anchor>> {
        let share = self.mixtures.share;
        if share == 0.0 {
            return Ok(None);
        }
        Ok(Anchor::fit(runs, monitor)?.map(|anchor| anchor.with_share(share)))
    }

    /// The units of some runs.
    pub(crate) fn units(&self, runs: &ScaleRuns) -> Units {
        Units {
            decayed: self.decayed,
            ..Units::of(runs, self.counting.0, self.counting.1)
        }
    }
}

/// What a fit takes from mixtures that were held out. Splits in the direction of
/// use judge mixtures that the smaller sizes have seen; a search asks for others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AcrossMixtures {
    /// See [`Fitting::alike`].
    pub(crate) alike: f64,
    /// The factor on what the parameters leave open with which nine in ten
    /// held-out measurements are inside their intervals; at least 1.
    pub(crate) open: f64,
    /// The share of the difference of a regression from the laws that is added to
    /// them, see [`Anchor`](crate::scale::anchor::Anchor).
    pub(crate) share: f64,
}

impl Default for AcrossMixtures {
    fn default() -> Self {
        Self {
            alike: 1.0,
            open: 1.0,
            share: 0.0,
        }
    }
}
