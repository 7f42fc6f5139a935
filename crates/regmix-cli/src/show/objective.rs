//! Objectives in words.

use regmix_regress::Objective;

/// What the best mixture has: the lowest or highest value of the objective.
pub(super) fn optimum_of(objective: &Objective) -> String {
    match objective {
        Objective::Maximize(inner) => format!("highest {inner}"),
        Objective::Worst(_) => format!("lowest {objective}"),
        _ => format!("lowest {objective} loss"),
    }
}
