//! How scarce a domain is at a weight.

/// Below this weight the laws continue along their tangent: published weights are rounded
/// to 0.001, so a weight of 0 may be anything up to half of that.
pub(crate) const FINEST: f64 = 1e-3;

/// -ln r, continued along its tangent below 1e-3: `r^-α` is then `exp(α ·
/// scarcity)`, finite at 0 (where it stands for 1e-3 / e = 0.00037), smooth
/// and convex everywhere.
pub(crate) fn scarcity(weight: f64) -> f64 {
    if weight >= FINEST {
        -weight.ln()
    } else {
        1.0 - weight / FINEST - FINEST.ln()
    }
}

/// The derivative of [`scarcity`].
pub(crate) fn scarcity_slope(weight: f64) -> f64 {
    -1.0 / weight.max(FINEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scarcity_is_smooth_where_it_changes_form() {
        let h = 1e-9;
        for w in [0.0 + h, 3e-4, FINEST, 0.02, 1.0] {
            let numeric = (scarcity(w + h) - scarcity(w - h)) / (2.0 * h);
            assert!((numeric / scarcity_slope(w) - 1.0).abs() < 1e-3, "{w}");
        }
        assert_eq!(scarcity(1.0), 0.0);
        assert!((scarcity(0.0) - (1e-3f64 / std::f64::consts::E).ln().abs()).abs() < 1e-12);
    }
}
