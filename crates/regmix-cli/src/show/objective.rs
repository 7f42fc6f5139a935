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

/// What is measured on targets, with its unit.
pub(super) fn measured_as(objective: &Objective) -> String {
    match objective {
        Objective::Maximize(inner) => format!("{inner}, higher is better"),
        _ => format!("{objective} loss in nats per token"),
    }
}
