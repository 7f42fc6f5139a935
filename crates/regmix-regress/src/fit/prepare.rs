//! What is fitted of the runs that are given: targets with enough values,
//! measurements in range, and mixtures whose fixed shares are exactly fixed.

use std::collections::BTreeMap;

use regmix_data::table::{Observations, ValueTable};
use regmix_data::{Error, Result};

use crate::fit::{Dropped, Fit};
use crate::fixed_shares::FixedShares;
use crate::metrics::quantile;
use crate::reuse::earlier::with_earlier;

/// Measurements from here on are no losses: sums of their squares are no
/// numbers.
const TOO_LARGE: f64 = 1e30;

/// The greatest share of a target's values that are left out as far outside of
/// the others: more are no exceptions.
const EXCEPTIONS: f64 = 0.05;

/// Where most values of a target are.
pub(super) struct Range {
    pub(super) middle: f64,
    /// The standard deviation that the middle half of the values would have under
    /// a normal distribution.
    sd: f64,
}

impl Range {
    /// How many standard deviations from the middle are far outside. Losses of
    /// sound runs rise steeply where a weight is near zero, by less than this.
    pub(super) const FAR: f64 = 50.0;

    /// `None` where half of the values are equal.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let middle = quantile(values, 0.5);
        let sd = (quantile(values, 0.75) - quantile(values, 0.25)) / 1.349;
        (sd > 0.0).then_some(Self { middle, sd })
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        (value - self.middle).abs() <= Self::FAR * self.sd
    }
}

/// What the targets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Losses,
    /// Shares of right answers, which may be equal by chance.
    Scores,
}

/// Runs that are ready for a fit.
pub(super) struct Prepared {
    /// The runs that judge models.
    pub(super) new: Observations,
    /// Runs from before the domains changed.
    pub(super) earlier: Option<Observations>,
    /// Both together.
    pub(super) all: Observations,
    pub(super) dropped: Vec<Dropped>,
    pub(super) warnings: Vec<String>,
}

impl Prepared {
    /// # Errors
    /// When there is no target, none has enough values, or the earlier runs
    /// have other targets.
    pub(super) fn of(
        new: &Observations,
        earlier: Option<&Observations>,
        keep_outliers: bool,
        kind: Kind,
    ) -> Result<Self> {
        if new.values.targets().is_empty() {
            return Err(Error::input(
                "no targets: expected at least one column of values",
            ));
        }
        let mut warnings: Vec<String> = new.notes().cloned().collect();
        // The order of the rows of a table decides nothing: not the folds, not resamples.
        let mut new = new.sorted_by_run()?;
        let mut earlier = earlier.map(Observations::sorted_by_run).transpose()?;
        let usable = |values: &ValueTable, t: usize| {
            let column = values.rows().iter().map(|row| row[t]);
            column.filter(|v| v.abs() < TOO_LARGE).count()
        };
        let targets: Vec<String> = new.values.targets().to_vec();
        let counts: Vec<usize> = (0..targets.len()).map(|t| usable(&new.values, t)).collect();
        let kept: Vec<usize> = (0..targets.len())
            .filter(|&t| counts[t] >= Fit::MIN_ROWS)
            .collect();
        if kept.is_empty() {
            return Err(Error::input(format!(
                "{} measured runs, expected at least {}",
                counts[0],
                Fit::MIN_ROWS
            ))
            .field(&targets[0])
            .help("train more proxies, or leave the target out"));
        }
        for (target, count) in targets.iter().zip(&counts) {
            if *count < Fit::MIN_ROWS {
                warnings.push(format!(
                    "`{target}` is left out: {count} measured runs, expected at least {}",
                    Fit::MIN_ROWS
                ));
            }
        }
        if kept.len() < targets.len() {
            new.values = new.values.with_targets(&kept);
            if let Some(earlier) = &mut earlier {
                earlier.values = earlier.values.with_targets(&kept);
            }
        }
        let mut dropped = out_of_range(&mut new.values)?;
        if kind == Kind::Losses {
            dropped.extend(copies(&mut new)?);
        }
        if !keep_outliers {
            dropped.extend(outliers(&mut new.values)?);
        }
        let mut all = match &earlier {
            Some(earlier) => with_earlier(&new, earlier).map_err(|e| e.field("earlier"))?,
            None => new.clone(),
        };
        let fixed = FixedShares::of(all.mixtures.mixtures());
        if !fixed.is_empty() {
            for part in [&mut new, &mut all].into_iter().chain(&mut earlier) {
                part.mixtures = fixed.snapped(&part.mixtures)?;
            }
        }
        Ok(Self {
            new,
            earlier,
            all,
            dropped,
            warnings,
        })
    }
}

/// Takes away the measurements that are not numbers of a usable size, and says
/// which.
fn out_of_range(values: &mut ValueTable) -> Result<Vec<Dropped>> {
    without(values, |_, v| {
        if v.is_nan() {
            Some("no measurement".to_owned())
        } else if v.is_infinite() {
            Some(format!("the value is {v}, expected a finite number"))
        } else if v.abs() >= TOO_LARGE {
            Some(format!(
                "the value is {v:e}, expected one below {TOO_LARGE:e}"
            ))
        } else {
            None
        }
    })
}

/// Takes away runs that have the mixture and all values of an earlier one, and
/// says which. No two runs agree in every digit: one was written twice, and
/// would count as a repeat without noise. Nothing is taken away where too few
/// runs would be left.
fn copies(runs: &mut Observations) -> Result<Vec<Dropped>> {
    let bits =
        |numbers: &[f64]| -> Vec<u64> { numbers.iter().map(|v| (v + 0.0).to_bits()).collect() };
    let rows = runs.values.rows();
    let mut first: BTreeMap<(Vec<u64>, Vec<u64>), usize> = BTreeMap::new();
    let mut copy_of: BTreeMap<&str, &str> = BTreeMap::new();
    let names = runs.values.runs();
    for (i, (mixture, row)) in runs.mixtures.mixtures().iter().zip(rows).enumerate() {
        if row.iter().all(|v| v.is_nan()) {
            continue;
        }
        let origin = *(first.entry((bits(mixture.weights()), bits(row)))).or_insert(i);
        if origin != i {
            copy_of.insert(&names[i], &names[origin]);
        }
    }
    // Values that are the same whatever the mixture is are no measurements to
    // compare, and the whole target is treated as constant.
    let varies = rows.iter().any(|row| bits(row) != bits(&rows[0]));
    if copy_of.is_empty() || !varies || rows.len() - copy_of.len() < Fit::MIN_ROWS {
        return Ok(Vec::new());
    }
    let reasons: BTreeMap<String, String> = (copy_of.into_iter())
        .map(|(run, origin)| {
            let reason = format!(
                "the mixture and all values are those of run `{origin}`: a copy counts once"
            );
            (run.to_owned(), reason)
        })
        .collect();
    without_runs(&mut runs.values, &reasons)
}

/// Takes away all values of some runs, each with its reason.
fn without_runs(
    values: &mut ValueTable,
    reasons: &BTreeMap<String, String>,
) -> Result<Vec<Dropped>> {
    let mut out = Vec::new();
    let targets = values.targets().to_vec();
    let rows: Vec<(String, Vec<f64>)> = (values.runs().iter().cloned().zip(values.rows().to_vec()))
        .map(|(run, row)| match reasons.get(&run) {
            None => (run, row),
            Some(reason) => {
                let measured = targets.iter().zip(&row).filter(|(_, v)| !v.is_nan());
                out.extend(measured.map(|(target, _)| Dropped {
                    run: run.clone(),
                    target: target.clone(),
                    reason: reason.clone(),
                }));
                (run, vec![f64::NAN; row.len()])
            }
        })
        .collect();
    *values = ValueTable::new(targets, rows)?;
    Ok(out)
}

/// Takes away the few measurements of a target that are far outside of the
/// others, and says which. A diverged run would decide what is fitted of all
/// others.
fn outliers(values: &mut ValueTable) -> Result<Vec<Dropped>> {
    let ranges: Vec<Option<Range>> = (0..values.targets().len())
        .map(|t| {
            let column = values.rows().iter().map(|row| row[t]);
            let measured: Vec<f64> = column.filter(|v| !v.is_nan()).collect();
            let range = Range::of(&measured)?;
            let far = measured.iter().filter(|v| !range.holds(**v)).count();
            let few = far as f64 <= EXCEPTIONS * measured.len() as f64;
            (few && measured.len() - far >= Fit::MIN_ROWS).then_some(range)
        })
        .collect();
    without(values, |t, v| {
        let range = ranges[t].as_ref()?;
        (!v.is_nan() && !range.holds(v)).then(|| {
            format!(
                "the value is {v}, more than {} standard deviations from the middle of the other \
                 runs, {:.4} (`--keep-outliers` keeps it)",
                Range::FAR,
                range.middle
            )
        })
    })
}

/// Takes away the values for which there is a reason, by target and value.
fn without(
    values: &mut ValueTable,
    reason: impl Fn(usize, f64) -> Option<String>,
) -> Result<Vec<Dropped>> {
    let mut rows = values.rows().to_vec();
    let mut out = Vec::new();
    for (t, target) in values.targets().iter().enumerate() {
        for (run, row) in values.runs().iter().zip(&mut rows) {
            if let Some(reason) = reason(t, row[t]) {
                row[t] = f64::NAN;
                out.push(Dropped {
                    run: run.clone(),
                    target: target.clone(),
                    reason,
                });
            }
        }
    }
    if !out.is_empty() {
        let rows = values.runs().iter().cloned().zip(rows);
        *values = ValueTable::new(values.targets().to_vec(), rows)?;
    }
    Ok(out)
}
