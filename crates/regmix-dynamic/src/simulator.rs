//! Simulated training dynamics with a known truth, to test planners on.
//!
//! Every domain has a skill, an amount E of effective tokens, and a loss
//! `l = c + A (1 + E)^-b`. While a run trains at a fraction u of training on
//! weights m, skills grow by
//!
//! `dE_d/du = gain · Σ_j T_dj f_j(u) m_j^q · ready_d(E) - forgetting · E_d`.
//!
//! `T_dj` is the value of a token of domain j for skill d; `f_j(u) = exp(±
//! drift (2u - 1))` makes half of the domains more valuable early and half
//! late; `ready_d = (0.1 + E_0) / (need + 0.1 + E_0)` (1 for the first skill)
//! slows all other skills down until the first has grown. Losses determine
//! skills, so that the future depends only on the current losses: `next` is an
//! exact f. Noise is a factor on every measured loss.

use rand::RngExt;
use rand_distr::{Distribution, Normal};

use regmix_data::random::stream;
use regmix_data::{DomainSet, Error, Result};

use crate::dynamics::{Dynamics, Moment, Slopes};
use crate::record::Segments;
use crate::record::StageGrid;
use crate::record::{Point, Trajectories};

/// Steps of integration per run.
const STEPS: f64 = 120.0;

/// The options of a [`World`].
///
/// | field | default | range |
/// |---|---|---|
/// | `domains` | 6 | 2 or more |
/// | `stages` | 5 | as [`StageGrid::equal`] |
/// | `drift` | 0 | log ratio of the value of tokens at the end and at the start of training |
/// | `forgetting` | 0 | share of a skill lost over a run |
/// | `need` | 0 | how much of the first skill the others need |
/// | `noise` | 0.003 | standard deviation of measured losses, relative |
/// | `gain` | 30 | effective tokens of a run |
/// | `seed` | 0 | |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorldOptions {
    /// How many domains, and losses, there are.
    pub domains: usize,
    /// Stages.
    pub stages: usize,
    /// How much the value of tokens changes over training, logarithm.
    pub drift: f64,
    /// The share of a skill that is lost over a run.
    pub forgetting: f64,
    /// How much of the first skill the others need.
    pub need: f64,
    /// Noise of measurements.
    pub noise: f64,
    /// Effective tokens of a run.
    pub gain: f64,
    /// Seed of all constants.
    pub seed: u64,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            domains: 6,
            stages: 5,
            drift: 0.0,
            forgetting: 0.0,
            need: 0.0,
            noise: 0.003,
            gain: 30.0,
            seed: 0,
        }
    }
}

/// Dynamics that are known exactly; see the [module](self).
///
/// ```
/// use regmix_dynamic::Dynamics;
/// use regmix_dynamic::simulator::{World, WorldOptions};
///
/// let world = World::new(WorldOptions::default())?;
/// let even = vec![1.0 / 6.0; 6];
/// let states = world.states(&even, &vec![even.clone(); 5]);
/// assert_eq!(states.len(), 6); // The first stage point, then the end of every stage.
/// assert!(states[5].iter().zip(&states[0]).all(|(after, before)| after < before));
/// // The same by steps of f.
/// let next = world.next(world.moment(0), &states[0], &even);
/// assert!(next.iter().zip(&states[1]).all(|(a, b)| (a - b).abs() < 1e-9));
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct World {
    options: WorldOptions,
    domains: DomainSet,
    targets: Vec<String>,
    grid: StageGrid,
    floor: Vec<f64>,
    amplitude: Vec<f64>,
    power: Vec<f64>,
    /// `[skills][domains]`.
    transfer: Vec<Vec<f64>>,
    exponent: f64,
}

impl World {
    /// Draws the constants of a world.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(options: WorldOptions) -> Result<Self> {
        let WorldOptions {
            domains: n,
            drift,
            forgetting,
            need,
            noise,
            gain,
            ..
        } = options;
        let usable = [drift, forgetting, need, noise]
            .iter()
            .all(|x| *x >= 0.0 && x.is_finite());
        if n < 2 || !usable || !(gain > 0.0 && gain.is_finite()) {
            return Err(Error::input(format!(
                "{options:?}: expected at least 2 domains and finite numbers that are not negative"
            )));
        }
        let domains = DomainSet::from_names((0..n).map(|i| format!("d{i}")))?;
        let mut rng = stream(options.seed, "world", "simulator");
        let mut between = |low: f64, high: f64| low + (high - low) * rng.random::<f64>();
        let transfer = (0..n)
            .map(|d| {
                (0..n)
                    .map(|j| match d == j {
                        true => between(0.6, 1.4),
                        false if between(0.0, 1.0) < 0.4 => between(0.05, 0.4),
                        false => 0.01,
                    })
                    .collect()
            })
            .collect();
        Ok(Self {
            targets: domains.names().map(str::to_owned).collect(),
            grid: StageGrid::equal(options.stages)?,
            floor: (0..n).map(|_| between(1.0, 2.0)).collect(),
            amplitude: (0..n).map(|_| between(4.0, 7.0)).collect(),
            power: (0..n).map(|_| between(0.25, 0.5)).collect(),
            transfer,
            exponent: 0.6,
            domains,
            options,
        })
    }

    /// The losses at every stage point of a run: the first after `first`, then
    /// one after every mixture. Without noise.
    pub fn states(&self, first: &[f64], mixtures: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut skills = vec![0.0; self.domains.len()];
        self.train(&mut skills, first, 0.0, self.grid.points()[0]);
        let mut out = vec![self.losses(&skills)];
        for (stage, mixture) in mixtures.iter().enumerate() {
            let (from, to) = self.grid.span(stage);
            self.train(&mut skills, mixture, from, to);
            out.push(self.losses(&skills));
        }
        out
    }

    /// Trains proxies: evaluates every run `evaluations` times, equally
    /// spaced, with noise.
    ///
    /// # Errors
    /// When a run has no segments, or there are more evaluations than steps.
    pub fn proxies(&self, runs: &Segments, steps: u64, evaluations: u64) -> Result<Trajectories> {
        if evaluations == 0 || evaluations > steps {
            return Err(Error::input(format!(
                "{evaluations} evaluations of {steps} steps: expected 1 to all of them"
            )));
        }
        let mut table = Trajectories::new(self.domains.clone());
        for run in runs.runs() {
            let mut skills = vec![0.0; self.domains.len()];
            let mut noise = self.noise(run);
            let mut done = 0.0;
            let mut points = Vec::new();
            for i in 1..=evaluations {
                let step = (steps * i) / evaluations;
                let to = step as f64 / steps as f64;
                // Segment by segment, so that switches are at exact times.
                let segments = runs.get(run).unwrap_or_default();
                for (k, segment) in segments.iter().enumerate() {
                    let end = segments.get(k + 1).map_or(1.0, |s| s.from).min(to);
                    if end > done && segment.from < to {
                        self.train(&mut skills, segment.mixture.weights(), done, end);
                        done = end;
                    }
                }
                points.push(Point {
                    step,
                    tokens: 1000 * step,
                    loss: self.losses(&skills).iter().map(|l| l * noise()).collect(),
                });
            }
            table.push(run.clone(), points)?;
        }
        Ok(table)
    }

    /// Factors of noise for a run's measurements.
    pub fn noise(&self, run: &str) -> impl FnMut() -> f64 + use<> {
        let mut rng = stream(self.options.seed, run, "simulator-noise");
        let normal = Normal::new(0.0, self.options.noise).ok();
        move || normal.map_or(1.0, |n| n.sample(&mut rng).exp())
    }

    fn losses(&self, skills: &[f64]) -> Vec<f64> {
        (0..skills.len())
            .map(|d| self.floor[d] + self.amplitude[d] * (1.0 + skills[d]).powf(-self.power[d]))
            .collect()
    }

    fn skills(&self, losses: &[f64]) -> Vec<f64> {
        (0..losses.len())
            .map(|d| {
                // Noise may take a loss outside the range of skills.
                let above = (losses[d] - self.floor[d]).clamp(1e-6, self.amplitude[d]);
                (above / self.amplitude[d]).powf(-1.0 / self.power[d]) - 1.0
            })
            .collect()
    }

    fn train(&self, skills: &mut [f64], mixture: &[f64], from: f64, to: f64) {
        let steps = ((to - from) * STEPS).ceil().max(1.0);
        let du = (to - from) / steps;
        for i in 0..steps as usize {
            // Midpoint rule.
            let rate = self.rate(skills, mixture, from + i as f64 * du);
            let half: Vec<f64> = skills
                .iter()
                .zip(rate)
                .map(|(e, r)| e + 0.5 * du * r)
                .collect();
            let rate = self.rate(&half, mixture, from + (i as f64 + 0.5) * du);
            for (e, r) in skills.iter_mut().zip(rate) {
                *e = (*e + du * r).max(0.0);
            }
        }
    }

    fn rate(&self, skills: &[f64], mixture: &[f64], u: f64) -> Vec<f64> {
        let o = &self.options;
        let growth: Vec<f64> = (mixture.iter().enumerate())
            .map(|(j, m)| {
                let side = if j % 2 == 0 { -1.0 } else { 1.0 };
                m.max(0.0).powf(self.exponent) * (side * o.drift * (2.0 * u - 1.0)).exp()
            })
            .collect();
        let ready = (0.1 + skills[0]) / (o.need + 0.1 + skills[0]);
        (self.transfer.iter().zip(skills).enumerate())
            .map(|(d, (worth, skill))| {
                let grown: f64 = worth.iter().zip(&growth).map(|(t, f)| t * f).sum();
                let ready = if d == 0 { 1.0 } else { ready };
                o.gain * grown * ready - o.forgetting * skill
            })
            .collect()
    }
}

impl Dynamics for World {
    fn domains(&self) -> &DomainSet {
        &self.domains
    }

    fn targets(&self) -> &[String] {
        &self.targets
    }

    fn grid(&self) -> &StageGrid {
        &self.grid
    }

    fn next(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        let mut skills = self.skills(state);
        let (_, to) = self.grid.span(at.stage);
        self.train(&mut skills, mixture, at.fraction, to);
        self.losses(&skills)
    }

    /// By central differences.
    fn slopes(&self, at: Moment, state: &[f64], mixture: &[f64]) -> Option<Slopes> {
        let n = state.len();
        let mut out = Slopes {
            by_mixture: vec![vec![0.0; n]; n],
            by_state: vec![vec![0.0; n]; n],
        };
        for (i, weight) in mixture.iter().enumerate() {
            let step = 1e-4 * weight.max(1e-3);
            let moved = |by: f64| {
                let mut m = mixture.to_vec();
                m[i] = (m[i] + by).max(0.0);
                (m[i], self.next(at, state, &m))
            };
            let ((high, up), (low, down)) = (moved(step), moved(-step));
            let step = 1e-5 * state[i];
            let shifted = |by: f64| {
                let mut s = state.to_vec();
                s[i] += by;
                self.next(at, &s, mixture)
            };
            let (more, less) = (shifted(step), shifted(-step));
            for (t, row) in out.by_mixture.iter_mut().enumerate() {
                row[i] = (up[t] - down[t]) / (high - low);
            }
            for (t, row) in out.by_state.iter_mut().enumerate() {
                row[i] = (more[t] - less[t]) / (2.0 * step);
            }
        }
        Some(out)
    }
}
