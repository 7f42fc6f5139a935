//! MixMin: a mixture from the predictions of experts, each trained on one domain
//! alone.

use rand::RngExt;
use rayon::prelude::*;

use regmix_data::design::Dirichlet;
use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Error, Mixture, Monitor, Result, Silent};

use crate::constraints::Constraints;
use crate::objective::evaluator::Evaluator;
use crate::objective::{Baseline, Objective};
use crate::search::descend::descend_monitored;
use crate::search::options::DescendOptions;
use crate::search::surface::Surface;

/// The losses of experts on the tokens of every target, for MixMin (arXiv 2502.10510).
///
/// Expert k was trained on domain k alone. A mixture w of the domains is judged by the
/// loss of the mixed predictions, `mean over tokens of -ln Σ_k w_k p_k(token)`, as if a
/// model trained on the mixture predicted like the mixture of experts. The loss of a
/// target is convex in w, so that the global minimum is found. The paper descends by
/// exponentiated gradients; here the search of all other surfaces is used, which keeps to
/// constraints.
///
/// ```
/// use regmix_data::DomainSet;
/// use regmix_regress::{ExpertLosses, Objective};
///
/// // Half of the tokens are known to one expert, half to the other.
/// let domains = DomainSet::from_names(["web", "code"])?;
/// let tokens = vec![vec![0.5, 3.0], vec![3.0, 0.5]];
/// let experts = ExpertLosses::new(domains, vec![("chat".to_owned(), tokens.concat())])?;
/// let found = experts.minimise(&Objective::Mean, None, None)?;
/// assert!((found.weights()[0] - 0.5).abs() < 1e-3);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// Cost: O(tokens · D) per step of the search, and 4 bytes of memory per token and
/// expert.
#[derive(Debug, Clone)]
pub struct ExpertLosses {
    domains: DomainSet,
    names: Vec<String>,
    targets: Vec<Tokens>,
}

/// The tokens of a target.
#[derive(Debug, Clone)]
struct Tokens {
    /// The mean over tokens of the least loss of any expert.
    least: f64,
    /// Probabilities, `[tokens][experts]`, each token's largest is 1.
    ratios: Vec<f32>,
}

impl ExpertLosses {
    /// Collects losses: of every target a name and the losses of its tokens,
    /// `[tokens][experts]` end to end in nats, with the experts in the order of
    /// `domains`.
    ///
    /// # Errors
    /// When there is no target, a target has no token or not as many numbers as
    /// experts for each, or a number is negative or not finite.
    pub fn new(domains: DomainSet, targets: Vec<(String, Vec<f32>)>) -> Result<Self> {
        if targets.is_empty() {
            return Err(Error::input(
                "no target: expected the losses of at least one",
            ));
        }
        let experts = domains.len();
        let (mut names, mut all) = (Vec::new(), Vec::new());
        for (name, mut losses) in targets {
            if losses.is_empty() || losses.len() % experts != 0 {
                return Err(Error::input(format!(
                    "{} losses of {experts} experts: expected as many for every token, and at \
                     least one token",
                    losses.len()
                ))
                .field(&name));
            }
            if let Some(wrong) = losses.iter().find(|l| !(l.is_finite() && **l >= 0.0)) {
                return Err(Error::input(format!(
                    "a loss of {wrong}: expected finite numbers of at least 0"
                ))
                .field(&name));
            }
            let mut sum = 0.0;
            for token in losses.chunks_exact_mut(experts) {
                let least = token.iter().copied().fold(f32::INFINITY, f32::min);
                sum += f64::from(least);
                token.iter_mut().for_each(|l| *l = (least - *l).exp());
            }
            all.push(Tokens {
                least: sum / (losses.len() / experts) as f64,
                ratios: losses,
            });
            names.push(name);
        }
        Ok(Self {
            domains,
            names,
            targets: all,
        })
    }

    /// The loss of the mixed predictions on every target, nats per token. Weights are
    /// in the order of the domains and sum to 1.
    ///
    /// # Panics
    /// When there are more or fewer weights than domains.
    pub fn losses(&self, weights: &[f64]) -> Vec<f64> {
        assert_eq!(weights.len(), self.domains.len(), "a weight per expert");
        let of = |target: &Tokens| target.loss(weights, &mut []);
        self.targets.par_iter().map(of).collect()
    }

    /// The losses of the mixed predictions at many mixtures, as
    /// [`FitOptions::approximate`](crate::FitOptions::approximate) takes them: at those of
    /// `around`, and at `more` that are drawn, half of them over the whole simplex and half
    /// near one of `around`.
    ///
    /// # Errors
    /// When a mixture has other domains, and when the monitor asks to stop.
    pub fn table(
        &self,
        around: &[Mixture],
        more: usize,
        seed: u64,
        monitor: &dyn Monitor,
    ) -> Result<Observations> {
        let around = around
            .iter()
            .map(|mixture| mixture.reordered(&self.domains));
        let mut mixtures: Vec<Mixture> = around.collect::<Result<_>>()?;
        let given = mixtures.len();
        let mut rng = stream(seed, "experts", "mixtures");
        for turn in 0..more {
            let even = vec![1.0; self.domains.len()];
            let centre = match given > 0 && turn % 2 == 1 {
                true => {
                    let near = mixtures[turn / 2 % given].weights();
                    near.iter().map(|w| w * even.len() as f64).collect()
                }
                false => even,
            };
            // From mixtures of few domains to mixtures near the centre.
            let strength = (0.2f64.ln() + 25f64.ln() * rng.random::<f64>()).exp();
            let concentrations: Vec<f64> = centre.iter().map(|c| strength * c).collect();
            let drawn = Dirichlet::new(&concentrations)?.sample(&mut rng);
            mixtures.push(Mixture::normalized(self.domains.clone(), drawn)?);
        }
        let names = || (1..).map(|number| format!("mixed-{number}"));
        let losses: Vec<Vec<f64>> = (mixtures.iter())
            .map(|mixture| {
                monitor.check()?;
                Ok(self.losses(mixture.weights()))
            })
            .collect::<Result<_>>()?;
        Observations::join(
            MixtureTable::new(self.domains.clone(), names().zip(mixtures))?,
            ValueTable::new(self.names.clone(), names().zip(losses))?,
        )
    }

    /// The mixture with the best objective within the constraints. `natural` is the
    /// baseline of objectives that need one.
    ///
    /// # Errors
    /// When the objective names unknown targets, or the constraints or `natural` have
    /// other domains.
    pub fn minimise(
        &self,
        objective: &Objective,
        constraints: Option<&Constraints>,
        natural: Option<&Mixture>,
    ) -> Result<Mixture> {
        self.minimise_monitored(objective, constraints, natural, &Silent)
    }

    /// [`ExpertLosses::minimise`] with a monitor.
    ///
    /// # Errors
    /// As [`ExpertLosses::minimise`], and when the monitor asks to stop.
    pub fn minimise_monitored(
        &self,
        objective: &Objective,
        constraints: Option<&Constraints>,
        natural: Option<&Mixture>,
        monitor: &dyn Monitor,
    ) -> Result<Mixture> {
        let evaluator = objective.evaluator(&self.names)?;
        let limits = Constraints::or_none(constraints, &self.domains)?;
        let uniform = Mixture::uniform(self.domains.clone());
        let natural = match natural {
            Some(natural) => natural.reordered(&self.domains)?,
            None => uniform.clone(),
        };
        let baseline = match evaluator.baseline() {
            None | Some(Baseline::None) => None,
            Some(Baseline::Natural) => Some(self.losses(natural.weights())),
            Some(Baseline::Uniform) => Some(self.losses(uniform.weights())),
        };
        let surface = Mixed {
            experts: self,
            evaluator: &evaluator,
            baseline,
        };
        let starts = [uniform, natural];
        let options = DescendOptions::default();
        Ok(descend_monitored(&surface, &starts, &limits, &options, monitor)?.mixture)
    }
}

impl Tokens {
    /// The loss of the mixed predictions; its derivative by the weights is written to
    /// `slopes` where that is not empty.
    fn loss(&self, weights: &[f64], slopes: &mut [f64]) -> f64 {
        // Where only experts of no weight know a token, ratios may vanish.
        const LEAST: f64 = 1e-30;
        let tokens = self.ratios.chunks_exact(weights.len());
        let part = 1.0 / tokens.len() as f64;
        let mut sum = 0.0;
        for token in tokens {
            let each = token.iter().zip(weights);
            let mixed = each.map(|(p, w)| f64::from(*p) * w).sum::<f64>().max(LEAST);
            sum -= mixed.ln();
            for (slope, p) in slopes.iter_mut().zip(token) {
                *slope -= part * f64::from(*p) / mixed;
            }
        }
        self.least + part * sum
    }
}

/// The objective over mixtures.
struct Mixed<'a> {
    experts: &'a ExpertLosses,
    evaluator: &'a Evaluator,
    baseline: Option<Vec<f64>>,
}

impl Surface for Mixed<'_> {
    fn domains(&self) -> &DomainSet {
        &self.experts.domains
    }

    fn value(&self, weights: &[f64]) -> f64 {
        let losses = self.experts.losses(weights);
        (self.evaluator).smooth_cost(&losses, self.baseline.as_deref())
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        self.value_and_gradient(weights).1
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let of = |target: &Tokens| {
            let mut slopes = vec![0.0; weights.len()];
            let loss = target.loss(weights, &mut slopes);
            (loss, slopes)
        };
        let (losses, slopes): (Vec<f64>, Vec<Vec<f64>>) =
            self.experts.targets.par_iter().map(of).unzip();
        let baseline = self.baseline.as_deref();
        let mut gradient = vec![0.0; weights.len()];
        let by_loss = self.evaluator.slopes(&losses, baseline);
        for (by, slopes) in by_loss.iter().zip(&slopes) {
            crate::numeric::slices::add(&mut gradient, *by, slopes);
        }
        (
            self.evaluator.smooth_cost(&losses, baseline),
            Some(gradient),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Tokens of three kinds, each known to one of three experts, as many as `counts`.
    fn known(counts: [usize; 3]) -> Vec<f32> {
        let mut out = Vec::new();
        for (kind, count) in counts.into_iter().enumerate() {
            for _ in 0..count {
                out.extend((0..3).map(|k| if k == kind { 0.0 } else { 60.0 }));
            }
        }
        out
    }

    fn experts() -> ExpertLosses {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let targets = vec![
            ("x".to_owned(), known([6, 3, 1])),
            ("y".to_owned(), known([0, 1, 4])),
        ];
        ExpertLosses::new(domains, targets).unwrap()
    }

    #[test]
    fn weights_are_the_shares_of_what_each_expert_knows() {
        let found = experts().minimise(&Objective::Target("x".to_owned()), None, None);
        for (w, expected) in found.unwrap().weights().iter().zip([0.6, 0.3, 0.1]) {
            assert!((w - expected).abs() < 1e-3, "{w} {expected}");
        }
        let weights = BTreeMap::from([("x".to_owned(), 1.0), ("y".to_owned(), 3.0)]);
        let found = experts().minimise(&Objective::Weighted(weights), None, None);
        for (w, expected) in found.unwrap().weights().iter().zip([0.15, 0.225, 0.625]) {
            assert!((w - expected).abs() < 1e-3, "{w} {expected}");
        }
    }

    #[test]
    fn caps_are_kept() {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let caps = Constraints::none(domains).with_cap("a", 0.4).unwrap();
        let objective = Objective::Target("x".to_owned());
        let found = experts().minimise(&objective, Some(&caps), None).unwrap();
        // What is over goes to the others in the proportion of what they know.
        for (w, expected) in found.weights().iter().zip([0.4, 0.45, 0.15]) {
            assert!((w - expected).abs() < 1e-3, "{w} {expected}");
        }
    }

    #[test]
    fn losses_are_those_of_the_mixed_predictions() {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let losses = vec![0.5f32, 1.5, 2.0, 1.0];
        let experts = ExpertLosses::new(domains, vec![("x".to_owned(), losses)]).unwrap();
        let expected = -0.5
            * ((0.25 * (-0.5f64).exp() + 0.75 * (-1.5f64).exp()).ln()
                + (0.25 * (-2.0f64).exp() + 0.75 * (-1.0f64).exp()).ln());
        assert!((experts.losses(&[0.25, 0.75])[0] - expected).abs() < 1e-6);
    }

    #[test]
    fn a_table_has_the_given_mixtures_and_drawn_ones() {
        let experts = experts();
        let own = Mixture::normalized(experts.domains.clone(), vec![0.0, 1.0, 3.0]).unwrap();
        let around = std::slice::from_ref(&own);
        let table = experts.table(around, 20, 7, &Silent).unwrap();
        assert_eq!(table, experts.table(around, 20, 7, &Silent).unwrap());
        assert_ne!(table, experts.table(around, 20, 8, &Silent).unwrap());
        assert_eq!(table.mixtures.mixtures()[0], own);
        assert_eq!(table.values.targets(), ["x", "y"]);
        for (mixture, losses) in table.mixtures.mixtures().iter().zip(table.values.rows()) {
            assert_eq!(losses, &experts.losses(mixture.weights()));
        }
        // Near a mixture without `a` there is none either.
        let without = (table.mixtures.mixtures().iter()).filter(|m| m.weights()[0] == 0.0);
        assert_eq!((table.mixtures.len(), without.count()), (21, 11));
    }

    #[test]
    fn damaged_losses_are_refused() {
        let domains = || DomainSet::from_names(["a", "b"]).unwrap();
        let with = |losses| ExpertLosses::new(domains(), vec![("x".to_owned(), losses)]);
        let error = |losses| with(losses).unwrap_err().to_string();
        assert_eq!(
            error(vec![1.0, 2.0, 3.0]),
            "`x`: 3 losses of 2 experts: expected as many for every token, and at least one token"
        );
        assert_eq!(
            error(vec![1.0, f32::NAN]),
            "`x`: a loss of NaN: expected finite numbers of at least 0"
        );
    }
}
