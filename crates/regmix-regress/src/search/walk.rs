//! One descent: quasi-Newton steps in square roots of weights.

use std::collections::VecDeque;

use regmix_data::Monitor;

use crate::constraints::Constraints;
use crate::numeric::slices::{add, dot};
use crate::search::face::Face;
use crate::search::options::{DescendOptions, Termination};
use crate::search::surface::{Surface, slopes};

/// Steps that the curvature is estimated from.
const MEMORY: usize = 12;

/// The largest step, as a length in square roots of weights; mixtures without
/// a common domain are √2 apart.
const LONGEST: f64 = 0.5;

/// The smallest part of a square root that a step leaves: the slope of a law
/// near zero says little about zero, and a weight of zero cannot grow again.
const LEFT: f64 = 0.1;

/// How many steps in a row may gain less than `IDLE_GAIN` tolerances.
const IDLE: usize = 5;
const IDLE_GAIN: f64 = 1e-3;

/// How far the curvature along one weight is taken to differ from that of the
/// last step, both ways.
const UNLIKE: f64 = 10.0;

/// How far a step may be shortened.
const SHORTEST: f64 = 1e-10;

/// By how much a step is lengthened if the slope stays nearly as steep.
const LONGER: f64 = 4.0;

/// A step and the change of slopes over it, in square roots of weights.
struct Step {
    moved: Vec<f64>,
    turned: Vec<f64>,
}

/// A descent that can be interrupted and continued.
///
/// The square roots u = √w of a mixture lie on a sphere, whose distance is
/// that of Fisher and Rao, and the slope there is 2 u_j (g_j - ḡ): small
/// weights move by factors, as in mirror descent, and yet reach zero in few
/// steps, since what is linear in a weight is quadratic in its root. The
/// direction is that of L-BFGS on the weights that no bound holds ([`Face`]),
/// the new point is projected on the bounds in Kullback-Leibler divergence,
/// and steps are shortened until the value falls by 1e-4 of what the slope
/// promised, or lengthened while the slope stays as steep.
pub(super) struct Walk<'a, S: ?Sized> {
    surface: &'a S,
    constraints: &'a Constraints,
    monitor: &'a dyn Monitor,
    tolerance: f64,
    pub(super) weights: Vec<f64>,
    pub(super) value: f64,
    slopes: Vec<f64>,
    memory: VecDeque<Step>,
    /// Whether the surface has a derivative of its own.
    analytic: bool,
    idle: usize,
    pub(super) iterations: usize,
    pub(super) evaluations: usize,
    pub(super) ended: Option<Termination>,
}

/// A point with what was computed there.
struct Point {
    weights: Vec<f64>,
    value: f64,
    slopes: Option<Vec<f64>>,
}

impl<'a, S: Surface + ?Sized> Walk<'a, S> {
    /// Starts at a mixture, projected on the bounds and mixed with a
    /// thousandth of the uniform one, since a weight of zero could never grow.
    pub(super) fn new(
        surface: &'a S,
        start: &[f64],
        constraints: &'a Constraints,
        options: &DescendOptions,
        monitor: &'a dyn Monitor,
    ) -> Self {
        let even = 1.0 / start.len() as f64;
        let inner: Vec<f64> = start.iter().map(|w| 0.999 * w + 0.001 * even).collect();
        let weights = constraints.projected(&inner);
        let (value, gradient) = surface.value_and_gradient(&weights);
        let mut walk = Self {
            surface,
            constraints,
            monitor,
            tolerance: options.tolerance,
            value,
            analytic: gradient.is_some(),
            slopes: Vec::new(),
            weights,
            memory: VecDeque::new(),
            idle: 0,
            iterations: 0,
            evaluations: 1,
            ended: None,
        };
        walk.slopes = walk.slopes_at(&walk.weights.clone(), gradient);
        walk.check_end();
        walk
    }

    /// Goes on for some iterations, to its end, or until the monitor asks to
    /// stop.
    pub(super) fn advance(&mut self, iterations: usize) {
        for _ in 0..iterations {
            if self.ended.is_some() || self.monitor.stop_requested() {
                return;
            }
            self.iterations += 1;
            self.step();
        }
    }

    fn slopes_at(&mut self, weights: &[f64], known: Option<Vec<f64>>) -> Vec<f64> {
        known.unwrap_or_else(|| {
            let (slopes, cost) = slopes(self.surface, weights);
            self.evaluations += cost;
            slopes
        })
    }

    /// Ends the descent where no allowed direction promises a gain.
    fn check_end(&mut self) {
        if !self.value.is_finite() || self.slopes.iter().any(|g| !g.is_finite()) {
            self.ended = Some(Termination::NoProgress);
            return;
        }
        let lowest = self.constraints.lowest(&self.slopes);
        let promise = dot(&self.slopes, &self.weights) - dot(&self.slopes, &lowest);
        if promise <= self.tolerance {
            self.ended = Some(Termination::Stationary);
        }
    }

    fn step(&mut self) {
        let face = Face::at(self.constraints, &self.weights, &self.slopes);
        let root: Vec<f64> = self.weights.iter().map(|w| w.sqrt()).collect();
        let slope = in_roots(&face, &root, &self.slopes);
        let before = self.value;
        self.descend(&face, &root, &slope);
        if before - self.value <= IDLE_GAIN * self.tolerance {
            self.idle += 1;
            // If this step moved nothing, the next one would not either.
            if self.value == before || self.idle >= IDLE {
                self.ended = Some(Termination::NoProgress);
            }
        } else {
            self.idle = 0;
        }
        self.check_end();
    }

    /// A quasi-Newton step, or a plain one where that leads nowhere.
    fn descend(&mut self, face: &Face, root: &[f64], slope: &[f64]) {
        let length = norm(slope);
        // The first step, without any estimate of the curvature, has a tenth
        // of the greatest length.
        let mut directions = vec![scaled(slope, -0.1 * LONGEST / length.max(1e-300))];
        if !self.memory.is_empty() {
            let mut newton = self.newton(slope, face);
            face.tangent(&mut newton, root);
            if dot(&newton, slope) < -1e-10 * norm(&newton) * length {
                directions.insert(0, newton);
            }
        }
        for mut direction in directions {
            let longest = norm(&direction);
            if longest > LONGEST {
                direction = scaled(&direction, LONGEST / longest);
            }
            let constraints = self.constraints;
            let along = |share: f64| {
                let mut moved: Vec<f64> = (root.iter().zip(&direction).enumerate())
                    .map(|(i, (u, d))| match face.is_free(i) {
                        true => (u + share * d).max(LEFT * u).powi(2),
                        false => u * u,
                    })
                    .collect();
                face.hold(&mut moved);
                constraints.projected(&moved)
            };
            if let Some((share, point)) = self.shorten(along) {
                let most = LONGEST / norm(&direction);
                let steep = dot(&direction, slope);
                let point = match share < 1.0 {
                    true => point,
                    false => self.lengthen(face, point, most, &direction, steep, along),
                };
                return self.accept(point, face, root, slope);
            }
            self.memory.clear();
        }
    }

    /// Shortens a step until the value falls enough.
    fn shorten(&mut self, along: impl Fn(f64) -> Vec<f64>) -> Option<(f64, Point)> {
        let mut share = 1.0;
        while share >= SHORTEST && !self.monitor.stop_requested() {
            let point = self.evaluate(along(share));
            let promised: f64 = (self.slopes.iter().zip(&point.weights).zip(&self.weights))
                .map(|((g, a), b)| g * (a - b))
                .sum();
            let change = point.value - self.value;
            if promised < 0.0 && change < 0.0 && change <= 1e-4 * promised {
                return Some((share, point));
            }
            // The lowest point of the parabola through what is known.
            let bent = change - promised;
            let lowest = if bent > 0.0 {
                -0.5 * promised / bent
            } else {
                0.5
            };
            share *= lowest.clamp(0.1, 0.5);
        }
        None
    }

    /// Lengthens a step while the slope along it stays nearly as steep: its
    /// length was chosen for steeper directions.
    fn lengthen(
        &mut self,
        face: &Face,
        mut point: Point,
        most: f64,
        direction: &[f64],
        steep: f64,
        along: impl Fn(f64) -> Vec<f64>,
    ) -> Point {
        let mut share = 1.0;
        while share < most {
            let slopes = self.slopes_at(&point.weights, point.slopes.take());
            let root: Vec<f64> = point.weights.iter().map(|w| w.sqrt()).collect();
            let still = dot(direction, &in_roots(face, &root, &slopes));
            point.slopes = Some(slopes);
            if still > 0.9 * steep {
                break;
            }
            share = (LONGER * share).min(most);
            let further = self.evaluate(along(share));
            if further.value.is_nan() || further.value >= point.value {
                break;
            }
            point = further;
        }
        point
    }

    fn evaluate(&mut self, weights: Vec<f64>) -> Point {
        let (value, slopes) = match self.analytic {
            true => self.surface.value_and_gradient(&weights),
            false => (self.surface.value(&weights), None),
        };
        self.evaluations += 1;
        Point {
            weights,
            value,
            slopes,
        }
    }

    fn accept(&mut self, point: Point, face: &Face, root: &[f64], slope: &[f64]) {
        let slopes = self.slopes_at(&point.weights, point.slopes);
        let new_root: Vec<f64> = point.weights.iter().map(|w| w.sqrt()).collect();
        let turned = difference(&in_roots(face, &new_root, &slopes), slope);
        let moved = difference(&new_root, root);
        let curved = dot(&moved, &turned);
        if curved.is_finite() && curved > 1e-10 * norm(&moved) * norm(&turned) {
            if self.memory.len() == MEMORY {
                self.memory.pop_front();
            }
            self.memory.push_back(Step { moved, turned });
        }
        self.weights = point.weights;
        self.value = point.value;
        self.slopes = slopes;
    }

    /// Minus the inverse curvature times the slope, by the recursion of
    /// L-BFGS over the free weights.
    fn newton(&self, slope: &[f64], face: &Face) -> Vec<f64> {
        let free = |x: &[f64]| -> Vec<f64> {
            (x.iter().enumerate())
                .map(|(i, x)| if face.is_free(i) { *x } else { 0.0 })
                .collect()
        };
        let steps: Vec<(Vec<f64>, Vec<f64>, f64)> = (self.memory.iter())
            .map(|step| (free(&step.moved), free(&step.turned)))
            .map(|(s, y)| {
                let curved = dot(&s, &y);
                (s, y, curved)
            })
            .filter(|(s, y, curved)| *curved > 1e-10 * norm(s) * norm(y))
            .collect();
        let mut q = slope.to_vec();
        let mut shares = Vec::with_capacity(steps.len());
        for (s, y, curved) in steps.iter().rev() {
            let share = dot(s, &q) / curved;
            add(&mut q, -share, y);
            shares.push(share);
        }
        if let Some((_, y, curved)) = steps.last() {
            // Own domains often matter most: every weight has a curvature of
            // its own to begin with.
            let last = curved / dot(y, y);
            for (i, q) in q.iter_mut().enumerate() {
                let moved: f64 = steps.iter().map(|(s, ..)| s[i] * s[i]).sum();
                let turned: f64 = steps.iter().map(|(s, y, _)| (s[i] * y[i]).abs()).sum();
                let own = if turned > 0.0 { moved / turned } else { last };
                *q *= own.clamp(last / UNLIKE, last * UNLIKE);
            }
        }
        for ((s, y, curved), share) in steps.iter().zip(shares.into_iter().rev()) {
            let back = dot(y, &q) / curved;
            add(&mut q, share - back, s);
        }
        scaled(&q, -1.0)
    }
}

/// The slope by square roots of weights, along the face.
fn in_roots(face: &Face, root: &[f64], slopes: &[f64]) -> Vec<f64> {
    let mut out: Vec<f64> = root.iter().zip(slopes).map(|(u, g)| 2.0 * u * g).collect();
    face.tangent(&mut out, root);
    out
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn scaled(a: &[f64], by: f64) -> Vec<f64> {
    a.iter().map(|a| a * by).collect()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
