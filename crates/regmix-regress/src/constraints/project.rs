//! The nearest allowed mixture, and the lowest one on a plane.

use regmix_data::{Error, Mixture, Result};

use crate::constraints::Constraints;

/// Sums this close are equal.
const EQUAL: f64 = 1e-12;

impl Constraints {
    /// The nearest allowed mixture in Kullback-Leibler divergence
    /// `Σ w ln (w / v)`, the projection of mirror descent with entropy.
    ///
    /// All weights are scaled by one factor and cut to their bounds; where
    /// that takes a group out of its limits, the group gets a factor of its
    /// own that puts its total on the limit. The ratios of weights that no
    /// bound stops are kept, within a group and outside of groups.
    ///
    /// Zero weights count as 1e-12, so that floors and tight caps elsewhere
    /// can still be met. Weights that already keep to the bounds come back
    /// unchanged. Cost O(D²) at most: the total is piecewise linear in the
    /// factor, with 2 D pieces.
    ///
    /// ```
    /// use regmix_data::DomainSet;
    /// use regmix_regress::Constraints;
    ///
    /// let domains = DomainSet::from_names(["web", "github", "stack"])?;
    /// let code = Constraints::none(domains).with_group("code", &["github", "stack"], 0.0, 0.4)?;
    /// let mixture = code.project(&[0.2, 0.6, 0.2])?;
    /// for (w, expected) in mixture.weights().iter().zip([0.6, 0.3, 0.1]) {
    ///     assert!((w - expected).abs() < 1e-12);
    /// }
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the number of weights is wrong, or one is negative or not finite.
    pub fn project(&self, weights: &[f64]) -> Result<Mixture> {
        if weights.len() != self.domains.len() || weights.iter().any(|w| !w.is_finite() || *w < 0.0)
        {
            return Err(Error::input(format!(
                "cannot project {weights:?}: expected {} finite weights that are not negative",
                self.domains.len()
            )));
        }
        Mixture::new(self.domains.clone(), self.projected(weights))
    }

    pub(crate) fn projected(&self, weights: &[f64]) -> Vec<f64> {
        let sum: f64 = weights.iter().sum();
        if (sum - 1.0).abs() < EQUAL && self.inside(weights, 0.0, EQUAL) {
            return weights.to_vec();
        }
        let v: Vec<f64> = weights.iter().map(|w| w.max(1e-12)).collect();
        let all: Vec<usize> = (0..v.len()).collect();
        let lone: Vec<usize> = self.lone().collect();
        let scale = self.factor(&v, &all, 1.0, |scale| {
            let mut total = self.cut(&v, &lone, scale);
            for group in &self.groups {
                let own = self.cut(&v, &group.members, scale);
                let held = own.0 < group.floor || own.0 > group.cap;
                total.0 += own.0.max(group.floor).min(group.cap);
                total.1 += if held { 0.0 } else { own.1 };
            }
            total
        });
        let one = |i: usize, scale: f64| (v[i] * scale).max(self.floors[i]).min(self.caps[i]);
        let mut out: Vec<f64> = (0..v.len()).map(|i| one(i, scale)).collect();
        for group in &self.groups {
            let sum = group.sum(&out);
            let limit = sum.max(group.floor).min(group.cap);
            if (sum - limit).abs() > EQUAL {
                let own = self.factor(&v, &group.members, limit, |scale| {
                    self.cut(&v, &group.members, scale)
                });
                for &i in &group.members {
                    out[i] = one(i, own);
                }
            }
        }
        out
    }

    /// The least weight of a result: what is below it is a remainder of the
    /// search, and zero is meant.
    pub const LEAST_WEIGHT: f64 = 1e-6;

    /// Weights of a result: those below [`Constraints::LEAST_WEIGHT`] that no
    /// floor asks for become zero, and the others take their sum. Weights
    /// without such remainders come back unchanged.
    pub fn cleared(&self, weights: &[f64]) -> Vec<f64> {
        let is_remainder = |i: usize| weights[i] < Self::LEAST_WEIGHT && self.floors[i] == 0.0;
        let kept: Vec<f64> = (0..weights.len())
            .map(|i| if is_remainder(i) { 0.0 } else { weights[i] })
            .collect();
        if kept == weights {
            return kept;
        }
        let mut out = self.projected(&kept);
        for (o, kept) in out.iter_mut().zip(kept) {
            if kept == 0.0 && *o < Self::LEAST_WEIGHT {
                *o = 0.0;
            }
        }
        out
    }

    /// Sum of scaled weights cut to their bounds, and its slope.
    fn cut(&self, v: &[f64], places: &[usize], scale: f64) -> (f64, f64) {
        let (mut sum, mut slope) = (0.0, 0.0);
        for &i in places {
            let scaled = v[i] * scale;
            if scaled <= self.floors[i] {
                sum += self.floors[i];
            } else if scaled >= self.caps[i] {
                sum += self.caps[i];
            } else {
                sum += scaled;
                slope += v[i];
            }
        }
        (sum, slope)
    }

    /// The factor at which a total that grows with it meets a target:
    /// Newton's method, kept inside a bracket. The total is piecewise linear,
    /// so that the last step is exact.
    fn factor(
        &self,
        v: &[f64],
        places: &[usize],
        target: f64,
        total: impl Fn(f64) -> (f64, f64),
    ) -> f64 {
        let ratios =
            |bounds: &[f64]| -> Vec<f64> { places.iter().map(|&i| bounds[i] / v[i]).collect() };
        // At the low end all weights are at their floors, at the high end at
        // their caps.
        let mut low = ratios(&self.floors)
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        let mut high = ratios(&self.caps).into_iter().fold(0.0, f64::max);
        let mut scale = 1f64.max(low).min(high);
        for _ in 0..200 {
            let (sum, slope) = total(scale);
            let miss = target - sum;
            if miss.abs() <= 1e-15 || high - low <= 1e-16 * high {
                break;
            }
            if miss > 0.0 {
                low = scale;
            } else {
                high = scale;
            }
            let newton = scale + miss / slope;
            scale = if slope > 0.0 && newton > low && newton < high {
                newton
            } else {
                // Factors may differ by many orders of magnitude.
                (low.max(1e-18 * high) * high).sqrt()
            };
        }
        scale
    }

    /// The allowed mixture with the lowest Σ slope · weight: floors, then the
    /// floors of groups, then the steepest descents filled up to their caps.
    /// Exact, since groups share no domain. Cost O(D log D + D · groups).
    pub(crate) fn lowest(&self, slopes: &[f64]) -> Vec<f64> {
        let mut out = self.floors.clone();
        let mut order: Vec<usize> = (0..out.len()).collect();
        order.sort_by(|&a, &b| slopes[a].total_cmp(&slopes[b]));
        let mut group_of = vec![None; out.len()];
        for (g, group) in self.groups.iter().enumerate() {
            for &i in &group.members {
                group_of[i] = Some(g);
            }
            let mut left = group.floor - group.sum(&out);
            for &i in order.iter().filter(|i| group.members.contains(i)) {
                let step = left.min(self.caps[i] - out[i]).max(0.0);
                out[i] += step;
                left -= step;
            }
        }
        let mut room: Vec<f64> = (self.groups.iter())
            .map(|g| (g.cap - g.sum(&out)).max(0.0))
            .collect();
        let mut left = 1.0 - out.iter().sum::<f64>();
        for i in order {
            let mut step = left.min(self.caps[i] - out[i]);
            if let Some(g) = group_of[i] {
                step = step.min(room[g]);
            }
            let step = step.max(0.0);
            out[i] += step;
            left -= step;
            if let Some(g) = group_of[i] {
                room[g] -= step;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraints::{Binding, Bound, Group};
    use proptest::prelude::*;
    use regmix_data::DomainSet;

    fn domains(n: usize) -> DomainSet {
        DomainSet::from_names((0..n).map(|i| format!("d{i}"))).unwrap()
    }

    #[test]
    fn zero_weights_can_be_lifted() {
        let c = Constraints::none(domains(3)).with_cap("d0", 0.5).unwrap();
        let w = c.projected(&[1.0, 0.0, 0.0]);
        assert!(c.allows(&w) && (w[1] - 0.25).abs() < 1e-9, "{w:?}");
        let bound = c.binding(&w);
        assert_eq!(
            bound,
            [Binding {
                name: "d0".into(),
                bound: Bound::Cap
            }]
        );
    }

    /// Bounds and groups that some mixture keeps to, and weights to project.
    fn cases() -> impl Strategy<Value = (Constraints, Vec<f64>, Vec<f64>)> {
        let unit = || prop::collection::vec(0.0f64..1.0, 7);
        let tight = prop::collection::vec((any::<bool>(), 0.0f64..1.0, 0.0f64..1.0), 2);
        (unit(), unit(), unit(), unit(), unit(), tight).prop_map(
            |(inside, down, up, v, slopes, tight)| {
                let sum: f64 = inside.iter().sum::<f64>() + 1e-9;
                let inside: Vec<f64> = inside.iter().map(|w| w / sum).collect();
                let under = |w: f64, d: f64| w * d * 0.999;
                let over = |w: f64, u: f64| (w + u * (1.0 - w)).min(1.0);
                let mut c = Constraints::none(domains(7));
                for i in 0..7 {
                    c.floors[i] = under(inside[i], down[i]);
                    c.caps[i] = over(inside[i], up[i] * up[i]);
                }
                for (g, members) in [vec![0, 2], vec![3, 4, 6]].into_iter().enumerate() {
                    let total: f64 = members.iter().map(|&i| inside[i]).sum();
                    let (narrow, d, u) = tight[g];
                    let u = if narrow { 0.01 * u } else { u };
                    let group = Group {
                        name: format!("g{g}"),
                        members,
                        floor: under(total, d),
                        cap: over(total, u),
                    };
                    group.join(&mut c.groups, &c.domains).unwrap();
                }
                (c.checked().unwrap(), v, slopes)
            },
        )
    }

    proptest! {
        #[test]
        fn projection_is_allowed_idempotent_and_nearest((c, v, _) in cases()) {
            prop_assume!(v.iter().sum::<f64>() > 1e-3);
            let w = c.project(&v).unwrap();
            prop_assert!(c.allows(w.weights()), "{w:?}");
            let again = c.projected(w.weights());
            for (a, b) in again.iter().zip(w.weights()) {
                prop_assert!((a - b).abs() < 1e-9);
            }
            // No other allowed mixture is nearer in KL(w || v): the
            // divergence does not fall towards any corner.
            let slopes: Vec<f64> =
                w.weights().iter().zip(&v).map(|(w, v)| (w.max(1e-300) / v.max(1e-12)).ln()).collect();
            let corner = c.lowest(&slopes);
            let fall: f64 = slopes.iter().zip(&corner).zip(w.weights())
                .map(|((s, a), b)| s * (a - b)).sum();
            prop_assert!(fall > -1e-6, "{fall}");
        }

        #[test]
        fn no_allowed_mixture_is_below_the_lowest((c, v, slopes) in cases()) {
            let low = c.lowest(&slopes);
            prop_assert!(c.allows(&low), "{low:?}");
            let at = |w: &[f64]| w.iter().zip(&slopes).map(|(w, s)| w * s).sum::<f64>();
            // Far down the slope, and anywhere else.
            let steep: Vec<f64> = slopes.iter().map(|s| (-200.0 * s).exp()).collect();
            for other in [c.projected(&v), c.projected(&steep)] {
                prop_assert!(at(&low) <= at(&other) + 1e-9);
            }
            // Weight cannot be moved to a lower place without leaving a bound.
            for i in 0..7 {
                for j in 0..7 {
                    let mut moved = low.clone();
                    moved[i] += 1e-6;
                    moved[j] -= 1e-6;
                    prop_assert!(slopes[i] >= slopes[j] || !c.allows(&moved), "{i} {j} {low:?}");
                }
            }
        }
    }
}
