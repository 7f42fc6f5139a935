//! ADO (arXiv 2410.11820): mixtures by a scaling law per domain.

use serde::{Deserialize, Serialize};

use super::Limit;
use super::power_law::PowerLaw;
use regmix_data::{Error, Mixture, Result};

/// When laws are fitted, and how they become a mixture. Defaults are those of the authors'
/// code, but for the numbers of steps, which are for short runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdoOptions {
    /// Steps on the prior before laws are fitted first.
    pub warm_up: u64,
    /// Steps between fits; 1000 in the authors' code.
    pub refit_every: u64,
    /// Steps whose mean loss is one point of a law; 10 in the authors' code.
    pub block: u64,
    /// The power of a domain's recent share in its preference, 0.5.
    pub credit: f64,
    /// How much of the recent share is kept at every step, 0.9.
    pub memory: f64,
    /// The part of the preference in the mixture, beside the mean mixture so far: 0.1.
    pub step_size: f64,
    /// The least weight, 0.01.
    pub floor: f64,
}

impl Default for AdoOptions {
    fn default() -> Self {
        Self {
            warm_up: 100,
            refit_every: 50,
            block: 10,
            credit: 0.5,
            memory: 0.9,
            step_size: 0.1,
            floor: 0.01,
        }
    }
}

impl AdoOptions {
    /// The options for a run of `steps` steps: a tenth of it on the prior, fits every
    /// twentieth, 1000 steps apart at most.
    pub fn for_steps(steps: u64) -> Self {
        Self {
            warm_up: (steps / 10).max(30),
            refit_every: (steps / 20).clamp(1, 1000),
            block: (steps / 200).clamp(1, 10),
            ..Self::default()
        }
    }

    fn check(&self, domains: usize) -> Result<()> {
        let share = |name: &str, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::input(format!("{value}: expected 0 to 1")).field(name)),
        };
        share("credit", self.credit)?;
        share("memory", self.memory)?;
        share("step_size", self.step_size)?;
        for (name, value) in [("refit_every", self.refit_every), ("block", self.block)] {
            if value == 0 {
                return Err(Error::input("0: expected at least 1").field(name));
            }
        }
        let highest = 1.0 / domains as f64;
        match (0.0..=highest).contains(&self.floor) {
            true => Ok(()),
            false => Err(Error::input(format!(
                "{}: expected 0 to {highest:.4}, an equal share of {domains} domains",
                self.floor
            ))
            .field("floor")),
        }
    }
}

/// Prefers domains whose losses fall fast, by a power law of the loss over steps for
/// every domain.
///
/// ```text
/// rho_k ~ prior_k h_k^credit alpha_k (L_k - floor_k)     h: moving average of mixtures
/// p     = (1 - step_size) mean of mixtures + step_size rho,   at least `floor` each
/// ```
///
/// The common factor 1 / n of the laws' derivatives cancels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ado {
    options: AdoOptions,
    first: Mixture,
    /// Mean losses of blocks of steps, by domain: steps and losses.
    points: Vec<Vec<(f64, f64)>>,
    /// Sums and numbers of losses of the block that is not complete.
    open: Vec<(f64, f64)>,
    laws: Vec<Option<PowerLaw>>,
    recent: Vec<f64>,
    mean: Vec<f64>,
    weights: Vec<f64>,
    step: u64,
}

impl Ado {
    /// Before the first step, which is trained on `prior`.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(prior: Mixture, options: AdoOptions) -> Result<Self> {
        options.check(prior.weights().len())?;
        let (k, weights) = (prior.weights().len(), prior.weights().to_vec());
        Ok(Self {
            options,
            points: vec![Vec::new(); k],
            open: vec![(0.0, 0.0); k],
            laws: vec![None; k],
            recent: weights.clone(),
            mean: weights.clone(),
            weights,
            first: prior,
            step: 0,
        })
    }

    /// The prior.
    pub fn first(&self) -> &Mixture {
        &self.first
    }

    /// As [`Peer::observe`](super::Peer::observe).
    ///
    /// # Errors
    /// As [`Peer::observe`](super::Peer::observe).
    pub fn observe(
        &mut self,
        step: u64,
        losses: &[Option<f64>],
        limit: Limit<'_>,
    ) -> Result<Mixture> {
        super::check(self.step, step, losses, self.weights.len())?;
        let options = self.options;
        self.step = step;
        for ((sum, count), loss) in self.open.iter_mut().zip(losses) {
            if let Some(loss) = loss {
                *sum += loss;
                *count += 1.0;
            }
        }
        if step.is_multiple_of(options.block) {
            let middle = step as f64 - 0.5 * (options.block - 1) as f64;
            for (points, open) in self.points.iter_mut().zip(&mut self.open) {
                if open.1 > 0.0 {
                    points.push((middle, open.0 / open.1));
                }
                *open = (0.0, 0.0);
            }
        }
        let after = step.checked_sub(options.warm_up);
        if after.is_some_and(|after| after.is_multiple_of(options.refit_every)) {
            // The first steps, before the learning rate is up, follow no law.
            let from = 0.25 * options.warm_up as f64;
            for (law, points) in self.laws.iter_mut().zip(&self.points) {
                let usable: Vec<(f64, f64)> =
                    points.iter().copied().filter(|p| p.0 > from).collect();
                *law = PowerLaw::fit(&usable).or(*law);
            }
        }
        // As long as a domain has no law, the prior holds.
        let laws = self.laws.iter().copied().collect::<Option<Vec<_>>>();
        let mixture = match laws {
            Some(laws) => limit(&self.next(&laws))?,
            None => self.first.clone(),
        };
        self.weights = mixture.weights().to_vec();
        let n = step as f64;
        for ((recent, mean), weight) in
            (self.recent.iter_mut().zip(&mut self.mean)).zip(&self.weights)
        {
            *recent = options.memory * *recent + (1.0 - options.memory) * weight;
            *mean += (weight - *mean) / (n + 1.0);
        }
        Ok(mixture)
    }

    fn next(&self, laws: &[PowerLaw]) -> Vec<f64> {
        let options = self.options;
        let n = (self.step + 1) as f64;
        let prior = self.first.weights().iter();
        let preferred: Vec<f64> = (prior.zip(&self.recent).zip(laws))
            .map(|((prior, recent), law)| prior * recent.powf(options.credit) * law.speed(n))
            .collect();
        let sum: f64 = preferred.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return self.weights.clone();
        }
        let mixed = (self.mean.iter().zip(&preferred))
            .map(|(mean, p)| (1.0 - options.step_size) * mean + options.step_size * p / sum);
        raised(mixed.collect(), options.floor)
    }
}

/// Weights of which each is at least `floor`: those below it are raised to it, and the others
/// share the rest in proportion. Dividing by the sum instead would put them below it again.
fn raised(weights: Vec<f64>, floor: f64) -> Vec<f64> {
    let mut low = vec![false; weights.len()];
    loop {
        let count = low.iter().filter(|low| **low).count();
        let kept = weights.iter().zip(&low).filter(|(_, low)| !**low);
        let sum: f64 = kept.map(|(w, _)| w).sum();
        let scale = (1.0 - count as f64 * floor) / sum;
        let below: Vec<usize> = (0..weights.len())
            .filter(|&i| !low[i] && weights[i] * scale < floor)
            .collect();
        // Rounding may take all: then each has the same weight.
        if below.is_empty() || count + below.len() == weights.len() {
            return (weights.iter().zip(&low))
                .map(|(w, low)| if *low { floor } else { w * scale })
                .collect();
        }
        for i in below {
            low[i] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::DomainSet;

    fn prior() -> Mixture {
        Mixture::uniform(DomainSet::from_names(["done", "falling"]).unwrap())
    }

    fn free(weights: &[f64]) -> Result<Mixture> {
        Mixture::normalized(prior().domains().clone(), weights.to_vec())
    }

    #[test]
    fn no_weight_is_below_the_floor() {
        let found = raised(vec![0.9, 0.05, 0.05], 0.3);
        for (weight, expected) in found.iter().zip([0.4, 0.3, 0.3]) {
            assert!((weight - expected).abs() < 1e-12, "{found:?}");
        }
        // The first of the others falls below the floor only when the rest is shared out.
        let found = raised(vec![0.7, 0.205, 0.095, 0.0], 0.2);
        for (weight, expected) in found.iter().zip([0.4, 0.2, 0.2, 0.2]) {
            assert!((weight - expected).abs() < 1e-12, "{found:?}");
        }
        assert_eq!(raised(vec![0.25, 0.75], 0.01), [0.25, 0.75]);
    }

    #[test]
    fn the_domain_whose_loss_falls_gains_weight_after_the_warm_up() {
        let options = AdoOptions::for_steps(1000);
        assert_eq!(
            (options.warm_up, options.refit_every, options.block),
            (100, 50, 5)
        );
        let mut ado = Ado::new(prior(), options).unwrap();
        let mut last = 0.0;
        for step in 1..=1000u64 {
            let n = step as f64;
            let losses = [2.0 + 0.2 * n.powf(-0.5), 1.0 + 6.0 * n.powf(-0.3)];
            let mixture = ado.observe(step, &losses.map(Some), &free).unwrap();
            last = mixture.get("falling").unwrap();
            if step < 100 {
                assert_eq!(last, 0.5, "{step}");
            }
        }
        assert!(last > 0.6, "{last}");
    }

    #[test]
    fn a_state_that_was_stored_goes_on_the_same() {
        let mut ado = Ado::new(prior(), AdoOptions::for_steps(300)).unwrap();
        let losses = |step: u64| {
            let n = step as f64;
            [
                Some(3.0 - 0.001 * n),
                (!step.is_multiple_of(3)).then_some(2.0 + 4.0 * n.powf(-0.4)),
            ]
        };
        for step in 1..=150 {
            ado.observe(step, &losses(step), &free).unwrap();
        }
        let stored = serde_json::to_string(&ado).unwrap();
        let mut other: Ado = serde_json::from_str(&stored).unwrap();
        for step in 151..=300 {
            let both =
                [&mut ado, &mut other].map(|a| a.observe(step, &losses(step), &free).unwrap());
            assert_eq!(both[0], both[1]);
            assert!(both[0].weights().iter().all(|w| *w > 0.0099));
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        for (options, field) in [
            (
                AdoOptions {
                    floor: 0.6,
                    ..AdoOptions::default()
                },
                "floor",
            ),
            (
                AdoOptions {
                    block: 0,
                    ..AdoOptions::default()
                },
                "block",
            ),
            (
                AdoOptions {
                    memory: 1.5,
                    ..AdoOptions::default()
                },
                "memory",
            ),
        ] {
            let e = Ado::new(prior(), options).unwrap_err();
            assert_eq!(e.field_name(), Some(field), "{e}");
        }
    }
}
