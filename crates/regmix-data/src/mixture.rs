//! Mixtures: weights over a [`DomainSet`].

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::{Domain, DomainSet};
use crate::error::{Error, Result};

/// Shares of *tokens* per domain: finite, not negative, summing to 1.
///
/// In JSON and TOML a mixture is a map from domain to weight, in the order of
/// its domain set.
///
/// ```
/// use regmix_data::{DomainSet, Mixture};
///
/// let domains = DomainSet::from_names(["web", "code", "law"])?;
/// let natural = Mixture::normalized(domains.clone(), vec![6.0, 3.0, 1.0])?;
/// assert_eq!(natural.weights(), [0.6, 0.3, 0.1]);
/// assert_eq!(natural.get("code"), Some(0.3));
/// // `new` does not rescale.
/// assert!(Mixture::new(domains, vec![0.3, 0.1, 0.1]).is_err());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    domains: DomainSet,
    weights: Vec<f64>,
}

impl Mixture {
    /// How far from 1 the sum given to [`Mixture::new`] may be.
    pub const TOLERANCE: f64 = 1e-6;

    /// Takes weights that already sum to 1 (within [`Mixture::TOLERANCE`]).
    ///
    /// # Errors
    /// When the number of weights differs from the number of domains, a
    /// weight is negative or not finite, or the sum is not 1.
    pub fn new(domains: DomainSet, weights: Vec<f64>) -> Result<Self> {
        let sum = check(&domains, &weights)?;
        if (sum - 1.0).abs() > Self::TOLERANCE {
            return Err(Error::input(format!(
                "weights sum to {sum}, expected 1 (within {:e})",
                Self::TOLERANCE
            ))
            .help("rescale the weights so that they sum to 1"));
        }
        Ok(Self { domains, weights })
    }

    /// Rescales weights to sum to 1.
    ///
    /// # Errors
    /// When the number of weights differs from the number of domains, a
    /// weight is negative or not finite, or all are zero.
    pub fn normalized(domains: DomainSet, mut weights: Vec<f64>) -> Result<Self> {
        let sum = check(&domains, &weights)?;
        if sum <= 0.0 || !sum.is_finite() {
            return Err(Error::input(format!(
                "weights sum to {sum}, expected a positive finite sum"
            )));
        }
        for w in &mut weights {
            *w /= sum;
        }
        Ok(Self { domains, weights })
    }

    /// The same weight for every domain.
    pub fn uniform(domains: DomainSet) -> Self {
        let n = domains.len();
        Self {
            domains,
            weights: vec![1.0 / n as f64; n],
        }
    }

    /// The weights to a power, rescaled: a power below 1 lifts small domains, and with
    /// 0 all domains that have a weight have the same.
    ///
    /// # Errors
    /// When the power is negative or not finite, or so large that nothing is left.
    pub fn tempered(&self, power: f64) -> Result<Self> {
        if !(power >= 0.0 && power.is_finite()) {
            return Err(Error::input(format!(
                "weights to the power of {power}: expected a number of 0 or more"
            )));
        }
        let raised = (self.weights.iter()).map(|w| match *w > 0.0 {
            true => w.powf(power),
            false => 0.0,
        });
        Self::normalized(self.domains.clone(), raised.collect())
    }

    /// The domains, in the order of the weights.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// The weights, in the order of the domains.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The weight of one domain.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.domains.position(name).map(|i| self.weights[i])
    }

    /// Domains with their weights.
    pub fn iter(&self) -> impl Iterator<Item = (&Domain, f64)> {
        self.domains.iter().zip(self.weights.iter().copied())
    }

    /// The same mixture in the order of another set of the same domains.
    ///
    /// # Errors
    /// When a domain is in one set only.
    pub fn reordered(&self, domains: &DomainSet) -> Result<Self> {
        if *domains == self.domains {
            return Ok(self.clone());
        }
        for name in self.domains.names() {
            domains.require(name)?;
        }
        let weights = domains
            .names()
            .map(|name| {
                self.get(name).ok_or_else(|| {
                    Error::input(format!("domain `{name}` has no weight: expected one"))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            domains: domains.clone(),
            weights,
        })
    }

    /// Total variation distance to another mixture over the same domains, in
    /// `[0, 1]`: half the sum of absolute differences.
    ///
    /// # Panics
    /// When the numbers of domains differ.
    pub fn tv_distance(&self, other: &Self) -> f64 {
        assert_eq!(self.domains.len(), other.domains.len());
        let l1: f64 = self
            .weights
            .iter()
            .zip(&other.weights)
            .map(|(a, b)| (a - b).abs())
            .sum();
        l1 / 2.0
    }
}

fn check(domains: &DomainSet, weights: &[f64]) -> Result<f64> {
    if weights.len() != domains.len() {
        return Err(Error::input(format!(
            "{} weights for {} domains: expected one each",
            weights.len(),
            domains.len()
        )));
    }
    for (domain, &w) in domains.iter().zip(weights) {
        if !w.is_finite() || w < 0.0 {
            return Err(Error::input(format!(
                "weight {w}, expected a finite number that is not negative"
            ))
            .field(domain.as_str()));
        }
    }
    Ok(weights.iter().sum())
}

impl Serialize for Mixture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.weights.len()))?;
        for (domain, weight) in self.iter() {
            map.serialize_entry(domain.as_str(), &weight)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Mixture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Weights;
        impl<'de> Visitor<'de> for Weights {
            type Value = Mixture;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map from domain to weight")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mixture, A::Error> {
                let mut domains = Vec::new();
                let mut weights = Vec::new();
                while let Some((domain, weight)) = map.next_entry::<Domain, f64>()? {
                    domains.push(domain);
                    weights.push(weight);
                }
                DomainSet::new(domains)
                    .and_then(|domains| Mixture::new(domains, weights))
                    .map_err(serde::de::Error::custom)
            }
        }
        deserializer.deserialize_map(Weights)
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
    fn bad_weights_are_refused_with_the_domain_named() {
        for (weights, expected) in [
            (vec![0.2, 0.3], "weights sum to 0.5"),
            (vec![1.5, -0.5], "`d1`: weight -0.5"),
            (vec![f64::NAN, 1.0], "`d0`: weight NaN"),
            (vec![1.0], "1 weights for 2 domains"),
        ] {
            let err = Mixture::new(domains(2), weights).unwrap_err();
            assert!(err.to_string().contains(expected), "{err}");
        }
        for (weights, sum) in [(vec![0.0; 2], "0"), (vec![f64::MAX; 2], "inf")] {
            let err = Mixture::normalized(domains(2), weights).unwrap_err();
            let expected = format!("weights sum to {sum}, expected a positive finite sum");
            assert_eq!(err.problem(), expected);
        }
    }

    #[test]
    fn reordering_joins_by_name() {
        let ab = DomainSet::from_names(["a", "b"]).unwrap();
        let ba = DomainSet::from_names(["b", "a"]).unwrap();
        let m = Mixture::new(ab.clone(), vec![0.25, 0.75]).unwrap();
        assert_eq!(m.reordered(&ba).unwrap().weights(), [0.75, 0.25]);
        let abc = DomainSet::from_names(["a", "b", "c"]).unwrap();
        let err = m.reordered(&abc).unwrap_err();
        assert!(err.problem().contains("domain `c` has no weight"), "{err}");
        let err = Mixture::uniform(abc).reordered(&ab).unwrap_err();
        assert!(err.problem().contains("unknown domain `c`"), "{err}");
    }

    #[test]
    fn a_power_makes_weights_more_or_less_even() {
        let m = Mixture::new(domains(3), vec![0.8, 0.2, 0.0]).unwrap();
        let weights = |power| m.tempered(power).unwrap().weights().to_vec();
        assert_eq!(weights(0.0), [0.5, 0.5, 0.0]);
        assert_eq!(weights(0.5)[0], 2.0 / 3.0);
        assert_eq!(weights(1.0), m.weights());
        for power in [-1.0, f64::NAN, f64::INFINITY] {
            let err = m.tempered(power).unwrap_err();
            let expected =
                format!("weights to the power of {power}: expected a number of 0 or more");
            assert_eq!(err.problem(), expected);
        }
        let err = m.tempered(1e9).unwrap_err();
        assert_eq!(
            err.problem(),
            "weights sum to 0, expected a positive finite sum"
        );
    }

    proptest! {
        #[test]
        fn normalized_sums_to_one_and_keeps_ratios(
            raw in prop::collection::vec(0.0f64..1e6, 1..40)
        ) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let total: f64 = raw.iter().sum();
            let m = Mixture::normalized(domains(raw.len()), raw.clone()).unwrap();
            prop_assert!((m.weights().iter().sum::<f64>() - 1.0).abs() < 1e-9);
            for (w, r) in m.weights().iter().zip(&raw) {
                prop_assert!((w * total - r).abs() <= 1e-9 * total);
            }
            // What was rescaled is accepted as it is, and survives serde.
            let json = serde_json::to_string(&m).unwrap();
            let back: Mixture = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(back, m);
        }

        #[test]
        fn distance_is_a_metric_in_the_unit_interval(
            a in prop::collection::vec(0.01f64..1.0, 5),
            b in prop::collection::vec(0.01f64..1.0, 5),
        ) {
            let a = Mixture::normalized(domains(5), a).unwrap();
            let b = Mixture::normalized(domains(5), b).unwrap();
            let d = a.tv_distance(&b);
            prop_assert!((0.0..=1.0).contains(&d));
            prop_assert!((d - b.tv_distance(&a)).abs() < 1e-15);
            prop_assert!(a.tv_distance(&a) < 1e-15);
        }
    }
}
