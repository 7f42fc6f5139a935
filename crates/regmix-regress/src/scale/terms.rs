//! Evaluation of a form: the logarithm of the loss with its derivatives.

use crate::bimix::scarcity::{scarcity, scarcity_slope};
use crate::numeric::slices::dot;
use crate::scale::form::{Amount, Form, Power};

/// Weights as a law sees them, with their logarithms, which every evaluation needs.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    values: Vec<f64>,
    ln: Vec<f64>,
}

impl Weights {
    pub(crate) fn new(values: Vec<f64>) -> Self {
        Self {
            ln: values.iter().map(|w| w.ln()).collect(),
            values,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}

/// What is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The loss alone.
    Value,
    /// Its derivatives, too.
    Slopes,
}

/// A form with its parameters, at some weights. The weights may sum to less than 1
/// where repeated tokens count less.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    form: &'a Form,
    p: &'a [f64],
    /// Most parameters are logarithms: their exponentials.
    exp: Vec<f64>,
    wanted: Wanted,
    weights: Option<&'a Weights>,
    /// By amount, at the weights.
    amounts: Vec<AmountAt>,
    /// Of one amount, by domain.
    parts: Vec<Part>,
}

/// An amount at some weights: ln s, with derivatives by the parameters and by the
/// weights where they are wanted.
#[derive(Debug, Clone, Default)]
struct AmountAt {
    ln: f64,
    by_parameters: Vec<(usize, f64)>,
    by_weights: Vec<f64>,
}

/// What a domain adds to an amount, with its derivatives by the logarithm of the
/// power and by the weight.
#[derive(Debug, Clone, Copy)]
struct Part {
    value: f64,
    by_power: f64,
    by_weight: f64,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(form: &'a Form, p: &'a [f64], wanted: Wanted) -> Self {
        Self {
            form,
            p,
            exp: p.iter().map(|p| p.exp()).collect(),
            wanted,
            weights: None,
            amounts: vec![AmountAt::default(); form.amounts.len()],
            parts: Vec::new(),
        }
    }

    /// Moves to other weights.
    pub(crate) fn at(&mut self, weights: &'a Weights) {
        self.weights = Some(weights);
        for place in 0..self.amounts.len() {
            let mut out = std::mem::take(&mut self.amounts[place]);
            out.by_parameters.clear();
            out.by_weights.clear();
            self.amount(self.form.amounts[place], weights, &mut out);
            self.amounts[place] = out;
        }
    }

    fn amount(&mut self, amount: Amount, weights: &Weights, out: &mut AmountAt) {
        let exp = &self.exp;
        match amount {
            Amount::Own(domain) => {
                let weight = weights.values[domain];
                out.ln = -scarcity(weight);
                out.by_weights.resize(weights.len(), 0.0);
                out.by_weights[domain] = -scarcity_slope(weight);
            }
            Amount::Shifted { domain, shift } => {
                let s = weights.values[domain] + exp[shift];
                out.ln = s.ln();
                out.by_parameters.push((shift, exp[shift] / s));
                out.by_weights.resize(weights.len(), 0.0);
                out.by_weights[domain] = 1.0 / s;
            }
            Amount::Shared {
                rates,
                power,
                floor,
            } => self.sum(weights, rates, |_| Some(power), floor, out),
            Amount::Each {
                rates,
                powers,
                floor,
            } => self.sum(weights, rates, |j| Some(powers + j), floor, out),
            Amount::Linear { rates, floor } => self.sum(weights, rates, |_| None, floor, out),
            Amount::Epochs {
                benefits,
                harms,
                limit,
                power,
                growth,
            } => epochs(exp, weights, [benefits, harms], [limit, power, growth], out),
        }
    }

    /// ln of `floor + Σ exp(rate) r^power`, with its derivatives.
    fn sum(
        &mut self,
        weights: &Weights,
        rates: usize,
        power: impl Fn(usize) -> Option<usize>,
        floor: f64,
        out: &mut AmountAt,
    ) {
        /// Weights below this have the slope of this one.
        const FINEST: f64 = 1e-5;
        let ln_finest = FINEST.ln();
        let mut total = floor;
        self.parts.clear();
        for (j, (&weight, &ln)) in weights.values.iter().zip(&weights.ln).enumerate() {
            let q = power(j).map_or(1.0, |i| self.exp[i]);
            let rate = self.p[rates + j];
            if self.wanted == Wanted::Value {
                if weight > 0.0 {
                    total += (rate + q * ln).exp();
                }
                continue;
            }
            let (finest, ln_of_finest) = match weight >= FINEST {
                true => (weight, ln),
                false => (FINEST, ln_finest),
            };
            let at_finest = (rate + q * ln_of_finest).exp();
            let value = match weight {
                w if w >= FINEST => at_finest,
                w if w > 0.0 => (rate + q * ln).exp(),
                _ => 0.0,
            };
            total += value;
            self.parts.push(Part {
                value,
                by_power: q * ln_of_finest,
                by_weight: q * at_finest / finest,
            });
        }
        out.ln = total.ln();
        for (j, part) in self.parts.iter().enumerate() {
            out.by_parameters.push((rates + j, part.value / total));
            if let Some(i) = power(j) {
                let slope = part.value * part.by_power / total;
                out.by_parameters.push((i, slope));
            }
        }
        let slopes = self.parts.iter().map(|part| part.by_weight / total);
        out.by_weights.extend(slopes);
    }

    /// ln L at a size and a length, in the units of the fit. Derivatives by the
    /// parameters are written to `by_parameters`, and by the weights to
    /// `by_weights` where that is not empty; with [`Wanted::Value`] neither is.
    pub(crate) fn ln_loss(
        &self,
        (ln_size, ln_tokens): (f64, f64),
        by_parameters: &mut [f64],
        by_weights: &mut [f64],
    ) -> f64 {
        let (p, exp, weights) = (
            self.p,
            &self.exp,
            self.weights.map_or(&[][..], |w| &w.values),
        );
        let mut values = [0.0; 8];
        let values = &mut values[..self.form.terms.len()];
        let mut total = 0.0;
        for (term, value) in self.form.terms.iter().zip(values.iter_mut()) {
            let mut z = term.scale.map_or(0.0, |i| p[i]);
            z -= term.size.map_or(0.0, |i| exp[i] * ln_size);
            z -= term.tokens.map_or(0.0, |i| exp[i] * ln_tokens);
            if let Some((at, power)) = term.amount {
                z += power.exponent(p, exp) * self.amounts[at].ln;
            }
            if let Some(first) = term.slopes {
                z += dot(&p[first..first + weights.len()], weights);
            }
            *value = z.min(60.0).exp();
            total += *value;
        }
        if self.wanted == Wanted::Value {
            return total.ln();
        }
        by_parameters.fill(0.0);
        by_weights.fill(0.0);
        for (term, value) in self.form.terms.iter().zip(values.iter()) {
            let share = value / total;
            if let Some(i) = term.scale {
                by_parameters[i] += share;
            }
            if let Some(i) = term.size {
                by_parameters[i] -= share * exp[i] * ln_size;
            }
            if let Some(i) = term.tokens {
                by_parameters[i] -= share * exp[i] * ln_tokens;
            }
            if let Some((at, power)) = term.amount {
                let amount = &self.amounts[at];
                let exponent = power.exponent(p, exp);
                if let Some((i, slope)) = power.by_parameter(exp) {
                    by_parameters[i] += share * slope * amount.ln;
                }
                for &(i, slope) in &amount.by_parameters {
                    by_parameters[i] += share * exponent * slope;
                }
                for (by, slope) in by_weights.iter_mut().zip(&amount.by_weights) {
                    *by += share * exponent * slope;
                }
            }
            if let Some(first) = term.slopes {
                for (j, weight) in weights.iter().enumerate() {
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
    fn exponent(self, p: &[f64], exp: &[f64]) -> f64 {
        match self {
            Self::Inverse => -1.0,
            Self::Once => 1.0,
            Self::Falling(i) => -exp[i],
            Self::Rising(i) => exp[i],
            Self::Signed(i) => p[i],
        }
    }

    fn by_parameter(self, exp: &[f64]) -> Option<(usize, f64)> {
        match self {
            Self::Inverse | Self::Once => None,
            Self::Falling(i) => Some((i, -exp[i])),
            Self::Rising(i) => Some((i, exp[i])),
            Self::Signed(i) => Some((i, 1.0)),
        }
    }
}

/// `Σ -b_j B(e_j) + g_j H(e_j)`, with its derivatives: the benefit of epochs, which
/// saturates, and the harm of repeated ones.
fn epochs(
    exp: &[f64],
    epochs: &Weights,
    [benefits, harms]: [usize; 2],
    [limit, power, growth]: [usize; 3],
    out: &mut AmountAt,
) {
    let (rho, q, s) = (exp[limit], exp[power], exp[growth]);
    let (mut by_limit, mut by_power, mut by_growth) = (0.0, 0.0, 0.0);
    out.ln = 0.0;
    for (j, (&e, &ln)) in epochs.values.iter().zip(&epochs.ln).enumerate() {
        let (b, g) = (exp[benefits + j], exp[harms + j]);
        let filled = 1.0 + e / rho;
        let ln_amount = ln - filled.ln();
        let benefit = b * (q * ln_amount).exp();
        let ln_repeats = ln.max(0.0);
        let grown = (s * ln_repeats).exp();
        let root = (grown - 1.0) / s;
        let harm = g * root * root;
        out.ln += harm - benefit;
        out.by_parameters.push((benefits + j, -benefit));
        out.by_parameters.push((harms + j, harm));
        by_power -= benefit * q * ln_amount;
        by_limit -= benefit * q * (e / rho) / filled;
        by_growth += 2.0 * g * root * (grown * ln_repeats - root);
        let slope = (2.0 * g * root * grown - benefit * q / filled) / e;
        out.by_weights.push(slope);
    }
    let of_all = [(limit, by_limit), (power, by_power), (growth, by_growth)];
    out.by_parameters.extend(of_all);
}

#[cfg(test)]
mod tests {
    use super::*;
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
                    let weights = Weights::new(w.to_vec());
                    let mut there = Evaluation::new(&form, p, Wanted::Value);
                    there.at(&weights);
                    there.ln_loss((ln_size, ln_tokens), &mut [], &mut [])
                };
                let (mut by_p, mut by_w) = (vec![0.0; p.len()], vec![0.0; weights.len()]);
                let here = Weights::new(weights.clone());
                let mut there = Evaluation::new(&form, &p, Wanted::Slopes);
                there.at(&here);
                let ln = there.ln_loss((ln_size, ln_tokens), &mut by_p, &mut by_w);
                prop_assert_eq!(ln.to_bits(), value(&p, &weights).to_bits());
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
