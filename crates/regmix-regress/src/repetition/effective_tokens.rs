//! The effective number of repeated tokens.

/// R*: the number of repetitions after which the effect of one more has
/// fallen to 1/e.
const R_STAR: f64 = 15.387_756;

/// The number of fresh tokens that have the same effect as the repeated tokens
/// of a run: `D' = U + U R* (1 - e^(-(D/U - 1) / R*))` with R* = 15.387756, and
/// `D' = D` up to one epoch. `tokens` is D, the tokens that the run sees of
/// a domain; `unique` is U, the tokens that there are.
///
/// The law is that of Muennighoff et al., Scaling Data-Constrained Language Models (arXiv
/// 2305.16264). By this law four epochs cost little, and no number of epochs is worth more
/// than 16.4 U fresh tokens. It was fitted on one source repeated as a whole; for single
/// domains of a mixture it is an approximation, and no search uses it.
///
/// ```
/// use regmix_regress::effective_tokens;
///
/// for (epochs, worth) in [(1.0, 1.0), (2.5, 0.97), (4.0, 0.93), (5.0, 0.90), (20.0, 0.60)] {
///     let share = effective_tokens(epochs * 1e9, 1e9) / (epochs * 1e9);
///     assert!((share - worth).abs() < 0.0051, "{epochs}: {share}");
/// }
/// // Half of the tokens, once.
/// assert_eq!(effective_tokens(5e8, 1e9), 5e8);
/// assert!(effective_tokens(1e15, 1e9) < 16.4e9);
/// ```
pub fn effective_tokens(tokens: f64, unique: f64) -> f64 {
    if unique <= 0.0 {
        return 0.0;
    }
    if tokens <= unique {
        return tokens;
    }
    let repeats = tokens / unique - 1.0;
    unique + unique * R_STAR * -(-repeats / R_STAR).exp_m1()
}

/// How much the effective number of tokens grows with one more token: 1 up to
/// one epoch, then ever less.
pub(crate) fn effective_tokens_slope(tokens: f64, unique: f64) -> f64 {
    match tokens <= unique {
        true if unique > 0.0 => 1.0,
        false if unique > 0.0 => (-(tokens / unique - 1.0) / R_STAR).exp(),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_tokens_grow_ever_slower_without_a_jump() {
        assert!((effective_tokens(1.0 + 1e-9, 1.0) - 1.0).abs() < 2e-9);
        let mut before = (1.0, 1.0);
        for step in 1..400 {
            let tokens = 1.0 + 0.25 * f64::from(step);
            let worth = effective_tokens(tokens, 1.0);
            assert!(worth > before.0 && worth - before.0 < before.1 && worth < tokens);
            before = (worth, worth - before.0);
        }
        assert!((effective_tokens(1e6, 1.0) - 16.387_756).abs() < 1e-9);
        assert_eq!(effective_tokens(3.0, 0.0), 0.0);
    }

    #[test]
    fn the_slope_is_that_of_the_effective_tokens() {
        for tokens in [0.3, 1.5, 4.0, 30.0] {
            let h = 1e-6;
            let numeric =
                (effective_tokens(tokens + h, 1.0) - effective_tokens(tokens - h, 1.0)) / (2.0 * h);
            assert!((numeric - effective_tokens_slope(tokens, 1.0)).abs() < 1e-6);
        }
        assert_eq!(effective_tokens_slope(3.0, 0.0), 0.0);
    }
}
