//! A smooth stage model, in which effective tokens add up.
//!
//! Losses fall as powers of effective tokens x, `l = c + x^(-1/p)`. A stage
//! adds to x an amount that depends on its mixture, `x_{j+1} = x_j + g_j(m)`,
//! whatever the mixtures before. This assumption separates the effect of the
//! current mixture from that of earlier ones; the data of static proxies alone
//! cannot separate them. c and p are chosen per target, on a grid, by
//! leave-one-out errors; g is linear in weights and their square roots.

use serde::{Deserialize, Serialize};

use regmix_data::{Monitor, Result};

use super::ridge::{Ridge, means};
use crate::dynamics::Slopes;
use crate::record::{Transition, Transitions};

/// Weights far below this count as nearly equal.
const RESOLUTION: f64 = 1e-3;

/// The scale of the state among the inputs, weights having 1: a stronger
/// penalty. In static proxies the effects of state and mixture cannot be
/// separated, and tokens that add up are the better guess.
const STATE: f64 = 0.1;

/// Floors tried, as shares of the lowest loss, and powers.
const FLOORS: [f64; 7] = [0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95];
const POWERS: [f64; 6] = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0];

/// From a loss to effective tokens and back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    floor: f64,
    power: f64,
    /// The lowest loss that proxies had.
    lowest: f64,
}

impl Link {
    fn tokens(self, loss: f64) -> f64 {
        // Far below all proxies the floor itself is uncertain.
        let least = 0.05 * (self.lowest - self.floor);
        (loss - self.floor).max(least).powf(-self.power)
    }

    fn loss(self, tokens: f64) -> f64 {
        self.floor + tokens.max(1e-9).powf(-1.0 / self.power)
    }

    /// The derivative of [`Link::loss`].
    fn slope(self, tokens: f64) -> f64 {
        if tokens <= 1e-9 {
            return 0.0;
        }
        -(self.loss(tokens) - self.floor) / (self.power * tokens)
    }

    /// The derivative of [`Link::tokens`].
    fn back(self, loss: f64) -> f64 {
        let least = 0.05 * (self.lowest - self.floor);
        if loss - self.floor < least {
            return 0.0;
        }
        -self.power * self.tokens(loss) / (loss - self.floor)
    }

    fn is_sound(self) -> bool {
        self.floor.is_finite()
            && self.power > 0.0
            && self.power.is_finite()
            && self.lowest > self.floor
    }
}

fn root(weight: f64) -> f64 {
    (weight.max(0.0) + RESOLUTION).sqrt()
}

fn tokens(links: &[Link], state: &[f64]) -> Vec<f64> {
    let pairs = state.iter().zip(links);
    pairs.map(|(loss, link)| link.tokens(*loss)).collect()
}

/// Weights and their roots.
fn features(mixture: &[f64]) -> Vec<f64> {
    let roots = mixture.iter().map(|w| root(*w));
    mixture.iter().copied().chain(roots).collect()
}

/// One ridge for the first segment and one per stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Smooth {
    domains: usize,
    links: Vec<Link>,
    /// The losses at the first stage point, mean over the proxies.
    mean: Vec<f64>,
    first: Ridge,
    stages: Vec<Ridge>,
}

impl Smooth {
    /// Fits; `like` gives links and strengths, for a bootstrap.
    pub(crate) fn fit(
        rows: &Transitions,
        like: Option<&Self>,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let domains = rows.domains.len();
        let stages = rows.grid.stages();
        let links = match like {
            Some(like) => like.links.clone(),
            None => links(rows, monitor)?,
        };
        let tokens = |state: &[f64]| tokens(&links, state);
        let trust = vec![1.0; 2 * domains];
        let strength = like.map(|s| s.first.strength());
        let x: Vec<Vec<f64>> = rows
            .beginnings
            .iter()
            .map(|b| features(&b.mixture))
            .collect();
        let y: Vec<Vec<f64>> = rows.beginnings.iter().map(|b| tokens(&b.state)).collect();
        let first = Ridge::fit(&x, &y, &trust, strength)?.0;
        let stays = same_throughout(rows);
        let fit = |stage: usize| {
            monitor.check()?;
            let switching = rows
                .rows
                .iter()
                .filter(|r| r.stage == stage && !stays[r.run])
                .count();
            // Where nearly all runs stay on one mixture, state and mixture carry
            // the same information.
            let state = if switching > links.len() + 2 {
                STATE
            } else {
                0.0
            };
            let trust: Vec<f64> = (std::iter::repeat_n(1.0, 2 * domains))
                .chain(std::iter::repeat_n(state, links.len()))
                .collect();
            let here = || rows.rows.iter().filter(move |r| r.stage == stage);
            let inputs = |r: &Transition| -> Vec<f64> {
                features(&r.mixture)
                    .into_iter()
                    .chain(tokens(&r.state))
                    .collect()
            };
            let added = |r: &Transition| -> Vec<f64> {
                let after = tokens(&r.next).into_iter().zip(tokens(&r.state));
                after.map(|(after, before)| after - before).collect()
            };
            let x: Vec<Vec<f64>> = here().map(inputs).collect();
            let y: Vec<Vec<f64>> = here().map(added).collect();
            let strength = like.map(|s| s.stages[stage].strength());
            Ok(Ridge::fit(&x, &y, &trust, strength)?.0)
        };
        let stages = (0..stages).map(fit).collect::<Result<_>>()?;
        Ok(Self {
            domains,
            links,
            mean: means(rows.beginnings.iter().map(|b| &b.state)),
            first,
            stages,
        })
    }

    fn losses(&self, tokens: &[f64]) -> Vec<f64> {
        let pairs = tokens.iter().zip(&self.links);
        pairs.map(|(x, link)| link.loss(*x)).collect()
    }

    /// Standard deviations of losses from those of tokens.
    fn spread(&self, tokens: &[f64], sd: Vec<f64>) -> Vec<f64> {
        (tokens.iter().zip(&self.links).zip(sd))
            .map(|((x, link), sd)| link.slope(*x).abs() * sd)
            .collect()
    }

    /// The derivative of one output of a ridge by every weight, times a factor.
    fn by_weights(&self, ridge: &Ridge, output: usize, factor: f64, mixture: &[f64]) -> Vec<f64> {
        let by = |(j, w): (usize, &f64)| {
            let by_root = ridge.slope(output, self.domains + j) / (2.0 * root(*w));
            factor * (ridge.slope(output, j) + by_root)
        };
        mixture.iter().enumerate().map(by).collect()
    }

    /// Inputs of a stage, and the tokens after it.
    fn after(&self, stage: usize, state: &[f64], mixture: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let before = tokens(&self.links, state);
        let mut inputs = features(mixture);
        inputs.extend_from_slice(&before);
        let added = self.stages[stage].mean(&inputs);
        let after = before.iter().zip(added).map(|(b, a)| b + a).collect();
        (inputs, after)
    }

    pub(crate) fn next(&self, stage: usize, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        self.losses(&self.after(stage, state, mixture).1)
    }

    pub(crate) fn sd(&self, stage: usize, state: &[f64], mixture: &[f64]) -> Vec<f64> {
        let (inputs, after) = self.after(stage, state, mixture);
        self.spread(&after, self.stages[stage].sd(&inputs))
    }

    pub(crate) fn slopes(&self, stage: usize, state: &[f64], mixture: &[f64]) -> Slopes {
        let (_, after) = self.after(stage, state, mixture);
        let ridge = &self.stages[stage];
        let mut out = Slopes {
            by_mixture: Vec::with_capacity(after.len()),
            by_state: Vec::with_capacity(after.len()),
        };
        for (t, link) in self.links.iter().enumerate() {
            let factor = link.slope(after[t]);
            out.by_mixture
                .push(self.by_weights(ridge, t, factor, mixture));
            let by_loss = (state.iter().zip(&self.links).enumerate()).map(|(i, (l, from))| {
                let kept = if i == t { 1.0 } else { 0.0 };
                factor * (kept + ridge.slope(t, 2 * self.domains + i)) * from.back(*l)
            });
            out.by_state.push(by_loss.collect());
        }
        out
    }

    /// The losses at the first stage point by the first mixture.
    pub(crate) fn start(&self, mixture: &[f64]) -> Vec<f64> {
        self.losses(&self.first.mean(&features(mixture)))
    }

    /// Their derivative, `[targets][domains]`.
    pub(crate) fn start_slopes(&self, mixture: &[f64]) -> Vec<Vec<f64>> {
        let tokens = self.first.mean(&features(mixture));
        (self.links.iter().zip(tokens).enumerate())
            .map(|(t, (link, x))| self.by_weights(&self.first, t, link.slope(x), mixture))
            .collect()
    }

    pub(crate) fn start_sd(&self, mixture: &[f64]) -> Vec<f64> {
        let inputs = features(mixture);
        self.spread(&self.first.mean(&inputs), self.first.sd(&inputs))
    }

    /// The mean over the proxies, as in RegMix-D.
    pub(crate) fn start_mean(&self) -> &[f64] {
        &self.mean
    }

    pub(crate) fn is_sound(&self, domains: usize, targets: usize, stages: usize) -> bool {
        (self.domains, self.links.len(), self.stages.len()) == (domains, targets, stages)
            && self.mean.len() == targets
            && self.mean.iter().all(|l| *l > 0.0 && l.is_finite())
            && self.links.iter().all(|l| l.is_sound())
            && self.first.is_sound(2 * domains, targets)
            && (self.stages.iter()).all(|r| r.is_sound(2 * domains + targets, targets))
    }
}

/// Per run whether it had one mixture in all its stages.
fn same_throughout(rows: &Transitions) -> Vec<bool> {
    let mut first: Vec<Option<&[f64]>> = vec![None; rows.runs.len()];
    let mut out = vec![true; rows.runs.len()];
    let beginnings = rows.beginnings.iter().map(|b| (b.run, &b.mixture));
    for (run, mixture) in beginnings.chain(rows.rows.iter().map(|r| (r.run, &r.mixture))) {
        match first[run] {
            None => first[run] = Some(mixture),
            Some(m) => out[run] &= m.iter().zip(mixture).all(|(a, b)| (a - b).abs() < 1e-9),
        }
    }
    out
}

/// The floor and the power of every target: those with the lowest squared
/// leave-one-out error, in nats, over all stages, of fits on weights alone.
/// All candidates of all targets are outputs of one ridge per stage.
fn links(rows: &Transitions, monitor: &dyn Monitor) -> Result<Vec<Link>> {
    let targets = rows.targets.len();
    let all = || rows.rows.iter().flat_map(|r| [&r.state, &r.next]);
    let lowest: Vec<f64> = (0..targets)
        .map(|t| all().map(|s| s[t]).fold(f64::INFINITY, f64::min))
        .collect();
    let candidates: Vec<(usize, Link)> = (0..targets)
        .flat_map(|t| FLOORS.map(|share| (t, share * lowest[t])))
        .flat_map(|(t, floor)| {
            POWERS.map(|power| {
                let lowest = lowest[t];
                (
                    t,
                    Link {
                        floor,
                        power,
                        lowest,
                    },
                )
            })
        })
        .collect();
    let trust = vec![1.0; 2 * rows.domains.len()];
    let mut squares = vec![0.0; candidates.len()];
    for stage in 0..rows.grid.stages() {
        monitor.check()?;
        let here: Vec<&Transition> = rows.rows.iter().filter(|r| r.stage == stage).collect();
        let x: Vec<Vec<f64>> = here.iter().map(|r| features(&r.mixture)).collect();
        let added = |r: &&Transition| -> Vec<f64> {
            (candidates.iter())
                .map(|(t, link)| link.tokens(r.next[*t]) - link.tokens(r.state[*t]))
                .collect()
        };
        let y: Vec<Vec<f64>> = here.iter().map(added).collect();
        let (_, errors) = Ridge::fit(&x, &y, &trust, None)?;
        for (r, errors) in here.iter().zip(&errors) {
            for ((square, (t, link)), error) in squares.iter_mut().zip(&candidates).zip(errors) {
                let tokens = link.tokens(r.next[*t]) - error;
                *square += (link.loss(tokens) - r.next[*t]).powi(2);
            }
        }
    }
    let each = FLOORS.len() * POWERS.len();
    Ok((0..targets)
        .map(|t| {
            let best = (t * each..(t + 1) * each)
                .min_by(|a, b| squares[*a].total_cmp(&squares[*b]))
                .unwrap_or(t * each);
            candidates[best].1
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_inverse_to_each_other() {
        let link = Link {
            floor: 1.5,
            power: 2.0,
            lowest: 2.0,
        };
        for loss in [1.6, 2.0, 3.0, 7.0] {
            let tokens = link.tokens(loss);
            assert!((link.loss(tokens) - loss).abs() < 1e-12);
            let step = 1e-6 * tokens;
            let slope = (link.loss(tokens + step) - link.loss(tokens - step)) / (2.0 * step);
            assert!((slope / link.slope(tokens) - 1.0).abs() < 1e-6);
            let back = (link.tokens(loss + 1e-6) - link.tokens(loss - 1e-6)) / 2e-6;
            assert!((back / link.back(loss) - 1.0).abs() < 1e-6);
        }
        // Below the floor values are finite.
        assert!(link.tokens(1.0).is_finite() && link.back(1.0) == 0.0);
        assert!(link.loss(-1.0).is_finite() && link.slope(-1.0) == 0.0);
    }
}
