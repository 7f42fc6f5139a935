//! Whether the prediction was confirmed: targets trained on the mixture that
//! was found and on those it is compared with.

use std::collections::{BTreeMap, BTreeSet};

use regmix_data::{Error, Mixture, Result};
use regmix_regress::Objective;
use regmix_regress::metrics::mean_and_sd;
use serde::{Deserialize, Serialize};

use crate::compare::t_point;
use crate::files::FOUND;
use crate::report::{list, plural};

/// One finished target run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRun {
    /// The run's name.
    pub run: String,
    /// Which mixture it was trained on: `found`, `natural`, `uniform`, ….
    pub arm: String,
    /// Its seed.
    pub seed: u64,
    /// The objective, in its unit (nats per token for losses).
    pub objective: f64,
    /// Final loss per domain, nats per token.
    pub loss: BTreeMap<String, f64>,
    /// Accuracies on the questions of `[eval]`, where the target kept its weights.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
}

/// All runs on one mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// `found`, `natural`, `uniform`, ….
    pub name: String,
    /// The mixture.
    pub mixture: Mixture,
    /// Mean of the objective over seeds.
    pub mean: f64,
    /// Standard deviation over seeds; absent with one seed.
    pub sd: Option<f64>,
    /// How many seeds.
    pub seeds: usize,
    /// What the fit predicted for a proxy on this mixture.
    pub predicted: Option<f64>,
}

/// An arm against another one, paired by seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The arm that is judged: `found`, `offline` or `online`.
    #[serde(default = "found")]
    pub of: String,
    /// The other arm.
    pub against: String,
    /// Mean of (other - judged) over seeds: positive when the judged arm is
    /// better.
    pub gain: f64,
    /// Standard deviation of that difference; absent with one seed.
    pub sd: Option<f64>,
    /// 95% interval of the mean (Student's t over paired differences).
    pub interval: Option<[f64; 2]>,
    /// Interpretation of the interval.
    pub verdict: Verdict,
}

fn found() -> String {
    FOUND.to_owned()
}

/// What a comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The judged arm is better: the interval lies above zero.
    Better,
    /// It is worse: the interval lies below zero.
    Worse,
    /// The interval contains zero, or there is one seed only.
    Unclear,
}

/// The whole check, as stored in `check.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetCheck {
    /// Version of this file's layout.
    pub version: u32,
    /// What was compared; lower is better.
    pub objective: Objective,
    /// Parameters of a proxy.
    pub proxy_parameters: usize,
    /// Parameters of the target.
    pub target_parameters: usize,
    /// Tokens each target was trained on.
    pub target_tokens: u64,
    /// One per mixture; `found` first.
    pub arms: Vec<Arm>,
    /// The found mixture against each of the others; then every schedule
    /// against the found mixture, the others, and the schedules before it.
    pub comparisons: Vec<Comparison>,
    /// All runs.
    pub runs: Vec<TargetRun>,
}

impl TargetCheck {
    /// Summarizes finished runs. `arms` gives the mixtures in order, the found
    /// one first, with what was predicted for each; the last `schedules` of
    /// them are mean mixtures of schedules.
    ///
    /// # Errors
    /// When an arm has no run, or a comparison has no seed in common.
    pub fn new(
        objective: Objective,
        [proxy_parameters, target_parameters]: [usize; 2],
        target_tokens: u64,
        arms: Vec<(String, Mixture, Option<f64>)>,
        schedules: usize,
        runs: Vec<TargetRun>,
    ) -> Result<Self> {
        let of = |name: &str| -> BTreeMap<u64, f64> {
            (runs.iter().filter(|r| r.arm == name))
                .map(|r| (r.seed, r.objective))
                .collect()
        };
        let mut summaries = Vec::with_capacity(arms.len());
        let mut comparisons = Vec::new();
        for (name, mixture, predicted) in arms {
            let values: Vec<f64> = of(&name).into_values().collect();
            if values.is_empty() {
                return Err(Error::failed(format!(
                    "no target run on the {name} mixture was finished"
                ))
                .help("train those that failed again: `regmix target --redo`"));
            }
            let (mean, sd) = moments(&values);
            summaries.push(Arm {
                name,
                mixture,
                mean,
                sd,
                seeds: values.len(),
                predicted,
            });
        }
        let plain = summaries.len().saturating_sub(schedules);
        for (place, judged) in summaries.iter().enumerate() {
            let others = match place {
                0 => 1..plain,
                _ if place < plain => continue,
                _ => 0..place,
            };
            let own = of(&judged.name);
            for other in &summaries[others] {
                let differences: Vec<f64> = (of(&other.name).iter())
                    .filter_map(|(seed, value)| Some(value - own.get(seed)?))
                    .collect();
                comparisons.push(compare(&judged.name, &other.name, &differences)?);
            }
        }
        Ok(Self {
            version: 1,
            objective,
            proxy_parameters,
            target_parameters,
            target_tokens,
            arms: summaries,
            comparisons,
            runs,
        })
    }

    /// Whether the 95% interval of the gain over every other single mixture is
    /// above zero.
    pub fn is_better(&self) -> bool {
        let mut own = self.judged(FOUND).peekable();
        own.peek().is_some() && own.all(|c| c.verdict == Verdict::Better)
    }

    /// Whether the 95% interval of the gain over another single mixture is below zero.
    pub fn is_worse(&self) -> bool {
        self.judged(FOUND).any(|c| c.verdict == Verdict::Worse)
    }

    /// The comparisons of an arm with others.
    pub fn judged<'a>(&'a self, arm: &'a str) -> impl Iterator<Item = &'a Comparison> {
        self.comparisons.iter().filter(move |c| c.of == arm)
    }

    /// The outcome: a sentence for the found mixture, and one for every schedule.
    pub fn sentence(&self) -> String {
        let mut text = match (self.outcomes(FOUND), self.is_better(), self.is_worse()) {
            (None, ..) => {
                "No comparison: there is no other mixture to compare the found one with.".to_owned()
            }
            (Some(outcomes), true, _) => {
                format!("Confirmed on larger models: the found mixture {outcomes}.")
            }
            (Some(outcomes), _, true) => format!("Not confirmed: the found mixture {outcomes}."),
            (Some(outcomes), ..) => format!("Undecided: the found mixture {outcomes}."),
        };
        for arm in self.arms.iter().filter(|arm| arm.name != FOUND) {
            if let Some(outcomes) = self.outcomes(&arm.name) {
                text.push_str(&format!(" The {} schedule {outcomes}.", arm.name));
            }
        }
        text
    }

    /// The gain that was predicted for a proxy where a comparison measures that of targets;
    /// `None` where one of both predictions is not known.
    pub fn predicted_gain(&self, comparison: &Comparison) -> Option<f64> {
        let predicted = |name: &str| {
            let arm = self.arms.iter().find(|arm| arm.name == name)?;
            arm.predicted
        };
        Some(predicted(&comparison.against)? - predicted(&comparison.of)?)
    }

    /// What an arm is compared with, by verdict; `None` where it is not compared.
    fn outcomes(&self, arm: &str) -> Option<String> {
        let of = |words: &str, belongs: &dyn Fn(&Comparison) -> bool, intervals: [&str; 2]| {
            let own = self.judged(arm).filter(|c| belongs(c));
            let names: Vec<String> = own.map(|c| c.against.clone()).collect();
            let seeds = names
                .iter()
                .map(|name| self.common_seeds(arm, name))
                .min()?;
            let intervals = intervals[usize::from(names.len() > 1)];
            let seeds = plural(seeds, "seed");
            Some(format!("{words} {} ({seeds}, {intervals})", list(&names)))
        };
        let parts: Vec<String> = [
            of(
                "is worse than",
                &|c| c.verdict == Verdict::Worse,
                [
                    "95% interval of the gain below 0",
                    "95% intervals of the gains below 0",
                ],
            ),
            of(
                "cannot be distinguished from",
                &|c| c.verdict == Verdict::Unclear && c.interval.is_some(),
                [
                    "95% interval of the gain contains 0",
                    "95% intervals of the gains contain 0",
                ],
            ),
            of(
                "cannot be distinguished from",
                &|c| c.verdict == Verdict::Unclear && c.interval.is_none(),
                ["no interval", "no intervals"],
            ),
            of(
                "is better than",
                &|c| c.verdict == Verdict::Better,
                [
                    "95% interval of the gain above 0",
                    "95% intervals of the gains above 0",
                ],
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| parts.join("; it "))
    }

    /// How many seeds two arms have in common.
    fn common_seeds(&self, arm: &str, other: &str) -> usize {
        let seeds = |name: &str| -> BTreeSet<u64> {
            let own = self.runs.iter().filter(|run| run.arm == name);
            own.map(|run| run.seed).collect()
        };
        seeds(arm).intersection(&seeds(other)).count()
    }
}

fn compare(of: &str, against: &str, differences: &[f64]) -> Result<Comparison> {
    if differences.is_empty() {
        return Err(Error::failed(format!(
            "{of} and {against} have no seed in common"
        )));
    }
    let (gain, sd) = moments(differences);
    let interval = sd.map(|sd| {
        let half = t_point(differences.len() - 1) * sd / (differences.len() as f64).sqrt();
        [gain - half, gain + half]
    });
    let verdict = match interval {
        Some([low, _]) if low > 0.0 => Verdict::Better,
        Some([_, high]) if high < 0.0 => Verdict::Worse,
        _ => Verdict::Unclear,
    };
    Ok(Comparison {
        of: of.to_owned(),
        against: against.to_owned(),
        gain,
        sd,
        interval,
        verdict,
    })
}

/// Mean losses over the seeds of an arm, by domain; empty where it has no run.
pub(crate) fn mean_losses(runs: &[TargetRun], arm: &str) -> BTreeMap<String, f64> {
    let own: Vec<&TargetRun> = runs.iter().filter(|r| r.arm == arm).collect();
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for run in &own {
        for (name, loss) in &run.loss {
            *sums.entry(name.clone()).or_default() += loss / own.len() as f64;
        }
    }
    sums
}

/// Mean and, for two values and more, sample standard deviation.
fn moments(values: &[f64]) -> (f64, Option<f64>) {
    let (mean, sd) = mean_and_sd(values);
    (mean, (values.len() > 1).then_some(sd))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use regmix_data::DomainSet;

    /// A check of mixtures with these objectives, by seed; the found one is the first. Of a
    /// proxy, an objective 0.1 higher than for the one before is predicted.
    pub(crate) fn check_of(values: &[(&str, &[f64])]) -> TargetCheck {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let runs = values.iter().flat_map(|(arm, values)| {
            (values.iter().enumerate()).map(move |(seed, &objective)| TargetRun {
                run: format!("{arm}-{seed}"),
                arm: (*arm).to_owned(),
                seed: seed as u64,
                objective,
                loss: BTreeMap::new(),
                scores: BTreeMap::new(),
            })
        });
        let arms = values.iter().enumerate().map(|(place, (name, _))| {
            let mixture = Mixture::uniform(domains.clone());
            ((*name).to_owned(), mixture, Some(0.1 * place as f64))
        });
        let (arms, runs) = (arms.collect(), runs.collect());
        TargetCheck::new(Objective::Mean, [1, 4], 10, arms, 0, runs).unwrap()
    }

    fn check(found: &[f64], other: &[f64]) -> TargetCheck {
        check_of(&[("found", found), ("natural", other)])
    }

    #[test]
    fn pairing_by_seed_sees_what_the_spread_of_seeds_hides() {
        // Seeds differ by far more than mixtures do, but alike.
        let c = check(&[3.00, 3.50, 4.00], &[3.01, 3.51, 4.011]);
        assert!(c.is_better());
        assert!((c.comparisons[0].gain - 0.010333).abs() < 1e-6);
        assert!(c.arms[0].sd.unwrap() > 0.4);
        assert_eq!(
            c.sentence(),
            "Confirmed on larger models: the found mixture is better than natural (3 seeds, 95% \
             interval of the gain above 0)."
        );
    }

    #[test]
    fn noise_and_losses_are_reported_as_such() {
        let c = check(&[3.0, 3.2, 3.1], &[3.1, 3.1, 3.12]);
        assert_eq!(c.comparisons[0].verdict, Verdict::Unclear);
        assert!(!c.is_better());
        assert_eq!(
            c.sentence(),
            "Undecided: the found mixture cannot be distinguished from natural (3 seeds, 95% \
             interval of the gain contains 0)."
        );
        let c = check(&[3.1, 3.2, 3.3], &[3.0, 3.1, 3.2]);
        assert_eq!(c.comparisons[0].verdict, Verdict::Worse);
        assert_eq!(
            c.sentence(),
            "Not confirmed: the found mixture is worse than natural (3 seeds, 95% interval of the \
             gain below 0)."
        );
        // One seed proves nothing.
        let c = check(&[1.0], &[2.0]);
        assert_eq!(c.comparisons[0].verdict, Verdict::Unclear);
        assert_eq!(
            c.sentence(),
            "Undecided: the found mixture cannot be distinguished from natural (1 seed, no \
             interval)."
        );
    }

    #[test]
    fn several_mixtures_are_named_by_what_was_found() {
        let c = check_of(&[
            ("found", &[3.0, 3.1, 3.2]),
            ("natural", &[3.2, 3.3, 3.4001]),
            ("uniform", &[3.3, 3.4, 3.5001]),
            ("best_observed", &[2.8, 2.9, 3.0001]),
            ("pile", &[3.3, 3.0, 3.2]),
        ]);
        assert_eq!(
            c.sentence(),
            "Not confirmed: the found mixture is worse than best_observed (3 seeds, 95% interval \
             of the gain below 0); it cannot be distinguished from pile (3 seeds, 95% interval of \
             the gain contains 0); it is better than natural and uniform (3 seeds, 95% intervals \
             of the gains above 0)."
        );
        let predicted = c.comparisons.iter().map(|own| c.predicted_gain(own));
        let predicted: Vec<f64> = predicted.flatten().collect();
        let far = |(a, b): (&f64, &f64)| (a - b).abs() > 1e-12;
        assert!(!predicted.iter().zip(&[0.1, 0.2, 0.3, 0.4]).any(far));
        // The number of seeds is that of the pairs.
        let c = check(&[3.0, 3.1, 3.2], &[3.2, 3.3001]);
        assert!(c.sentence().contains("natural (2 seeds, "), "{c:?}");
        let c = check_of(&[("found", &[3.0, 3.1])]);
        assert!(!c.is_better() && !c.is_worse());
        assert_eq!(
            c.sentence(),
            "No comparison: there is no other mixture to compare the found one with."
        );
    }

    #[test]
    fn schedules_are_judged_against_all_arms_before_them() {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let values = [
            ("found", 3.0),
            ("natural", 3.2),
            ("offline", 2.9),
            ("online", 2.8),
        ];
        let runs = values.iter().flat_map(|&(arm, value)| {
            (0..3).map(move |seed| TargetRun {
                run: format!("{arm}-{seed}"),
                arm: arm.to_owned(),
                seed,
                objective: value + 0.001 * seed as f64,
                loss: BTreeMap::new(),
                scores: BTreeMap::new(),
            })
        });
        let arms = values.map(|(n, _)| (n.to_owned(), Mixture::uniform(domains.clone()), None));
        let (arms, runs) = (arms.to_vec(), runs.collect());
        let c = TargetCheck::new(Objective::Mean, [1, 4], 10, arms, 2, runs).unwrap();
        let pairs: Vec<_> = (c.comparisons.iter())
            .map(|c| (c.of.as_str(), c.against.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("found", "natural"),
                ("offline", "found"),
                ("offline", "natural"),
                ("online", "found"),
                ("online", "natural"),
                ("online", "offline"),
            ]
        );
        assert!(c.is_better());
        assert!(c.sentence().ends_with(
            " The online schedule is better than found, natural and offline (3 seeds, 95% \
             intervals of the gains above 0)."
        ));
    }
}
