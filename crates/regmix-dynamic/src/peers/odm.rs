//! ODM (arXiv 2312.02406): mixtures by a bandit.

use serde::{Deserialize, Serialize};

use super::Limit;
use regmix_data::{Error, Mixture, Result};

/// How rewards become a mixture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OdmOptions {
    /// How much of a domain's reward is kept when a new one comes; 0.9 in the paper.
    pub memory: f64,
    /// Whether a loss is divided by the weight with which its domain was drawn, as in the
    /// paper; the authors' code leaves this out.
    pub importance: bool,
}

impl Default for OdmOptions {
    fn default() -> Self {
        Self {
            memory: 0.9,
            importance: true,
        }
    }
}

/// The bandit EXP3 over K domains, whose reward is the training loss: domains with a
/// high loss are drawn more often.
///
/// ```text
/// R_k <- memory R_k + (1 - memory) L_k / p_k
/// p    = (1 - K e_t) softmax(e_(t-1) R) + e_t,   e_t = min(1 / K, sqrt(ln K / (K t)))
/// ```
///
/// ```
/// use regmix_data::{DomainSet, Mixture};
/// use regmix_dynamic::peers::{Odm, OdmOptions};
///
/// let domains = DomainSet::from_names(["easy", "hard"])?;
/// let free = |weights: &[f64]| Mixture::normalized(domains.clone(), weights.to_vec());
/// let mut odm = Odm::new(Mixture::uniform(domains.clone()), OdmOptions::default())?;
/// assert_eq!(odm.first().weights(), [0.5, 0.5]);
/// let mut last = odm.first().clone();
/// for step in 1..=200 {
///     last = odm.observe(step, &[Some(1.0), Some(4.0)], &free)?;
/// }
/// assert!(last.get("hard").unwrap() > 0.53);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Odm {
    options: OdmOptions,
    first: Mixture,
    rewards: Vec<f64>,
    weights: Vec<f64>,
    step: u64,
}

impl Odm {
    /// Before the first step, which is trained on `first`: in the paper the uniform
    /// mixture, since nothing is known.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(first: Mixture, options: OdmOptions) -> Result<Self> {
        if !(0.0..1.0).contains(&options.memory) {
            let e = Error::input(format!("{}: expected 0 or more, below 1", options.memory));
            return Err(e.field("memory"));
        }
        Ok(Self {
            options,
            rewards: vec![0.0; first.weights().len()],
            weights: first.weights().to_vec(),
            first,
            step: 0,
        })
    }

    /// The mixture of the first step.
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
        let OdmOptions { memory, importance } = self.options;
        let drawn = self.weights.iter().zip(losses);
        for (reward, (weight, loss)) in self.rewards.iter_mut().zip(drawn) {
            if let Some(loss) = loss {
                let gained = if importance { loss / weight } else { *loss };
                *reward = memory * *reward + (1.0 - memory) * gained;
            }
        }
        self.step = step;
        let k = self.weights.len() as f64;
        let exploration = |t: u64| (1.0 / k).min((k.ln() / (k * t.max(1) as f64)).sqrt());
        let (before, now) = (exploration(step), exploration(step + 1));
        let highest = self.rewards.iter().copied().fold(f64::MIN, f64::max);
        let each: Vec<f64> = (self.rewards.iter())
            .map(|reward| (before * (reward - highest)).exp())
            .collect();
        let sum: f64 = each.iter().sum();
        let weights: Vec<f64> = (each.iter())
            .map(|e| (1.0 - k * now).max(0.0) * e / sum + now)
            .collect();
        let mixture = limit(&weights)?;
        self.weights = mixture.weights().to_vec();
        Ok(mixture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::DomainSet;

    fn odm(domains: usize, options: OdmOptions) -> Odm {
        let names: Vec<String> = (0..domains).map(|i| format!("d{i}")).collect();
        let uniform = Mixture::uniform(DomainSet::from_names(&names).unwrap());
        Odm::new(uniform, options).unwrap()
    }

    fn step(odm: &mut Odm, step: u64, losses: &[Option<f64>]) -> Result<Mixture> {
        let domains = odm.first.domains().clone();
        odm.observe(step, losses, &|w| {
            Mixture::normalized(domains.clone(), w.to_vec())
        })
    }

    /// One step by hand, after enough steps that exploration is below 1 / K.
    #[test]
    fn a_step_follows_the_equations() {
        let mut odm = odm(2, OdmOptions::default());
        // K ln K = 1.39 for two domains: the second step mixes already.
        let first = step(&mut odm, 1, &[Some(2.0), None]).unwrap();
        let rewards = [0.1 * 2.0 / 0.5, 0.0];
        let before = 0.5f64.min((2f64.ln() / 2.0).sqrt());
        let now = 0.5f64.min((2f64.ln() / 4.0).sqrt());
        let soft = (before * rewards[0]).exp() / ((before * rewards[0]).exp() + 1.0);
        let expected = (1.0 - 2.0 * now) * soft + now;
        assert!((first.weights()[0] - expected).abs() < 1e-12, "{first:?}");
        let second = step(&mut odm, 2, &[Some(1.0), Some(3.0)]).unwrap();
        let r0 = 0.9 * rewards[0] + 0.1 / expected;
        let r1 = 0.1 * 3.0 / (1.0 - expected);
        let (before, now) = (now, (2f64.ln() / 6.0).sqrt());
        let soft = (before * r0).exp() / ((before * r0).exp() + (before * r1).exp());
        let expected = (1.0 - 2.0 * now) * soft + now;
        assert!((second.weights()[0] - expected).abs() < 1e-12, "{second:?}");
    }

    #[test]
    fn it_explores_at_first_and_every_domain_keeps_a_share() {
        let mut odm = odm(14, OdmOptions::default());
        let losses: Vec<Option<f64>> = (0..14).map(|i| Some(1.0 + f64::from(i))).collect();
        for t in 1..=30 {
            // Until t exceeds K ln K nothing is known well enough.
            let mixture = step(&mut odm, t, &losses).unwrap();
            assert!(
                mixture
                    .weights()
                    .iter()
                    .all(|w| (w - 1.0 / 14.0).abs() < 1e-12)
            );
        }
        let mut last = None;
        for t in 31..=3000 {
            last = Some(step(&mut odm, t, &losses).unwrap());
        }
        let last = last.unwrap();
        let least = (14f64.ln() / (14.0 * 3001.0)).sqrt();
        assert!(last.weights().iter().all(|w| *w >= 0.99 * least));
        assert!(last.weights()[13] > last.weights()[0]);
    }

    #[test]
    fn wrong_observations_change_nothing() {
        let mut odm = odm(2, OdmOptions::default());
        let before = odm.clone();
        for (t, losses, problem) in [
            (2, vec![None, None], "step 2: expected 1, the next one"),
            (1, vec![Some(1.0)], "1 losses: expected 2, one per domain"),
            (
                1,
                vec![Some(f64::NAN), None],
                "loss NaN: expected a number above 0",
            ),
        ] {
            let e = step(&mut odm, t, &losses).unwrap_err();
            assert!(e.to_string().contains(problem), "{e}");
        }
        assert_eq!(odm, before);
        let wrong = OdmOptions {
            memory: 1.0,
            ..OdmOptions::default()
        };
        assert!(Odm::new(before.first.clone(), wrong).is_err());
    }
}
