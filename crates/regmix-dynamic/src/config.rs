//! The options, with the paper's values and those of regmix.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};
use regmix_regress::Evaluator;
use regmix_regress::search::SimulateOptions;

use crate::record::Resample;
use crate::record::StageGrid;
use crate::size::SizeCorrection;

/// A set of choices to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Exactly RegMix-D (arXiv 2606.18663).
    Paper,
    /// Better results on simulated dynamics with known truth, see
    /// [`DynamicConfig::improved`].
    #[default]
    Improved,
}

/// The state of training that a stage model is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// One number, the objective's value: the paper, with one domain's loss.
    Objective,
    /// The losses of all targets. Needed where one loss does not show what the
    /// model has learnt and what not.
    Losses,
}

impl State {
    /// The state that losses make, `objective` being over those losses; `None`
    /// where a loss that it needs is missing.
    pub(crate) fn of_losses(self, objective: &Evaluator, losses: &[f64]) -> Option<Vec<f64>> {
        let state = match self {
            Self::Losses => losses.to_vec(),
            Self::Objective => vec![objective.sum(losses)],
        };
        state.iter().all(|l| l.is_finite()).then_some(state)
    }

    /// The objective over a state, from the one over all losses.
    pub(crate) fn goal(self, objective: Evaluator) -> Evaluator {
        match self {
            Self::Losses => objective,
            Self::Objective => Evaluator::of_value(objective.sign()),
        }
    }
}

/// The quantity after a stage that a regressor learns to predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The losses themselves: the paper. Trees then cannot predict a loss
    /// below those of all proxies, as a target's losses are.
    Next,
    /// How much they fell.
    Difference,
    /// The logarithm of the ratio of after and before.
    LogRatio,
}

/// How the losses at the first stage point are predicted, in a plan made
/// before training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstLosses {
    /// The mean over all proxies: the paper, although the target trains on the
    /// prior in the first segment, and not on the proxies' mixtures.
    Mean,
    /// A regression of the proxies' first losses on their mixtures, at the
    /// prior.
    Regression,
}

/// The mixture of the first segment, before the first stage point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstMixture {
    /// The prior: the paper, "no knowledge yet".
    Prior,
    /// A mixture that is planned with the others: the proxies' first losses
    /// show what their mixtures lead to. Needs `lookahead = "run"`.
    Planned,
}

/// How far ahead a mixture is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookahead {
    /// The lowest objective at the end of the stage: the paper.
    Stage,
    /// The lowest objective at the end of training, over all mixtures that
    /// are not chosen yet.
    Run,
}

/// How mixtures are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Search {
    /// The mean of the best of many draws: the paper, and the only way for
    /// trees.
    Simulate,
    /// Descent along the gradient; draws where the stage model has none.
    Descend,
}

/// Declares every option once: its name, its type, the paper's value, and ours
/// where that is another one.
macro_rules! options {
    (@improved $paper:expr) => { $paper };
    (@improved $paper:expr, $improved:expr) => { $improved };
    (
        $(#[$about:meta])+
        pub struct $name:ident {
            $($(#[$doc:meta])+ $field:ident: $type:ty = $paper:expr $(, $improved:expr)?;)+
        }
    ) => {
        $(#[$about])+
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(from = "Section")]
        pub struct $name {
            /// The preset that gives the fields which were left out.
            pub preset: Preset,
            $($(#[$doc])+ pub $field: $type,)+
        }

        impl $name {
            /// Exactly RegMix-D.
            pub fn paper() -> Self {
                Self { preset: Preset::Paper, $($field: $paper,)+ }
            }

            /// The losses of all targets as state, a smooth stage model that
            /// extrapolates below the proxies' losses, a plan of the whole run by
            /// descent, a scale taken from the target's first segment, and one
            /// mixture for all stages unless a schedule is clearly better on runs
            /// that it was not planned on.
            pub fn improved() -> Self {
                Self {
                    preset: Preset::Improved,
                    $($field: options!(@improved $paper $(, $improved)?),)+
                }
            }
        }

        /// The section as it is written, with fields left out.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Section {
            preset: Preset,
            $($field: Option<$type>,)+
        }

        impl From<Section> for $name {
            fn from(section: Section) -> Self {
                let base = match section.preset {
                    Preset::Paper => Self::paper(),
                    Preset::Improved => Self::improved(),
                };
                Self {
                    preset: base.preset,
                    $($field: section.$field.unwrap_or(base.$field),)+
                }
            }
        }
    };
}

options! {
    /// Section `[dynamic]` of a study, resolved.
    ///
    /// In TOML or JSON every field may be left out and then has the value of
    /// `preset`; unknown fields are errors. The column "paper" is
    /// [`DynamicConfig::paper`], "improved" is [`DynamicConfig::improved`], the default.
    ///
    /// | field | paper | improved | range |
    /// |---|---|---|---|
    /// | `stages` | 5 | 5 | 1 to 1000; N of the paper |
    /// | `points` | equal spacing | equal spacing | fractions that ascend to 1; overrides `stages` |
    /// | `resample` | interpolate | interpolate | |
    /// | `regressor` | `gbdt` | `smooth` | `smooth`, or a name of [`regmix_regress::regressor::NAMES`] |
    /// | `per_stage` | no: one f, step is an input | yes | `smooth` always is |
    /// | `state` | objective | losses | |
    /// | `outcome` | next | log_ratio | `smooth` always has the latter, `law1`, `law2` and ensembles with one of them the former |
    /// | `start` | mean | regression | |
    /// | `first` | prior | planned | |
    /// | `lookahead` | stage | run | |
    /// | `search` | simulate | descend | |
    /// | `draws`, `best`, `alpha` | 100 000, 128, 1 | the same | as [`SimulateOptions`] |
    /// | `fresh_draws` | yes | yes | whether each stage has draws of its own |
    /// | `size` | power law, β 0.05 | first segment | [`SizeCorrection`] |
    /// | `trust` | none | none | above 0, to 1: the most a weight changes between stages |
    /// | `ramp` | 0 | 0 | 0 to 1: the share of a stage over which the mixture moves from the one before; limits, epochs and predictions are those of what is then read. Online, mixtures change at once |
    /// | `bootstrap` | 0 | 20 | refits on resampled runs, and half as many splits of the runs in halves; 0, or 2 and more |
    /// | `static_unless` | 0 | 2 | standard deviations (over splits) of its gain that a schedule must show on runs it was not planned on, else the best single mixture is kept, also where nothing can be measured; 0 keeps a schedule whose gain cannot be measured. Above 0 with `lookahead = "run"` it needs `bootstrap` of at least 4 |
    /// | `min_gain` | 0 | 0 | nats that a change of the plan must promise online; where the schedule fell back to one mixture, at least `static_unless` standard deviations of its measured gain, and no change where nothing could be measured |
    /// | `seed` | 0 | 0 | |
    ///
    /// What the paper leaves open, and the reading that is the default:
    ///
    /// - *Stage points.* "Intervals" are taken as equal ([`StageGrid::equal`]);
    ///   `points` and [`StageGrid::on_cadence`] give any other.
    /// - *Concentration of the draws*, not given: 1, as in RegMix's own code. The
    ///   weight of the main domain moves by a third between 1 and 20, so it
    ///   matters more than the seed.
    /// - *The prior* is an input of every plan: the natural token shares, or any
    ///   other mixture. The paper names the Pile's own, of which two versions
    ///   exist.
    /// - *Draws* are fresh in every stage, as in its Algorithm 1; with
    ///   `fresh_draws = false` differences between stages do not come from the
    ///   draws.
    /// - *Hyperparameters of the trees*: those of RegMix without its early
    ///   stopping on the test set.
    /// - *Choice of 128 of 512 proxies*: give the runs that are to be used.
    pub struct DynamicConfig {
        /// How many stages there are after the first segment.
        stages: usize = 5;
        /// Stage points, where they are not equally spaced.
        points: Option<Vec<f64>> = None;
        /// How losses at stage points are taken from evaluations.
        resample: Resample = Resample::Interpolate;
        /// The regressor of the stage model.
        regressor: String = "gbdt".to_owned(), SMOOTH.to_owned();
        /// Whether each stage has a regressor of its own.
        per_stage: bool = false, true;
        /// The state that the stage model is given.
        state: State = State::Objective, State::Losses;
        /// What it predicts.
        outcome: Outcome = Outcome::Next, Outcome::LogRatio;
        /// Where a plan starts.
        start: FirstLosses = FirstLosses::Mean, FirstLosses::Regression;
        /// The mixture of the first segment.
        first: FirstMixture = FirstMixture::Prior, FirstMixture::Planned;
        /// How far ahead a mixture is chosen.
        lookahead: Lookahead = Lookahead::Stage, Lookahead::Run;
        /// How mixtures are searched for.
        search: Search = Search::Simulate, Search::Descend;
        /// Draws of a simulation: C of the paper.
        draws: usize = 100_000;
        /// How many of the best are averaged: k of the paper.
        best: usize = 128;
        /// Concentration of the draws.
        alpha: f64 = 1.0;
        /// Whether each stage has draws of its own.
        fresh_draws: bool = true;
        /// From the target's losses to the proxies' scale.
        size: SizeCorrection = SizeCorrection::default(), SizeCorrection::FirstSegment;
        /// The most a weight may change from one stage to the next.
        trust: Option<f64> = None;
        /// The share of a stage over which the mixture moves to the new one.
        ramp: f64 = 0.0;
        /// Refits on resampled runs.
        bootstrap: usize = 0, 20;
        /// Standard deviations of gain below which one mixture is kept.
        static_unless: f64 = 0.0, 2.0;
        /// Gain that online changes must promise.
        min_gain: f64 = 0.0;
        /// Seed of draws, fits and resampling.
        seed: u64 = 0;
    }
}

impl Default for DynamicConfig {
    fn default() -> Self {
        Self::improved()
    }
}

impl DynamicConfig {
    /// The stage points.
    ///
    /// # Errors
    /// When the points are not those of a grid, see [`StageGrid::new`].
    pub fn grid(&self) -> Result<StageGrid> {
        match &self.points {
            Some(points) => StageGrid::new(points.clone()),
            None => StageGrid::equal(self.stages),
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// When a value is out of its range; the error names the field.
    pub fn check(&self) -> Result<()> {
        self.grid()?;
        if self.regressor != SMOOTH {
            regmix_regress::regressor::regressor(&self.regressor)
                .map_err(|e| e.field("regressor").help(format!("or `{SMOOTH}`")))?;
        }
        let wrong = |field: &str, value: String, expected: &str| {
            Err(Error::input(format!("{value}, expected {expected}")).field(field))
        };
        if self.draws == 0 || self.best == 0 || self.best > self.draws {
            return wrong(
                "best",
                format!("{} of {} draws", self.best, self.draws),
                "1 to all of them",
            );
        }
        let not_negative = |x: f64| x >= 0.0 && x.is_finite();
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            return wrong("alpha", self.alpha.to_string(), "a positive number");
        }
        if !self.trust.is_none_or(|t| t > 0.0 && t <= 1.0) {
            return wrong(
                "trust",
                format!("{:?}", self.trust),
                "above 0 and at most 1",
            );
        }
        if !(0.0..=1.0).contains(&self.ramp) {
            return wrong("ramp", self.ramp.to_string(), "a share between 0 and 1");
        }
        if self.first == FirstMixture::Planned && self.lookahead == Lookahead::Stage {
            let error = Error::input("`planned` looks to the end of the run");
            return Err(error
                .field("first")
                .help("set `lookahead = \"run\"`, or `first = \"prior\"`"));
        }
        if self.bootstrap == 1 {
            return wrong("bootstrap", "1".to_owned(), "0 or at least 2 refits");
        }
        if !not_negative(self.static_unless) {
            return wrong("static_unless", self.static_unless.to_string(), "0 or more");
        }
        // Two splits are the fewest that have a spread.
        let splits = self.bootstrap / 2;
        if self.static_unless > 0.0 && self.lookahead == Lookahead::Run && splits < 2 {
            let error = Error::input(format!(
                "{} refits are too few to measure the gain of a schedule, which must be {} standard \
                 deviations: expected at least 4",
                self.bootstrap, self.static_unless
            ));
            return Err(error
                .field("bootstrap")
                .help("or set `static_unless = 0`: the schedule then stands unchecked"));
        }
        if !not_negative(self.min_gain) {
            return wrong("min_gain", self.min_gain.to_string(), "0 or more nats");
        }
        self.size.check()
    }

    pub(crate) fn simulate(&self, stage: usize) -> SimulateOptions {
        SimulateOptions {
            draws: self.draws,
            best: self.best,
            alpha: self.alpha,
            // Stages that share draws share the stream.
            seed: match self.fresh_draws {
                true => self
                    .seed
                    .wrapping_add((stage as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                false => self.seed,
            },
            ..SimulateOptions::default()
        }
    }
}

/// The name of the smooth stage model, see [`StageModel`](crate::StageModel).
pub const SMOOTH: &str = "smooth";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> std::result::Result<DynamicConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn missing_fields_come_from_the_preset() {
        assert_eq!(read("{}").unwrap(), DynamicConfig::improved());
        assert_eq!(
            read(r#"{"preset":"paper"}"#).unwrap(),
            DynamicConfig::paper()
        );
        let some =
            read(r#"{"preset":"paper","stages":7,"size":{"power_law":{"ratio":60,"beta":0.1}}}"#)
                .unwrap();
        assert_eq!((some.stages, some.draws), (7, 100_000));
        let unknown = read(r#"{"stage":7}"#).unwrap_err().to_string();
        assert!(unknown.contains("unknown field `stage`"), "{unknown}");
        for config in [DynamicConfig::paper(), DynamicConfig::improved(), some] {
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(read(&text).unwrap(), config);
            config.check().unwrap();
        }
    }

    #[test]
    fn a_schedule_is_left_unchecked_only_on_request() {
        let error = read(r#"{"bootstrap":0}"#).unwrap().check().unwrap_err();
        assert!(error.help_text().unwrap().contains("static_unless = 0"));
        for asked in [
            r#"{"bootstrap":0,"static_unless":0}"#,
            r#"{"bootstrap":0,"lookahead":"stage","first":"prior"}"#,
        ] {
            read(asked).unwrap().check().unwrap();
        }
    }

    #[test]
    fn values_out_of_range_name_their_field() {
        type Change = fn(&mut DynamicConfig);
        let changes: [(&str, Change); 11] = [
            ("stages", |c| c.stages = 0),
            ("points", |c| c.points = Some(vec![0.5])),
            ("regressor", |c| c.regressor = "magic".into()),
            ("best", |c| c.best = 0),
            ("alpha", |c| c.alpha = f64::NAN),
            ("trust", |c| c.trust = Some(0.0)),
            ("ramp", |c| c.ramp = 2.0),
            ("bootstrap", |c| c.bootstrap = 1),
            ("bootstrap", |c| c.bootstrap = 3),
            ("static_unless", |c| c.static_unless = -1.0),
            ("size", |c| {
                c.size = SizeCorrection::PowerLaw {
                    ratio: 0.0,
                    beta: 0.05,
                }
            }),
        ];
        for (field, change) in changes {
            let mut config = DynamicConfig::improved();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert!(
                error.field_name().is_some_and(|f| f.starts_with(field)),
                "{field}: {error}"
            );
        }
    }
}
