//! The mixture that a search found.

use regmix_regress::{Bound, Objective, Recommendation};

use super::number::percent;
use super::objective::optimum_of;
use crate::output::table::table;

/// Weights, what is predicted for them, what limits them, and warnings.
pub(crate) fn mixture(found: &Recommendation) -> String {
    let mut order: Vec<usize> = (0..found.weights.len()).collect();
    order.sort_by(|&a, &b| found.weights[b].weight.total_cmp(&found.weights[a].weight));
    let rows = order.into_iter().map(|i| {
        let w = &found.weights[i];
        let range = match (w.low, w.high) {
            (Some(low), Some(high)) => format!("{:.1}-{}", 100.0 * low, percent(high)),
            _ => "-".to_owned(),
        };
        vec![
            w.domain.clone(),
            w.natural.map_or_else(|| "-".to_owned(), percent),
            percent(w.weight),
            range,
            w.epochs
                .map_or_else(|| "-".to_owned(), |e| format!("{e:.2}")),
        ]
    });
    let mut text = format!("Mixture for the {}:\n", optimum_of(&found.objective));
    text.push_str(&table(
        &["domain", "natural", "found", "5-95% of refits", "epochs"],
        rows,
    ));
    text.push_str(&predictions(found));
    text.push_str(&limits(found));
    text.push_str(&warnings(found));
    text
}

/// The predicted objective, and its distance to plain mixtures.
fn predictions(found: &Recommendation) -> String {
    let p = &found.predicted;
    let unit = match (&found.objective, &found.unit) {
        (Objective::Maximize(_), _) | (_, None) => String::new(),
        (_, Some(unit)) => format!(" {unit}"),
    };
    let mut text = format!(
        "\nPredicted for a proxy: {:.4}{unit} (90% interval {:.4} to {:.4})\n",
        p.mean, p.low, p.high
    );
    if let Some(optimism) = found.optimism.filter(|_| found.optimism_taken_off) {
        text.push_str(&format!(
            "  {:.4} worse than the fit predicts: what refits flatter at their own optimum\n",
            optimism
        ));
    }
    for r in &found.references {
        let beyond = if r.gap.exceeds_noise {
            "beyond"
        } else {
            "within"
        };
        text.push_str(&format!(
            "  {:<14} {:.4}: the found mixture is predicted {:+.4} better (90% {:+.4} to {:+.4}), {beyond} the noise of single runs\n",
            r.name, r.predicted.mean, r.gap.mean, r.gap.low, r.gap.high
        ));
    }
    text
}

/// Constraints that bind, and what was added to the objective in the search.
fn limits(found: &Recommendation) -> String {
    let mut text = String::new();
    for b in &found.binding {
        let bound = match b.bound {
            Bound::Floor => "floor of",
            Bound::Cap => "cap of",
            Bound::GroupFloor => "floor of the group",
            Bound::GroupCap => "cap of the group",
        };
        text.push_str(&format!("the {bound} {} binds\n", b.name));
    }
    if let Some(pull) = &found.divergence_penalty {
        text.push_str(&format!(
            "pulled towards the {} mixture ({} per nat): {:.4} nats from it\n",
            pull.towards, pull.strength, pull.divergence
        ));
    }
    if let Some(p) = &found.penalties {
        text.push_str(&format!(
            "searched with {} standard deviations and {} per unit of distance beyond the proxies ({:.3} beyond) added: {:.4} at the found mixture\n",
            p.caution, p.distance, p.beyond, p.cost
        ));
    }
    text
}

/// Reasons not to trust the mixture as it is.
fn warnings(found: &Recommendation) -> String {
    let lines = found.unidentified.iter();
    let mut text: String = lines.map(|line| format!("warning: {line}\n")).collect();
    for w in &found.weights {
        if let (Some(low), Some(high)) = (w.low, w.high)
            && high - low > 0.5
        {
            text.push_str(&format!(
                "warning: refits put {} anywhere from {} to {}: train more proxies before trusting its weight\n",
                w.domain,
                percent(low),
                percent(high)
            ));
        }
    }
    let p = &found.provenance;
    if p.refits_dropped > 0 {
        text.push_str(&format!(
            "warning: {} of {} refits predict values far outside of the measured ones and do not count: train more proxies before trusting the rest\n",
            p.refits_dropped,
            p.refits + p.refits_dropped
        ));
    }
    let s = &found.support;
    if let Some(limit) = s.sd_limit.filter(|_| s.unsure) {
        text.push_str(&format!(
            "warning: the models are unsure there (standard deviation {:.4}, at most {limit:.4} at 95% of the proxies)\n",
            s.sd
        ));
    }
    if s.far {
        text.push_str(&format!(
            "warning: the mixture is unlike those that were tried (leverage {:.2}, at most {:.2} at 95% of the proxies; the nearest, {}, differs in {} of the tokens): the prediction is an extrapolation\n",
            s.leverage,
            s.leverage_limit,
            s.nearest_run,
            percent(s.distance)
        ));
    }
    text
}
