//! What a mixture must keep to: a floor and a cap per domain.

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Mixture, Result};

/// How far outside its bounds a weight may be by rounding.
const SLACK: f64 = 1e-9;

/// A floor and a cap on the weight of every domain.
///
/// ```
/// use regmix_data::DomainSet;
/// use regmix_regress::Constraints;
///
/// let domains = DomainSet::from_names(["web", "code", "law"])?;
/// let constraints = Constraints::none(domains).with_cap("web", 0.5)?.with_floor("law", 0.1)?;
/// let mixture = constraints.project(&[0.9, 0.1, 0.0])?;
/// assert_eq!(mixture.get("web"), Some(0.5));
/// assert!(constraints.allows(mixture.weights()));
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Constraints {
    domains: DomainSet,
    floors: Vec<f64>,
    caps: Vec<f64>,
}

/// A bound that a mixture sits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The domain.
    pub domain: String,
    /// Which of its bounds.
    pub bound: Bound,
}

/// A side of the allowed range of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The least weight allowed (above zero).
    Floor,
    /// The largest weight allowed (below one).
    Cap,
}

impl Constraints {
    /// No bounds but those of a mixture: weights between 0 and 1.
    pub fn none(domains: DomainSet) -> Self {
        let n = domains.len();
        Self {
            domains,
            floors: vec![0.0; n],
            caps: vec![1.0; n],
        }
    }

    /// Caps from repetition: no domain is seen more than `max_epochs` times.
    ///
    /// `available` are tokens per domain, `target_tokens` those of the run
    /// that the mixture is for. The cap is
    /// `min(1, max_epochs · available / target_tokens)`.
    ///
    /// ```
    /// use regmix_data::DomainSet;
    /// use regmix_regress::Constraints;
    ///
    /// let domains = DomainSet::from_names(["web", "code"])?;
    /// let caps = Constraints::from_epochs(domains, &[1e9, 5e7], 1e9, 4.0)?;
    /// assert_eq!(caps.caps(), [1.0, 0.2]);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a number is negative or not finite, `target_tokens` or
    /// `max_epochs` is zero, or the domains together are too small for the
    /// run.
    pub fn from_epochs(
        domains: DomainSet,
        available: &[f64],
        target_tokens: f64,
        max_epochs: f64,
    ) -> Result<Self> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if !positive(target_tokens) || !positive(max_epochs) {
            return Err(Error::input(format!(
                "{target_tokens} target tokens and {max_epochs} epochs: expected positive numbers"
            )));
        }
        if available.len() != domains.len() {
            return Err(Error::input(format!(
                "available tokens of {} domains, expected {}",
                available.len(),
                domains.len()
            )));
        }
        let mut out = Self::none(domains);
        for (i, &tokens) in available.iter().enumerate() {
            if !tokens.is_finite() || tokens < 0.0 {
                return Err(Error::input(format!(
                    "{tokens} available tokens, expected a finite number that is not negative"
                ))
                .field(out.domains[i].as_str()));
            }
            out.caps[i] = (max_epochs * tokens / target_tokens).min(1.0);
        }
        out.checked()
    }

    /// Requires a least weight.
    ///
    /// # Errors
    /// When the domain is unknown, the floor is not in `[0, 1]`, or no
    /// mixture can keep to all bounds.
    pub fn with_floor(mut self, domain: &str, floor: f64) -> Result<Self> {
        let i = self.place(domain, floor)?;
        self.floors[i] = floor;
        self.checked()
    }

    /// Sets a largest weight.
    ///
    /// # Errors
    /// As [`Constraints::with_floor`].
    pub fn with_cap(mut self, domain: &str, cap: f64) -> Result<Self> {
        let i = self.place(domain, cap)?;
        self.caps[i] = cap;
        self.checked()
    }

    /// Both these bounds and others over the same domains.
    ///
    /// # Errors
    /// When the domains differ or no mixture can keep to all bounds.
    pub fn and(mut self, other: &Self) -> Result<Self> {
        for name in other.domains.names() {
            self.domains.require(name)?;
        }
        for i in 0..self.domains.len() {
            let j = other.domains.require(self.domains[i].as_str())?;
            self.floors[i] = self.floors[i].max(other.floors[j]);
            self.caps[i] = self.caps[i].min(other.caps[j]);
        }
        self.checked()
    }

    /// The domains, in the order of the bounds.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// The least weights.
    pub fn floors(&self) -> &[f64] {
        &self.floors
    }

    /// The largest weights.
    pub fn caps(&self) -> &[f64] {
        &self.caps
    }

    /// The same bounds in the order of another set of the same domains.
    ///
    /// # Errors
    /// When a domain is in one set only.
    pub fn reordered(&self, domains: &DomainSet) -> Result<Self> {
        Self::none(domains.clone()).and(self)
    }

    /// Whether weights keep to the bounds, up to rounding (1e-9).
    pub fn allows(&self, weights: &[f64]) -> bool {
        weights.len() == self.domains.len()
            && (weights.iter().sum::<f64>() - 1.0).abs() <= Mixture::TOLERANCE
            && (weights.iter().zip(&self.floors).zip(&self.caps))
                .all(|((w, lo), hi)| *w >= lo - SLACK && *w <= hi + SLACK)
    }

    /// The bounds that weights sit on (within 1e-6), in domain order; a floor
    /// of 0 and a cap of 1 do not count.
    pub fn binding(&self, weights: &[f64]) -> Vec<Binding> {
        let mut out = Vec::new();
        for (i, w) in weights.iter().enumerate().take(self.domains.len()) {
            let mut note = |bound| {
                out.push(Binding {
                    domain: self.domains[i].to_string(),
                    bound,
                });
            };
            if self.floors[i] > 0.0 && *w <= self.floors[i] + 1e-6 {
                note(Bound::Floor);
            }
            if self.caps[i] < 1.0 && *w >= self.caps[i] - 1e-6 {
                note(Bound::Cap);
            }
        }
        out
    }

    /// The nearest allowed mixture in Kullback-Leibler divergence: weights
    /// are scaled by one factor and cut to their bounds. This is the
    /// projection of mirror descent with entropy, and it keeps the ratios of
    /// the weights that no bound stops.
    ///
    /// Zero weights count as 1e-12, so that floors and tight caps elsewhere
    /// can still be met. Weights that already keep to the bounds come back
    /// unchanged. Cost O(100 D).
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
        let inside = (weights.iter().zip(&self.floors).zip(&self.caps))
            .all(|((w, lo), hi)| w >= lo && w <= hi);
        if inside && (sum - 1.0).abs() < 1e-12 {
            return weights.to_vec();
        }
        let v: Vec<f64> = weights.iter().map(|w| w.max(1e-12)).collect();
        let cut = |scale: f64| -> Vec<f64> {
            (0..v.len())
                .map(|i| (v[i] * scale).max(self.floors[i]).min(self.caps[i]))
                .collect()
        };
        // At the low end all weights are at their floors, at the high end at
        // their caps; the sum grows in between.
        let ratios = |bounds: &[f64]| -> Vec<f64> {
            bounds
                .iter()
                .zip(&v)
                .map(|(b, v)| (b.max(1e-300) / v).ln())
                .collect()
        };
        let mut low = ratios(&self.floors)
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        let mut high = ratios(&self.caps)
            .into_iter()
            .fold(f64::NEG_INFINITY, f64::max);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if cut(middle.exp()).iter().sum::<f64>() < 1.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        let mut out = cut(high.exp());
        // What is left of bisection goes to the weights that no bound stops.
        let free = |w: &[f64]| -> Vec<usize> {
            (0..w.len())
                .filter(|&i| w[i] > self.floors[i] && w[i] < self.caps[i])
                .collect()
        };
        let loose = free(&out);
        let freely: f64 = loose.iter().map(|&i| out[i]).sum();
        let rest = 1.0 - (out.iter().sum::<f64>() - freely);
        if freely > 0.0 && rest > 0.0 {
            for i in loose {
                out[i] = (out[i] * rest / freely)
                    .max(self.floors[i])
                    .min(self.caps[i]);
            }
        }
        out
    }

    /// The allowed mixture with the lowest Σ slope · weight: floors, then
    /// the steepest descents filled up to their caps.
    pub(crate) fn lowest(&self, slopes: &[f64]) -> Vec<f64> {
        let mut out = self.floors.clone();
        let mut left = 1.0 - out.iter().sum::<f64>();
        let mut order: Vec<usize> = (0..out.len()).collect();
        order.sort_by(|&a, &b| slopes[a].total_cmp(&slopes[b]));
        for i in order {
            let step = left.min(self.caps[i] - self.floors[i]).max(0.0);
            out[i] += step;
            left -= step;
        }
        out
    }

    fn place(&self, domain: &str, bound: f64) -> Result<usize> {
        let i = self.domains.require(domain)?;
        if !(0.0..=1.0).contains(&bound) {
            return Err(
                Error::input(format!("bound {bound}, expected a weight between 0 and 1"))
                    .field(domain),
            );
        }
        Ok(i)
    }

    fn checked(self) -> Result<Self> {
        for (i, name) in self.domains.names().enumerate() {
            if self.floors[i] > self.caps[i] {
                return Err(Error::input(format!(
                    "floor {} of `{name}` is above its cap {}: no mixture can keep to both",
                    self.floors[i], self.caps[i]
                ))
                .field(name)
                .help("lower the floor, raise the cap, or allow more epochs"));
            }
        }
        let floors: f64 = self.floors.iter().sum();
        if floors > 1.0 + SLACK {
            return Err(Error::input(format!(
                "floors sum to {floors:.4}, expected at most 1: {}",
                self.listed(&self.floors, |w| w > 0.0)
            ))
            .help("lower some of them"));
        }
        let caps: f64 = self.caps.iter().sum();
        if caps < 1.0 - SLACK {
            return Err(Error::input(format!(
                "caps sum to {caps:.4}, expected at least 1: {}",
                self.listed(&self.caps, |w| w < 1.0)
            ))
            .help("raise some of them: allow more epochs, fewer target tokens, or add data"));
        }
        Ok(self)
    }

    fn listed(&self, bounds: &[f64], which: impl Fn(f64) -> bool) -> String {
        let listed = (self.domains.names().zip(bounds))
            .filter(|(_, w)| which(**w))
            .map(|(name, w)| format!("`{name}` {w:.4}"));
        listed.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domains(n: usize) -> DomainSet {
        DomainSet::from_names((0..n).map(|i| format!("d{i}"))).unwrap()
    }

    #[test]
    fn clashes_are_named() {
        let none = || Constraints::none(domains(2));
        let err = none()
            .with_cap("d0", 0.2)
            .unwrap()
            .with_cap("d1", 0.3)
            .unwrap_err();
        assert!(
            err.to_string().contains("`d0` 0.2000, `d1` 0.3000"),
            "{err}"
        );
        let err = none()
            .with_floor("d0", 0.7)
            .unwrap()
            .with_floor("d1", 0.7)
            .unwrap_err();
        assert!(err.to_string().contains("floors sum to 1.4"), "{err}");
        let err = none()
            .with_cap("d0", 0.2)
            .unwrap()
            .with_floor("d0", 0.3)
            .unwrap_err();
        assert!(err.to_string().contains("`d0` is above its cap"), "{err}");
        assert!(none().with_cap("x", 0.2).is_err() && none().with_cap("d0", 1.5).is_err());
        let err = Constraints::from_epochs(domains(2), &[10.0, 10.0], 100.0, 4.0).unwrap_err();
        assert!(err.to_string().contains("caps sum to 0.8"), "{err}");
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
                domain: "d0".into(),
                bound: Bound::Cap
            }]
        );
    }

    /// Bounds that some mixture keeps to, and weights to project.
    fn cases() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, Vec<f64>)> {
        let unit = || prop::collection::vec(0.0f64..1.0, 6);
        (unit(), unit(), unit(), unit()).prop_map(|(inside, down, up, v)| {
            let sum: f64 = inside.iter().sum::<f64>() + 1e-9;
            let inside: Vec<f64> = inside.iter().map(|w| w / sum).collect();
            let floors = inside
                .iter()
                .zip(&down)
                .map(|(w, d)| w * d * 0.999)
                .collect();
            let caps = inside
                .iter()
                .zip(&up)
                .map(|(w, u)| (w + u * (1.0 - w)).min(1.0))
                .collect();
            (floors, caps, v)
        })
    }

    proptest! {
        #[test]
        fn projection_is_allowed_idempotent_and_nearest((floors, caps, v) in cases()) {
            prop_assume!(caps.iter().sum::<f64>() >= 1.0 && v.iter().sum::<f64>() > 1e-3);
            let c = Constraints { domains: domains(6), floors, caps }.checked().unwrap();
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
    }
}
