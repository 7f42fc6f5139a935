//! Constraints and penalties from sections of a configuration.

use regmix_data::{Error, Result};
use regmix_regress::{Budget, Constraints, Fit, RecommendOptions};

use crate::config::{ConstraintSection, ObjectiveFile};

/// Adds the limits and penalties of an objective file.
pub(crate) fn limited_by_file(
    fit: &Fit,
    file: &ObjectiveFile,
    mut options: RecommendOptions,
) -> Result<RecommendOptions> {
    options.kl = file.kl;
    options.caution = file.caution;
    options.distance = file.distance;
    options.budget = match (file.constraints.target_tokens, file.available.is_empty()) {
        (Some(target_tokens), false) => Some(Budget {
            available: file.available.clone(),
            target_tokens,
            max_epochs: file.constraints.max_epochs,
        }),
        (None, true) if file.constraints.max_epochs != ConstraintSection::default().max_epochs => {
            return Err(Error::input(
                "`max_epochs` limits repetition only with `target_tokens` and [available]",
            )
            .field("constraints.max_epochs")
            .help(
                "give the tokens of the run that the mixture is for, and those of every domain",
            ));
        }
        (None, true) => None,
        (Some(_), true) => {
            return Err(
                Error::input("`target_tokens` limits repetition only with [available]")
                    .field("available")
                    .help(
                        "give the tokens there are of every domain, or leave `target_tokens` out",
                    ),
            );
        }
        (None, false) => {
            return Err(
                Error::input("[available] limits repetition only with `target_tokens`")
                    .field("constraints.target_tokens")
                    .help("give the tokens of the run that the mixture is for"),
            );
        }
    };
    limited(fit, &file.constraints, options)
}

/// Adds a section's floors, caps and groups.
pub(crate) fn limited(
    fit: &Fit,
    section: &ConstraintSection,
    mut options: RecommendOptions,
) -> Result<RecommendOptions> {
    let base = match options.constraints.take() {
        Some(constraints) => constraints,
        None => Constraints::none(fit.domains().clone()),
    };
    options.constraints = Some(bounded(base, section)?);
    Ok(options)
}

/// Adds a section's floors, caps and groups to constraints; an error names its
/// key as `constraints.<table>.<name>`.
pub(crate) fn bounded(
    mut constraints: Constraints,
    section: &ConstraintSection,
) -> Result<Constraints> {
    let at = |e: Error, table: &str, name: &str| e.field(format!("constraints.{table}.{name}"));
    for (domain, &cap) in &section.cap {
        constraints = constraints
            .with_cap(domain, cap)
            .map_err(|e| at(e, "cap", domain))?;
    }
    for (domain, &floor) in &section.floor {
        constraints = constraints
            .with_floor(domain, floor)
            .map_err(|e| at(e, "floor", domain))?;
    }
    for (name, group) in &section.group {
        let members: Vec<&str> = group.domains.iter().map(String::as_str).collect();
        constraints = constraints
            .with_group(name, &members, group.floor, group.cap)
            .map_err(|e| at(e, "group", name))?;
    }
    Ok(constraints)
}
