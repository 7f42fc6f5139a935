//! How intervals grow beyond the fitted runs.

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};

use crate::prediction::{Prediction, Z90};
use crate::scale::blend::LnPrediction;
use crate::scale::split::Direction;

/// How standard deviations grow beyond the fitted runs.
///
/// Beyond the fitted sizes an error has a part that all mixtures and targets
/// share: a table has few sizes, each with a depth, width and seed of its own, and
/// one wrong exponent moves every prediction. A split judges it once, however many
/// measurements it has. Such parts are therefore estimated with few degrees of
/// freedom, from what is usual and the mean error of the split, and enter
/// intervals by the quantile of Student's distribution. What a mixture and a
/// target have of their own is judged by many measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Growth {
    /// What all share beyond the fitted sizes, and beyond the fitted lengths.
    size: Shared,
    tokens: Shared,
    /// Factors on what residuals near the data tell, within the fitted sizes and
    /// lengths, beyond the sizes, and beyond the lengths.
    within: f64,
    larger: f64,
    longer: f64,
    /// The least deviation of a single measurement at a size that was not fitted,
    /// in misfits of the laws: it has a seed and a shape of its own.
    own: f64,
    /// Where there are one or two sizes, so that little shows what the size does: the
    /// standard deviation of ln L for an e-fold of the size.
    #[serde(default)]
    unknown: f64,
}

/// A deviation that all measurements at a size or a length share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    /// Its size at twice the largest size or the greatest length, in mean misfits
    /// of the laws.
    scale: f64,
    /// Degrees of freedom of that estimate.
    freedom: usize,
}

/// What is usual before a split was seen, and what that counts in splits. Set on
/// published runs of 70M and 160M parameters that were judged at 305M, and of all
/// three judged at later steps (`benches/RESULTS.md`).
const USUAL_SIZE: f64 = 0.7;
const USUAL_TOKENS: f64 = 0.4;
const USUAL_FREEDOM: usize = 3;
const USUAL_FACTOR: f64 = 0.75;
const USUAL_OWN: f64 = 0.75;

/// The [`Growth::unknown`] of one size. Of the published runs of 70M parameters, laws of these
/// alone differ from the losses at 160M and 410M by 6.8 % and 11.5 %, 8 % and 7 % for an
/// e-fold.
pub(crate) const ONE_SIZE: f64 = 0.05;

/// A new size deviates at once (from this distance on in full), and the more the
/// further the exponents are extended: the variance at a distance in ln N, in
/// units of that at twice the size.
fn by_size(distance: f64) -> f64 {
    const AT_ONCE: f64 = 0.2;
    let new = (distance / AT_ONCE).min(1.0);
    0.5 * (new * new + (distance / LN_2).powi(2))
}

/// Longer training goes on from where the runs ended, as a random walk does.
fn by_tokens(distance: f64) -> f64 {
    distance / LN_2
}

impl Shared {
    /// From what is usual, and the mean error of a split in mean misfits, where
    /// there is one, with the variance at its distance.
    fn estimated(usual: f64, seen: Option<(f64, f64)>) -> Self {
        let prior = USUAL_FREEDOM as f64 * usual * usual;
        match seen {
            None => Self {
                scale: usual,
                freedom: USUAL_FREEDOM,
            },
            Some((error, variance)) => {
                let freedom = USUAL_FREEDOM + 1;
                let squares = prior + error * error / variance;
                Self {
                    scale: (squares / freedom as f64).sqrt(),
                    freedom,
                }
            }
        }
    }

    /// Half of the 90 % interval at twice the size or length, in mean misfits.
    fn half(self) -> f64 {
        /// The 95 % quantiles of Student's distribution.
        const STUDENT: [f64; 6] = [6.314, 2.920, 2.353, 2.132, 2.015, 1.943];
        self.scale * STUDENT[(self.freedom - 1).min(STUDENT.len() - 1)]
    }
}

/// A held-out measurement: the error of the logarithm, and what was predicted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// Measured less predicted.
    pub(crate) error: f64,
    pub(crate) predicted: LnPrediction,
}

/// What the measurements of all splits of one direction say.
struct Seen {
    /// The mean error, in mean misfits.
    shared: f64,
    /// The furthest distance in ln N and ln D.
    larger: f64,
    longer: f64,
    /// What the 90 % intervals of single measurements, without what all share,
    /// would have to be: as a factor on what residuals tell, and in misfits.
    factor: f64,
    own: f64,
}

impl Seen {
    fn of(splits: &[(Direction, Vec<Held>)], direction: Direction) -> Option<Self> {
        let held: Vec<Held> = (splits.iter().filter(|s| s.0 == direction))
            .flat_map(|s| s.1.iter().copied())
            .collect();
        if held.is_empty() {
            return None;
        }
        let count = held.len() as f64;
        let mean = |of: &dyn Fn(&Held) -> f64| held.iter().map(of).sum::<f64>() / count;
        let far = |of: &dyn Fn(&Held) -> f64| held.iter().map(of).fold(0.0, f64::max);
        let bias = mean(&|h| h.error);
        let needed = |unit: fn(&LnPrediction) -> f64| {
            let each = held
                .iter()
                .map(|h| (h.error - bias).abs() / (Z90 * unit(&h.predicted)));
            ninety(each.collect())
        };
        let seen = Self {
            shared: bias / mean(&|h| h.predicted.shared),
            larger: far(&|h| h.predicted.larger),
            longer: far(&|h| h.predicted.longer),
            factor: needed(|p| p.base)?,
            own: needed(|p| p.misfit)?,
        };
        seen.shared.is_finite().then_some(seen)
    }
}

impl Growth {
    /// Set by what held-out measurements say, each split as one of few. A split
    /// judges one size and one length, so that what it asks of single
    /// measurements counts half, and what is usual the other half.
    pub(crate) fn calibrated(splits: &[(Direction, Vec<Held>)]) -> Self {
        /// Distances below this say nothing about others.
        const NEAR: f64 = 0.1;
        let larger = Seen::of(splits, Direction::Larger).filter(|s| s.larger > NEAR);
        let longer = Seen::of(splits, Direction::Longer).filter(|s| s.longer > NEAR);
        let within = Seen::of(splits, Direction::OtherMixtures);
        let factor = |seen: Option<&Seen>, usual: f64| {
            let asked = seen.map_or(usual, |s| s.factor);
            (asked * usual).sqrt().clamp(0.6, 1.5)
        };
        let size = larger.as_ref().map(|s| (s.shared, by_size(s.larger)));
        let tokens = longer.as_ref().map(|s| (s.shared, by_tokens(s.longer)));
        Self {
            size: Shared::estimated(USUAL_SIZE, size),
            tokens: Shared::estimated(USUAL_TOKENS, tokens),
            within: factor(within.as_ref(), 1.0),
            larger: factor(larger.as_ref(), USUAL_FACTOR),
            longer: factor(longer.as_ref(), USUAL_FACTOR),
            own: 0.5 * (USUAL_OWN + larger.as_ref().map_or(USUAL_OWN, |s| s.own)),
            unknown: 0.0,
        }
    }

    /// The same for runs of so few sizes that they leave this open, see
    /// [`Growth::unknown`].
    #[must_use]
    pub(crate) fn with_unknown(self, unknown: f64) -> Self {
        Self { unknown, ..self }
    }

    fn sd(&self, p: &LnPrediction) -> f64 {
        /// Over this distance in ln N or ln D the factors pass over.
        const SOFT: f64 = 0.1;
        let pass = |from: f64, to: f64, distance: f64| to + (from - to) * (-distance / SOFT).exp();
        let factor = pass(self.within, self.larger, p.larger);
        let factor = pass(factor, self.longer, p.longer);
        let new = (p.larger / SOFT).min(1.0);
        let own = (factor * p.base).max(new * self.own * p.misfit);
        let size = self.size.half() * p.shared * by_size(p.larger).sqrt();
        let tokens = self.tokens.half() * p.shared * by_tokens(p.longer).sqrt();
        own.hypot(size.hypot(tokens) / Z90)
            .hypot(self.unknown * p.larger)
    }

    /// The loss with its standard deviation: that of the normal distribution with
    /// the same 90 % interval.
    pub(crate) fn loss(&self, p: &LnPrediction) -> Prediction {
        let mean = p.mean.exp();
        Prediction {
            mean,
            sd: mean * self.sd(p),
        }
    }

    /// Whether what was read is a growth.
    pub(crate) fn is_sound(&self) -> bool {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        [self.size, self.tokens]
            .into_iter()
            .all(|s| positive(s.scale) && s.freedom > 0)
            && (self.unknown == 0.0 || positive(self.unknown))
            && [self.within, self.larger, self.longer, self.own]
                .into_iter()
                .all(positive)
    }
}

/// The least value that nine in ten do not exceed.
fn ninety(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|v| v.is_finite());
    values.sort_by(f64::total_cmp);
    let at = (0.9 * values.len() as f64).ceil() as usize;
    values.get(at.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};
    use regmix_data::random::{Stream, stream};

    const MISFIT: f64 = 0.007;

    fn predicted(larger: f64, longer: f64) -> LnPrediction {
        LnPrediction {
            mean: 0.0,
            base: 0.007,
            misfit: MISFIT,
            shared: MISFIT,
            larger,
            longer,
        }
    }

    fn normal(rng: &mut Stream) -> f64 {
        StandardNormal.sample(rng)
    }

    #[test]
    fn all_folds_of_mixtures_are_looked_at() {
        let mut rng = stream(5, "folds", "growth");
        let fold = |size: f64, rng: &mut Stream| -> Vec<Held> {
            let held = |_| Held {
                error: size * MISFIT * normal(rng),
                predicted: predicted(0.0, 0.0),
            };
            (0..200).map(held).collect()
        };
        let folds: Vec<(Direction, Vec<Held>)> = [0.5, 2.0, 2.0]
            .map(|size| (Direction::OtherMixtures, fold(size, &mut rng)))
            .to_vec();
        let within = |folds: &[(Direction, Vec<Held>)]| Growth::calibrated(folds).within;
        let (first, all) = (within(&folds[..1]), within(&folds));
        assert!(first < 0.8 && all > 1.2, "{first} {all}");
        let turned: Vec<_> = folds.iter().rev().cloned().collect();
        assert!((within(&turned) - all).abs() < 1e-12);
    }

    /// Held-out measurements with a shared error, in misfits.
    fn split(shared: f64, larger: f64, longer: f64, rng: &mut Stream) -> Vec<Held> {
        (0..200)
            .map(|_| Held {
                error: MISFIT * (shared + 0.75 * normal(rng)),
                predicted: predicted(larger, longer),
            })
            .collect()
    }

    fn inside(growth: &Growth, held: &[Held]) -> f64 {
        let within = |h: &&Held| h.error.abs() <= Z90 * growth.sd(&h.predicted);
        held.iter().filter(within).count() as f64 / held.len() as f64
    }

    /// The mean share inside over tables whose sizes share errors of some size.
    fn mean_inside(shared: f64, judged: bool) -> f64 {
        let mut rng = stream(3, "growth", "tables");
        let tables = 400;
        let one = |rng: &mut Stream| {
            let mut size = |distance: f64| shared * by_size(distance).sqrt() * normal(rng);
            let (seen, asked) = (size(0.6), size(0.5));
            let larger = (Direction::Larger, split(seen, 0.6, 0.0, rng));
            let growth = match judged {
                true => Growth::calibrated(&[larger]),
                false => Growth::calibrated(&[]),
            };
            inside(&growth, &split(asked, 0.5, 0.0, rng))
        };
        (0..tables).map(|_| one(&mut rng)).sum::<f64>() / f64::from(tables)
    }

    #[test]
    fn nine_in_ten_are_inside_in_the_mean_of_tables() {
        for (shared, least) in [(0.4, 0.92), (0.7, 0.88), (1.0, 0.82)] {
            for judged in [false, true] {
                let found = mean_inside(shared, judged);
                assert!(
                    (least..0.985).contains(&found),
                    "{shared} {judged}: {found}"
                );
            }
        }
        // A split that sees larger errors than usual widens the intervals of others.
        assert!(mean_inside(1.5, true) > mean_inside(1.5, false) + 0.02);
    }

    #[test]
    fn many_measurements_of_one_size_are_one_draw_of_what_they_share() {
        let mut rng = stream(4, "growth", "one split");
        let at = |shared: f64, rng: &mut Stream| {
            let larger = (Direction::Larger, split(shared, 0.6, 0.0, rng));
            Growth::calibrated(&[larger]).size
        };
        let (lucky, unlucky) = (at(0.0, &mut rng), at(3.0, &mut rng));
        // A lucky split leaves most of what is usual.
        assert!(
            lucky.scale > 0.8 * USUAL_SIZE && lucky.freedom == 4,
            "{lucky:?}"
        );
        assert!((1.2..2.0).contains(&unlucky.scale), "{unlucky:?}");
    }

    #[test]
    fn intervals_grow_with_the_distance_also_where_nothing_was_judged() {
        let growth = Growth::calibrated(&[]);
        // What residuals tell grows by itself near the data, and is held here.
        let at = |larger, longer| growth.sd(&predicted(larger, longer));
        assert_eq!(at(0.0, 0.0), 0.007);
        for (near, far) in [(0.1, 0.2), (0.2, 0.3), (0.3, 0.7), (0.7, 1.4), (1.4, 2.3)] {
            assert!(at(far, 0.0) > at(near, 0.0), "{near} {far}");
            assert!(at(far, 0.4) > at(near, 0.4), "{near} {far}");
            assert!(at(0.4, far) > at(0.4, near), "{near} {far}");
        }
    }
}
