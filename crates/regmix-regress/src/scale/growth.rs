//! How intervals grow beyond the fitted runs.

use serde::{Deserialize, Serialize};

use crate::prediction::{Prediction, Z90};
use crate::scale::blend::LnPrediction;
use crate::scale::split::Direction;

/// What is added to standard deviations beyond the fitted sizes and lengths, and a
/// factor on the whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Growth {
    size: Step,
    tokens: Step,
    factor: f64,
}

/// A standard deviation, in units of the spread at the fitted runs, at a distance
/// in logarithms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    sd: f64,
    distance: f64,
}

impl Step {
    /// Up to its distance with a power of it, beyond it in proportion.
    fn sd(self, distance: f64, power: f64) -> f64 {
        let part = distance / self.distance;
        self.sd * part.powf(power).max(part)
    }
}

/// Models that are a little larger already have a deviation of their own: the
/// sizes of a table differ in depth, width and seed as well.
const BY_SIZE: f64 = 0.25;
/// Longer training goes on from where the runs ended, as a random walk does.
const BY_TOKENS: f64 = 0.5;

/// A held-out measurement: the error of the logarithm, and what was predicted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) error: f64,
    pub(crate) predicted: LnPrediction,
}

impl Growth {
    /// Set by the intervals that would hold 90 % of the held-out measurements of
    /// every split. A split judges one size and one length, so that what it asks
    /// for counts half, and what was seen on published runs the other half.
    pub(crate) fn calibrated(splits: &[(Direction, Vec<Held>)]) -> Self {
        /// In spreads, at twice the size and at twice the length.
        const USUAL: [f64; 2] = [2.0, 0.75];
        let step = |direction, usual, power, distance: fn(&LnPrediction) -> f64| {
            let usual = Step {
                sd: usual,
                distance: 2f64.ln(),
            };
            let asked = splits.iter().find(|s| s.0 == direction);
            let asked = asked.and_then(|(_, held)| {
                let far = held.iter().map(|h| distance(&h.predicted));
                let far = far.fold(0.0, f64::max);
                let needed = held.iter().map(|h| {
                    let more = (h.error / Z90).powi(2) - h.predicted.base.powi(2);
                    more.max(0.0).sqrt() / h.predicted.spread
                });
                (far > 0.1).then_some((ninety(needed.collect())?, far))
            });
            asked.map_or(usual, |(needed, far)| Step {
                sd: (0.5 * (needed.powi(2) + usual.sd(far, power).powi(2))).sqrt(),
                distance: far,
            })
        };
        let mut out = Self {
            size: step(Direction::Larger, USUAL[0], BY_SIZE, |p| p.larger),
            tokens: step(Direction::Longer, USUAL[1], BY_TOKENS, |p| p.longer),
            factor: 1.0,
        };
        let asked = splits.iter().filter_map(|(_, held)| {
            let ratios = held.iter();
            ninety(
                ratios
                    .map(|h| h.error / (Z90 * out.sd(&h.predicted)))
                    .collect(),
            )
        });
        let most = asked.fold(0.0, f64::max);
        // Where no larger model was judged, nothing says that less is enough.
        let judged = |d| splits.iter().any(|s| s.0 == d);
        let least = match judged(Direction::Larger) || judged(Direction::OtherMixtures) {
            true => 0.7,
            false => 1.0,
        };
        if most > 0.0 {
            // The widest split is one of few: half of what it asks for.
            out.factor = most.sqrt().clamp(least, 2.0);
        }
        out
    }

    fn sd(&self, p: &LnPrediction) -> f64 {
        let beyond = (self.size.sd(p.larger, BY_SIZE)).hypot(self.tokens.sd(p.longer, BY_TOKENS));
        self.factor * p.base.hypot(p.spread * beyond)
    }

    /// The loss with its standard deviation.
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
        [self.size.distance, self.tokens.distance, self.factor]
            .into_iter()
            .all(positive)
            && self.size.sd.is_finite()
            && self.tokens.sd.is_finite()
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

    fn held(error: f64, larger: f64, longer: f64) -> Held {
        Held {
            error,
            predicted: LnPrediction {
                mean: 0.0,
                base: 0.005,
                spread: 0.005,
                larger,
                longer,
            },
        }
    }

    /// Errors spread evenly up to the largest.
    fn split(most: f64, larger: f64, longer: f64) -> Vec<Held> {
        (1..=200)
            .map(|i| held(most * f64::from(i) / 200.0, larger, longer))
            .collect()
    }

    fn inside(growth: &Growth, held: &[Held]) -> f64 {
        let n = held.len() as f64;
        let within = |h: &&Held| h.error <= Z90 * growth.sd(&h.predicted);
        held.iter().filter(within).count() as f64 / n
    }

    #[test]
    fn intervals_follow_the_errors_of_the_splits() {
        let calibrated = |most: f64| {
            let splits = [
                (Direction::Larger, split(most, 0.6, 0.0)),
                (Direction::Longer, split(0.5 * most, 0.0, 0.7)),
            ];
            let growth = Growth::calibrated(&splits);
            splits.map(|s| inside(&growth, &s.1))
        };
        for most in [0.015, 0.02, 0.03] {
            let all = calibrated(most);
            assert!(all.iter().all(|i| *i >= 0.8), "{most}: {all:?}");
        }
        // Errors much larger than usual are believed only in part.
        assert!(calibrated(0.1)[0] > 0.5);
    }

    #[test]
    fn intervals_do_not_shrink_where_no_larger_model_was_judged() {
        let longer = (Direction::Longer, split(0.001, 0.0, 0.7));
        let larger = (Direction::Larger, split(0.001, 0.6, 0.0));
        let at = held(0.0, 0.6, 0.0).predicted;
        let alone = Growth::calibrated(std::slice::from_ref(&longer));
        let both = Growth::calibrated(&[longer, larger]);
        assert!(alone.factor == 1.0 && both.factor < 1.0);
        assert!(alone.sd(&at) > both.sd(&at));
    }

    #[test]
    fn intervals_grow_with_the_distance_also_where_nothing_was_judged() {
        let growth = Growth::calibrated(&[]);
        let at = |larger, longer| growth.sd(&held(0.0, larger, longer).predicted);
        assert_eq!(at(0.0, 0.0), 0.005);
        assert!(at(0.3, 0.0) > at(0.0, 0.3));
        assert!(at(1.4, 0.7) > at(0.7, 0.7) && at(0.7, 0.7) > at(0.7, 0.0));
    }
}
