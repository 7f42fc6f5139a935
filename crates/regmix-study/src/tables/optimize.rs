//! Searching mixtures for the user's own objectives.

use regmix_data::{Error, Monitor, Result};
use regmix_regress::{
    Baseline, Fit, Front, Objective, RecommendOptions, Recommendation, pareto_monitored,
    recommend_monitored,
};

use super::limits::limited_by_file;
use super::objective::{ObjectiveArgument, with_field_if_none};

/// Recommends a mixture for an objective: its name, or the name of a `.toml`
/// file with an objective and limits ([`ObjectiveFile`]).
///
/// [`ObjectiveFile`]: crate::config::ObjectiveFile
///
/// # Errors
/// As [`regmix_regress::recommend`]; when the file is wrong, and when the
/// monitor asks to stop.
pub fn optimize(
    fit: &Fit,
    objective: &str,
    options: RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Recommendation> {
    match ObjectiveArgument::read(objective)? {
        ObjectiveArgument::File(path, file) => limited_by_file(fit, &file, options)
            .and_then(|limited| {
                let objective = file.objective()?;
                warn_of_baseline(&objective, fit.natural().is_some(), monitor);
                let options = RecommendOptions {
                    objective,
                    ..limited
                };
                recommend_monitored(fit, &options, monitor)
            })
            .map_err(|e| e.in_file_if_none(path)),
        ObjectiveArgument::Named(objective) => {
            warn_of_baseline(&objective, fit.natural().is_some(), monitor);
            let options = RecommendOptions {
                objective,
                ..options
            };
            recommend_monitored(fit, &options, monitor)
                .map_err(|e| with_field_if_none(e, "--objective"))
        }
    }
}

/// Says that a worst case is one against the uniform mixture, where the natural mixture
/// is not known.
pub(super) fn warn_of_baseline(objective: &Objective, is_known: bool, monitor: &dyn Monitor) {
    if !is_known && objective.baseline() == Some(Baseline::Natural) {
        monitor.message(
            "warning: the natural mixture is not known, so that losses are compared with those of \
             the uniform mixture: give the natural one with `--prior`, or set relative_to = \
             \"uniform\" in an objective file",
        );
    }
}

/// The front of two objectives, each given as for [`optimize`], under the
/// limits and penalties of the file `limits` if there is one; that file's own
/// objective is not used.
///
/// # Errors
/// As [`regmix_regress::pareto`] and [`optimize`]; when `limits` is not a file.
pub fn pareto(
    fit: &Fit,
    ends: [&str; 2],
    points: usize,
    limits: Option<&str>,
    options: RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Front> {
    let limits = match limits.map(ObjectiveArgument::read).transpose()? {
        None => None,
        Some(ObjectiveArgument::File(path, file)) => Some((path, file)),
        Some(ObjectiveArgument::Named(_)) => {
            return Err(Error::input(
                "both objectives are those of `--pareto`: expected a .toml file with limits",
            )
            .field("--objective")
            .help("leave `--objective` out, or give the limits in a file"));
        }
    };
    let objective = |text| match ObjectiveArgument::read(text)? {
        ObjectiveArgument::Named(objective) => Ok(objective),
        ObjectiveArgument::File(path, file) => {
            file.objective().map_err(|e| e.in_file_if_none(path))
        }
    };
    let [a, b] = [objective(ends[0])?, objective(ends[1])?];
    for end in [&a, &b] {
        warn_of_baseline(end, fit.natural().is_some(), monitor);
    }
    let limited = match &limits {
        Some((_, file)) => limited_by_file(fit, file, options),
        None => Ok(options),
    };
    limited
        .and_then(|options| pareto_monitored(fit, &a, &b, points, &options, monitor))
        .map_err(|e| match &limits {
            Some((path, _)) if e.field_name().is_some() => e.in_file_if_none(path),
            _ => with_field_if_none(e, "--pareto"),
        })
}
