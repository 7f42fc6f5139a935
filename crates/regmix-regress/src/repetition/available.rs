//! The tokens that a corpus has.

use regmix_data::{DomainSet, Error, Result};

/// Checks the available tokens of every domain: one number each, finite and
/// not negative.
///
/// # Errors
/// When they are not; the error names the domain.
pub(crate) fn check_available(domains: &DomainSet, available: &[f64]) -> Result<()> {
    if available.len() != domains.len() {
        return Err(Error::input(format!(
            "available tokens of {} domains, expected {}",
            available.len(),
            domains.len()
        )));
    }
    let wrong = |t: &f64| !(t.is_finite() && *t >= 0.0);
    match (domains.iter().zip(available)).find(|(_, t)| wrong(t)) {
        Some((domain, tokens)) => Err(Error::input(format!(
            "{tokens} available tokens, expected a finite number that is not negative"
        ))
        .field(domain.as_str())),
        None => Ok(()),
    }
}
