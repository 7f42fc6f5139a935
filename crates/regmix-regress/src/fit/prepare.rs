//! What is fitted of the runs that are given: targets with enough values,
//! measurements in range, and mixtures whose fixed shares are exactly fixed.

use regmix_data::table::{Observations, ValueTable};
use regmix_data::{Error, Result};

use crate::fit::{Dropped, Fit};
use crate::fixed_shares::FixedShares;
use crate::reuse::earlier::with_earlier;

/// Measurements from here on are no losses: sums of their squares are no
/// numbers.
const TOO_LARGE: f64 = 1e30;

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
    pub(super) fn of(new: &Observations, earlier: Option<&Observations>) -> Result<Self> {
        if new.values.targets().is_empty() {
            return Err(Error::input(
                "no targets: expected at least one column of values",
            ));
        }
        let mut warnings: Vec<String> = new.notes().cloned().collect();
        let mut new = new.clone();
        let mut earlier = earlier.cloned();
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
        let dropped = dropped(&new.values);
        if dropped.iter().any(|d| d.reason.contains(" below ")) {
            new.values = in_range(&new.values)?;
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

/// The same values, missing where they are too large.
fn in_range(values: &ValueTable) -> Result<ValueTable> {
    let usable = |v: &f64| if v.abs() < TOO_LARGE { *v } else { f64::NAN };
    let rows = (values.runs().iter().zip(values.rows()))
        .map(|(run, row)| (run.clone(), row.iter().map(usable).collect()));
    ValueTable::new(values.targets().to_vec(), rows)
}

/// The measurements that are not fitted.
fn dropped(values: &ValueTable) -> Vec<Dropped> {
    let mut out = Vec::new();
    for (t, target) in values.targets().iter().enumerate() {
        for (run, row) in values.runs().iter().zip(values.rows()) {
            let reason = match row[t] {
                v if v.is_nan() => "no measurement".to_owned(),
                v if v.is_infinite() => format!("the value is {v}, expected a finite number"),
                v if v.abs() >= TOO_LARGE => {
                    format!("the value is {v:e}, expected one below {TOO_LARGE:e}")
                }
                _ => continue,
            };
            out.push(Dropped {
                run: run.clone(),
                target: target.clone(),
                reason,
            });
        }
    }
    out
}
