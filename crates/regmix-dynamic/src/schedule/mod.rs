//! A schedule of mixtures: the content of `schedule.json`.

pub(crate) mod planner;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::sealed::{read_sealed, write_sealed};
use regmix_data::{Error, Mixture, Result};
use regmix_regress::{Objective, Prediction};

use crate::config::DynamicConfig;
use crate::record::StageGrid;
use crate::stage_model::StageAccuracy;

pub use self::planner::{Planner, Request};

/// The layout of `schedule.json`.
const VERSION: u32 = 1;

/// The run that a schedule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLength {
    /// Optimizer steps.
    pub steps: u64,
    /// Tokens.
    pub tokens: u64,
}

/// A weight, and its spread over plans made on resampled runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// The share of the segment's tokens.
    pub weight: f64,
    /// Standard deviation over refits; absent without a bootstrap.
    pub sd: Option<f64>,
    /// 5th percentile over refits.
    pub low: Option<f64>,
    /// 95th percentile over refits.
    pub high: Option<f64>,
}

/// A stretch of training on one mixture, with its predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedSegment {
    /// Where it starts and ends, fractions of training.
    pub from: f64,
    /// See `from`.
    pub to: f64,
    /// Its first step, counted from 0.
    pub from_step: u64,
    /// The step after its last one.
    pub to_step: u64,
    /// Its tokens.
    pub tokens: u64,
    /// Its mixture.
    pub mixture: Mixture,
    /// The weights with their spread.
    pub weights: BTreeMap<String, Weight>,
    /// The predicted losses at its end, on the scale of the proxies.
    pub predicted: BTreeMap<String, Prediction>,
    /// How often it repeats the tokens of every domain, where the budget is
    /// known. A ramp at its start is included.
    pub epochs: BTreeMap<String, f64>,
}

/// The content of `schedule.json`: piecewise-constant mixtures over a run.
///
/// Losses are those of a proxy: only their order matters. The `sd` of a loss
/// covers the uncertainty of the stage model and the spread over refits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The layout of this file.
    pub version: u32,
    /// What was minimised, or maximised.
    pub objective: Objective,
    /// The run that it is for.
    pub target: RunLength,
    /// The segments, in order: the first is the prior's.
    pub segments: Vec<PlannedSegment>,
    /// The share of a segment over which the mixture moves from the one
    /// before, in a straight line; 0 switches at once.
    pub ramp: f64,
    /// The mean mixture of the run, ramps included.
    pub mean: Mixture,
    /// How often the run repeats the tokens of every domain.
    pub epochs: BTreeMap<String, f64>,
    /// The predicted objective at the end; absent where nothing predicts it.
    pub predicted: Option<Prediction>,
    /// The predicted objective of the best single mixture (after the prior's
    /// segment), where it was searched for.
    pub single: Option<Prediction>,
    /// How much better a schedule planned on half of the runs is than the best
    /// single mixture by the other half: mean and standard deviation over
    /// splits of the runs.
    pub gain: Option<Prediction>,
    /// Whether the best single mixture took the place of the schedule, since
    /// its gain on runs that it was not planned on was not clear, or could not
    /// be measured: [`gain`](Self::gain) is then absent and a note says why.
    pub fell_back: bool,
    /// The accuracy of the stage model on held-out runs, by stage and target;
    /// empty where it was not measured.
    #[serde(default)]
    pub accuracy: Vec<StageAccuracy>,
    /// The predicted objective at the end on the scale of the target, where
    /// the size correction was measured on models of a second size.
    #[serde(default)]
    pub predicted_target: Option<Prediction>,
    /// Remarks for a person.
    pub notes: Vec<String>,
    /// How it was made.
    pub config: DynamicConfig,
    /// Name and version of the program.
    pub program: String,
    /// Runs that were fitted.
    pub runs: usize,
}

impl Schedule {
    /// A schedule of given mixtures, without predictions: the first is that of
    /// the first segment.
    ///
    /// # Errors
    /// When there is not one mixture per segment, domains differ, or the run
    /// is too short for the stages.
    pub fn of_mixtures(
        grid: &StageGrid,
        mixtures: Vec<Mixture>,
        objective: Objective,
        target: RunLength,
    ) -> Result<Self> {
        if mixtures.len() != grid.stages() + 1 {
            return Err(Error::input(format!(
                "{} mixtures for a first segment and {} stages: expected one each",
                mixtures.len(),
                grid.stages()
            )));
        }
        let domains = mixtures[0].domains().clone();
        let mut starts = vec![0];
        starts.extend(grid.steps(target.steps)?);
        let mut fractions = vec![0.0];
        fractions.extend_from_slice(grid.points());
        let at = |step: u64| (step as f64 / target.steps as f64 * target.tokens as f64) as u64;
        let mut segments = Vec::with_capacity(mixtures.len());
        for (i, mixture) in mixtures.into_iter().enumerate() {
            let mixture = mixture.reordered(&domains)?;
            let weights = mixture.iter().map(|(d, weight)| {
                let plain = Weight {
                    weight,
                    sd: None,
                    low: None,
                    high: None,
                };
                (d.to_string(), plain)
            });
            segments.push(PlannedSegment {
                from: fractions[i],
                to: fractions[i + 1],
                from_step: starts[i],
                to_step: starts[i + 1],
                tokens: at(starts[i + 1]) - at(starts[i]),
                weights: weights.collect(),
                mixture,
                predicted: BTreeMap::new(),
                epochs: BTreeMap::new(),
            });
        }
        let out = Self {
            version: VERSION,
            objective,
            target,
            mean: segments[0].mixture.clone(),
            segments,
            ramp: 0.0,
            epochs: BTreeMap::new(),
            predicted: None,
            single: None,
            gain: None,
            fell_back: false,
            accuracy: Vec::new(),
            predicted_target: None,
            notes: Vec::new(),
            config: DynamicConfig::default(),
            program: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            runs: 0,
        };
        out.with_ramp(0.0)
    }

    /// The schedule with another ramp, and the mean mixture that it has then.
    pub(crate) fn with_ramp(mut self, ramp: f64) -> Result<Self> {
        self.ramp = ramp;
        let domains = self.mean.domains().clone();
        let mut mean = vec![0.0; domains.len()];
        for (segment, own) in self.segments.iter().zip(self.means()) {
            for (m, w) in mean.iter_mut().zip(own) {
                *m += (segment.to - segment.from) * w;
            }
        }
        self.mean = Mixture::normalized(domains, mean)?;
        Ok(self)
    }

    /// The mean weights of every segment: a ramp begins on the mixture before.
    pub(crate) fn means(&self) -> Vec<Vec<f64>> {
        let before = std::iter::once(&self.segments[0]).chain(&self.segments);
        (self.segments.iter().zip(before))
            .map(|(here, before)| {
                (here.mixture.weights().iter().zip(before.mixture.weights()))
                    .map(|(w, b)| w + 0.5 * self.ramp * (b - w))
                    .collect()
            })
            .collect()
    }

    /// The mixture at a step; after the end, the last one. Within a ramp it is
    /// between two.
    pub fn mixture_at(&self, step: u64) -> Vec<f64> {
        let place = (self.segments.iter())
            .position(|s| step < s.to_step)
            .unwrap_or(self.segments.len() - 1);
        let here = &self.segments[place];
        let length = self.ramp * (here.to_step - here.from_step) as f64;
        let way = step.saturating_sub(here.from_step) as f64 + 0.5;
        match place.checked_sub(1).map(|p| &self.segments[p]) {
            Some(before) if way < length => {
                let share = way / length;
                (before.mixture.weights().iter().zip(here.mixture.weights()))
                    .map(|(a, b)| a + share * (b - a))
                    .collect()
            }
            _ => here.mixture.weights().to_vec(),
        }
    }

    /// The schedule with hard switches only: every ramp becomes `parts` equal
    /// steps. `(first step, weights)`, the first at step 0; without a ramp the
    /// segments themselves. Neighbours with the same mixture are joined.
    pub fn switches(&self, parts: u64) -> Vec<(u64, Vec<f64>)> {
        let mut out: Vec<(u64, Vec<f64>)> = Vec::new();
        let mut push = |step: u64, weights: Vec<f64>| match out.last_mut() {
            Some(last) if last.1 == weights => {}
            Some(last) if last.0 == step => last.1 = weights,
            _ => out.push((step, weights)),
        };
        for (i, segment) in self.segments.iter().enumerate() {
            let length = self.ramp * (segment.to_step - segment.from_step) as f64;
            if i > 0 && length >= 2.0 {
                for part in 0..parts.max(1) {
                    let share = (part as f64 + 0.5) / parts.max(1) as f64;
                    let step =
                        segment.from_step + (length * part as f64 / parts.max(1) as f64) as u64;
                    let before = self.segments[i - 1].mixture.weights();
                    let between = (before.iter().zip(segment.mixture.weights()))
                        .map(|(a, b)| a + share * (b - a));
                    push(step, between.collect());
                }
            }
            let ramp = if i > 0 && length >= 2.0 {
                length as u64
            } else {
                0
            };
            push(segment.from_step + ramp, segment.mixture.weights().to_vec());
        }
        out
    }

    /// Writes `schedule.json`, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_sealed(path, self)
    }

    /// Reads what [`Schedule::save`] wrote.
    ///
    /// # Errors
    /// When the file is missing, damaged or of another version, or its
    /// segments do not follow each other.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        const AGAIN: &str = "make the schedule again, with `--redo`";
        let path = path.as_ref();
        let out: Self = read_sealed(path, VERSION, AGAIN)?;
        let follow = out
            .segments
            .windows(2)
            .all(|s| s[0].to_step == s[1].from_step);
        let forward = out.segments.iter().all(|s| s.from_step < s.to_step);
        let domains = out.mean.domains();
        let same = out.segments.iter().all(|s| s.mixture.domains() == domains);
        if out.segments.is_empty() || !follow || !forward || !same {
            return Err(Error::input(
                "segments that do not follow each other, or have other domains",
            )
            .in_file(path)
            .help(AGAIN));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::DomainSet;

    fn schedule(ramp: f64) -> Schedule {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let mixtures = [0.5, 0.9, 0.1]
            .map(|w| Mixture::new(domains.clone(), vec![w, 1.0 - w]).unwrap())
            .to_vec();
        let target = RunLength {
            steps: 30,
            tokens: 300,
        };
        let grid = StageGrid::equal(2).unwrap();
        let out = Schedule::of_mixtures(&grid, mixtures, Objective::Mean, target).unwrap();
        out.with_ramp(ramp).unwrap()
    }

    #[test]
    fn steps_and_tokens_cover_the_run() {
        let s = schedule(0.0);
        assert_eq!(s.segments.iter().map(|l| l.tokens).sum::<u64>(), 300);
        assert_eq!((s.segments[1].from_step, s.segments[1].to_step), (10, 20));
        assert!((s.mean.weights()[0] - 0.5).abs() < 1e-9);
        assert_eq!(
            [0, 9, 10, 29, 99].map(|step| s.mixture_at(step)[0]),
            [0.5, 0.5, 0.9, 0.1, 0.1]
        );
        let starts: Vec<u64> = s.switches(4).iter().map(|s| s.0).collect();
        assert_eq!(starts, [0, 10, 20]);
    }

    #[test]
    fn a_ramp_moves_in_a_line() {
        let s = schedule(0.5);
        let way: Vec<f64> = (10..16).map(|step| s.mixture_at(step)[0]).collect();
        for (got, want) in way.iter().zip([0.54, 0.62, 0.7, 0.78, 0.86, 0.9]) {
            assert!((got - want).abs() < 1e-9, "{way:?}");
        }
        let read: f64 = (0..30).map(|step| s.mixture_at(step)[0]).sum();
        assert!(
            (s.mean.weights()[0] - read / 30.0).abs() < 1e-9,
            "{:?}",
            s.mean
        );
        let parts = s.switches(2);
        let starts: Vec<u64> = parts.iter().map(|s| s.0).collect();
        assert_eq!(starts, [0, 10, 12, 15, 20, 22, 25]);
        assert!((parts[1].1[0] - 0.6).abs() < 1e-9);
    }

    /// The text of a file without its checksum, as earlier versions wrote it.
    fn unsealed(path: &std::path::Path) -> String {
        let text = std::fs::read_to_string(path).unwrap();
        let at = text.rfind(",\n  \"checksum\"").unwrap();
        format!("{}\n}}\n", &text[..at])
    }

    #[test]
    fn files_round_trip_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("schedule.json");
        let s = schedule(0.1);
        s.save(&path).unwrap();
        assert_eq!(Schedule::load(&path).unwrap(), s);
        let text = unsealed(&path);
        for (from, to, expected) in [
            ("\"version\": 1", "\"version\": 9", "version 9"),
            ("\"from_step\": 10", "\"from_step\": 11", "do not follow"),
            ("\"a\": 0.9", "\"a\": 0.7", "sum to"),
            ("\"ramp\"", "\"rump\"", "rump"),
        ] {
            assert!(text.contains(from), "{from}");
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let err = Schedule::load(&path).unwrap_err();
            assert!(err.to_string().contains(expected), "{err}");
        }
    }
}
