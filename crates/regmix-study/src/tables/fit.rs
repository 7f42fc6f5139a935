//! Fits of the user's own runs.

use std::path::Path;

use regmix_data::table::{Observations, ValueTable};
use regmix_data::{Error, ErrorKind, Monitor, Result, artefact};
use regmix_regress::{
    Fit, FitOptions, LearningCurve, LearningOptions, StandardErrors, learning_curve_monitored,
};

use super::earlier::earlier_runs;
use crate::config::{ApproximateSection, EarlierSection};

/// What is known beside the runs; all of it replaces what the options have.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// Runs from before the domains changed, which are fitted with them.
    pub earlier: Option<&'a EarlierSection>,
    /// Mixtures and approximate losses ([`FitOptions::approximate`]).
    pub approximate: Option<&'a ApproximateSection>,
    /// Standard errors of the values.
    pub errors: Option<&'a Path>,
}

/// Fits the losses of a table to the mixtures of another, into the folder
/// `out`.
///
/// # Errors
/// When a table cannot be read or does not fit the other, `out` holds a fit
/// and `redo` is not set, as [`Fit::train`], and when the monitor asks to stop.
pub fn fit_tables(
    [mixtures, losses]: [&Path; 2],
    beside: Beside<'_>,
    mut options: FitOptions,
    (out, redo): (&Path, bool),
    monitor: &dyn Monitor,
) -> Result<Fit> {
    let observations = Observations::read_csv(mixtures, losses)?;
    refuse_to_overwrite(&out.join("fit.json"), redo)?;
    let domains = observations.mixtures.domains();
    domains.more_than_one().map_err(|e| e.in_file(mixtures))?;
    if let Some(path) = beside.errors {
        let table = ValueTable::read_own_csv(path)?;
        let errors = StandardErrors::new(&table, &observations);
        options.errors = Some(errors.map_err(|e| e.in_file(path))?);
    }
    monitor.message(&format!(
        "fitting {} runs, {} targets",
        observations.mixtures.len(),
        observations.values.targets().len()
    ));
    if let Some(earlier) = beside.earlier {
        options.earlier = Some(earlier_runs(earlier, &observations, monitor)?);
    }
    if let Some(approximate) = beside.approximate {
        options.approximate = Some(approximate.read(domains, monitor)?);
    }
    let fit = Fit::train_monitored(&observations, &options, monitor);
    let fit = fit.map_err(|e| match (e.field_name(), beside.approximate) {
        (Some("approximate"), Some(section)) => e.in_file_if_none(&section.losses),
        _ => e,
    })?;
    artefact::withdraw(&out.join("fit.json"))?;
    fit.save(out)?;
    Ok(fit)
}

/// Measures how accuracy grows with the number of runs, for a fit that is saved
/// in the folder `out`.
///
/// # Errors
/// As [`regmix_regress::learning_curve`], when the file cannot be written, and
/// when the monitor asks to stop.
pub fn learning_curve(
    fit: &Fit,
    options: &LearningOptions,
    out: &Path,
    monitor: &dyn Monitor,
) -> Result<LearningCurve> {
    let curve = learning_curve_monitored(fit, options, monitor)?;
    curve.write_csv(out.join("learning.csv"))?;
    Ok(curve)
}

/// An error where a file exists and `redo` is not set: results outside of a
/// study are overwritten only on request.
///
/// # Errors
/// Of the kind [`ErrorKind::Stale`].
pub fn refuse_to_overwrite(path: &Path, redo: bool) -> Result<()> {
    if path.exists() && !redo {
        return Err(Error::new(ErrorKind::Stale, "it is there already")
            .in_file(path)
            .help("choose another place with `--out`, or overwrite it with `--redo`"));
    }
    Ok(())
}
