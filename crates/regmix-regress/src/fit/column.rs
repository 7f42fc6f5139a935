//! The values of one target, and what is fitted of them.

use std::borrow::Cow;

use regmix_data::table::Observations;
use regmix_data::{Error, Mixture, Result};

use crate::fit::approximate::Models;
use crate::judge::contestants::Judged;
use crate::regressor::model::moved::Taken;
use crate::samples::{Samples, groups, measured};

/// One target.
pub(super) struct Column<'a> {
    pub(super) target: &'a str,
    /// The places of its measured runs in the table.
    pub(super) places: Vec<usize>,
    /// The mixtures of these runs, numbered alike for all targets.
    pub(super) mixtures: Vec<usize>,
    pub(super) samples: Samples<'a>,
    /// Runs from before the domains changed; `None` for a target that came
    /// with the new runs.
    pub(super) earlier: Option<Samples<'a>>,
    /// What is taken from the values before they are fitted, and what is left of those
    /// of the samples.
    pub(super) taken: Option<(Taken, Samples<'a>)>,
}

impl<'a> Column<'a> {
    /// Takes a share of approximate losses from the values, where the target has some
    /// and varies.
    fn take(&mut self, models: &Models, share: f64) -> Result<()> {
        let varies = !self.samples.same_value() && !self.samples.same_mixture();
        let Some(model) = models.get(self.target).filter(|_| varies) else {
            return Ok(());
        };
        let taken = Taken::of(model, share, &self.samples);
        let named = |e: Error| e.field(self.target);
        let rest = taken.rest_of(&self.samples).map_err(named)?;
        if let Some(earlier) = &mut self.earlier {
            *earlier = taken.rest_of(earlier).map_err(named)?;
        }
        self.taken = Some((taken, rest));
        Ok(())
    }

    /// What regressors are fitted to.
    pub(super) fn rest(&self) -> &Samples<'a> {
        self.taken.as_ref().map_or(&self.samples, |(_, rest)| rest)
    }

    /// What was judged, of the values themselves.
    pub(super) fn shown<'b>(&self, judged: &'b Judged) -> Cow<'b, Judged> {
        let Some((taken, _)) = &self.taken else {
            return Cow::Borrowed(judged);
        };
        let rows = self.samples.rows();
        Cow::Owned(judged.moved(|row, rest| taken.bounded(rest) + taken.at(rows[row])))
    }
}

/// All targets, less a share of approximate losses where there are some.
pub(super) fn columns<'a>(
    new: &'a Observations,
    earlier: Option<&'a Observations>,
    moved: Option<(&Models, f64)>,
) -> Result<Vec<Column<'a>>> {
    let mixture_of = groups(new.mixtures.mixtures().iter().map(Mixture::weights));
    (new.values.targets().iter().enumerate())
        .map(|(t, target)| {
            let (places, samples) = measured(new, t)?;
            let mut column = Column {
                target,
                // Where all runs are of one mixture, folds are of runs.
                mixtures: match samples.same_mixture() {
                    true => places.clone(),
                    false => places.iter().map(|&run| mixture_of[run]).collect(),
                },
                places,
                samples,
                earlier: earlier.and_then(|e| measured(e, t).ok()).map(|(_, s)| s),
                taken: None,
            };
            if let Some((models, share)) = moved {
                column.take(models, share)?;
            }
            Ok(column)
        })
        .collect()
}
