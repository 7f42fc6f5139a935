//! Aioli (arXiv 2411.05735): mixtures by what training on every domain does to every loss.

mod options;

use regmix_data::{Error, Mixture, Result};
use regmix_regress::Factor;
use serde::{Deserialize, Serialize};

use super::Limit;

pub use options::AioliOptions;

/// The most losses that are measured in a run, over all domains.
const MEASURED: u64 = 10_000_000;

/// What is added to the squares of a fit, where limits leave stretches alike.
const RIDGE: f64 = 1e-6;

/// Learns, while a model trains, by how much training on every domain lowers the loss on every
/// domain, and gives weight to the domains that lower losses most.
///
/// A round begins with sweeps: short stretches on mixtures that are mostly one domain, in
/// turn, forwards and backwards, so that a steady fall of all losses favours none. The
/// validation losses before and after every stretch give, by least squares,
///
/// ```text
/// L_i before - L_i after = sum_j A_ij p_j            p: the mixture of the stretch
/// A  <- A / sum A          after min A was taken off, where that is below 0
/// A' <- memory A' + (1 - memory) A
/// w_j ~ w_j exp(step_size sum_i A'_ij)
/// ```
///
/// and the rest of the round is trained on w. All losses count alike. The authors' code
/// visits the domains of a sweep in a random order, and with a memory it takes every step from
/// the even mixture; here steps add up, as in the paper.
///
/// The method needs the losses of all domains at every one of [`Aioli::steps`], which are
/// `rounds * (sweeps * K + 1)` validations for K domains.
///
/// ```
/// use regmix_data::{DomainSet, Mixture};
/// use regmix_dynamic::peers::{Aioli, AioliOptions};
///
/// let domains = DomainSet::from_names(["idle", "useful"])?;
/// let free = |weights: &[f64]| Mixture::normalized(domains.clone(), weights.to_vec());
/// let options = AioliOptions { warm_up: 10, rounds: 5, ..AioliOptions::default() };
/// let mut aioli = Aioli::new(Mixture::uniform(domains.clone()), options, 1000)?;
/// // Only training on the second domain lowers losses.
/// let (mut losses, mut trained) = ([5.0, 5.0], 0);
/// let mut mixture = aioli.first().clone();
/// for step in aioli.steps().to_vec() {
///     let useful = (step - trained) as f64 * mixture.weights()[1];
///     losses = losses.map(|loss| loss - 1e-3 * useful);
///     mixture = aioli.observe(step, &losses.map(Some), &free)?;
///     trained = step;
/// }
/// assert!(mixture.get("useful").unwrap() > 0.65);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aioli {
    options: AioliOptions,
    first: Mixture,
    /// The steps at which losses are taken.
    steps: Vec<u64>,
    /// The place of the next of them.
    next: usize,
    /// The mixture of the rest of a round.
    weights: Vec<f64>,
    /// What training on a domain (column) does to the loss of another (row): the moving
    /// average, end to end; empty before the first round.
    effects: Vec<f64>,
    /// Losses when they were taken last.
    before: Vec<f64>,
    /// By how much losses fell in the stretches of this round.
    falls: Vec<Vec<f64>>,
}

impl Aioli {
    /// Before the first step of a run of `steps` steps, which begins on `first`.
    ///
    /// # Errors
    /// When an option is out of range, or the run is too short for its rounds.
    pub fn new(first: Mixture, options: AioliOptions, steps: u64) -> Result<Self> {
        options.check(first.weights().len())?;
        let AioliOptions {
            warm_up,
            rounds,
            sweeps,
            share,
            ..
        } = options;
        let domains = first.weights().len() as u64;
        let stretches = sweeps.saturating_mul(domains);
        let needed = rounds
            .saturating_mul(stretches.saturating_add(1))
            .saturating_add(warm_up);
        if steps < needed {
            return Err(Error::input(format!(
                "a run of {steps} steps: expected at least {needed}, with warm_up = {warm_up}, \
                 rounds = {rounds} and {} steps a round: {sweeps} sweeps over {domains} domains, \
                 and one step on the mixture",
                stretches + 1
            ))
            .field("rounds")
            .help("train longer, or take fewer rounds or sweeps"));
        }
        if needed.saturating_mul(domains) > MEASURED {
            return Err(Error::input(format!(
                "{rounds} rounds of {stretches} stretches over {domains} domains: expected at most \
                 {MEASURED} losses in all"
            ))
            .field("rounds"));
        }
        let left = steps - warm_up;
        let round = left / rounds;
        // A step is left for the mixture.
        let most = (round - 1) / stretches;
        let wanted = (share * round as f64 / stretches as f64) as u64;
        let stretch = wanted.clamp(1, most);
        let of_round = |start: u64| (0..=stretches).map(move |i| start + i * stretch);
        let starts = (0..rounds).map(|n| warm_up + n * round);
        Ok(Self {
            steps: starts.flat_map(of_round).collect(),
            next: 0,
            weights: first.weights().to_vec(),
            effects: Vec::new(),
            before: Vec::new(),
            falls: Vec::new(),
            options,
            first,
        })
    }

    /// The mixture of the first steps.
    pub fn first(&self) -> &Mixture {
        &self.first
    }

    /// The steps after which it takes losses.
    pub fn steps(&self) -> &[u64] {
        &self.steps
    }

    /// What training on a domain does to the loss of another one, normalised, as known so far:
    /// the row of the loss, in the order of the domains. Empty before the first round.
    pub fn effects(&self) -> Vec<Vec<f64>> {
        let rows = self.effects.chunks(self.weights.len());
        rows.map(<[f64]>::to_vec).collect()
    }

    /// As [`Peer::observe`](super::Peer::observe), with validation losses of all domains after
    /// one of [`Aioli::steps`].
    ///
    /// # Errors
    /// When another step is due, a loss is missing or no number above 0: nothing is changed
    /// then. Those of `limit`.
    pub fn observe(
        &mut self,
        step: u64,
        losses: &[Option<f64>],
        limit: Limit<'_>,
    ) -> Result<Mixture> {
        let losses = self.check(step, losses)?;
        let domains = self.weights.len();
        let stretches = self.options.sweeps as usize * domains;
        let place = self.next % (stretches + 1);
        let mut falls = match place {
            0 => Vec::new(),
            _ => self.falls.clone(),
        };
        if place > 0 {
            let fell = self.before.iter().zip(&losses);
            falls.push(fell.map(|(before, now)| before - now).collect());
        }
        let mixture = if place < stretches {
            limit(&self.stretch(place))?
        } else {
            let effects = self.averaged(self.measured(&falls, limit)?);
            let mixture = limit(&self.moved(&effects))?;
            self.effects = effects;
            self.weights = mixture.weights().to_vec();
            mixture
        };
        self.falls = falls;
        self.before = losses;
        self.next += 1;
        Ok(mixture)
    }

    fn check(&self, step: u64, losses: &[Option<f64>]) -> Result<Vec<f64>> {
        match self.steps.get(self.next) {
            Some(due) if *due == step => {}
            Some(due) => {
                let problem = format!("step {step}: expected {due}, the next one with losses");
                return Err(Error::input(problem).field("step"));
            }
            None => {
                let problem = format!("step {step}: all rounds are over, expected no more losses");
                return Err(Error::input(problem).field("step"));
            }
        }
        super::check(step.saturating_sub(1), step, losses, self.weights.len())?;
        losses
            .iter()
            .copied()
            .collect::<Option<_>>()
            .ok_or_else(|| {
                Error::input("a domain without a loss: expected validation losses of all")
                    .field("losses")
            })
    }

    /// The mixture of a stretch of a round, before limits.
    fn stretch(&self, place: usize) -> Vec<f64> {
        let domains = self.weights.len();
        let (sweep, turn) = (place / domains, place % domains);
        let own = match sweep % 2 {
            0 => turn,
            _ => domains - 1 - turn,
        };
        let one_hot = self.options.one_hot;
        let other = (1.0 - one_hot) / (domains - 1).max(1) as f64;
        (0..domains)
            .map(|d| if d == own { one_hot } else { other })
            .collect()
    }

    /// The effects of this round, normalised.
    fn measured(&self, falls: &[Vec<f64>], limit: Limit<'_>) -> Result<Vec<f64>> {
        let domains = self.weights.len();
        let mixtures = (0..falls.len())
            .map(|place| Ok(limit(&self.stretch(place))?.weights().to_vec()))
            .collect::<Result<Vec<_>>>()?;
        let factor = Factor::of_rows(&mixtures, &vec![RIDGE; domains])?;
        let mut effects = Vec::with_capacity(domains * domains);
        for loss in 0..domains {
            let mut sums = vec![0.0; domains];
            for (mixture, fell) in mixtures.iter().zip(falls) {
                for (sum, weight) in sums.iter_mut().zip(mixture) {
                    *sum += weight * fell[loss];
                }
            }
            effects.extend(factor.solve(&sums));
        }
        let least = effects.iter().copied().fold(0.0, f64::min);
        effects.iter_mut().for_each(|effect| *effect -= least);
        let sum: f64 = effects.iter().sum();
        let even = 1.0 / (domains * domains) as f64;
        // Effects that are all the same tell nothing.
        let scaled = |effect: f64| if sum > 0.0 { effect / sum } else { even };
        Ok(effects.into_iter().map(scaled).collect())
    }

    /// The moving average of effects.
    fn averaged(&self, new: Vec<f64>) -> Vec<f64> {
        if self.effects.is_empty() {
            return new;
        }
        let memory = self.options.memory;
        (self.effects.iter().zip(new))
            .map(|(old, new)| memory * old + (1.0 - memory) * new)
            .collect()
    }

    /// The weights after a step along the effects on all losses.
    fn moved(&self, effects: &[f64]) -> Vec<f64> {
        let mut by_domain = vec![0.0; self.weights.len()];
        for row in effects.chunks(self.weights.len()) {
            for (sum, effect) in by_domain.iter_mut().zip(row) {
                *sum += effect;
            }
        }
        let moved: Vec<f64> = (self.weights.iter().zip(by_domain))
            .map(|(weight, effect)| weight * (self.options.step_size * effect).exp())
            .collect();
        let sum: f64 = moved.iter().sum();
        moved.iter().map(|weight| weight / sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::DomainSet;

    fn uniform() -> Mixture {
        Mixture::uniform(DomainSet::from_names(["web", "code", "law"]).unwrap())
    }

    fn free(weights: &[f64]) -> Result<Mixture> {
        Mixture::normalized(uniform().domains().clone(), weights.to_vec())
    }

    /// By how much a step on a domain (column) lowers a loss (row); the last entry raises it.
    const EFFECTS: [[f64; 3]; 3] = [[4e-4, 2e-4, 0.0], [0.0, 9e-4, 1e-4], [1e-4, 5e-4, -1e-4]];

    /// A run whose losses fall by `EFFECTS`.
    fn train(aioli: &mut Aioli, limit: Limit<'_>) -> Vec<Mixture> {
        let (mut losses, mut trained) = ([6.0, 5.0, 4.0], 0);
        let mut mixture = aioli.first().clone();
        let mut all = vec![mixture.clone()];
        for step in aioli.steps().to_vec() {
            let steps = (step - trained) as f64;
            for (loss, row) in losses.iter_mut().zip(EFFECTS) {
                let fell = row.iter().zip(mixture.weights()).map(|(a, w)| a * w);
                *loss -= steps * fell.sum::<f64>();
            }
            mixture = aioli.observe(step, &losses.map(Some), limit).unwrap();
            trained = step;
            all.push(mixture.clone());
        }
        all
    }

    #[test]
    fn known_effects_are_found_and_the_domain_that_helps_most_gains() {
        let options = AioliOptions::for_run(2000, 3);
        assert_eq!((options.warm_up, options.rounds), (100, 7));
        let mut aioli = Aioli::new(uniform(), options, 2000).unwrap();
        let mixtures = train(&mut aioli, &free);
        // Shifted by the least and divided by the sum.
        let sum: f64 = EFFECTS
            .as_flattened()
            .iter()
            .map(|effect| effect + 1e-4)
            .sum();
        for (row, known) in aioli.effects().iter().zip(EFFECTS) {
            for (found, known) in row.iter().zip(known) {
                assert!((found - (known + 1e-4) / sum).abs() < 1e-5, "{row:?}");
            }
        }
        let last = mixtures.last().unwrap();
        assert!(last.get("code").unwrap() > 0.45, "{last:?}");
        assert!(last.get("law").unwrap() < last.get("web").unwrap());
        // One round moves the weights by the formula.
        let by_domain = [0, 1, 2].map(|j| EFFECTS.iter().map(|row| row[j] + 1e-4).sum::<f64>());
        let raised = by_domain.map(|effect| (0.2 * effect / sum).exp());
        let expected = raised.map(|r| r / raised.iter().sum::<f64>());
        for (found, expected) in mixtures[13].weights().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{:?}", mixtures[13]);
        }
    }

    #[test]
    fn a_round_trains_on_every_domain_in_turn_both_ways() {
        let options = AioliOptions {
            warm_up: 5,
            rounds: 2,
            sweeps: 2,
            share: 0.5,
            ..AioliOptions::default()
        };
        let mut aioli = Aioli::new(uniform(), options, 65).unwrap();
        // Rounds of 30 steps, half of which are six stretches.
        let first = [5, 7, 9, 11, 13, 15, 17];
        let second = first.map(|step| step + 30);
        assert_eq!(aioli.steps(), [first, second].concat());
        let mixtures = train(&mut aioli, &free);
        let largest = |mixture: &Mixture| {
            let weights = mixture.weights();
            (0..3)
                .max_by(|&a, &b| weights[a].total_cmp(&weights[b]))
                .unwrap()
        };
        let order: Vec<usize> = mixtures[1..7].iter().map(largest).collect();
        assert_eq!(order, [0, 1, 2, 2, 1, 0]);
        assert!((mixtures[1].weights()[0] - 0.625).abs() < 1e-12);
        assert_eq!(mixtures[8], mixtures[1]);
    }

    #[test]
    fn limits_hold_in_every_stretch() {
        let limits = regmix_regress::Constraints::none(uniform().domains().clone());
        let limits = limits.with_cap("code", 0.35).unwrap();
        let limit = |weights: &[f64]| limits.project(weights);
        let mut aioli = Aioli::new(uniform(), AioliOptions::for_run(500, 3), 500).unwrap();
        let mixtures = train(&mut aioli, &limit);
        assert!(mixtures.iter().all(|m| limits.allows(m.weights())));
        let last = mixtures.last().unwrap();
        assert!((last.get("code").unwrap() - 0.35).abs() < 1e-9, "{last:?}");
    }

    #[test]
    fn a_state_that_was_stored_goes_on_the_same() {
        let options = AioliOptions::for_run(800, 3);
        let mut whole = Aioli::new(uniform(), options, 800).unwrap();
        let mut cut = whole.clone();
        for (n, step) in whole.steps().to_vec().into_iter().enumerate() {
            let losses = [3.0, 2.5, 2.0].map(|l| Some(l + 1.0 / (n * n + 7) as f64 * l));
            let expected = whole.observe(step, &losses, &free).unwrap();
            let stored = serde_json::to_string(&cut).unwrap();
            cut = serde_json::from_str(&stored).unwrap();
            assert_eq!(cut.observe(step, &losses, &free).unwrap(), expected);
        }
        assert_eq!(cut, whole);
    }

    #[test]
    fn wrong_observations_change_nothing() {
        let mut aioli = Aioli::new(uniform(), AioliOptions::for_run(300, 3), 300).unwrap();
        let due = aioli.steps()[0];
        let before = aioli.clone();
        let mut refused = |step: u64, losses: &[Option<f64>]| {
            let e = aioli.observe(step, losses, &free).unwrap_err();
            assert_eq!(aioli, before);
            e.to_string()
        };
        let all = [Some(2.0); 3];
        assert_eq!(
            refused(due + 1, &all),
            format!(
                "`step`: step {}: expected {due}, the next one with losses",
                due + 1
            )
        );
        assert_eq!(
            refused(due, &[Some(2.0), None, Some(1.0)]),
            "`losses`: a domain without a loss: expected validation losses of all"
        );
        assert_eq!(
            refused(due, &[Some(2.0), Some(-1.0), Some(1.0)]),
            "`losses`: loss -1: expected a number above 0"
        );
        assert_eq!(
            refused(due, &all[..2]),
            "`losses`: 2 losses: expected 3, one per domain"
        );
    }

    #[test]
    fn options_out_of_range_and_short_runs_are_named() {
        let with = |change: fn(&mut AioliOptions)| {
            let mut options = AioliOptions::default();
            change(&mut options);
            let e = Aioli::new(uniform(), options, 1000).unwrap_err();
            e.to_string()
        };
        assert_eq!(
            with(|o| o.warm_up = 0),
            "`warm_up`: 0: expected 1 to 1000000000"
        );
        assert_eq!(
            with(|o| o.one_hot = 0.0),
            "`one_hot`: 0: expected above 0.3333, an equal share of 3 domains, to 1"
        );
        assert_eq!(
            with(|o| o.memory = 1.0),
            "`memory`: 1: expected 0 or more, below 1"
        );
        assert_eq!(
            with(|o| o.rounds = 80),
            "`rounds`: a run of 1000 steps: expected at least 1090, with warm_up = 50, rounds = 80 \
             and 13 steps a round: 4 sweeps over 3 domains, and one step on the mixture"
        );
        let enough = Aioli::new(uniform(), AioliOptions::for_run(14, 3), 14);
        assert_eq!(enough.unwrap().steps().last(), Some(&13));
        let e = Aioli::new(uniform(), AioliOptions::for_run(13, 3), 13).unwrap_err();
        assert!(e.to_string().contains("expected at least 14"), "{e}");
    }
}
