//! Measures the size correction on models of two sizes.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};
use regmix_regress::{Evaluator, Objective};

use super::correction::SizeCorrection;
use crate::record::StageLosses;

/// The form of a measured size correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeLaw {
    /// One exponent for all losses, extrapolated to the size of the target.
    #[default]
    PowerLaw,
    /// A line per loss, valid for targets of the second size only.
    Affine,
}

impl SizeLaw {
    /// The correction through some pairs of states, see
    /// [`SizeCalibration::measure`] for the ratios.
    fn through(self, rows: &[&States], [ratio, target_ratio]: [f64; 2]) -> Result<SizeCorrection> {
        match self {
            Self::PowerLaw => {
                let pairs: Vec<(f64, f64)> = (rows.iter())
                    .flat_map(|[l, s]| l.iter().copied().zip(s.iter().copied()))
                    .collect();
                SizeCorrection::power_law_from_pairs(&pairs, ratio, target_ratio)
            }
            Self::Affine => {
                let targets = rows.first().map_or(0, |r| r[0].len());
                let pairs: Vec<Vec<(f64, f64)>> = (0..targets)
                    .map(|t| rows.iter().map(|[l, s]| (l[t], s[t])).collect())
                    .collect();
                SizeCorrection::from_pairs(&pairs)
            }
        }
    }
}

/// The state of a large model and that of a small one at the same stage point.
type States = [Vec<f64>; 2];

/// The states of the runs that exist in both sizes, `[runs][points]`; points
/// with a missing loss are left out.
pub(super) fn states_of_both(
    small: &StageLosses,
    large: &StageLosses,
    goal: Option<&Evaluator>,
) -> Result<Vec<Vec<States>>> {
    if small.grid != large.grid || small.targets != large.targets {
        return Err(Error::input(
            "the two sizes have other stage points or losses: expected the same",
        )
        .field("second_size"));
    }
    let state = |losses: &[f64]| match goal {
        Some(goal) => vec![goal.sum(losses)],
        None => losses.to_vec(),
    };
    let both = (large.runs.iter().zip(&large.losses))
        .filter_map(|(run, losses)| {
            let other = small.runs.iter().position(|r| r == run)?;
            let pairs = (losses.iter().zip(&small.losses[other]))
                .map(|(l, s)| [state(l), state(s)])
                .filter(|[l, s]| l.iter().chain(s).all(|x| x.is_finite()))
                .collect::<Vec<_>>();
            (!pairs.is_empty()).then_some(pairs)
        })
        .collect();
    Ok(both)
}

/// The evaluator of an objective whose value is a state.
pub(super) fn usable_goal(
    objective: Option<&Objective>,
    targets: &[String],
) -> Result<Option<Evaluator>> {
    let goal = objective
        .map(|o| o.evaluator(targets))
        .transpose()
        .map_err(|e| e.field("objective"))?;
    match goal {
        Some(goal) if goal.is_worst() => Err(Error::input(
            "a worst case needs the losses of all targets as state",
        )
        .field("state")),
        goal => Ok(goal),
    }
}

/// A measured size correction, and its error on held-out runs.
#[derive(Debug, Clone, PartialEq)]
pub struct SizeCalibration {
    /// The correction, for the target.
    pub correction: SizeCorrection,
    /// The number of runs that exist in both sizes.
    pub runs: usize,
    /// Mean absolute error, nats: corrected losses of the second size against
    /// those of the first, in held-out runs.
    pub error: f64,
    /// The same without the correction.
    pub uncorrected: f64,
    /// Whether laws of scale gave it ([`SizeCalibration::by_scale`]).
    pub by_scale: bool,
}

impl SizeCalibration {
    /// Measures a correction from runs of two sizes that have the same names
    /// and were trained on the same mixtures, at all stage points: `small`
    /// are the proxies. `ratio` is that of parameters, second size to first,
    /// `target_ratio` that of the target to the first. With `objective` the
    /// correction is for a state that is the objective's value.
    ///
    /// The error is by leave-one-run-out. A power law between two sizes is
    /// uncertain for a third that is far from both: in RegMix's tables β is
    /// 0.050 for a factor of 60 between the sizes and 0.088 for one of 1000.
    ///
    /// # Errors
    /// When stage points or losses differ, fewer than 3 runs are in both, the
    /// ratio is not above 1, an objective is a worst case, or losses of the
    /// two sizes do not rise together.
    pub fn measure(
        law: SizeLaw,
        small: &StageLosses,
        large: &StageLosses,
        [ratio, target_ratio]: [f64; 2],
        objective: Option<&Objective>,
    ) -> Result<Self> {
        let goal = usable_goal(objective, &small.targets)?;
        let all = states_of_both(small, large, goal.as_ref())?;
        if all.len() < 3 {
            return Err(Error::input(format!(
                "{} runs are in both sizes: expected at least 3 with the same names and mixtures",
                all.len()
            ))
            .field("second_size"));
        }
        let fit = |without: Option<usize>, to: f64| {
            let rows: Vec<&States> = (all.iter().enumerate())
                .filter(|(run, _)| Some(*run) != without)
                .flat_map(|(_, pairs)| pairs)
                .collect();
            law.through(&rows, [ratio, to])
        };
        let (mut error, mut uncorrected, mut count) = (0.0, 0.0, 0.0);
        for (run, pairs) in all.iter().enumerate() {
            let own = fit(Some(run), ratio)?;
            for [l, s] in pairs {
                for ((c, l), s) in own.corrected(l, None)?.iter().zip(l).zip(s) {
                    error += (c - s).abs();
                    uncorrected += (l - s).abs();
                    count += 1.0;
                }
            }
        }
        Ok(Self {
            correction: fit(None, target_ratio)?,
            runs: all.len(),
            error: error / count,
            uncorrected: uncorrected / count,
            by_scale: false,
        })
    }

    /// The measurement as one sentence.
    pub fn words(&self) -> String {
        let law = match &self.correction {
            SizeCorrection::PowerLaw { ratio, beta } => {
                format!("power law with exponent {beta:.4}, target {ratio:.1} x the proxies' size")
            }
            SizeCorrection::Affine { slope, .. } => {
                let (low, high) =
                    (slope.iter()).fold((f64::MAX, f64::MIN), |(a, b), s| (a.min(*s), b.max(*s)));
                format!("lines with slopes from {low:.2} to {high:.2}")
            }
            SizeCorrection::FirstSegment | SizeCorrection::None => "none".to_owned(),
        };
        let worse = match self.error < self.uncorrected {
            true => "",
            false => "; it does not hold: take another law, or none",
        };
        if self.by_scale {
            return format!(
                "size correction by laws of scale: {law}; by laws that do not know the largest \
                 size, losses of its {} runs are {:.4} nats from the proxies' after the \
                 correction, {:.4} before{worse}",
                self.runs, self.error, self.uncorrected
            );
        }
        format!(
            "size correction measured on {} runs of a second size: {law}; losses of runs that it \
             was not measured on are {:.4} nats from the proxies' after it, {:.4} before{worse}",
            self.runs, self.error, self.uncorrected
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Resample;
    use crate::record::StageGrid;
    use crate::record::{Point, Trajectories};
    use regmix_data::DomainSet;

    /// Runs whose losses are those of proxies times a factor, plus a number.
    fn losses(runs: usize, factor: f64, plus: f64) -> StageLosses {
        let mut table = Trajectories::new(DomainSet::from_names(["a", "b"]).unwrap());
        for run in 0..runs {
            let points = (1..=6u64).map(|step| {
                let loss = 2.0 + 3.0 / (step as f64) + 0.1 * run as f64;
                Point {
                    step,
                    tokens: step * 10,
                    loss: vec![loss * factor + plus, 1.5 * loss * factor + plus],
                }
            });
            table.push(format!("r{run}"), points.collect()).unwrap();
        }
        let grid = StageGrid::equal(5).unwrap();
        StageLosses::new(&table, &grid, Resample::Interpolate, None).unwrap()
    }

    #[test]
    fn the_law_behind_two_sizes_is_found() {
        let small = losses(6, 1.0, 0.0);
        let large = losses(4, 16f64.powf(-0.05), 0.0);
        let law = SizeCalibration::measure(SizeLaw::PowerLaw, &small, &large, [16.0, 64.0], None);
        let law = law.unwrap();
        let SizeCorrection::PowerLaw { ratio, beta } = law.correction else {
            panic!()
        };
        assert!((beta - 0.05).abs() < 1e-12 && ratio == 64.0 && law.runs == 4);
        assert!(law.error < 1e-9 && law.uncorrected > 0.1, "{law:?}");
        assert!(law.words().contains("4 runs") && law.words().contains("exponent 0.0500"));

        let shifted = losses(6, 0.8, -0.3);
        let line = SizeCalibration::measure(SizeLaw::Affine, &small, &shifted, [4.0, 4.0], None);
        let line = line.unwrap();
        let back = line.correction.corrected(&[1.3, 2.1], None).unwrap();
        assert!(
            (back[0] - 2.0).abs() < 1e-9 && (back[1] - 3.0).abs() < 1e-9,
            "{back:?}"
        );
        assert!(line.error < 1e-9);
        // Losses on a line do not follow a power law: the error is large.
        let wrong = SizeCalibration::measure(SizeLaw::PowerLaw, &small, &shifted, [4.0, 4.0], None);
        assert!(wrong.unwrap().error > 0.05);

        let mean = SizeCalibration::measure(
            SizeLaw::Affine,
            &small,
            &shifted,
            [4.0, 4.0],
            Some(&Objective::Mean),
        );
        let SizeCorrection::Affine { slope, .. } = mean.unwrap().correction else {
            panic!()
        };
        assert_eq!(slope.len(), 1);
    }

    #[test]
    fn sizes_that_cannot_be_compared_are_refused() {
        let (small, few) = (losses(6, 1.0, 0.0), losses(2, 0.9, 0.0));
        let measure = |large: &StageLosses, ratio: f64, objective| {
            SizeCalibration::measure(SizeLaw::PowerLaw, &small, large, [ratio, ratio], objective)
                .unwrap_err()
                .to_string()
        };
        assert!(measure(&few, 4.0, None).contains("2 runs are in both"));
        let fine = losses(6, 0.9, 0.0);
        assert!(measure(&fine, 1.0, None).contains("expected above 1"));
        let worst = Objective::parse("worst");
        assert!(measure(&fine, 4.0, Some(&worst)).contains("worst case"));
    }
}
