//! Strengths of penalties.

use regmix_data::{Error, Result};

/// Refuses a strength that is negative or not finite.
pub(super) fn check_strength(name: &str, strength: f64) -> Result<()> {
    if !(strength >= 0.0 && strength.is_finite()) {
        return Err(Error::input(format!(
            "{strength}, expected a finite number that is not negative"
        ))
        .field(name));
    }
    Ok(())
}
