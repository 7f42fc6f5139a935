//! The methods that can be compared, by their names.

use std::fmt;
use std::str::FromStr;

use regmix_data::Error;

use crate::config::ScheduleMode;
use crate::files::{BEST_OBSERVED, FOUND};
use crate::plain_mixture::{NAMES, PlainMixture};

/// A way to find a mixture, or to change it while a model trains.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// What `regmix optimize` found for the study.
    Found,
    /// The best of the mixtures that proxies were trained on.
    BestObserved,
    /// By laws of scale, at the size and length of the target.
    AtTarget,
    /// A mixture that needs no run.
    Plain(PlainMixture),
    /// A method that is fitted to the study's proxies.
    Preset(Preset),
    /// DoReMi (arXiv 2305.10429), as `[doremi]` says.
    Doremi,
    /// MixMin (arXiv 2502.10510): the mixture of the predictions of experts, each trained
    /// on one domain alone.
    Mixmin,
    /// CLIMB (arXiv 2504.13161): proxies in three rounds, each chosen by boosted trees that
    /// are fitted to those before. The first are the study's.
    Climb,
    /// RegMix-D as published (arXiv 2606.18663), on the study's proxies.
    RegmixD {
        /// Whether the mixture is adapted while the target trains.
        online: bool,
    },
    /// A schedule, or a method that changes the mixture while the target trains.
    Schedule(ScheduleMode),
}

/// Published methods made of a regressor and a search, on the study's proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// RegMix (arXiv 2407.01492): boosted trees, and the mean of the best of 100,000
    /// simulated mixtures.
    Regmix,
    /// Data Mixing Laws (arXiv 2403.16952): exponentials of weights.
    Dml,
    /// BiMix (arXiv 2405.14908): a power of the target's own weight.
    Bimix,
    /// Olmix: a log-linear law, with a divergence from the natural mixture that costs
    /// 0.05 per nat.
    Olmix,
}

impl Preset {
    pub(crate) const ALL: [Self; 4] = [Self::Regmix, Self::Dml, Self::Bimix, Self::Olmix];

    /// Its name, which is also that of its arm.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regmix => "regmix",
            Self::Dml => "dml",
            Self::Bimix => "bimix",
            Self::Olmix => "olmix",
        }
    }

    /// The regressor it fits.
    pub(crate) fn regressor(self) -> &'static str {
        match self {
            Self::Regmix => "gbdt",
            other => other.as_str(),
        }
    }

    /// What a nat of divergence from the natural mixture costs.
    pub(crate) fn kl(self) -> f64 {
        match self {
            Self::Olmix => 0.05,
            _ => 0.0,
        }
    }
}

const AT_TARGET: &str = "at_target";
const DOREMI: &str = "doremi";
const MIXMIN: &str = "mixmin";
const CLIMB: &str = "climb";
const REGMIX_D: &str = "regmix_d";
const REGMIX_D_ONLINE: &str = "regmix_d_online";

/// The names of schedules.
const SCHEDULES: [ScheduleMode; 5] = [
    ScheduleMode::Offline,
    ScheduleMode::Online,
    ScheduleMode::Odm,
    ScheduleMode::Ado,
    ScheduleMode::Aioli,
];

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found => f.write_str(FOUND),
            Self::BestObserved => f.write_str(BEST_OBSERVED),
            Self::AtTarget => f.write_str(AT_TARGET),
            Self::Plain(plain) => write!(f, "{plain}"),
            Self::Preset(preset) => f.write_str(preset.as_str()),
            Self::Doremi => f.write_str(DOREMI),
            Self::Mixmin => f.write_str(MIXMIN),
            Self::Climb => f.write_str(CLIMB),
            Self::RegmixD { online: false } => f.write_str(REGMIX_D),
            Self::RegmixD { online: true } => f.write_str(REGMIX_D_ONLINE),
            Self::Schedule(mode) => f.write_str(mode.name()),
        }
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fixed = || {
            let plain = [
                Self::Found,
                Self::BestObserved,
                Self::AtTarget,
                Self::Doremi,
                Self::Mixmin,
                Self::Climb,
                Self::RegmixD { online: false },
                Self::RegmixD { online: true },
            ];
            let presets = Preset::ALL.map(Self::Preset).into_iter();
            (plain.into_iter().chain(presets)).chain(SCHEDULES.map(Self::Schedule))
        };
        if let Some(known) = fixed().find(|method| method.to_string() == text) {
            return Ok(known);
        }
        if let Ok(plain) = text.parse() {
            return Ok(Self::Plain(plain));
        }
        let names: Vec<String> = fixed().map(|method| method.to_string()).collect();
        let mut plain = PlainMixture::all();
        plain.push(PlainMixture::Utilimax);
        let all = names
            .iter()
            .cloned()
            .chain(plain.iter().map(PlainMixture::to_string));
        let nearest = all
            .map(|name| (strsim::damerau_levenshtein(text, &name), name))
            .min()
            .filter(|(distance, name)| *distance <= name.len().div_ceil(2));
        let e = Error::input(format!("unknown method `{text}`"));
        Err(match nearest {
            Some((_, name)) => e.help(format!("did you mean `{name}`?")),
            None => e.help(format!("expected one of {}, {NAMES}", names.join(", "))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_slips_are_mended() {
        for name in [
            "found",
            "at_target",
            "uniform",
            "temperature:0.7",
            "regmix",
            "climb",
            "odm",
        ] {
            assert_eq!(name.parse::<Method>().unwrap().to_string(), name);
        }
        let help = |name: &str| {
            let e = name.parse::<Method>().unwrap_err();
            e.help_text().unwrap_or_default().to_owned()
        };
        assert_eq!(help("doremy"), "did you mean `doremi`?");
        assert!(help("something quite different").starts_with("expected one of found, "));
    }
}
