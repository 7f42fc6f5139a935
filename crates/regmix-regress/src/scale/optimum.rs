//! The best mixture at a size and a length.

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Mixture, Monitor, Result};

use crate::constraints::Constraints;
use crate::objective::evaluator::Evaluator;
use crate::objective::{Baseline, Objective};
use crate::prediction::Z90;
use crate::repetition::budget::Budget;
use crate::scale::fit::ScaleFit;
use crate::scale::units::Setting;
use crate::search::descend::descend_monitored;
use crate::search::options::DescendOptions;
use crate::search::surface::Surface;

/// What is searched, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleQuestion {
    /// What is made small.
    pub objective: Objective,
    /// Floors, caps and limits of groups.
    pub constraints: Option<Constraints>,
    /// Limits of repetition.
    pub budget: Option<Budget>,
    /// The natural mixture, in the order of the domains of the fit.
    pub natural: Option<Mixture>,
    /// Parameters of the model.
    pub parameters: f64,
    /// Tokens of the run.
    pub tokens: f64,
}

/// The expected loss of one target with its 90 % interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleEstimate {
    /// The target, or `objective`.
    pub name: String,
    /// The expected value.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The best mixture at one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleStep {
    /// Parameters of the model.
    pub parameters: f64,
    /// Tokens of the run.
    pub tokens: f64,
    /// Weights, in the order of the domains.
    pub weights: Vec<f64>,
    /// The objective there.
    pub value: f64,
    /// Total variation from the best mixture at the size of the proxies.
    pub moved: f64,
}

/// The best mixture at the size and length that were asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleOptimum {
    /// Parameters of the model.
    pub parameters: f64,
    /// Tokens of the run.
    pub tokens: f64,
    /// The mixture.
    pub mixture: Mixture,
    /// The objective.
    pub objective: ScaleEstimate,
    /// Every target.
    pub losses: Vec<ScaleEstimate>,
    /// From the smallest fitted size to the size that was asked.
    pub path: Vec<ScaleStep>,
    /// The objective of the natural mixture, and by what factor it would need
    /// more tokens to reach the same; `None` in the factor where a hundred
    /// times as many do not.
    pub natural: Option<(ScaleEstimate, Option<f64>)>,
    /// The unit of the losses, where the fit knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What a reader should know.
    pub warnings: Vec<String>,
}

impl ScaleFit {
    /// Searches the best mixture at a size and a length.
    ///
    /// # Errors
    /// When the objective names unknown targets, the limits cannot be met, the
    /// size or the length is smaller than the runs, and when the monitor asks to
    /// stop.
    pub fn optimum(&self, asked: &ScaleQuestion, monitor: &dyn Monitor) -> Result<ScaleOptimum> {
        let mut warnings = self.check_setting(asked.parameters, asked.tokens)?;
        let natural = asked.natural.as_ref();
        let asked = &ScaleQuestion {
            natural: natural.map(|m| m.reordered(self.domains())).transpose()?,
            ..asked.clone()
        };
        let evaluator = asked.objective.evaluator(self.runs().targets())?;
        let limits = self.limits(asked)?;
        let mut path: Vec<ScaleStep> = Vec::new();
        let settings = self.way_to(asked.parameters, asked.tokens);
        for (parameters, tokens) in settings {
            let surface = At::of(self, &evaluator, asked, parameters, tokens);
            let mut starts = self.starts(&surface, asked, &limits)?;
            starts.extend(path.last().map(|s| self.mixture(&s.weights)).transpose()?);
            let found = descend_monitored(
                &surface,
                &starts,
                &limits,
                &DescendOptions::default(),
                monitor,
            )?;
            let weights = found.mixture.weights().to_vec();
            let first = path.first().map_or(&weights, |s| &s.weights);
            let apart = weights.iter().zip(first).map(|(a, b)| (a - b).abs());
            path.push(ScaleStep {
                parameters,
                tokens,
                value: evaluator.sign() * surface.cost(&weights),
                moved: 0.5 * apart.sum::<f64>(),
                weights,
            });
        }
        let best = path[path.len() - 1].weights.clone();
        let surface = At::of(self, &evaluator, asked, asked.parameters, asked.tokens);
        let natural = match &asked.natural {
            None => None,
            Some(natural) => {
                let estimate = surface.estimate(natural.weights());
                Some((estimate, surface.tokens_saved(natural.weights(), &best)))
            }
        };
        if let Some(far) = self.far_from_runs(&best) {
            warnings.push(far);
        }
        Ok(ScaleOptimum {
            parameters: asked.parameters,
            tokens: asked.tokens,
            mixture: Mixture::new(self.domains().clone(), best.clone())?,
            objective: surface.estimate(&best),
            losses: surface.losses(&best),
            path,
            natural,
            unit: self.unit().map(str::to_owned),
            warnings,
        })
    }

    /// The objective and every target's loss that a mixture has at the size and length
    /// of a question.
    ///
    /// # Errors
    /// When the objective names unknown targets, or the mixture has other domains.
    pub fn estimate(
        &self,
        asked: &ScaleQuestion,
        mixture: &Mixture,
    ) -> Result<(ScaleEstimate, Vec<ScaleEstimate>)> {
        let evaluator = asked.objective.evaluator(self.runs().targets())?;
        let mixture = mixture.reordered(self.domains())?;
        let at = At::of(self, &evaluator, asked, asked.parameters, asked.tokens);
        let weights = mixture.weights();
        Ok((at.estimate(weights), at.losses(weights)))
    }

    /// Sizes and lengths from the smallest fitted size to one that is asked for: up to
    /// four fitted sizes, the middle where the way beyond them is far, and the end.
    fn way_to(&self, parameters: f64, tokens: f64) -> Vec<(f64, f64)> {
        const SHOWN: usize = 4;
        let sizes = self.runs().sizes();
        let step = sizes.len().div_ceil(SHOWN);
        let length = |size: f64| {
            let own = self.runs().runs().iter().filter(|r| r.parameters == size);
            own.flat_map(|r| &r.points)
                .map(|p| p.tokens)
                .fold(0.0, f64::max)
        };
        // From the largest downwards, so that the largest is there.
        let mut way: Vec<(f64, f64)> = (sizes.iter().rev().step_by(step).rev())
            .map(|&size| (size, length(size)))
            .filter(|&(size, length)| size < parameters || length < tokens)
            .map(|(size, length)| (size.min(parameters), length.min(tokens)))
            .collect();
        if let Some(&(size, length)) = way.last()
            && (parameters / size).max(tokens / length) > 2.0
        {
            way.push(((size * parameters).sqrt(), (length * tokens).sqrt()));
        }
        way.push((parameters, tokens));
        way
    }

    fn limits(&self, asked: &ScaleQuestion) -> Result<Constraints> {
        let limits = Constraints::or_none(asked.constraints.as_ref(), self.domains())?;
        match &asked.budget {
            None => Ok(limits),
            Some(budget) => limits.and(&budget.caps(self.domains())?),
        }
    }

    fn mixture(&self, weights: &[f64]) -> Result<Mixture> {
        Mixture::normalized(self.domains().clone(), weights.to_vec())
    }

    /// The uniform and the natural mixture, and the best of those that were run.
    fn starts(
        &self,
        surface: &At<'_>,
        asked: &ScaleQuestion,
        limits: &Constraints,
    ) -> Result<Vec<Mixture>> {
        let uniform = Mixture::uniform(self.domains().clone());
        let mut starts = vec![limits.project(uniform.weights())?];
        if let Some(natural) = &asked.natural {
            starts.push(limits.project(natural.reordered(self.domains())?.weights())?);
        }
        let mut run: Vec<(f64, &[f64])> = (self.runs().by_mixture().iter())
            .map(|members| {
                let weights = &self.runs().runs()[members[0]].weights[..];
                (surface.cost(weights), weights)
            })
            .collect();
        run.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, weights) in run.into_iter().take(2) {
            starts.push(limits.project(weights)?);
        }
        Ok(starts)
    }

    /// A warning where a mixture is further from all that were run than these
    /// are from each other.
    fn far_from_runs(&self, weights: &[f64]) -> Option<String> {
        let groups = self.runs().by_mixture();
        let all: Vec<&[f64]> = (groups.iter())
            .map(|members| &self.runs().runs()[members[0]].weights[..])
            .collect();
        let apart = |a: &[f64], b: &[f64]| -> f64 {
            0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
        };
        let nearest = |w: &[f64], skip: usize| {
            let others = all.iter().enumerate().filter(|(i, _)| *i != skip);
            others
                .map(|(_, o)| apart(w, o))
                .fold(f64::INFINITY, f64::min)
        };
        let own = nearest(weights, usize::MAX);
        let usual = (0..all.len())
            .map(|i| nearest(all[i], i))
            .fold(0.0, f64::max);
        (all.len() > 2 && own > usual).then(|| {
            format!(
                "the mixture is {own:.2} (total variation) from the nearest that was run, and \
                 these are at most {usual:.2} from each other: train there before you trust it"
            )
        })
    }
}

/// The objective over mixtures at one size and length.
struct At<'a> {
    fit: &'a ScaleFit,
    evaluator: &'a Evaluator,
    baseline: Option<Vec<f64>>,
    parameters: f64,
    tokens: f64,
}

impl<'a> At<'a> {
    fn of(
        fit: &'a ScaleFit,
        evaluator: &'a Evaluator,
        asked: &ScaleQuestion,
        parameters: f64,
        tokens: f64,
    ) -> Self {
        let mut out = Self {
            fit,
            evaluator,
            baseline: None,
            parameters,
            tokens,
        };
        let uniform = vec![1.0 / fit.domains().len() as f64; fit.domains().len()];
        let natural = asked.natural.as_ref().map(|m| m.weights().to_vec());
        out.baseline = match evaluator.baseline() {
            None | Some(Baseline::None) => None,
            Some(Baseline::Natural) => Some(out.means(&natural.unwrap_or(uniform))),
            Some(Baseline::Uniform) => Some(out.means(&uniform)),
        };
        out
    }

    fn setting<'w>(&self, weights: &'w [f64]) -> Setting<'w> {
        Setting {
            weights,
            parameters: self.parameters,
            tokens: self.tokens,
        }
    }

    fn means(&self, weights: &[f64]) -> Vec<f64> {
        let targets = 0..self.fit.runs().targets().len();
        targets
            .map(|t| self.fit.mean_and_gradient(t, &self.setting(weights)).0)
            .collect()
    }

    fn cost(&self, weights: &[f64]) -> f64 {
        let means = self.means(weights);
        self.evaluator.cost(&means, self.baseline.as_deref())
    }

    fn losses(&self, weights: &[f64]) -> Vec<ScaleEstimate> {
        let predicted = self.fit.predict_all(&self.setting(weights));
        (self.fit.runs().targets().iter().zip(predicted))
            .map(|(name, p)| {
                let (low, high) = p.interval90();
                ScaleEstimate {
                    name: name.clone(),
                    mean: p.mean,
                    low,
                    high,
                }
            })
            .collect()
    }

    fn estimate(&self, weights: &[f64]) -> ScaleEstimate {
        let losses = self.losses(weights);
        let means: Vec<f64> = losses.iter().map(|l| l.mean).collect();
        let sds: Vec<f64> = losses.iter().map(|l| (l.high - l.mean) / Z90).collect();
        let baseline = self.baseline.as_deref();
        let mean = self.evaluator.value(&means, baseline);
        let half = Z90 * self.evaluator.sd(&sds, &means, baseline);
        ScaleEstimate {
            name: "objective".to_owned(),
            mean,
            low: mean - half,
            high: mean + half,
        }
    }

    /// By what factor a mixture needs more tokens than another for the same
    /// objective.
    fn tokens_saved(&self, plain: &[f64], best: &[f64]) -> Option<f64> {
        if self.evaluator.is_worst() {
            return None;
        }
        let goal = self.cost(best);
        let cost = |factor: f64| {
            let longer = Self {
                fit: self.fit,
                evaluator: self.evaluator,
                baseline: None,
                parameters: self.parameters,
                tokens: self.tokens * factor,
            };
            longer.cost(plain)
        };
        let (mut low, mut high) = (1.0f64, 100.0f64);
        if cost(high) > goal {
            return None;
        }
        for _ in 0..40 {
            let middle = (low * high).sqrt();
            match cost(middle) > goal {
                true => low = middle,
                false => high = middle,
            }
        }
        Some(high)
    }
}

impl Surface for At<'_> {
    fn domains(&self) -> &DomainSet {
        self.fit.domains()
    }

    fn value(&self, weights: &[f64]) -> f64 {
        let means = self.means(weights);
        self.evaluator.smooth_cost(&means, self.baseline.as_deref())
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        self.value_and_gradient(weights).1
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let targets = 0..self.fit.runs().targets().len();
        let (means, slopes): (Vec<f64>, Vec<Vec<f64>>) = targets
            .map(|t| self.fit.mean_and_gradient(t, &self.setting(weights)))
            .unzip();
        let baseline = self.baseline.as_deref();
        let by_loss = self.evaluator.slopes(&means, baseline);
        let mut gradient = vec![0.0; weights.len()];
        for (by, slopes) in by_loss.iter().zip(&slopes) {
            crate::numeric::slices::add(&mut gradient, *by, slopes);
        }
        (self.evaluator.smooth_cost(&means, baseline), Some(gradient))
    }
}

impl ScaleOptimum {
    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        let path = path.as_ref();
        regmix_data::artefact::write_json(path, self).map_err(|e: Error| e.in_file_if_none(path))
    }

    /// Reads what [`ScaleOptimum::save`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read or holds no best mixture at a size.
    pub fn load(path: impl AsRef<std::path::Path>) -> Result<Self> {
        regmix_data::artefact::read_json(path).map_err(|e: Error| match e.is_input() {
            true => e.help("search for it again (`regmix optimize --parameters N --tokens D`)"),
            false => e,
        })
    }
}
