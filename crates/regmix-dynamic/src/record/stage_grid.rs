//! The stage points of a run.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

/// The stage points t_1 < … < t_{N+1} of N stages, as fractions of training.
///
/// Before t_1 is the first segment, for which no state is known yet;
/// stage `j`, counted from 0, lasts from point `j` to point `j + 1`; the last
/// point is the end of training, 1.
///
/// RegMix-D (arXiv 2606.18663) says only that points are at intervals. Equal
/// spacing, `t_l = l / (N + 1)`, is the reading that fits its text: nine
/// switches then are at a tenth, two tenths, ….
///
/// ```
/// use regmix_dynamic::StageGrid;
///
/// let grid = StageGrid::equal(4)?;
/// assert_eq!(grid.points(), [0.2, 0.4, 0.6, 0.8, 1.0]);
/// assert_eq!(grid.steps(25_000)?, [5_000, 10_000, 15_000, 20_000, 25_000]);
/// assert!(grid.steps(3).is_err()); // Two stages would start at one step.
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct StageGrid(Vec<f64>);

impl StageGrid {
    /// Equally spaced points for `stages` stages.
    ///
    /// # Errors
    /// When there is no stage, or more than 1000.
    pub fn equal(stages: usize) -> Result<Self> {
        if !(1..=1000).contains(&stages) {
            return Err(
                Error::input(format!("{stages} stages, expected 1 to 1000")).field("stages")
            );
        }
        let parts = (stages + 1) as f64;
        Self::new((1..=stages + 1).map(|l| l as f64 / parts).collect())
    }

    /// Any points.
    ///
    /// # Errors
    /// When there are fewer than two, they do not ascend, or do not lie above
    /// 0 and end at 1.
    pub fn new(points: Vec<f64>) -> Result<Self> {
        let ascend = points.windows(2).all(|p| p[0] < p[1]);
        let ends = points.first().is_some_and(|p| *p > 0.0) && points.last() == Some(&1.0);
        if points.len() < 2 || !ascend || !ends {
            return Err(Error::input(format!(
                "stage points {points:?}: expected at least 2 that ascend, above 0 and up to 1"
            ))
            .field("points")
            .help("points are fractions of training; the last one is its end, 1"));
        }
        Ok(Self(points))
    }

    /// Equally spaced points moved to the nearest evaluation, for runs of
    /// `total` steps that were evaluated every `cadence` steps: with 5 stages
    /// of 1000 steps and a cadence of 100, points at 200, 300, 500, 700, 800
    /// and 1000.
    ///
    /// # Errors
    /// When two points fall on one evaluation.
    pub fn on_cadence(stages: usize, total: u64, cadence: u64) -> Result<Self> {
        let even = Self::equal(stages)?;
        if cadence == 0 || total < cadence || !total.is_multiple_of(cadence) {
            return Err(Error::input(format!(
                "evaluations every {cadence} steps of {total}: expected a whole number of them"
            ))
            .field("cadence"));
        }
        let parts = (total / cadence) as f64;
        let near = even.0.iter().map(|p| (p * parts).round() / parts);
        Self::new(near.collect()).map_err(|e| e.help("ask for fewer stages"))
    }

    /// The points, fractions of training.
    pub fn points(&self) -> &[f64] {
        &self.0
    }

    /// How many stages there are: one less than points.
    pub fn stages(&self) -> usize {
        self.0.len() - 1
    }

    /// The same with the first segment as a stage of its own.
    pub(crate) fn with_first(&self) -> Self {
        Self(std::iter::once(0.0).chain(self.0.iter().copied()).collect())
    }

    /// Where a stage starts and ends.
    pub(crate) fn span(&self, stage: usize) -> (f64, f64) {
        (self.0[stage], self.0[stage + 1])
    }

    /// The stage at a fraction of training; `None` before the first point.
    pub fn stage_at(&self, fraction: f64) -> Option<usize> {
        let passed = self.0.partition_point(|p| *p <= fraction + 1e-12);
        passed.checked_sub(1).map(|j| j.min(self.stages() - 1))
    }

    /// The points as steps of a run of `total` steps: `S_j = s_j T / T_p` of
    /// RegMix-D, rounded.
    ///
    /// # Errors
    /// When the run is so short that two points share a step, or the first is
    /// step 0.
    pub fn steps(&self, total: u64) -> Result<Vec<u64>> {
        let steps: Vec<u64> = (self.0.iter())
            .map(|p| (p * total as f64).round() as u64)
            .collect();
        if steps[0] == 0 || steps.windows(2).any(|s| s[0] >= s[1]) {
            return Err(Error::input(format!(
                "{total} steps for {} stage points: expected at least one step between them",
                self.0.len()
            ))
            .field("steps")
            .help("plan fewer stages, or a longer run"));
        }
        Ok(steps)
    }
}

impl TryFrom<Vec<f64>> for StageGrid {
    type Error = Error;
    fn try_from(points: Vec<f64>) -> Result<Self> {
        Self::new(points)
    }
}

impl From<StageGrid> for Vec<f64> {
    fn from(grid: StageGrid) -> Self {
        grid.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_checked() {
        for bad in [
            vec![],
            vec![1.0],
            vec![0.5, 0.9],
            vec![0.0, 1.0],
            vec![0.6, 0.5, 1.0],
        ] {
            let err = StageGrid::new(bad.clone()).unwrap_err();
            assert!(
                err.to_string().contains("at least 2 that ascend"),
                "{bad:?} gave {err}"
            );
        }
        let err = StageGrid::equal(0).unwrap_err();
        assert!(err.to_string().contains("expected 1 to 1000"), "{err}");
        let paper = StageGrid::on_cadence(5, 1000, 100).unwrap();
        assert_eq!(paper.steps(1000).unwrap(), [200, 300, 500, 700, 800, 1000]);
        let err = StageGrid::on_cadence(12, 1000, 100).unwrap_err();
        assert!(err.to_string().contains("at least 2 that ascend"), "{err}");
        let grid = StageGrid::equal(3).unwrap();
        let at = [0.1, 0.25, 0.49, 0.99, 1.0].map(|f| grid.stage_at(f));
        assert_eq!(at, [None, Some(0), Some(0), Some(2), Some(2)]);
        let text = serde_json::to_string(&grid).unwrap();
        assert_eq!(serde_json::from_str::<StageGrid>(&text).unwrap(), grid);
        let err = serde_json::from_str::<StageGrid>("[0.5]").unwrap_err();
        assert!(err.to_string().contains("at least 2 that ascend"), "{err}");
    }
}
