//! When Aioli measures, and how the measurements become a mixture.

use regmix_data::{Error, Result};
use serde::{Deserialize, Serialize};

/// The largest number of steps, rounds or sweeps.
const MOST: u64 = 1_000_000_000;

/// When Aioli measures, and how the measurements become a mixture.
///
/// | field | default | range |
/// |---|---|---|
/// | `warm_up` | a twentieth of the run | 1 or more: steps on the first mixture before the first round |
/// | `rounds` | one in 250 steps | 1 or more: how often a mixture is chosen |
/// | `sweeps` | 4, beyond three domains 2 | 1 or more: how often a round trains on every domain in turn |
/// | `share` | 0.25 | 0 to 1: the part of the steps of a round that sweeps take |
/// | `one_hot` | 0.625, beyond three domains 0.75 | above an equal share, to 1: the weight of one domain in a stretch of a sweep |
/// | `step_size` | 0.2, beyond three domains 1 | 0 or more |
/// | `memory` | 0.1 | 0 or more, below 1: how much of the earlier measurements is kept |
///
/// Where numbers depend on the domains, [`AioliOptions::for_run`] chooses them; they are those
/// of the authors' scripts for two and for seven domains. Effects are normalised by their sum,
/// so that more domains need larger steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AioliOptions {
    /// Steps on the first mixture before the first round.
    pub warm_up: u64,
    /// How often a mixture is chosen.
    pub rounds: u64,
    /// How often a round trains on every domain in turn.
    pub sweeps: u64,
    /// The part of the steps of a round that sweeps take; every stretch has one at least.
    pub share: f64,
    /// The weight of one domain in a stretch of a sweep; the others have the rest, evenly.
    pub one_hot: f64,
    /// How strongly effects move the weights.
    pub step_size: f64,
    /// How much of the earlier measurements is kept.
    pub memory: f64,
}

impl Default for AioliOptions {
    fn default() -> Self {
        Self {
            warm_up: 50,
            rounds: 4,
            sweeps: 4,
            share: 0.25,
            one_hot: 0.625,
            step_size: 0.2,
            memory: 0.1,
        }
    }
}

impl AioliOptions {
    /// The options for a run of `steps` steps over `domains` domains: a twentieth of it
    /// before the first round, rounds of 250 steps, or of twice what sweeps need at least
    /// if that is more.
    pub fn for_run(steps: u64, domains: usize) -> Self {
        let warm_up = (steps / 20).max(1);
        let (sweeps, one_hot, step_size) = match domains {
            0..=3 => (4, 0.625, 0.2),
            _ => (2, 0.75, 1.0),
        };
        let least = 2 * sweeps * domains as u64;
        Self {
            warm_up,
            rounds: (steps.saturating_sub(warm_up) / least.max(250)).max(1),
            sweeps,
            one_hot,
            step_size,
            ..Self::default()
        }
    }

    pub(super) fn check(&self, domains: usize) -> Result<()> {
        let counts = [
            ("warm_up", self.warm_up),
            ("rounds", self.rounds),
            ("sweeps", self.sweeps),
        ];
        if let Some((name, count)) = counts.into_iter().find(|(_, n)| !(1..=MOST).contains(n)) {
            return Err(Error::input(format!("{count}: expected 1 to {MOST}")).field(name));
        }
        let rule = |name: &str, value: f64, ok: bool, expected: &str| match ok {
            true => Ok(()),
            false => Err(Error::input(format!("{value}: expected {expected}")).field(name)),
        };
        let Self {
            share,
            one_hot,
            step_size,
            memory,
            ..
        } = *self;
        rule("share", share, (0.0..=1.0).contains(&share), "0 to 1")?;
        let equal = 1.0 / domains as f64;
        let above = format!("above {equal:.4}, an equal share of {domains} domains, to 1");
        rule(
            "one_hot",
            one_hot,
            one_hot > equal && one_hot <= 1.0,
            &above,
        )?;
        let finite = step_size >= 0.0 && step_size.is_finite();
        rule("step_size", step_size, finite, "0 or more")?;
        rule(
            "memory",
            memory,
            (0.0..1.0).contains(&memory),
            "0 or more, below 1",
        )
    }
}
