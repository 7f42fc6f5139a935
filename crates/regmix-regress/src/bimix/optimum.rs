//! The best mixture of separable laws, by one bisection.

use regmix_data::{Error, Mixture, Result};

use crate::bimix::law::BimixLaw;
use crate::bimix::scarcity::FINEST;
use crate::constraints::Constraints;
use crate::numeric::slices::add;

/// The mixture with the lowest `Σ_i v_i L_i(r_i, s)` under floors and caps:
/// one law and one weight v of the objective per domain, in the order of the
/// domains of `constraints`.
///
/// The sum is separable and convex. At its minimum every domain that no
/// bound stops has the same slope -λ, so with K_i the loss of domain i at
/// weight 1,
/// `r_i(λ) = (v_i α_i K_i / λ)^(1 / (α_i + 1))` cut to floor and cap, where
/// λ is the number at which the r sum to 1 (BiMix, arXiv 2405.14908, gives
/// the Lagrangian). Below a weight of 1e-3 the law's own continuation is
/// used, so this is the minimum of what [`BimixLaw::predict`] says.
///
/// Domains with v = 0 get their floor, and what is left over when all others
/// are at their caps, in proportion to the room below their caps. Cost
/// O(200 D).
///
/// ```
/// use regmix_data::DomainSet;
/// use regmix_regress::{BimixLaw, BimixPoint, Constraints, bimix_optimum};
///
/// let law = |alpha: f64| {
///     let mut points = Vec::new();
///     for weight in [0.1, 0.5] {
///         for steps in [1e3, 2e3, 4e3] {
///             let loss = f64::powf(weight, -alpha) * (9.0 * f64::powf(steps, -0.3) + 2.0);
///             points.push(BimixPoint { weight, steps, loss });
///         }
///     }
///     BimixLaw::fit(&points)
/// };
/// let laws = [law(0.1)?, law(0.1)?, law(0.1)?];
/// let domains = DomainSet::from_names(["web", "code", "law"])?;
/// let caps = Constraints::none(domains).with_cap("law", 0.2)?;
/// let found = bimix_optimum(&laws, &[1.0, 1.0, 1.0], 4e3, &caps)?;
/// for (w, expected) in found.weights().iter().zip([0.4, 0.4, 0.2]) {
///     assert!((w - expected).abs() < 1e-3);
/// }
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When the numbers of laws, weights and domains differ, a weight is negative
/// or not finite, all are zero, `steps` is not positive, or the constraints limit groups of
/// domains, which this search cannot keep to.
pub fn bimix_optimum(
    laws: &[BimixLaw],
    weights: &[f64],
    steps: f64,
    constraints: &Constraints,
) -> Result<Mixture> {
    let d = constraints.domains().len();
    if laws.len() != d || weights.len() != d {
        return Err(Error::input(format!(
            "{} laws and {} weights for {d} domains: expected one each",
            laws.len(),
            weights.len()
        )));
    }
    if let Some(group) = constraints.groups().first() {
        return Err(Error::input(
            "a limit on a group of domains: expected limits of single domains only",
        )
        .field(group.name())
        .help("search with `recommend`, which keeps to groups"));
    }
    for (domain, v) in constraints.domains().iter().zip(weights) {
        if !v.is_finite() || *v < 0.0 {
            return Err(Error::input(format!(
                "weight {v} in the objective, expected a finite number that is not negative"
            ))
            .field(domain.as_str()));
        }
    }
    if !(steps > 0.0 && steps.is_finite()) {
        return Err(Error::input(format!(
            "{steps} steps, expected a positive number"
        )));
    }
    let terms: Vec<Term> = (laws.iter().zip(weights))
        .map(|(law, v)| Term::new(law, *v, steps))
        .collect();
    if terms.iter().all(|t| t.ln_gain == f64::NEG_INFINITY) {
        return Err(Error::input(
            "an objective needs at least one weight that is not zero",
        ));
    }
    let mut out = balanced(&terms, constraints);
    share_rest(&mut out, &terms, constraints);
    Mixture::normalized(constraints.domains().clone(), out)
}

/// One domain's part of the objective.
struct Term {
    alpha: f64,
    /// ln(v α K); minus infinity for v = 0.
    ln_gain: f64,
}

impl Term {
    fn new(law: &BimixLaw, v: f64, steps: f64) -> Self {
        let alpha = law.parameters().alpha;
        Self {
            alpha,
            ln_gain: v.ln() + alpha.ln() + law.scale(steps).ln(),
        }
    }

    /// The weight at which the slope of the loss is -exp(`ln_lambda`).
    fn weight(&self, ln_lambda: f64) -> f64 {
        let excess = self.ln_gain - ln_lambda;
        if excess == f64::NEG_INFINITY {
            return 0.0;
        }
        let ln_weight = excess / (self.alpha + 1.0);
        if ln_weight >= FINEST.ln() {
            return ln_weight.exp();
        }
        // On the continuation the slope is α K exp(α · scarcity) / 1e-3.
        let scarcity = (FINEST.ln() - excess) / self.alpha;
        (FINEST * (1.0 - FINEST.ln() - scarcity)).max(0.0)
    }
}

/// The weights of all domains where they sum to 1, or come closest.
fn balanced(terms: &[Term], constraints: &Constraints) -> Vec<f64> {
    let (floors, caps) = (constraints.floors(), constraints.caps());
    let at = |ln_lambda: f64| -> Vec<f64> {
        (terms.iter().zip(floors).zip(caps))
            .map(|((t, lo), hi)| t.weight(ln_lambda).max(*lo).min(*hi))
            .collect()
    };
    let used = || terms.iter().filter(|t| t.ln_gain.is_finite());
    // At the low end every domain has weight 1 or more, at the high end 0.
    let mut low = used().map(|t| t.ln_gain).fold(f64::INFINITY, f64::min);
    let mut high = used()
        .map(|t| t.ln_gain + t.alpha - (t.alpha + 1.0) * FINEST.ln())
        .fold(f64::NEG_INFINITY, f64::max);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if at(middle).iter().sum::<f64>() > 1.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    at(high)
}

/// Where all domains that the objective names are at their caps, gives the
/// weight that is left to the others.
fn share_rest(out: &mut [f64], terms: &[Term], constraints: &Constraints) {
    let rest = 1.0 - out.iter().sum::<f64>();
    let room: Vec<f64> = (out.iter().zip(constraints.caps()).zip(terms))
        .map(|((w, cap), t)| match t.ln_gain {
            f64::NEG_INFINITY => cap - w,
            _ => 0.0,
        })
        .collect();
    let total: f64 = room.iter().sum();
    if rest > 0.0 && total > 0.0 {
        add(out, (rest / total).min(1.0), &room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bimix::law::BimixPoint;
    use crate::bimix::scarcity::scarcity;
    use crate::search::descend::descend;
    use crate::search::options::DescendOptions;
    use crate::search::surface::Surface;
    use proptest::prelude::*;
    use regmix_data::DomainSet;

    /// A law with these numbers, as a fit finds it.
    fn law(alpha: f64, b: f64, c: f64) -> BimixLaw {
        let mut points = Vec::new();
        for weight in [0.0, 0.05, 0.5] {
            for steps in [1e3, 2e3, 4e3, 8e3] {
                let level = b * f64::powf(steps, -0.5) + c;
                let loss = level * (alpha * scarcity(weight)).exp();
                points.push(BimixPoint {
                    weight,
                    steps,
                    loss,
                });
            }
        }
        BimixLaw::fit(&points).unwrap()
    }

    fn domains(n: usize) -> DomainSet {
        DomainSet::from_names((0..n).map(|i| format!("d{i}"))).unwrap()
    }

    struct Sum<'a>(DomainSet, &'a [BimixLaw], &'a [f64], f64);
    impl Surface for Sum<'_> {
        fn domains(&self) -> &DomainSet {
            &self.0
        }
        fn value(&self, weights: &[f64]) -> f64 {
            (self.1.iter().zip(self.2).zip(weights))
                .map(|((law, v), w)| v * law.predict(*w, self.3).mean)
                .sum()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_search_on_the_same_surface_finds_a_lower_value(
            alphas in prop::collection::vec(0.01f64..0.6, 5),
            levels in prop::collection::vec((5.0f64..80.0, 0.5f64..4.0), 5),
            weights in prop::collection::vec(0.0f64..2.0, 5),
            steps in 1e3f64..1e6,
            cap in 0.15f64..1.0,
            floor in 0.0f64..0.2,
        ) {
            prop_assume!(weights.iter().sum::<f64>() > 0.1);
            let laws: Vec<BimixLaw> = (alphas.iter().zip(&levels))
                .map(|(a, (b, c))| law(*a, *b, *c))
                .collect();
            let bounds = Constraints::none(domains(5))
                .with_cap("d0", cap).unwrap()
                .with_floor("d1", floor).unwrap();
            let found = bimix_optimum(&laws, &weights, steps, &bounds).unwrap();
            prop_assert!(bounds.allows(found.weights()), "{found:?}");
            let surface = Sum(domains(5), &laws, &weights, steps);
            let options = DescendOptions { max_iterations: 300, ..DescendOptions::default() };
            let starts = [Mixture::uniform(domains(5)), found.clone()];
            let searched = descend(&surface, &starts, &bounds, &options).unwrap();
            let value = surface.value(found.weights());
            prop_assert!(value <= searched.value + 1e-7, "{value} {}", searched.value);
            // And the search, where it ends, is as good.
            prop_assert!(searched.reached[0] <= value + 1e-3, "{value} {searched:?}");
        }
    }

    #[test]
    fn equal_laws_share_by_their_weight_in_the_objective() {
        let laws = vec![law(0.2, 10.0, 2.0); 3];
        let free = Constraints::none(domains(3));
        let found = bimix_optimum(&laws, &[1.0, 2.0, 4.0], 1e4, &free).unwrap();
        let w = found.weights();
        for (ratio, v) in [(w[1] / w[0], 2.0f64), (w[2] / w[0], 4.0)] {
            assert!((ratio / v.powf(1.0 / 1.2) - 1.0).abs() < 1e-3, "{w:?}");
        }
    }

    #[test]
    fn what_the_objective_does_not_name_gets_what_is_left() {
        let laws = vec![law(0.2, 10.0, 2.0); 3];
        let caps = Constraints::none(domains(3)).with_cap("d0", 0.4).unwrap();
        let found = bimix_optimum(&laws, &[1.0, 0.0, 0.0], 1e4, &caps).unwrap();
        for (w, expected) in found.weights().iter().zip([0.4, 0.3, 0.3]) {
            assert!((w - expected).abs() < 1e-9, "{found:?}");
        }
        let free = Constraints::none(domains(3)).with_floor("d2", 0.1).unwrap();
        let found = bimix_optimum(&laws, &[1.0, 0.0, 0.0], 1e4, &free).unwrap();
        assert!((found.weights()[0] - 0.9).abs() < 1e-9 && found.weights()[1] < 1e-9);
    }

    #[test]
    fn bad_input_is_refused() {
        let laws = vec![law(0.2, 10.0, 2.0); 2];
        let free = Constraints::none(domains(2));
        for (laws, weights, steps, said) in [
            (
                &laws[..1],
                vec![1.0, 1.0],
                1e3,
                "1 laws and 2 weights for 2",
            ),
            (&laws[..], vec![1.0], 1e3, "2 laws and 1 weights for 2"),
            (&laws[..], vec![1.0, -1.0], 1e3, "weight -1"),
            (&laws[..], vec![1.0, f64::NAN], 1e3, "weight NaN"),
            (&laws[..], vec![0.0, 0.0], 1e3, "at least one weight"),
            (&laws[..], vec![1.0, 1.0], 0.0, "0 steps"),
        ] {
            let err = bimix_optimum(laws, &weights, steps, &free).unwrap_err();
            assert!(err.is_input() && err.to_string().contains(said), "{err}");
        }
    }
}
