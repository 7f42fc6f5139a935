//! Methods compared on targets: how good each mixture is, and what it cost to find
//! it.

mod method;
mod statistics;

use std::collections::BTreeMap;

use regmix_data::{Mixture, Result};
use regmix_regress::Objective;
use regmix_regress::metrics::mean_and_sd;
use serde::{Deserialize, Serialize};

use crate::check::{TargetRun, mean_losses};
use crate::files::{FOUND, NATURAL};
use crate::report::list;

pub use method::{Method, Preset};
pub(crate) use statistics::t_point;
use statistics::{holm, two_sided};

/// What was spent before a mixture was known: nothing for one that needs no run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SearchCost {
    /// Tokens that models were trained on to find it; methods may share them.
    pub tokens: u64,
    /// Floating-point operations of that training.
    pub flops: f64,
    /// Seconds of that training, as runs recorded them, added up.
    pub seconds: f64,
}

impl SearchCost {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            flops: self.flops + other.flops,
            seconds: self.seconds + other.seconds,
        }
    }
}

/// A difference between two methods, paired by seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Mean over seeds of the other method's objective minus this one's: positive where
    /// this one is better.
    pub gain: f64,
    /// 95% interval of the mean by Student's t; none with one seed.
    pub interval: Option<[f64; 2]>,
    /// Two-sided p-value of no difference.
    pub p: Option<f64>,
    /// The same after Holm's correction over all methods.
    pub p_holm: Option<f64>,
}

impl Difference {
    /// The p-value after Holm's correction as it is printed; none with one seed.
    pub fn p_text(&self) -> Option<String> {
        self.p_holm.map(|p| match p < 0.001 {
            true => "< 0.001".to_owned(),
            false => format!("{p:.3}"),
        })
    }
}

/// A method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodResult {
    /// Its name.
    pub name: String,
    /// The mixture; for a method that changes it, the mean over training.
    pub mixture: Mixture,
    /// Mean of the objective over seeds.
    pub mean: f64,
    /// Standard deviation over seeds; none with one seed.
    pub sd: Option<f64>,
    /// Seeds.
    pub seeds: usize,
    /// Mean loss per domain, nats per token.
    pub losses: BTreeMap<String, f64>,
    /// Against the natural mixture.
    pub over_natural: Option<Difference>,
    /// Against the mixture that the study found.
    pub over_found: Option<Difference>,
    /// What finding it cost.
    pub cost: SearchCost,
    /// Nats gained over the natural mixture per million tokens of proxies.
    pub gain_per_million_tokens: Option<f64>,
}

/// All methods, as stored in `compare.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodComparison {
    /// Version of this file's layout.
    pub version: u32,
    /// What was compared; lower is better.
    pub objective: Objective,
    /// Parameters of a target.
    pub target_parameters: usize,
    /// Tokens each target was trained on.
    pub target_tokens: u64,
    /// Floating-point operations of training one target.
    pub target_flops: f64,
    /// The methods, the lowest mean first.
    pub methods: Vec<MethodResult>,
    /// All runs.
    pub runs: Vec<TargetRun>,
}

/// A method that targets were trained by.
pub(crate) struct Tried {
    pub(crate) name: String,
    pub(crate) mixture: Mixture,
    pub(crate) cost: SearchCost,
}

impl MethodComparison {
    /// Compares finished runs, whose arms are the names of methods.
    pub(crate) fn new(
        objective: Objective,
        (target_parameters, target_tokens, target_flops): (usize, u64, f64),
        tried: Vec<Tried>,
        runs: Vec<TargetRun>,
    ) -> Result<Self> {
        let of = |name: &str| -> BTreeMap<u64, f64> {
            (runs.iter().filter(|r| r.arm == name))
                .map(|r| (r.seed, r.objective))
                .collect()
        };
        let (natural, found) = (of(NATURAL), of(FOUND));
        let mut methods: Vec<MethodResult> = Vec::new();
        for Tried {
            name,
            mixture,
            cost,
        } in tried
        {
            let own = of(&name);
            if own.is_empty() {
                continue; // All of its runs failed, and a message named them.
            }
            let values: Vec<f64> = own.values().copied().collect();
            let (mean, sd) = mean_and_sd(&values);
            let over = |other: &BTreeMap<u64, f64>, is_other: bool| match is_other {
                true => None,
                false => difference(&own, other),
            };
            let over_natural = over(&natural, name == NATURAL);
            let per_token = over_natural
                .filter(|_| cost.tokens > 0)
                .map(|d| 1e6 * d.gain / cost.tokens as f64);
            methods.push(MethodResult {
                losses: mean_losses(&runs, &name),
                mean,
                sd: (values.len() > 1).then_some(sd),
                seeds: values.len(),
                over_natural,
                over_found: over(&found, name == FOUND),
                cost,
                gain_per_million_tokens: per_token,
                name,
                mixture,
            });
        }
        let of_natural: fn(&mut MethodResult) -> &mut Option<Difference> = |m| &mut m.over_natural;
        let of_found: fn(&mut MethodResult) -> &mut Option<Difference> = |m| &mut m.over_found;
        for which in [of_natural, of_found] {
            let mut all: Vec<&mut Difference> = methods
                .iter_mut()
                .filter_map(|m| which(m).as_mut())
                .collect();
            let p: Vec<Option<f64>> = all.iter().map(|d| d.p).collect();
            for (difference, p) in all.iter_mut().zip(holm(&p)) {
                difference.p_holm = p;
            }
        }
        methods.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        Ok(Self {
            version: 1,
            objective,
            target_parameters,
            target_tokens,
            target_flops,
            methods,
            runs,
        })
    }

    /// The outcome in one sentence.
    pub fn sentence(&self) -> String {
        let Some(best) = self.methods.first() else {
            return "No method was compared.".to_owned();
        };
        let found = self.methods.iter().find(|m| m.name == FOUND);
        let clear = |d: Option<Difference>| d.and_then(|d| d.p_holm).is_some_and(|p| p < 0.05);
        let (mut better, mut worse) = (Vec::new(), Vec::new());
        for method in &self.methods {
            if let Some(d) = method.over_found.filter(|d| clear(Some(*d))) {
                if d.gain > 0.0 {
                    &mut better
                } else {
                    &mut worse
                }
                .push(method.name.clone());
            }
        }
        let Some(found) = found else {
            return format!("The lowest mean loss is that of {}.", best.name);
        };
        if found.seeds < 2 {
            return format!(
                "The lowest loss is that of {}; with one seed no difference can be distinguished \
                 from noise.",
                best.name
            );
        }
        let words = |names: &[String]| match names.is_empty() {
            true => "no other method".to_owned(),
            false => list(names),
        };
        format!(
            "The lowest mean is that of {}. At 95% after Holm's correction, the found mixture \
             is better than {} and worse than {}.",
            best.name,
            words(&worse),
            words(&better),
        )
    }
}

fn difference(own: &BTreeMap<u64, f64>, other: &BTreeMap<u64, f64>) -> Option<Difference> {
    let gains: Vec<f64> = (own.iter())
        .filter_map(|(seed, value)| Some(other.get(seed)? - value))
        .collect();
    if gains.is_empty() {
        return None;
    }
    let (gain, sd) = mean_and_sd(&gains);
    let error = sd / (gains.len() as f64).sqrt();
    let several = gains.len() > 1;
    let half = t_point(gains.len() - 1) * error;
    Some(Difference {
        gain,
        interval: several.then_some([gain - half, gain + half]),
        p: several.then(|| two_sided(gain, error, gains.len() - 1)),
        p_holm: None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use regmix_data::DomainSet;

    /// Runs of methods with these objectives, by seed.
    pub(crate) fn comparison(values: &[(&str, &[f64])]) -> MethodComparison {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let runs = values.iter().flat_map(|(arm, values)| {
            values.iter().enumerate().map(move |(k, value)| TargetRun {
                run: format!("{arm}-{k}"),
                arm: (*arm).to_owned(),
                seed: k as u64,
                objective: *value,
                loss: BTreeMap::from([("a".to_owned(), *value)]),
                scores: BTreeMap::new(),
            })
        });
        let tried = values.iter().map(|(arm, _)| Tried {
            name: (*arm).to_owned(),
            mixture: Mixture::uniform(domains.clone()),
            cost: SearchCost {
                tokens: if *arm == FOUND { 2_000_000 } else { 0 },
                ..SearchCost::default()
            },
        });
        let target = (10, 1000, 1e6);
        MethodComparison::new(Objective::Mean, target, tried.collect(), runs.collect()).unwrap()
    }

    #[test]
    fn differences_are_paired_and_corrected_over_methods() {
        let compared = comparison(&[
            ("found", &[3.0, 3.1, 3.2]),
            ("natural", &[3.21, 3.29, 3.4]),
            ("uniform", &[3.0, 3.15, 3.19]),
        ]);
        let names: Vec<&str> = compared.methods.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["found", "uniform", "natural"]);
        let found = &compared.methods[0];
        let gain = found.over_natural.unwrap();
        assert!((gain.gain - 0.2).abs() < 1e-9 && found.over_found.is_none());
        // Differences 0.21, 0.19, 0.20: t = 0.2 / (0.01 / sqrt 3) = 34.6 with 2 degrees.
        assert!((gain.p.unwrap() - 8.32e-4).abs() < 2e-5, "{gain:?}");
        assert!(gain.p_holm.unwrap() >= gain.p.unwrap());
        assert!((found.gain_per_million_tokens.unwrap() - 0.1).abs() < 1e-9);
        assert_eq!(
            compared.sentence(),
            "The lowest mean is that of found. At 95% after Holm's correction, the found mixture \
             is better than natural and worse than no other method."
        );
    }

    #[test]
    fn one_seed_has_no_interval() {
        let compared = comparison(&[("found", &[3.0]), ("natural", &[3.2])]);
        let gain = compared.methods[0].over_natural.unwrap();
        assert_eq!((gain.interval, gain.p, gain.p_holm), (None, None, None));
        assert!(compared.sentence().contains("with one seed no difference"));
    }
}
