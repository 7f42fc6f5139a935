//! Runs from before the domains changed.

use regmix_data::table::Observations;
use regmix_data::{Monitor, Result};
use regmix_regress::Earlier;

use crate::config::EarlierSection;

/// Reads runs from before the domains changed, expresses them in the domains
/// and targets of the new ones, and reports what could be used.
///
/// # Errors
/// When a table cannot be read, and as [`Earlier::new`]; the error names the
/// table.
pub(crate) fn earlier_runs(
    section: &EarlierSection,
    new: &Observations,
    monitor: &dyn Monitor,
) -> Result<Observations> {
    let old = Observations::read_csv(&section.mixtures, &section.losses)?;
    old.notes().for_each(|note| monitor.message(note));
    let splits = (section.split.iter())
        .map(|(domain, parts)| (domain.clone(), parts.clone().into_iter().collect()))
        .collect();
    let found = Earlier::new(&old, new, &splits).map_err(|e| {
        let of_losses = e.field_name().is_none() && e.to_string().contains("target");
        e.in_file(if of_losses {
            &section.losses
        } else {
            &section.mixtures
        })
    })?;
    let runs = found.observations.mixtures.len();
    monitor.message(&format!(
        "{runs} earlier runs are fitted with them, and never judged"
    ));
    let report = |names: &[String], what: &str| {
        if !names.is_empty() {
            const SHOWN: usize = 8;
            let more = match names.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let names = names[..names.len().min(SHOWN)].join(", ");
            monitor.message(&format!("{what}: {names}{more}"));
        }
    };
    report(&found.new_domains, "domains that are new since then");
    report(
        &found.dropped,
        "earlier runs left out for using a domain that is gone",
    );
    report(&found.unmeasured, "targets that only new runs have");
    report(
        &found.ignored,
        "targets of earlier runs that new ones do not have, not used",
    );
    Ok(found.observations)
}
