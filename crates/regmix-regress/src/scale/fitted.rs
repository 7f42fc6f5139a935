//! One law, fitted to one target.

use serde::{Deserialize, Serialize};

use regmix_data::random::stream;
use regmix_data::{Monitor, Result};

use crate::numeric::factor::Factor;
use crate::numeric::slices::dot;
use crate::prediction::Prediction;
use crate::scale::form::{Form, LawName, excess};
use crate::scale::law::ScaleLaw;
use crate::scale::marquardt::minimise;
use crate::scale::parameter::Kind;
use crate::scale::problem::{LIMITS, MANY, POOLED, RESIDUAL, Ready, TIED, form_of, settle, tied};
use crate::scale::runs::ScaleRuns;
use crate::scale::terms::{Evaluation, Wanted, Weights};
use crate::scale::units::{Setting, Units};

/// How a law is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitting {
    /// Points from which the fit starts; at least 1.
    pub starts: usize,
    /// How strongly the parameters of which every domain has its own are shrunk
    /// towards each other: the inverse of their standard deviation around their
    /// mean, where a run counts as one measurement with an error of 1 %. With 0
    /// they are free.
    pub alike: f64,
}

/// A law of scale with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedLaw {
    name: LawName,
    units: Units,
    domains: usize,
    own: Option<usize>,
    parameters: Vec<f64>,
    residual_sd: f64,
    factor: Factor,
    /// Parameters that the runs say nothing about.
    tied: Vec<String>,
}

impl FittedLaw {
    /// Fits a form to one target of some runs. The logarithm of the loss is
    /// fitted by a smooth Huber loss, which is linear beyond about 1 %;
    /// measurements have larger weights towards the largest size and length,
    /// since the law is used beyond them.
    ///
    /// Exponents of size (with one size) or tokens (with one length) that cannot
    /// be known stay at 0.34 and 0.4, see [`FittedLaw::tied`].
    ///
    /// # Errors
    /// When the target is not measured, a law of the target's own weight is
    /// asked for a target that is no domain, and when the monitor asks to stop.
    pub fn fit(
        name: LawName,
        runs: &ScaleRuns,
        target: usize,
        units: &Units,
        fitting: Fitting,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        /// Rows that are enough to compare starts.
        const ROWS: usize = 300;
        let ready = Ready::of(name, runs, target, units, fitting.alike)?;
        let mut rng = stream(42, name.as_str(), "scale start");
        let coarse = ready.problem(ROWS);
        let mut best: Option<(Vec<f64>, f64)> = None;
        for turn in 0..fitting.starts.max(1) {
            let start = ready.form.start(ready.height, turn, &mut rng);
            let found = minimise(&coarse, start, LIMITS, 25, monitor)?;
            if best.as_ref().is_none_or(|b| found.1 < b.1) {
                best = Some(found);
            }
        }
        let start = best.map_or_else(|| ready.centre.clone(), |b| b.0);
        let all = ready.problem(MANY);
        let (parameters, residual_sd, factor) = settle(&all, start, monitor)?;
        Ok(Self {
            name,
            units: units.clone(),
            domains: runs.domains().len(),
            own: runs.domains().position(&runs.targets()[target]),
            parameters,
            residual_sd,
            tied: tied(&all, &factor),
            factor,
        })
    }

    /// What fits of one law to several targets say together about its exponents:
    /// the median of each, in the order of the parameters; nothing for
    /// parameters that are a target's own.
    pub(crate) fn exponents(laws: &[&Self]) -> Vec<Option<f64>> {
        let Some(first) = laws.first() else {
            return Vec::new();
        };
        (first.form().parameters.iter().enumerate())
            .map(|(i, parameter)| {
                let mut all: Vec<f64> = laws.iter().map(|law| law.parameters[i]).collect();
                all.sort_by(f64::total_cmp);
                (parameter.is_exponent()).then(|| all[all.len() / 2])
            })
            .collect()
    }

    /// The same law, with its exponents pulled to what all targets say. One
    /// target hardly tells an exponent from a level with two sizes, or with
    /// lengths that differ little.
    ///
    /// # Errors
    /// When the monitor asks to stop.
    pub(crate) fn pulled(
        mut self,
        runs: &ScaleRuns,
        target: usize,
        exponents: &[Option<f64>],
        alike: f64,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let mut ready = Ready::of(self.name, runs, target, &self.units, alike)?;
        for (i, exponent) in exponents.iter().enumerate() {
            if let Some(exponent) = exponent
                && ready.prior[i] < TIED
            {
                (ready.centre[i], ready.prior[i]) = (*exponent, POOLED);
            }
        }
        (self.parameters, self.residual_sd, self.factor) =
            settle(&ready.problem(MANY), self.parameters, monitor)?;
        Ok(self)
    }

    /// The same law with its exponent of size near a given one, and its other exponents
    /// near where they are.
    ///
    /// # Errors
    /// When the monitor asks to stop.
    pub(crate) fn at_size_exponent(
        self,
        exponent: f64,
        runs: &ScaleRuns,
        target: usize,
        alike: f64,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let parameters = self.form().parameters;
        let exponents: Vec<Option<f64>> = (parameters.iter().zip(&self.parameters))
            .map(|(p, value)| match p.kind {
                Kind::SizeExponent => Some(exponent.ln()),
                _ => p.is_exponent().then_some(*value),
            })
            .collect();
        self.pulled(runs, target, &exponents, alike, monitor)
    }

    /// The form.
    pub fn law(&self) -> LawName {
        self.name
    }

    /// The parameters by name: exponents and levels as they stand in the
    /// equation, in the units of the fit.
    pub fn parameters(&self) -> Vec<(String, f64)> {
        let form = self.form();
        (form.parameters.into_iter().zip(&self.parameters))
            .map(|(p, v)| match p.kind {
                Kind::Signed | Kind::Slope => (p.name(), *v),
                _ => (p.name(), v.exp()),
            })
            .collect()
    }

    /// Parameters that the runs hardly determine: they stay near their
    /// starting values.
    pub fn tied(&self) -> &[String] {
        &self.tied
    }

    /// The standard deviation of the logarithm of single measurements around
    /// the law.
    pub fn residual_sd(&self) -> f64 {
        self.residual_sd
    }

    /// ln L, its standard deviation without the noise of one measurement, and
    /// its derivative by every weight.
    pub(crate) fn ln_loss(&self, at: &Setting<'_>) -> (f64, f64, Vec<f64>) {
        let form = self.form();
        let weights = Weights::new(self.units.seen(self.name, at.weights, at.tokens));
        let mut law = Evaluation::new(&form, &self.parameters, Wanted::Slopes);
        law.at(&weights);
        let scales = self.units.scales(at.parameters, at.tokens);
        let mut by = vec![0.0; self.parameters.len()];
        let mut by_weights = vec![0.0; weights.len()];
        let ln = law.ln_loss(scales, &mut by, &mut by_weights);
        (self.units).chain_seen(self.name, at.weights, at.tokens, &mut by_weights);
        let sd = self.residual_sd / RESIDUAL * self.factor.quadratic(&by).sqrt();
        (ln, sd, by_weights)
    }

    /// ln L alone; the form is at hand, for many settings.
    pub(crate) fn ln_value(&self, form: &Form, at: &Setting<'_>) -> f64 {
        let weights = Weights::new(self.units.seen(self.name, at.weights, at.tokens));
        let mut law = Evaluation::new(form, &self.parameters, Wanted::Value);
        law.at(&weights);
        let scales = self.units.scales(at.parameters, at.tokens);
        law.ln_loss(scales, &mut [], &mut [])
    }

    pub(crate) fn form(&self) -> Form {
        form_of(self.name, self.domains, self.own, &self.units)
    }

    /// How far the logarithm lies above that of a run which ends there, where a
    /// part of the run is left.
    pub(crate) fn excess(&self, form: &Form, left: f64) -> f64 {
        let parameters = form.excess.map(|first| &self.parameters[first..first + 2]);
        parameters.map_or(0.0, |p| dot(&excess(left), p))
    }

    /// Whether what was read is a law over that many domains.
    pub(crate) fn is_sound(&self, domains: usize) -> bool {
        let n = self.form().parameters.len();
        self.domains == domains
            && self.own.is_none_or(|own| own < domains)
            && self.parameters.len() == n
            && self.parameters.iter().all(|p| p.is_finite())
            && self.residual_sd.is_finite()
            && self.factor.is_sound(n)
            && [0, domains].contains(&self.units.available.len())
            && !(self.name.needs_available() && self.units.available.is_empty())
            && [0, domains].contains(&self.units.per_token.len())
    }
}

impl ScaleLaw for FittedLaw {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn predict(&self, at: &Setting<'_>) -> Prediction {
        let (ln, sd, _) = self.ln_loss(at);
        let mean = ln.exp();
        Prediction {
            mean,
            sd: mean * sd.hypot(self.residual_sd),
        }
    }

    fn gradient(&self, at: &Setting<'_>) -> Vec<f64> {
        let (ln, _, mut by) = self.ln_loss(at);
        by.iter_mut().for_each(|b| *b *= ln.exp());
        by
    }
}
