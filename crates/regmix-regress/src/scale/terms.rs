//! Evaluation of a form: the logarithm of the loss with its derivatives.

use crate::bimix::scarcity::{scarcity, scarcity_slope};
use crate::scale::form::{Amount, Form, Power};

/// The amounts of a form at some weights: ln s, with derivatives by the
/// parameters and by the weights.
#[derive(Debug, Clone)]
pub(crate) struct Amounts {
    ln: Vec<f64>,
    by_parameters: Vec<Vec<(usize, f64)>>,
    by_weights: Vec<Vec<f64>>,
    /// Σ slopes · weights needs these again.
    weights: Vec<f64>,
}

impl Form {
    /// The amounts at some weights, which may sum to less than 1 where repeated
    /// tokens count less.
    pub(crate) fn amounts(&self, p: &[f64], weights: &[f64]) -> Amounts {
        let mut out = Amounts {
            ln: Vec::with_capacity(self.amounts.len()),
            by_parameters: Vec::with_capacity(self.amounts.len()),
            by_weights: Vec::with_capacity(self.amounts.len()),
            weights: weights.to_vec(),
        };
        for amount in &self.amounts {
            let (ln, by_parameters, by_weights) = match *amount {
                Amount::Own(domain) => {
                    let mut by = vec![0.0; weights.len()];
                    by[domain] = -scarcity_slope(weights[domain]);
                    (-scarcity(weights[domain]), Vec::new(), by)
                }
                Amount::Shifted { domain, shift } => {
                    let s = weights[domain] + p[shift].exp();
                    let mut by = vec![0.0; weights.len()];
                    by[domain] = 1.0 / s;
                    (s.ln(), vec![(shift, p[shift].exp() / s)], by)
                }
                Amount::Shared {
                    rates,
                    power,
                    floor,
                } => sum(p, weights, rates, |_| Some(power), floor),
                Amount::Each {
                    rates,
                    powers,
                    floor,
                } => sum(p, weights, rates, |j| Some(powers + j), floor),
                Amount::Linear { rates, floor } => sum(p, weights, rates, |_| None, floor),
                Amount::Epochs {
                    benefits,
                    harms,
                    limit,
                    power,
                    growth,
                } => epochs(p, weights, [benefits, harms], [limit, power, growth]),
            };
            out.ln.push(ln);
            out.by_parameters.push(by_parameters);
            out.by_weights.push(by_weights);
        }
        out
    }

    /// ln L at a size and a length, in the units of the fit. Derivatives by the
    /// parameters are written to `by_parameters`, and by the weights to
    /// `by_weights` where that is not empty.
    pub(crate) fn ln_loss(
        &self,
        p: &[f64],
        amounts: &Amounts,
        (ln_size, ln_tokens): (f64, f64),
        by_parameters: &mut [f64],
        by_weights: &mut [f64],
    ) -> f64 {
        let mut values = [0.0; 8];
        let values = &mut values[..self.terms.len()];
        let mut total = 0.0;
        for (term, value) in self.terms.iter().zip(values.iter_mut()) {
            let mut z = term.scale.map_or(0.0, |i| p[i]);
            z -= term.size.map_or(0.0, |i| p[i].exp() * ln_size);
            z -= term.tokens.map_or(0.0, |i| p[i].exp() * ln_tokens);
            if let Some((at, power)) = term.amount {
                z += power.exponent(p) * amounts.ln[at];
            }
            if let Some(first) = term.slopes {
                let slopes = &p[first..first + amounts.weights.len()];
                z += crate::numeric::slices::dot(slopes, &amounts.weights);
            }
            *value = z.min(60.0).exp();
            total += *value;
        }
        by_parameters.fill(0.0);
        by_weights.fill(0.0);
        for (term, value) in self.terms.iter().zip(values.iter()) {
            let share = value / total;
            if let Some(i) = term.scale {
                by_parameters[i] += share;
            }
            if let Some(i) = term.size {
                by_parameters[i] -= share * p[i].exp() * ln_size;
            }
            if let Some(i) = term.tokens {
                by_parameters[i] -= share * p[i].exp() * ln_tokens;
            }
            if let Some((at, power)) = term.amount {
                let exponent = power.exponent(p);
                if let Some((i, slope)) = power.by_parameter(p) {
                    by_parameters[i] += share * slope * amounts.ln[at];
                }
                for &(i, slope) in &amounts.by_parameters[at] {
                    by_parameters[i] += share * exponent * slope;
                }
                for (by, slope) in by_weights.iter_mut().zip(&amounts.by_weights[at]) {
                    *by += share * exponent * slope;
                }
            }
            if let Some(first) = term.slopes {
                for (j, weight) in amounts.weights.iter().enumerate() {
                    by_parameters[first + j] += share * weight;
                    if let Some(by) = by_weights.get_mut(j) {
                        *by += share * p[first + j];
                    }
                }
            }
        }
        total.ln()
    }
}

impl Power {
    /// The exponent of the amount.
    fn exponent(self, p: &[f64]) -> f64 {
        match self {
            Self::Inverse => -1.0,
            Self::Once => 1.0,
            Self::Falling(i) => -p[i].exp(),
            Self::Rising(i) => p[i].exp(),
            Self::Signed(i) => p[i],
        }
    }

    fn by_parameter(self, p: &[f64]) -> Option<(usize, f64)> {
        match self {
            Self::Inverse | Self::Once => None,
            Self::Falling(i) => Some((i, -p[i].exp())),
            Self::Rising(i) => Some((i, p[i].exp())),
            Self::Signed(i) => Some((i, 1.0)),
        }
    }
}

/// `Σ -b_j B(e_j) + g_j H(e_j)`, with its derivatives: the benefit of epochs, which
/// saturates, and the harm of repeated ones.
fn epochs(
    p: &[f64],
    epochs: &[f64],
    [benefits, harms]: [usize; 2],
    [limit, power, growth]: [usize; 3],
) -> (f64, Vec<(usize, f64)>, Vec<f64>) {
    let (rho, q, s) = (p[limit].exp(), p[power].exp(), p[growth].exp());
    let (mut ln, mut by_limit, mut by_power, mut by_growth) = (0.0, 0.0, 0.0, 0.0);
    let mut by_parameters = Vec::with_capacity(2 * epochs.len() + 3);
    let mut by_epochs = Vec::with_capacity(epochs.len());
    for (j, &e) in epochs.iter().enumerate() {
        let (b, g) = (p[benefits + j].exp(), p[harms + j].exp());
        let filled = 1.0 + e / rho;
        let ln_amount = e.ln() - filled.ln();
        let benefit = b * (q * ln_amount).exp();
        let ln_repeats = e.ln().max(0.0);
        let grown = (s * ln_repeats).exp();
        let root = (grown - 1.0) / s;
        let harm = g * root * root;
        ln += harm - benefit;
        by_parameters.push((benefits + j, -benefit));
        by_parameters.push((harms + j, harm));
        by_power -= benefit * q * ln_amount;
        by_limit -= benefit * q * (e / rho) / filled;
        by_growth += 2.0 * g * root * (grown * ln_repeats - root);
        by_epochs.push((2.0 * g * root * grown - benefit * q / filled) / e);
    }
    by_parameters.extend([(limit, by_limit), (power, by_power), (growth, by_growth)]);
    (ln, by_parameters, by_epochs)
}

/// ln of `floor + Σ exp(rate) r^power`, with its derivatives.
fn sum(
    p: &[f64],
    weights: &[f64],
    rates: usize,
    power: impl Fn(usize) -> Option<usize>,
    floor: f64,
) -> (f64, Vec<(usize, f64)>, Vec<f64>) {
    /// Weights below this have the slope of this one.
    const FINEST: f64 = 1e-5;
    let mut total = floor;
    let mut parts = Vec::with_capacity(weights.len());
    // Most amounts have one power: its exponential is taken once.
    let mut known = (None, 1.0);
    for (j, &weight) in weights.iter().enumerate() {
        let power = power(j);
        if power != known.0 {
            known = (power, power.map_or(1.0, |i| p[i].exp()));
        }
        let q = known.1;
        let finest = weight.max(FINEST);
        let ln = finest.ln();
        let at_finest = (p[rates + j] + q * ln).exp();
        let part = match weight {
            w if w >= FINEST => at_finest,
            w if w > 0.0 => (p[rates + j] + q * w.ln()).exp(),
            _ => 0.0,
        };
        total += part;
        parts.push((part, q * ln, q * at_finest / finest));
    }
    let mut by_parameters = Vec::with_capacity(2 * weights.len());
    for (j, (part, by_power, _)) in parts.iter().enumerate() {
        by_parameters.push((rates + j, part / total));
        if let Some(i) = power(j) {
            by_parameters.push((i, part * by_power / total));
        }
    }
    let by_weights = parts.iter().map(|(_, _, slope)| slope / total).collect();
    (total.ln(), by_parameters, by_weights)
}

#[cfg(test)]
mod tests {
    use crate::scale::form::LawName;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn derivatives_match_finite_differences(
            noise in prop::collection::vec(-0.5f64..0.5, 40),
            weights in prop::collection::vec(0.02f64..1.0, 3),
            ln_size in -1.5f64..1.5,
            ln_tokens in -1.5f64..1.5,
        ) {
            let sum: f64 = weights.iter().sum();
            let weights: Vec<f64> = weights.iter().map(|w| w / sum).collect();
            for name in LawName::ALL {
                let mut weights = weights.clone();
                if name.needs_available() {
                    // Epochs in the place of weights.
                    weights = vec![3.0 * weights[0], 2.0, 40.0];
                }
                let form = name.form(3, Some(1));
                let mut rng = regmix_data::random::stream(1, "scale", "test");
                let mut p = form.start(3.0, 1, &mut rng);
                p.iter_mut().zip(&noise).for_each(|(p, n)| *p += n);
                let value = |p: &[f64], w: &[f64]| {
                    let mut g = vec![0.0; p.len()];
                    form.ln_loss(p, &form.amounts(p, w), (ln_size, ln_tokens), &mut g, &mut [])
                };
                let (mut by_p, mut by_w) = (vec![0.0; p.len()], vec![0.0; weights.len()]);
                let amounts = form.amounts(&p, &weights);
                form.ln_loss(&p, &amounts, (ln_size, ln_tokens), &mut by_p, &mut by_w);
                let h = 1e-6;
                for i in 0..p.len() {
                    let moved = |by: f64| {
                        let mut p = p.clone();
                        p[i] += by;
                        value(&p, &weights)
                    };
                    let numeric = (moved(h) - moved(-h)) / (2.0 * h);
                    prop_assert!(
                        (numeric - by_p[i]).abs() < 1e-6 * (1.0 + numeric.abs()),
                        "{name:?} {}: {numeric} {}", form.parameters[i].name(), by_p[i]
                    );
                }
                for j in 0..weights.len() {
                    let moved = |by: f64| {
                        let mut w = weights.clone();
                        w[j] += by;
                        value(&p, &w)
                    };
                    let numeric = (moved(h) - moved(-h)) / (2.0 * h);
                    prop_assert!(
                        (numeric - by_w[j]).abs() < 1e-5 * (1.0 + numeric.abs()),
                        "{name:?} weight {j}: {numeric} {}", by_w[j]
                    );
                }
            }
        }
    }
}
