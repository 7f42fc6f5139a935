//! Names of mixtures that need no run.

use std::fmt;
use std::str::FromStr;

use regmix_data::entropy::EntropyKind;
use regmix_data::{DomainSet, Error, Mixture, Monitor, PileMixture};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A mixture that needs no proxies, by its name.
///
/// | name | weights |
/// |---|---|
/// | `natural` | proportional to the tokens of each domain |
/// | `uniform` | the same for all domains |
/// | `temperature:0.5` | natural weights to this power, rescaled; 0.5 if it is left out |
/// | `unimax` | as even as the limit of repetition allows (arXiv 2304.09151) |
/// | `utilimax` | near the best of every task, by given utilities of the domains (arXiv 2501.11747), see [`regmix_regress::utilimax`] |
/// | `shannon_entropy`, `joint_entropy`, `conditional_entropy`, `von_neumann_entropy` | `e^H` (BiMix, arXiv 2405.14908), see [`regmix_data::entropy`]; the base of H may follow: `joint_entropy:2` |
/// | `pile:human`, `pile:doremi`, `pile:regmix` | published, see [`PileMixture`] |
///
/// ```
/// use regmix_study::PlainMixture;
///
/// let half: PlainMixture = "temperature:0.50".parse()?;
/// assert_eq!(half.to_string(), "temperature:0.5");
/// assert!("temperature:-1".parse::<PlainMixture>().is_err());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlainMixture {
    /// Shares of tokens.
    Natural,
    /// The same weight for every domain.
    Uniform,
    /// Natural weights to a power.
    Temperature(f64),
    /// As even as the limit of repetition allows.
    Unimax,
    /// By given utilities of the domains for tasks.
    Utilimax,
    /// From an entropy, and the base of its logarithm.
    Entropy(EntropyKind, f64),
    /// Published for the Pile.
    Pile(PileMixture),
}

const ENTROPY: &str = "_entropy";

/// All names, for help.
pub(crate) const NAMES: &str = "natural, uniform, temperature:POWER, unimax, utilimax, \
                                shannon_entropy, joint_entropy, conditional_entropy, von_neumann_entropy, \
                                pile:human, pile:doremi, pile:regmix";

impl PlainMixture {
    /// One of every kind, apart from those for the Pile and the one that needs utilities.
    pub fn all() -> Vec<Self> {
        let entropies = EntropyKind::ALL.map(|kind| Self::Entropy(kind, std::f64::consts::E));
        [
            Self::Natural,
            Self::Uniform,
            Self::Temperature(0.5),
            Self::Unimax,
        ]
        .into_iter()
        .chain(entropies)
        .collect()
    }
}

impl fmt::Display for PlainMixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Natural => f.write_str("natural"),
            Self::Uniform => f.write_str("uniform"),
            Self::Temperature(power) => write!(f, "temperature:{power}"),
            Self::Unimax => f.write_str("unimax"),
            Self::Utilimax => f.write_str("utilimax"),
            Self::Entropy(kind, base) if *base == std::f64::consts::E => {
                write!(f, "{}{ENTROPY}", kind.as_str())
            }
            Self::Entropy(kind, base) => write!(f, "{}{ENTROPY}:{base}", kind.as_str()),
            Self::Pile(mixture) => write!(f, "pile:{}", mixture.as_str()),
        }
    }
}

impl FromStr for PlainMixture {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        let number = |default: f64, ok: fn(f64) -> bool, expected: &str| match parameter {
            None => Ok(default),
            Some(given) => (given.parse().ok().filter(|x: &f64| x.is_finite() && ok(*x)))
                .ok_or_else(|| {
                    Error::input(format!("`{text}`: expected {expected} after the colon"))
                }),
        };
        let kind = (name.strip_suffix(ENTROPY))
            .and_then(|name| EntropyKind::ALL.into_iter().find(|k| k.as_str() == name));
        if let Some(kind) = kind {
            let base = number(std::f64::consts::E, |b| b > 1.0, "a base above 1")?;
            return Ok(Self::Entropy(kind, base));
        }
        match (name, parameter) {
            ("natural", None) => Ok(Self::Natural),
            ("uniform", None) => Ok(Self::Uniform),
            ("unimax", None) => Ok(Self::Unimax),
            ("utilimax", None) => Ok(Self::Utilimax),
            ("temperature", _) => {
                let power = number(0.5, |p| p >= 0.0, "a power of 0 or more")?;
                Ok(Self::Temperature(power))
            }
            ("pile", Some(published)) => (PileMixture::ALL.into_iter())
                .find(|m| m.as_str() == published)
                .map(Self::Pile)
                .ok_or_else(|| {
                    Error::input(format!(
                        "`{text}`: expected pile:human, pile:doremi or pile:regmix"
                    ))
                }),
            _ => Err(Error::input(format!("unknown mixture `{text}`"))
                .help(format!("expected one of {NAMES}"))),
        }
    }
}

impl<'de> Deserialize<'de> for PlainMixture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|e: Error| {
            let known = e
                .help_text()
                .map_or_else(String::new, |help| format!(": {help}"));
            D::Error::custom(format!("{e}{known}"))
        })
    }
}

impl Serialize for PlainMixture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A published mixture over the domains that there are; `monitor` hears how much of
/// its weight the others have.
pub(crate) fn published(
    mixture: PileMixture,
    domains: &DomainSet,
    monitor: &dyn Monitor,
) -> Result<Mixture, Error> {
    let (over, share) = mixture.over(domains)?;
    if share < 0.9995 {
        monitor.message(&format!(
            "the {} domains here have {:.1}% of the weight of pile:{}; it is rescaled",
            domains.len(),
            100.0 * share,
            mixture.as_str()
        ));
    }
    Ok(over)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let mut all = PlainMixture::all();
        all.extend(PileMixture::ALL.map(PlainMixture::Pile));
        all.push(PlainMixture::Utilimax);
        all.push(PlainMixture::Temperature(0.0));
        all.push(PlainMixture::Entropy(EntropyKind::VonNeumann, 2.0));
        for mixture in all {
            let name = mixture.to_string();
            assert_eq!(name.parse::<PlainMixture>().unwrap(), mixture, "{name}");
            assert_eq!(serde_json::to_value(mixture).unwrap(), name);
        }
        let plain: PlainMixture = "temperature".parse().unwrap();
        assert_eq!(plain, PlainMixture::Temperature(0.5));
    }

    #[test]
    fn other_names_are_refused() {
        for (text, expected) in [
            ("neutral", "unknown mixture `neutral`"),
            ("natural:2", "unknown mixture `natural:2`"),
            ("pile", "unknown mixture `pile`"),
            (
                "pile:web",
                "`pile:web`: expected pile:human, pile:doremi or pile:regmix",
            ),
            (
                "temperature:hot",
                "`temperature:hot`: expected a power of 0 or more after the colon",
            ),
            (
                "temperature:-1",
                "`temperature:-1`: expected a power of 0 or more after the colon",
            ),
            (
                "temperature:inf",
                "`temperature:inf`: expected a power of 0 or more after the colon",
            ),
            (
                "joint_entropy:1",
                "`joint_entropy:1`: expected a base above 1 after the colon",
            ),
            ("_entropy", "unknown mixture `_entropy`"),
        ] {
            let err = text.parse::<PlainMixture>().unwrap_err();
            assert_eq!(err.problem(), expected);
        }
    }
}
