//! RegMix's simulation: draw, predict, average the best.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use regmix_data::design::Dirichlet;
use regmix_data::random::stream;
use regmix_data::{DomainSet, Error, Mixture, Monitor, Result, Silent};

use crate::constraints::Constraints;
use crate::numeric::slices::add;
use crate::search::surface::Surface;

/// Draws per random stream and task. Fixed, so that the result does not depend
/// on the number of threads.
const CHUNK: usize = 1024;

/// Draws that are predicted together.
const BLOCK: usize = 128;

/// Draws per task where values may cost much.
const TASK: usize = 32;

/// What to do with a draw that breaks a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Infeasible {
    /// Move it to the nearest mixture that keeps to the bounds.
    #[default]
    Project,
    /// Leave it out.
    Drop,
}

/// How to simulate.
///
/// | field | default | range |
/// |---|---|---|
/// | `draws` | 100 000 | 1 or more |
/// | `best` | 128 | 1 to `draws` |
/// | `alpha` | 1 | positive |
/// | `seed` | 0 | any |
/// | `infeasible` | project | |
///
/// Draws come from Dirichlet(alpha · prior): with 1, the default of RegMix,
/// they scatter widely; larger values keep to the prior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulateOptions {
    /// Mixtures to draw.
    pub draws: usize,
    /// How many of the best to average.
    pub best: usize,
    /// Concentration.
    pub alpha: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// What to do with a draw that breaks a bound.
    pub infeasible: Infeasible,
}

impl Default for SimulateOptions {
    fn default() -> Self {
        Self {
            draws: 100_000,
            best: 128,
            alpha: 1.0,
            seed: 0,
            infeasible: Infeasible::Project,
        }
    }
}

/// What a simulation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// The mean of the best draws; it keeps to the bounds as they do.
    pub mixture: Mixture,
    /// The predicted value at `mixture`.
    pub value: f64,
    /// The single best draw. Its value is the lowest of many predictions, and
    /// so probably too low: `mixture` is the one to use.
    pub top: Mixture,
    /// The predicted value at `top`.
    pub top_value: f64,
    /// How many draws were evaluated, without those that were dropped.
    pub kept: usize,
}

/// Draws mixtures around a prior, predicts each, and averages the best
/// (RegMix, arXiv 2407.01492).
///
/// The result is the same for any number of threads. Cost O(draws · value).
///
/// ```
/// use regmix_data::{DomainSet, Mixture};
/// use regmix_regress::{Constraints, search::{simulate, SimulateOptions, Surface}};
///
/// struct Bowl(DomainSet);
/// impl Surface for Bowl {
///     fn domains(&self) -> &DomainSet { &self.0 }
///     fn value(&self, w: &[f64]) -> f64 { (w[0] - 0.8).powi(2) }
/// }
/// let domains = DomainSet::from_names(["web", "code"])?;
/// let prior = Mixture::uniform(domains.clone());
/// let options = SimulateOptions { draws: 5000, best: 50, ..SimulateOptions::default() };
/// let found = simulate(&Bowl(domains.clone()), &prior, &Constraints::none(domains), &options)?;
/// assert!((found.mixture.weights()[0] - 0.8).abs() < 0.01);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When an option is out of range, the domains differ, or every draw was
/// dropped.
pub fn simulate(
    surface: &(impl Surface + ?Sized),
    prior: &Mixture,
    constraints: &Constraints,
    options: &SimulateOptions,
) -> Result<Simulation> {
    simulate_monitored(surface, prior, constraints, options, &Silent)
}

/// [`simulate`] with a monitor, which is checked every 128 draws.
///
/// # Errors
/// As [`simulate`], and when the monitor asks to stop.
pub fn simulate_monitored(
    surface: &(impl Surface + ?Sized),
    prior: &Mixture,
    constraints: &Constraints,
    options: &SimulateOptions,
    monitor: &dyn Monitor,
) -> Result<Simulation> {
    let source = Source::new(surface.domains(), prior, constraints, options)?;
    average(surface, source.judged(surface, monitor)?, options)
}

/// The best draws of [`simulate_monitored`] themselves, the best first: as many as
/// `options.best` says, or fewer where others were dropped.
///
/// # Errors
/// As [`simulate_monitored`].
pub fn top_draws(
    surface: &(impl Surface + ?Sized),
    prior: &Mixture,
    constraints: &Constraints,
    options: &SimulateOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<Mixture>> {
    let source = Source::new(surface.domains(), prior, constraints, options)?;
    let drawn = ranked(source.judged(surface, monitor)?, options)?;
    let domains = surface.domains();
    (drawn.into_iter())
        .map(|(_, weights)| Mixture::normalized(domains.clone(), weights))
        .collect()
}

/// Draws that are made once and evaluated on many surfaces, with the same results as
/// [`simulate`]. This saves the drawing, which takes most of the time of a search.
///
/// Takes 8 bytes per draw and domain.
///
/// ```
/// use regmix_data::{DomainSet, Mixture};
/// use regmix_regress::Constraints;
/// use regmix_regress::search::{Candidates, SimulateOptions, Surface, simulate};
///
/// struct Bowl(DomainSet, f64);
/// impl Surface for Bowl {
///     fn domains(&self) -> &DomainSet { &self.0 }
///     fn value(&self, w: &[f64]) -> f64 { (w[0] - self.1).powi(2) }
/// }
/// let domains = DomainSet::from_names(["web", "code"])?;
/// let (prior, free) = (Mixture::uniform(domains.clone()), Constraints::none(domains.clone()));
/// let options = SimulateOptions { draws: 5000, best: 50, ..SimulateOptions::default() };
/// let drawn = Candidates::draw(&prior, &free, &options)?;
/// for bottom in [0.2, 0.8] {
///     let bowl = Bowl(domains.clone(), bottom);
///     assert_eq!(drawn.search(&bowl)?, simulate(&bowl, &prior, &free, &options)?);
/// }
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Candidates {
    domains: DomainSet,
    options: SimulateOptions,
    chunks: Vec<Vec<Vec<f64>>>,
}

impl Candidates {
    /// Draws around a prior.
    ///
    /// # Errors
    /// When an option is out of range, or the domains differ.
    pub fn draw(
        prior: &Mixture,
        constraints: &Constraints,
        options: &SimulateOptions,
    ) -> Result<Self> {
        let domains = prior.domains().clone();
        let source = Source::new(&domains, prior, constraints, options)?;
        let chunks = (0..source.chunks()).into_par_iter();
        Ok(Self {
            chunks: chunks.map(|chunk| source.chunk(chunk)).collect(),
            options: *options,
            domains,
        })
    }

    /// Predicts each draw, and averages the best.
    ///
    /// # Errors
    /// When the surface is over other domains, or every draw was dropped.
    pub fn search(&self, surface: &(impl Surface + ?Sized)) -> Result<Simulation> {
        if *surface.domains() != self.domains {
            return Err(Error::input(
                "draws over other domains, or in another order, than the surface",
            ));
        }
        let chunks = (self.chunks.par_iter())
            .map(|drawn| judge(surface, drawn, self.options.best, &Silent))
            .collect::<Result<_>>()?;
        average(surface, chunks, &self.options)
    }
}

/// Where draws come from.
struct Source {
    dirichlet: Dirichlet,
    constraints: Constraints,
    options: SimulateOptions,
}

impl Source {
    fn new(
        domains: &DomainSet,
        prior: &Mixture,
        constraints: &Constraints,
        options: &SimulateOptions,
    ) -> Result<Self> {
        if options.draws == 0 || options.best == 0 || options.best > options.draws {
            return Err(Error::input(format!(
                "best {} of {} draws: expected at least 1 and at most all",
                options.best, options.draws
            )));
        }
        let prior = prior.reordered(domains)?;
        let concentrations: Vec<f64> = (prior.weights().iter())
            .map(|w| options.alpha * w)
            .collect();
        Ok(Self {
            dirichlet: Dirichlet::new(&concentrations)?,
            constraints: constraints.reordered(domains)?,
            options: *options,
        })
    }

    fn chunks(&self) -> usize {
        self.options.draws.div_ceil(CHUNK)
    }

    /// The best draws of every chunk.
    fn judged(
        &self,
        surface: &(impl Surface + ?Sized),
        monitor: &dyn Monitor,
    ) -> Result<Vec<Judged>> {
        (0..self.chunks())
            .into_par_iter()
            .map(|chunk| judge(surface, &self.chunk(chunk), self.options.best, monitor))
            .collect()
    }

    /// One chunk of draws, those that are dropped left out.
    fn chunk(&self, chunk: usize) -> Vec<Vec<f64>> {
        let draws = self.options.draws;
        let mut rng = stream(self.options.seed, &format!("chunk-{chunk}"), "simulate");
        let mut drawn = Vec::new();
        for _ in chunk * CHUNK..draws.min((chunk + 1) * CHUNK) {
            let mut weights = self.dirichlet.sample(&mut rng);
            if !self.constraints.allows(&weights) {
                match self.options.infeasible {
                    Infeasible::Drop => continue,
                    Infeasible::Project => weights = self.constraints.projected(&weights),
                }
            }
            drawn.push(weights);
        }
        drawn
    }
}

/// How many draws have a finite value, and the best of them with theirs.
type Judged = (usize, Vec<(f64, Vec<f64>)>);

fn judge(
    surface: &(impl Surface + ?Sized),
    drawn: &[Vec<f64>],
    best: usize,
    monitor: &dyn Monitor,
) -> Result<Judged> {
    let values = values(surface, drawn, BLOCK, monitor)?;
    let mut order: Vec<(f64, &Vec<f64>)> = (values.into_iter().zip(drawn))
        .filter(|(value, _)| value.is_finite())
        .collect();
    let kept = order.len();
    // The sort is stable: equal values stay in the order of drawing.
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    order.truncate(best);
    let best = order.into_iter().map(|(v, w)| (v, w.clone())).collect();
    Ok((kept, best))
}

/// The values at some mixtures; the monitor is checked every `block` of them.
fn values(
    surface: &(impl Surface + ?Sized),
    rows: &[Vec<f64>],
    block: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<f64>> {
    let mut out = Vec::with_capacity(rows.len());
    for rows in rows.chunks(block) {
        monitor.check()?;
        out.extend(surface.values(rows));
    }
    Ok(out)
}

/// The best of all draws with their values, the best first; there is at least one.
fn ranked(chunks: Vec<Judged>, options: &SimulateOptions) -> Result<Vec<(f64, Vec<f64>)>> {
    let mut drawn: Vec<(f64, Vec<f64>)> = chunks.into_iter().flat_map(|c| c.1).collect();
    drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
    drawn.truncate(options.best);
    match drawn.is_empty() {
        false => Ok(drawn),
        true => Err(Error::input(format!(
            "none of {} draws keeps to the bounds: expected some",
            options.draws
        ))
        .help("project draws instead of dropping them, or raise the number of draws")),
    }
}

fn average(
    surface: &(impl Surface + ?Sized),
    chunks: Vec<Judged>,
    options: &SimulateOptions,
) -> Result<Simulation> {
    let kept = chunks.iter().map(|c| c.0).sum();
    let drawn = ranked(chunks, options)?;
    let (top_value, top) = drawn[0].clone();
    let share = 1.0 / drawn.len() as f64;
    let mut mean = vec![0.0; top.len()];
    for (_, weights) in &drawn {
        add(&mut mean, share, weights);
    }
    let domains = surface.domains().clone();
    let mixture = Mixture::normalized(domains.clone(), mean)?;
    let value = surface.value(mixture.weights());
    Ok(Simulation {
        mixture,
        value,
        top: Mixture::normalized(domains, top)?,
        top_value,
        kept,
    })
}

/// The best of a few draws, as a start for a descent. `None` where no value is
/// finite.
pub(crate) fn best_draw(
    surface: &(impl Surface + ?Sized),
    prior: &Mixture,
    constraints: &Constraints,
    draws: usize,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Option<Mixture>> {
    let prior = prior.reordered(surface.domains())?;
    let constraints = constraints.reordered(surface.domains())?;
    let dirichlet = Dirichlet::new(prior.weights())?;
    let mut rng = stream(seed, "start", "simulate");
    let drawn: Vec<Vec<f64>> = (0..draws)
        .map(|_| constraints.projected(&dirichlet.sample(&mut rng)))
        .collect();
    let values: Vec<Vec<f64>> = (drawn.par_chunks(TASK))
        .map(|some| values(surface, some, TASK, monitor))
        .collect::<Result<_>>()?;
    (drawn.into_iter().zip(values.into_iter().flatten()))
        .filter(|(_, value)| value.is_finite())
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(weights, _)| Mixture::normalized(surface.domains().clone(), weights))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plane(DomainSet);
    impl Surface for Plane {
        fn domains(&self) -> &DomainSet {
            &self.0
        }
        fn value(&self, w: &[f64]) -> f64 {
            w[0] + 2.0 * w[1] + 3.0 * w[2]
        }
    }

    #[test]
    fn threads_change_nothing_and_bounds_hold() {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let plane = Plane(domains.clone());
        let prior = Mixture::uniform(domains.clone());
        let caps = Constraints::none(domains).with_cap("a", 0.3).unwrap();
        for infeasible in [Infeasible::Drop, Infeasible::Project] {
            let options = SimulateOptions {
                draws: 5000,
                best: 16,
                infeasible,
                ..Default::default()
            };
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| simulate(&plane, &prior, &caps, &options))
                    .unwrap()
            };
            let found = run(1);
            assert_eq!(found, run(3));
            let top = top_draws(&plane, &prior, &caps, &options, &Silent).unwrap();
            assert_eq!((top.len(), &top[0]), (16, &found.top));
            assert!(caps.allows(found.mixture.weights()));
            assert!(found.value >= found.top_value && found.top_value >= 1.7 - 1e-9);
            assert_eq!(found.kept == 5000, infeasible == Infeasible::Project);
        }
    }

    #[test]
    fn dropping_all_draws_is_an_error() {
        let domains = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let pinned = Constraints::none(domains.clone())
            .with_floor("a", 1.0)
            .unwrap();
        let options = SimulateOptions {
            draws: 10,
            best: 1,
            infeasible: Infeasible::Drop,
            ..Default::default()
        };
        let prior = Mixture::uniform(domains.clone());
        let err = simulate(&Plane(domains), &prior, &pinned, &options).unwrap_err();
        assert!(err.to_string().contains("none of 10 draws"), "{err}");
    }
}
