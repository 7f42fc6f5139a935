//! MixMin: a mixture from experts, each trained on one domain alone.

use regmix_data::{Mixture, Result};
use regmix_regress::Objective;

use super::experts::experts;
use super::limits::constraints;
use super::runs::Compute;
use crate::study::{Context, Study, natural_mixture};

/// Searches the mixture of the experts' predictions with the best objective on the
/// validation text, within the limits of the study; experts that are not finished are
/// trained. `None` where another worker still trains one of them.
pub(super) fn mixmin(
    study: &Study,
    objective: &Objective,
    compute: Compute<'_>,
    cx: Context<'_>,
) -> Result<Option<Mixture>> {
    let Some(experts) = experts(study, compute, cx)? else {
        return Ok(None);
    };
    let limits = constraints(study, compute.corpus.manifest())?;
    let natural = natural_mixture(compute.corpus.manifest())?;
    experts
        .minimise_monitored(objective, Some(&limits), Some(&natural), cx.monitor)
        .map(Some)
}
