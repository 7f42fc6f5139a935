//! All mixtures of a plan at once.
//!
//! The weights of all stages, each times the stage's share of training, are one
//! point on one simplex, with the total of each stage given: a descent under
//! [`Constraints`] moves all stages together. Limits over the whole run cut
//! across stages, which constraints cannot express; an augmented Lagrangian
//! keeps to them, and what remains is repaired at the end.

use regmix_data::{DomainSet, Mixture, Result};
use regmix_regress::Constraints;
use regmix_regress::search::{DescendOptions, Surface, descend};

use super::Problem;
use crate::dynamics::Dynamics;

/// Rounds of multipliers, and how the penalty grows.
const ROUNDS: usize = 8;
const GROWTH: f64 = 4.0;

struct Joint<'a, D: ?Sized> {
    problem: &'a Problem<'a, D>,
    /// One per stage and domain.
    names: DomainSet,
    /// The share of what is left of training that is drawn from the mixture of
    /// every stage.
    shares: Vec<f64>,
    /// The share of what is left that a domain may take.
    room: Option<Vec<f64>>,
    multipliers: Vec<f64>,
    penalty: f64,
}

impl<D: Dynamics + ?Sized> Joint<'_, D> {
    fn mixtures(&self, weights: &[f64]) -> Vec<Vec<f64>> {
        let domains = weights.len() / self.shares.len();
        (weights.chunks_exact(domains).zip(&self.shares))
            .map(|(w, share)| w.iter().map(|w| w / share).collect())
            .collect()
    }

    /// How much every domain takes over its room, with its multiplier.
    fn over(&self, weights: &[f64]) -> Vec<f64> {
        let Some(room) = &self.room else {
            return Vec::new();
        };
        let taken = |d: usize| weights.iter().skip(d).step_by(room.len()).sum::<f64>();
        (room.iter().enumerate().zip(&self.multipliers))
            .map(|((d, room), m)| (taken(d) - room + m / self.penalty).max(0.0))
            .collect()
    }
}

impl<D: Dynamics + ?Sized> Surface for Joint<'_, D> {
    fn domains(&self) -> &DomainSet {
        &self.names
    }

    fn value(&self, weights: &[f64]) -> f64 {
        let over = self.over(weights);
        self.problem.plan_value(&self.mixtures(weights))
            + 0.5 * self.penalty * over.iter().map(|o| o * o).sum::<f64>()
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        self.value_and_gradient(weights).1
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let p = self.problem;
        let over = self.over(weights);
        let (value, slopes) = p.slopes(
            0,
            &p.position.state,
            &p.position.previous,
            &self.mixtures(weights),
        );
        let penalty = 0.5 * self.penalty * over.iter().map(|o| o * o).sum::<f64>();
        let flat = |all: Vec<Vec<f64>>| {
            (all.into_iter().zip(&self.shares))
                .flat_map(|(slopes, share)| {
                    slopes
                        .into_iter()
                        .enumerate()
                        .map(|(d, g)| g / share + over.get(d).map_or(0.0, |o| self.penalty * o))
                        .collect::<Vec<_>>()
                })
                .collect()
        };
        (value + penalty, slopes.map(flat))
    }
}

/// Improves all mixtures of a plan together; the result may break the limits
/// of the whole run by a little. `None` where there are no derivatives, or
/// groups or a trust region, which this does not support.
pub(super) fn improve<D: Dynamics + ?Sized>(
    problem: &Problem<'_, D>,
    starts: &[Vec<Vec<f64>>],
) -> Result<Option<Vec<Vec<f64>>>> {
    let bounds = &problem.bounds;
    let grouped = !bounds.constraints.groups().is_empty();
    let stages = problem.left();
    let domains = bounds.constraints.domains().len();
    if grouped || problem.config.trust.is_some() || stages < 2 {
        return Ok(None);
    }
    let whole: f64 = (0..stages).map(|i| problem.drawn(i)).sum();
    let shares: Vec<f64> = (0..stages).map(|i| problem.drawn(i) / whole).collect();
    let name = |j: usize, d: usize| format!("{j}.{d}");
    let all = (0..stages).flat_map(|j| (0..domains).map(move |d| name(j, d)));
    let names = DomainSet::from_names(all)?;
    let of_stages = |bounds: &[f64], part: fn(f64, f64) -> f64| -> Vec<f64> {
        let stages = shares.iter();
        stages
            .flat_map(|share| bounds.iter().map(move |bound| part(*bound, *share)))
            .collect()
    };
    let floors = of_stages(bounds.constraints.floors(), |floor, share| floor * share);
    let caps = of_stages(bounds.constraints.caps(), |cap, share| match cap < 1.0 {
        true => cap * share,
        false => 1.0,
    });
    let mut constraints = Constraints::from_parts(names.clone(), &floors, &caps, &[])?;
    for (j, share) in shares.iter().enumerate() {
        let members: Vec<String> = (0..domains).map(|d| name(j, d)).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        constraints = constraints.with_group(&format!("stage {j}"), &members, *share, *share)?;
    }
    let room = (bounds.budget.as_ref()).map(|budget| {
        (budget.iter().zip(problem.used()))
            .map(|(b, u)| ((b - u) / whole).max(0.0))
            .collect::<Vec<_>>()
    });
    let mut surface = Joint {
        problem,
        names: names.clone(),
        shares,
        multipliers: vec![0.0; room.as_ref().map_or(0, Vec::len)],
        penalty: 1.0,
        room,
    };
    let flat = |mixtures: &Vec<Vec<f64>>, shares: &[f64]| {
        let weights = (mixtures.iter().zip(shares)).flat_map(|(m, s)| m.iter().map(move |w| w * s));
        Mixture::normalized(names.clone(), weights.collect())
    };
    let mut at: Vec<Mixture> = (starts.iter())
        .map(|s| flat(s, &surface.shares))
        .collect::<Result<_>>()?;
    let rounds = if surface.room.is_some() { ROUNDS } else { 1 };
    for _ in 0..rounds {
        problem.monitor.check()?;
        if surface.gradient(at[0].weights()).is_none() {
            return Ok(None);
        }
        let found = descend(&surface, &at, &constraints, &DescendOptions::default())?;
        let over = surface.over(found.mixture.weights());
        for (m, o) in surface.multipliers.iter_mut().zip(over) {
            *m = surface.penalty * o;
        }
        surface.penalty *= GROWTH;
        at = vec![found.mixture];
    }
    Ok(Some(surface.mixtures(at[0].weights())))
}
