//! Designs: which mixtures the proxies are trained on.
//!
//! A [`Space`] is the set of allowed mixtures (a prior, floors, caps); a
//! [`Sampler`] draws from it. Three samplers are offered:
//!
//! | sampler | what it is | when |
//! |---|---|---|
//! | [`RegMix`] | the published sampler, rejection and rounding included | to repeat the paper |
//! | [`Floored`] | floors by an affine map, caps by redistribution: nothing is rejected | small domains, many constraints |
//! | [`Maximin`] | the most spread-out subset of a large floored pool | proxies keep apart; no difference in regret was measured |
//!
//! Where mixtures are given and a part of them is to be run, [`choose`] says
//! which.
//!
//! ```
//! use regmix_data::design::{Floored, Sampler, Space};
//! use regmix_data::{DomainSet, Mixture, random};
//!
//! let domains = DomainSet::from_names(["web", "code", "law"])?;
//! let prior = Mixture::new(domains, vec![0.7, 0.2, 0.1])?;
//! let space = Space::new(prior).with_floor(0.02)?.with_caps(vec![1.0, 0.5, 0.3])?;
//! let drawn = Floored::default().draw(&space, 16, &mut random::stream(7, "design", "draw"))?;
//! assert_eq!(drawn.mixtures.len(), 16);
//! for m in &drawn.mixtures {
//!     assert!(m.weights().iter().all(|&w| w >= 0.02 - 1e-12));
//!     assert!(m.get("law").unwrap() <= 0.3 + 1e-12);
//! }
//! # Ok::<(), regmix_data::Error>(())
//! ```

mod dirichlet;
mod floored;
mod maximin;
mod published;

use crate::error::{Error, Result};
use crate::mixture::Mixture;
use crate::monitor::Monitor;
use crate::random::Stream;
use crate::table::MixtureTable;

pub use dirichlet::Dirichlet;
pub use floored::Floored;
pub use maximin::{Maximin, Metric, choose};
pub use published::RegMix;

/// The allowed mixtures: around a prior, between floors and caps.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    prior: Mixture,
    floor: Vec<f64>,
    cap: Vec<f64>,
}

impl Space {
    /// A space around `prior`, usually the natural token shares, without
    /// floors or caps.
    pub fn new(prior: Mixture) -> Self {
        let n = prior.domains().len();
        Self {
            prior,
            floor: vec![0.0; n],
            cap: vec![1.0; n],
        }
    }

    /// The same least weight for every domain.
    ///
    /// # Errors
    /// When the floors contradict each other or the caps.
    pub fn with_floor(self, floor: f64) -> Result<Self> {
        let n = self.floor.len();
        self.with_floors(vec![floor; n])
    }

    /// A least weight per domain.
    ///
    /// # Errors
    /// When the number is wrong, or the floors contradict each other or the
    /// caps.
    pub fn with_floors(mut self, floor: Vec<f64>) -> Result<Self> {
        self.floor = floor;
        self.checked()
    }

    /// A greatest weight per domain.
    ///
    /// # Errors
    /// When the number is wrong, or the caps contradict the floors or sum to
    /// less than 1.
    pub fn with_caps(mut self, cap: Vec<f64>) -> Result<Self> {
        self.cap = cap;
        self.checked()
    }

    /// The prior.
    pub fn prior(&self) -> &Mixture {
        &self.prior
    }

    /// Least weights, in the order of the prior's domains.
    pub fn floor(&self) -> &[f64] {
        &self.floor
    }

    /// Greatest weights, in the order of the prior's domains.
    pub fn cap(&self) -> &[f64] {
        &self.cap
    }

    fn checked(self) -> Result<Self> {
        let domains = self.prior.domains();
        for (what, bounds) in [("floors", &self.floor), ("caps", &self.cap)] {
            if bounds.len() != domains.len() {
                return Err(Error::input(format!(
                    "{} {what} for {} domains: expected one each",
                    bounds.len(),
                    domains.len()
                )));
            }
        }
        for (i, domain) in domains.iter().enumerate() {
            let (lo, hi) = (self.floor[i], self.cap[i]);
            if !(lo >= 0.0 && lo <= hi && hi.is_finite()) {
                return Err(Error::input(format!(
                    "floor {lo} and cap {hi}: expected 0 <= floor <= cap"
                ))
                .field(domain.as_str()));
            }
        }
        let (lo, hi): (f64, f64) = (self.floor.iter().sum(), self.cap.iter().sum());
        if lo > 1.0 + 1e-9 {
            return Err(Error::input(format!(
                "floors sum to {lo:.4}, expected at most 1: no mixture satisfies them"
            ))
            .help("lower the floors"));
        }
        if hi < 1.0 - 1e-9 {
            return Err(Error::input(format!(
                "caps sum to {hi:.4}, expected at least 1: no mixture satisfies them"
            ))
            .help("raise the caps: allow more epochs, bring more tokens, or plan a shorter run"));
        }
        Ok(self)
    }
}

/// What a sampler drew.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The mixtures.
    pub mixtures: Vec<Mixture>,
    /// How many candidates were drawn.
    pub tried: usize,
    /// How many of them were allowed and distinct.
    pub accepted: usize,
}

impl Drawn {
    /// Names the mixtures `run-0000`, `run-0001`, … .
    ///
    /// # Errors
    /// When there is no mixture.
    pub fn into_table(self) -> Result<MixtureTable> {
        let Some(first) = self.mixtures.first() else {
            return Err(Error::input(
                "the design is empty: expected at least one run",
            ));
        };
        let domains = first.domains().clone();
        let rows = self.mixtures.into_iter().enumerate();
        MixtureTable::new(domains, rows.map(|(i, m)| (format!("run-{i:04}"), m)))
    }
}

/// A way to draw mixtures.
pub trait Sampler {
    /// The name used in study files and reports.
    fn name(&self) -> &'static str;

    /// Draws `n` distinct mixtures.
    ///
    /// # Errors
    /// When the sampler's parameters are out of range, or the space is so
    /// tight that fewer than `n` mixtures were found; the error names the bound
    /// to loosen.
    fn draw(&self, space: &Space, n: usize, rng: &mut Stream) -> Result<Drawn>;

    /// As [`Sampler::draw`], and stops when `monitor` asks for it. A sampler that may take
    /// more than a second has its own version of this method.
    ///
    /// # Errors
    /// As [`Sampler::draw`], and when `monitor` requests a stop.
    fn draw_monitored(
        &self,
        space: &Space,
        n: usize,
        rng: &mut Stream,
        monitor: &dyn Monitor,
    ) -> Result<Drawn> {
        monitor.check()?;
        self.draw(space, n, rng)
    }
}

/// `count` values from `low` to `high`, evenly spaced in the logarithm.
fn log_spaced(low: f64, high: f64, count: usize) -> Vec<f64> {
    if count == 1 {
        return vec![low];
    }
    let (a, b) = (low.ln(), high.ln());
    (0..count)
        .map(|i| (a + (b - a) * i as f64 / (count - 1) as f64).exp())
        .collect()
}

fn check_strengths(strengths: &[f64; 2], count: usize, temperature: f64) -> Result<()> {
    let [low, high] = *strengths;
    if !(low > 0.0 && low <= high && high.is_finite()) || count == 0 {
        return Err(Error::input(format!(
            "strengths from {low} to {high} in {count} steps: expected 0 < low <= high and at \
             least one step"
        ))
        .field("strength"));
    }
    if !(temperature > 0.0 && temperature <= 1.0) {
        return Err(Error::input(format!(
            "temperature {temperature}: expected a number above 0 and at most 1"
        ))
        .field("temperature"));
    }
    Ok(())
}
