//! An objective over the models of a fit.

use std::collections::BTreeMap;

use regmix_data::{DomainSet, Error, Mixture, Result};

use crate::advise::correlation::error_correlation;
use crate::advise::divergence::{add_slopes, divergence};
use crate::advise::penalty::check_strength;
use crate::advise::reach::Reach;
use crate::advise::scales::check_scales;
use crate::fit::Fit;
use crate::fixed_shares::FixedShares;
use crate::metrics::{mean, quantile};
use crate::numeric::slices::add;
use crate::objective::evaluator::Evaluator;
use crate::objective::{Baseline, Objective};
use crate::prediction::Prediction;
use crate::regressor::law::model::ln_weights;
use crate::regressor::model::{Model, score};
use crate::search::anneal::Smooth;
use crate::search::soft_max::{SoftMax, largest};
use crate::search::surface::{Surface, differences};

/// For the standard deviation, targets this near to the worst one share its
/// weight; in units of the noise of one run.
const LEVEL: f64 = 0.01;

/// What a unit of squared share away from a fixed one costs, in spreads of the
/// objective over the runs: slopes of a few spreads per unit move it by less
/// than a percentage point.
const HOLD: f64 = 300.0;

/// An objective over the models of a fit: a [`Surface`] to search on, always
/// to be made small (see [`Objective::sign`]).
///
/// The standard deviation combines those of the targets,
/// `sd² = Σ_ij a_i a_j ρ_ij sd_i sd_j`, with ρ the correlation of the
/// out-of-fold errors over the runs that both targets have (1 where fewer
/// than 8, the cautious side for weights of one sign). For a worst case the
/// `a` are the derivatives of the maximum (the delta method): 1 for the worst
/// target, or shares of it where several are level to within a hundredth of
/// the noise of one run, as they are at the best mixture. The baseline's
/// values count as known.
///
/// A search minimises the value plus the penalties that were added:
/// [`with_caution`](Self::with_caution), [`with_distance`](Self::with_distance),
/// [`with_kl`](Self::with_kl).
#[derive(Debug, Clone)]
pub struct Scorer {
    domains: DomainSet,
    targets: Vec<String>,
    /// The places of `targets` in the fit.
    places: Vec<usize>,
    evaluator: Evaluator,
    /// `(weight, model)` of the targets that take part.
    terms: Vec<(f64, Model)>,
    correlation: Vec<Vec<f64>>,
    worst: Option<Worst>,
    caution: f64,
    distance: Option<(f64, Reach)>,
    kl: Option<(f64, Vec<f64>)>,
    /// The strength of the penalty for leaving what runs had fixed.
    fixed: Option<(f64, FixedShares)>,
}

/// What the worst of several targets is measured against.
#[derive(Debug, Clone)]
struct Worst {
    /// The mixture whose values are the baseline.
    at: Option<Vec<f64>>,
    /// Weighted values there, 0 without a baseline.
    baseline: Vec<f64>,
    /// The noise of one run, or a thousandth of the values if that is more:
    /// the unit of smoothing.
    noise: f64,
}

impl Worst {
    fn new(at: Option<Vec<f64>>, terms: &[(f64, Model)], domains: usize) -> Self {
        let even = vec![1.0 / domains as f64; domains];
        let there: Vec<Prediction> = terms.iter().map(|t| t.1.predict(&even)).collect();
        let noises: Vec<f64> = there.iter().map(|p| p.sd).collect();
        let sizes: Vec<f64> = there.iter().map(|p| 1e-3 * p.mean.abs()).collect();
        let noise = mean(&noises).max(mean(&sizes)).max(f64::MIN_POSITIVE);
        Self {
            baseline: match &at {
                Some(at) => terms.iter().map(|(a, model)| a * model.mean(at)).collect(),
                None => vec![0.0; terms.len()],
            },
            at,
            noise,
        }
    }

    /// How much each weighted value is above its baseline.
    fn above(&self, weighted: &[f64]) -> Vec<f64> {
        (weighted.iter().zip(&self.baseline))
            .map(|(x, base)| x - base)
            .collect()
    }

    fn soft(&self, scale: f64) -> SoftMax {
        SoftMax::new(self.baseline.len(), scale)
    }
}

impl Scorer {
    /// Binds an objective to the models of a fit.
    ///
    /// # Errors
    /// When the objective names an unknown target, or counts targets alike whose
    /// values are not comparable: one is typically a thousand times another.
    pub fn new(fit: &Fit, objective: &Objective) -> Result<Self> {
        let all: Vec<String> = fit.targets().iter().map(|t| t.target.clone()).collect();
        let counted: Vec<usize> = match objective.is_over_all() {
            true => fit.counted(),
            false => (0..all.len()).collect(),
        };
        if objective.is_over_all() {
            check_scales(fit)?;
        }
        let names: Vec<String> = counted.iter().map(|&t| all[t].clone()).collect();
        let of_all = objective.evaluator(&names)?;
        let places: Vec<usize> = of_all.terms().iter().map(|&(t, _)| counted[t]).collect();
        let targets: Vec<String> = places.iter().map(|&t| all[t].clone()).collect();
        let evaluator = objective.evaluator(&targets)?;
        let terms: Vec<(f64, Model)> = (evaluator.terms().iter().zip(&places))
            .map(|(&(_, a), &t)| (a, fit.targets()[t].model.clone()))
            .collect();
        let uniform = Mixture::uniform(fit.domains().clone());
        let worst = evaluator.baseline().map(|baseline| {
            let at = match baseline {
                Baseline::Natural => Some(fit.prior().weights().to_vec()),
                Baseline::Uniform => Some(uniform.weights().to_vec()),
                Baseline::None => None,
            };
            Worst::new(at, &terms, fit.domains().len())
        });
        Ok(Self {
            domains: fit.domains().clone(),
            places,
            evaluator,
            terms,
            correlation: error_correlation(fit, &targets),
            targets,
            worst,
            caution: 0.0,
            distance: None,
            kl: None,
            fixed: None,
        }
        .holding(fit))
    }

    /// Adds a penalty that keeps shares which are fixed in all runs near the
    /// values they have there: what a change of them does is not known.
    fn holding(mut self, fit: &Fit) -> Self {
        let fixed = FixedShares::of(fit.observations().mixtures.mixtures());
        if !fixed.is_empty() {
            let costs: Vec<f64> = (fit.observations().values.rows().iter())
                .map(|row| self.places.iter().map(|&t| row[t]).collect::<Vec<_>>())
                .map(|values| self.of_values(&values))
                .filter(|cost| cost.is_finite())
                .collect();
            let spread = quantile(&costs, 0.95) - quantile(&costs, 0.05);
            let strength = HOLD * if spread > 0.0 { spread } else { 1.0 };
            self.fixed = Some((strength, fixed));
        }
        self
    }

    /// Adds `caution` standard deviations to the value that is searched on, so
    /// that a search avoids regions where the models are uncertain. 0 is off;
    /// 1.64 is the upper end of the 90 % interval. The derivative of the
    /// standard deviation is taken by differences, 2 D predictions each.
    #[must_use]
    pub fn with_caution(mut self, caution: f64) -> Self {
        self.caution = caution.max(0.0);
        self
    }

    /// Adds `weight · max(0, d(w) - d95)` to the value that is searched on,
    /// with `d(w) = min_i ½ Σ_j |w_j - w_ij|` the total variation to the
    /// nearest proxy, and d95 the distance that 95 % of the proxies are from
    /// theirs ([`Support::limit`](crate::Support)): where proxies were trained
    /// it costs nothing, beyond it `weight` for every unit. Corners are
    /// rounded (over 0.001 in a weight, 0.01 in the distance), so that a descent
    /// does not stop at them. 0 is off. Cost O(runs · D).
    ///
    /// Caution relies on the models' standard deviations; this does not. It is
    /// for regressors whose standard deviation does not grow beyond the proxies. A
    /// weight above the steepest slope of the objective, in its unit per unit
    /// of weight moved, keeps the search within the limit.
    ///
    /// # Errors
    /// When the weight is negative or not finite.
    pub fn with_distance(mut self, weight: f64, fit: &Fit) -> Result<Self> {
        check_strength("distance", weight)?;
        self.distance = (weight > 0.0).then(|| (weight, Reach::of(fit)));
        Ok(self)
    }

    /// How far a mixture is beyond the proxies' reach, and what all penalties
    /// but the divergence add there.
    pub(crate) fn beyond(&self, weights: &[f64]) -> (f64, f64) {
        let (beyond, cost) = match &self.distance {
            Some((strength, reach)) => {
                let beyond = reach.beyond(weights);
                (beyond, strength * beyond)
            }
            None => (0.0, 0.0),
        };
        let sd = match self.caution > 0.0 {
            true => self.predict(weights).sd,
            false => 0.0,
        };
        (beyond, cost + self.caution * sd)
    }

    /// Adds `weight · KL(w || reference)` to the value that is searched on,
    /// with `KL = Σ_j w_j ln (w_j / q_j)` in nats: a search then stays near
    /// the reference unless leaving it pays, and no domain loses all its weight. 0 is off.
    ///
    /// With `olmix` regressors (log-linear in the weights), a weighted sum as
    /// objective and caps by repetition, this is the exact proposer of Olmix
    /// (arXiv 2602.12237), `min Σ_k a_k exp(t_k · w) + λ KL(w || q)` with
    /// `w_j ≤ k N_j / R`; its paper has λ 0.05 and k 4. That problem is
    /// convex, so the search finds its minimum.
    ///
    /// # Errors
    /// When the weight is negative or not finite, the reference is over other
    /// domains, or has no weight on one: the divergence is infinite wherever
    /// that domain is used.
    pub fn with_kl(mut self, weight: f64, reference: &Mixture) -> Result<Self> {
        check_strength("kl", weight)?;
        let reference = reference.reordered(&self.domains)?;
        if let Some((domain, _)) = reference.iter().find(|(_, w)| *w <= 0.0) {
            return Err(Error::input(format!(
                "the reference mixture has no weight on `{domain}`: the divergence from it is \
                 infinite"
            ))
            .field("kl")
            .help(
                "give a reference (`--prior`) with some weight on every domain, or leave `kl` out",
            ));
        }
        self.kl = (weight > 0.0).then(|| (weight, reference.weights().to_vec()));
        Ok(self)
    }

    /// The same objective over other models of the same targets.
    pub(crate) fn with_models(&self, models: impl IntoIterator<Item = Model>) -> Self {
        let terms: Vec<(f64, Model)> = self.terms.iter().map(|t| t.0).zip(models).collect();
        let again = |worst: &Worst| Worst::new(worst.at.clone(), &terms, self.domains.len());
        Self {
            domains: self.domains.clone(),
            targets: self.targets.clone(),
            places: self.places.clone(),
            evaluator: self.evaluator.clone(),
            worst: self.worst.as_ref().map(again),
            terms,
            correlation: self.correlation.clone(),
            caution: self.caution,
            distance: self.distance.clone(),
            kl: self.kl.clone(),
            fixed: self.fixed.clone(),
        }
    }

    /// The places of its targets in the fit, in the order of its models.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        self.terms.iter().map(|t| &t.1)
    }

    /// The expected objective; weights in the order of the domains. Cost
    /// O(targets · D).
    pub fn mean(&self, weights: &[f64]) -> f64 {
        self.joined(&self.means(weights), None)
    }

    /// The objective with its standard deviation. Cost O(targets · D² +
    /// targets²).
    pub fn predict(&self, weights: &[f64]) -> Prediction {
        let parts: Vec<Prediction> = self.terms.iter().map(|t| t.1.predict(weights)).collect();
        self.join(&parts)
    }

    /// The objective of measured or predicted values of its targets, in their
    /// order.
    pub(crate) fn of_values(&self, values: &[f64]) -> f64 {
        self.joined(&self.weighted(values.iter().copied()), None)
    }

    /// The objective's standard deviation at the proxies that have all
    /// targets, by models that had not seen them.
    pub(crate) fn out_of_fold_sds<'a>(&self, fit: &'a Fit) -> BTreeMap<&'a str, f64> {
        let mut by_run: BTreeMap<&str, Vec<Option<Prediction>>> = BTreeMap::new();
        for p in fit.predictions() {
            if let Some(place) = self.targets.iter().position(|t| *t == p.target) {
                let row = (by_run.entry(&p.run)).or_insert_with(|| vec![None; self.targets.len()]);
                row[place] = Some(Prediction {
                    mean: p.predicted,
                    sd: p.sd,
                });
            }
        }
        (by_run.into_iter())
            .filter_map(|(run, row)| Some((run, row.into_iter().collect::<Option<Vec<_>>>()?)))
            .map(|(run, row)| (run, self.join(&row).sd))
            .collect()
    }

    /// Weighted means of the targets.
    fn means(&self, weights: &[f64]) -> Vec<f64> {
        let ln = ln_weights(weights);
        (self.terms.iter())
            .map(|(a, model)| a * model.mean_with(weights, &ln))
            .collect()
    }

    /// Values of the terms times their weights.
    fn weighted(&self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        let terms = self.terms.iter().zip(values);
        terms.map(|(t, v)| t.0 * v).collect()
    }

    /// Weighted values, above their baseline in a worst case.
    fn above(&self, weighted: &[f64]) -> Vec<f64> {
        match &self.worst {
            Some(worst) => worst.above(weighted),
            None => weighted.to_vec(),
        }
    }

    /// The objective of weighted values.
    fn joined(&self, weighted: &[f64], soft: Option<&SoftMax>) -> f64 {
        (self.evaluator).join(&self.above(weighted), |x| match soft {
            Some(soft) => soft.of(x),
            None => largest(x),
        })
    }

    /// How much the objective moves with each weighted value.
    fn shares(&self, weighted: &[f64], soft: Option<&SoftMax>) -> Vec<f64> {
        (self.evaluator).shares(&self.above(weighted), |x| match (soft, &self.worst) {
            (Some(soft), _) => soft.shares(x),
            (None, Some(worst)) => worst.soft(LEVEL * worst.noise).shares(x),
            (None, None) => vec![1.0; x.len()],
        })
    }

    fn join(&self, parts: &[Prediction]) -> Prediction {
        let weighted = self.weighted(parts.iter().map(|p| p.mean));
        let scaled: Vec<f64> = (self.shares(&weighted, None).iter())
            .zip(self.terms.iter().zip(parts))
            .map(|(share, (term, p))| share * term.0 * p.sd)
            .collect();
        let mut variance = 0.0;
        for (a, row) in scaled.iter().zip(&self.correlation) {
            for (b, rho) in scaled.iter().zip(row) {
                variance += a * b * rho;
            }
        }
        Prediction {
            mean: self.joined(&weighted, None),
            sd: variance.max(0.0).sqrt(),
        }
    }

    /// What caution, distance and divergence add to the value.
    fn penalty(&self, weights: &[f64]) -> f64 {
        let mut sum = self.beyond(weights).1;
        if let Some((strength, reference)) = &self.kl {
            sum += strength * divergence(weights, reference);
        }
        if let Some((strength, fixed)) = &self.fixed {
            sum += strength * fixed.squares(weights);
        }
        sum
    }
}

impl Smooth for Scorer {
    type Soft = Option<SoftMax>;

    fn domains(&self) -> &DomainSet {
        &self.domains
    }

    fn softest(&self) -> Option<SoftMax> {
        self.worst.as_ref().map(|worst| worst.soft(worst.noise))
    }

    fn sharper(&self, weights: &[f64], soft: &Option<SoftMax>) -> (Option<SoftMax>, f64) {
        match (&self.worst, soft) {
            (Some(worst), Some(soft)) => {
                let (next, above) = soft.sharper(&worst.above(&self.means(weights)), worst.noise);
                (Some(next), above)
            }
            _ => (None, 0.0),
        }
    }

    fn value_at(&self, weights: &[f64], soft: Option<&Option<SoftMax>>) -> f64 {
        let soft = soft.and_then(Option::as_ref);
        self.joined(&self.means(weights), soft) + self.penalty(weights)
    }

    fn gradient_at(
        &self,
        weights: &[f64],
        soft: Option<&Option<SoftMax>>,
    ) -> (f64, Option<Vec<f64>>) {
        let soft = soft.and_then(Option::as_ref);
        // Of many targets few are near the worst: their derivatives are not
        // worked out. In a sum all are, at little cost beside the values.
        let (means, mut known): (Vec<f64>, Vec<Option<Vec<f64>>>) = match self.worst {
            Some(_) => (self.means(weights), vec![None; self.terms.len()]),
            None => (self.terms.iter())
                .map(|(a, model)| {
                    let (mean, gradient) = model.value_and_gradient(weights);
                    (a * mean, gradient)
                })
                .unzip(),
        };
        let value = self.joined(&means, soft) + self.penalty(weights);
        let mut sum = vec![0.0; weights.len()];
        for (((a, model), share), known) in
            (self.terms.iter().zip(self.shares(&means, soft))).zip(&mut known)
        {
            if share <= 1e-12 {
                continue;
            }
            let Some(gradient) = known.take().or_else(|| model.gradient(weights)) else {
                return (value, None);
            };
            add(&mut sum, share * a, &gradient);
        }
        if self.caution > 0.0 {
            let by_weight = differences(weights, |at| self.predict(at).sd);
            add(&mut sum, self.caution, &by_weight);
        }
        if let Some((strength, reach)) = &self.distance {
            reach.add_slopes(*strength, weights, &mut sum);
        }
        if let Some((strength, reference)) = &self.kl {
            add_slopes(*strength, weights, reference, &mut sum);
        }
        if let Some((strength, fixed)) = &self.fixed {
            fixed.add_slopes(*strength, weights, &mut sum);
        }
        (value, Some(sum))
    }
}

impl Surface for Scorer {
    fn domains(&self) -> &DomainSet {
        &self.domains
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.value_at(weights, None)
    }

    fn values(&self, rows: &[Vec<f64>]) -> Vec<f64> {
        if self.terms.is_empty() {
            return rows.iter().map(|row| self.value(row)).collect();
        }
        let models: Vec<&Model> = self.models().collect();
        (score(&models, rows).chunks_exact(models.len()).zip(rows))
            .map(|(means, row)| self.of_values(means) + self.penalty(row))
            .collect()
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        self.gradient_at(weights, None).1
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        self.gradient_at(weights, None)
    }
}
