//! Losses at stage points.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use super::stage_grid::StageGrid;
use super::trajectories::{Point, Trajectories};

/// An evaluation this near to a stage point, as a share of the run, is at it.
const SAME: f64 = 0.002;

/// How a loss at a stage point is taken from evaluations at other steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// On the line between the evaluations before and after, over the
    /// logarithm of steps. The default: runs rarely evaluate at a sixth of
    /// their steps, and losses are nearly straight there.
    #[default]
    Interpolate,
    /// The nearest evaluation, if it is nearer than half a stage.
    Nearest,
    /// Only evaluations at exactly that step, as presumably in the paper: a run
    /// without one is an error.
    Exact,
}

/// Losses of runs at stage points.
#[derive(Debug, Clone, PartialEq)]
pub struct StageLosses {
    pub(crate) grid: StageGrid,
    pub(crate) targets: Vec<String>,
    pub(crate) runs: Vec<String>,
    /// `[runs][points][targets]`, NaN where nothing was measured.
    pub(crate) losses: Vec<Vec<Vec<f64>>>,
    pub(crate) steps: u64,
    pub(crate) notes: Vec<String>,
}

impl StageLosses {
    /// The losses of some trajectories at stage points.
    ///
    /// A whole run has `steps` steps; without a number, as many as the longest
    /// run. Runs that stopped early keep the points they reached.
    /// Nothing is extrapolated, and a point between two evaluations further
    /// apart than a stage and a half counts as missing. All of this is listed
    /// in [`notes`](Self::notes).
    ///
    /// # Errors
    /// When there is no run, no run has two points, fewer than half of the
    /// runs reach the end, or ([`Resample::Exact`]) a run was not evaluated
    /// at a point that it passed.
    pub fn new(
        table: &Trajectories,
        grid: &StageGrid,
        resample: Resample,
        steps: Option<u64>,
    ) -> Result<Self> {
        let longest = (table.iter().filter_map(|(_, p)| p.last())).map(|p| p.step);
        let Some(total) = steps.or_else(|| longest.max()).filter(|s| *s > 0) else {
            return Err(Error::input(
                "no trajectories: expected runs with at least two evaluations",
            ));
        };
        let stops = grid.steps(total)?;
        let mut out = Self {
            grid: grid.clone(),
            targets: table.domains().names().map(str::to_owned).collect(),
            runs: Vec::with_capacity(table.len()),
            losses: Vec::with_capacity(table.len()),
            steps: total,
            notes: table.notes().to_vec(),
        };
        let gap = (grid.points().windows(2)).fold(grid.points()[0], |g, p| g.max(p[1] - p[0]));
        let reader = Reader {
            resample,
            total: total as f64,
            gap,
        };
        let mut ended = 0;
        for (run, points) in table.iter() {
            let mut losses = Vec::with_capacity(stops.len());
            for stop in &stops {
                losses.push(reader.read(points, *stop).map_err(|e| e.field(run))?);
            }
            let last = points.last().map_or(0, |p| p.step);
            if (last as f64) < (1.0 - SAME) * total as f64 {
                (out.notes).push(format!(
                    "run `{run}` stopped at step {last} of {total}: used up to there"
                ));
            } else {
                ended += 1;
            }
            let passed = |stop: u64| stop as f64 <= last as f64 + SAME * total as f64;
            let known = stops.iter().zip(&losses).filter(|(stop, _)| passed(**stop));
            out.notes.extend(
                known.filter_map(|(stop, row)| missing_note(run, *stop, row, &out.targets)),
            );
            out.runs.push(run.to_owned());
            out.losses.push(losses);
        }
        if 2 * ended < table.len() {
            let mut lengths: Vec<u64> = (table.iter())
                .map(|(_, p)| p.last().map_or(0, |p| p.step))
                .collect();
            lengths.sort_unstable();
            // At least half of the runs reach it.
            let middle = lengths[(lengths.len() - 1) / 2];
            return Err(Error::input(format!(
                "{ended} of {} runs reach step {total}: expected at least half of them",
                table.len()
            ))
            .field("steps")
            .help(format!(
                "half of them reach step {middle}: give that as the steps of a whole run \
                 (`--proxy-steps {middle}`), or leave out runs of another length"
            )));
        }
        let usable = |run: &Vec<Vec<f64>>| {
            let any = |row: &Vec<f64>| row.iter().any(|l| l.is_finite());
            run.windows(2).any(|pair| any(&pair[0]) && any(&pair[1]))
        };
        if !out.losses.iter().any(usable) {
            return Err(Error::input(
                "no run has losses at two stage points in a row: expected evaluations along \
                 training",
            )
            .help("evaluate proxies at least once per stage, or plan fewer stages"));
        }
        Ok(out)
    }

    /// The stage points.
    pub fn grid(&self) -> &StageGrid {
        &self.grid
    }

    /// The names of the losses.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// The runs.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// The losses of one run, by its place: `[points][targets]`, NaN where
    /// nothing was measured.
    pub fn losses(&self, run: usize) -> &[Vec<f64>] {
        &self.losses[run]
    }

    /// Steps of a whole run.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What was missing: runs that stopped early, points between evaluations
    /// that are too far apart, losses that were not measured.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// A note on the losses that a run does not have at a step, if any is missing.
fn missing_note(run: &str, step: u64, losses: &[f64], names: &[String]) -> Option<String> {
    let missing: Vec<&str> = (names.iter().zip(losses))
        .filter(|(_, loss)| loss.is_nan())
        .map(|(name, _)| name.as_str())
        .collect();
    match missing.len() {
        0 => None,
        n if n == losses.len() => Some(format!("run `{run}` has no evaluation near step {step}")),
        _ => {
            let names = missing.join("`, `");
            Some(format!(
                "run `{run}` has no loss of `{names}` near step {step}"
            ))
        }
    }
}

/// Reads the losses of a run at a step.
struct Reader {
    resample: Resample,
    total: f64,
    /// The longest stage, as a share of training.
    gap: f64,
}

impl Reader {
    fn read(&self, points: &[Point], stop: u64) -> Result<Vec<f64>> {
        let targets = points.first().map_or(0, |p| p.loss.len());
        let last = points.last().map_or(0, |p| p.step);
        if self.resample == Resample::Exact {
            return match points.iter().find(|p| p.step == stop) {
                Some(p) => Ok(p.loss.iter().map(|l| finite(*l)).collect()),
                None if stop > last => Ok(vec![f64::NAN; targets]),
                None => Err(Error::input(format!(
                    "no evaluation at step {stop}: expected all runs on one grid"
                ))
                .help("let losses be interpolated (`resample = \"interpolate\"`), or give `points` that were evaluated")),
            };
        }
        Ok((0..targets).map(|t| self.one(points, t, stop)).collect())
    }

    /// One loss near a step; NaN where there is none.
    fn one(&self, points: &[Point], target: usize, stop: u64) -> f64 {
        let at = stop as f64;
        let known = || points.iter().filter(|p| finite(p.loss[target]).is_finite());
        let before = known().take_while(|p| p.step <= stop).last();
        let after = known().find(|p| p.step >= stop);
        let far = |p: &Point| (p.step as f64 - at).abs() / self.total;
        let value = |p: &Point| p.loss[target];
        let nearest = match (before, after) {
            (Some(a), Some(b)) if far(b) < far(a) => Some(b),
            (a, b) => a.or(b),
        };
        match (self.resample, before, after, nearest) {
            (Resample::Nearest, _, _, Some(p)) if far(p) <= 0.5 * self.gap => value(p),
            (_, _, _, Some(p)) if far(p) <= SAME => value(p),
            (Resample::Interpolate, Some(a), Some(b), _)
                if (b.step - a.step) as f64 <= 1.5 * self.gap * self.total =>
            {
                // Step 0, an evaluation before training, has no logarithm.
                let ln = |step: f64| step.max(0.5).ln();
                let way = (ln(at) - ln(a.step as f64)) / (ln(b.step as f64) - ln(a.step as f64));
                value(a) + way * (value(b) - value(a))
            }
            _ => f64::NAN,
        }
    }
}

/// A loss, or NaN where it is not finite and positive.
fn finite(loss: f64) -> f64 {
    if loss.is_finite() && loss > 0.0 {
        loss
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regmix_data::DomainSet;

    fn table(runs: &[(&str, &[(u64, f64)])]) -> Trajectories {
        let mut table = Trajectories::new(DomainSet::from_names(["a"]).unwrap());
        for (run, points) in runs {
            let points = points.iter().map(|&(step, loss)| Point {
                step,
                tokens: 10 * step + 1,
                loss: vec![loss],
            });
            table.push(*run, points.collect()).unwrap();
        }
        table
    }

    #[test]
    fn losses_are_interpolated_between_evaluations_only() {
        let grid = StageGrid::equal(1).unwrap();
        // Straight in the logarithm of steps.
        let line = |step: u64| 9.0 - (step as f64).ln();
        let all: Vec<(u64, f64)> = [40, 90, 100].map(|s| (s, line(s))).to_vec();
        let early = [(10, line(10)), (60, line(60))];
        let table = table(&[("x", &all), ("y", &early), ("z", &all)]);
        let got = StageLosses::new(&table, &grid, Resample::Interpolate, None).unwrap();
        assert!((got.losses(0)[0][0] - line(50)).abs() < 1e-12);
        assert_eq!(got.losses(0)[1][0], line(100));
        assert!((got.losses(1)[0][0] - line(50)).abs() < 1e-12);
        assert!(got.losses(1)[1][0].is_nan());
        assert_eq!(got.notes().len(), 1);
        assert!(got.notes()[0].contains("`y` stopped at step 60 of 100"));
        let near = StageLosses::new(&table, &grid, Resample::Nearest, None).unwrap();
        assert_eq!(near.losses(0)[0][0], line(40));
        let err = StageLosses::new(&table, &grid, Resample::Exact, None).unwrap_err();
        assert!(
            err.to_string().contains("no evaluation at step 50"),
            "{err}"
        );
    }

    #[test]
    fn gaps_and_bad_losses_are_missing_and_noted() {
        let grid = StageGrid::equal(4).unwrap();
        let full: Vec<(u64, f64)> = (1..=5).map(|i| (20 * i, 4.0 - 0.1 * i as f64)).collect();
        let mut holes = full.clone();
        holes[2].1 = f64::INFINITY;
        let wide = [(20, 4.0), (40, 3.9), (100, 3.5)];
        let table = table(&[("full", &full), ("holes", &holes), ("wide", &wide)]);
        let got = StageLosses::new(&table, &grid, Resample::Interpolate, None).unwrap();
        let missing: Vec<bool> = got.losses(1).iter().map(|p| p[0].is_nan()).collect();
        assert_eq!(missing, [false, false, true, false, false]);
        let missing: Vec<bool> = got.losses(2).iter().map(|p| p[0].is_nan()).collect();
        assert_eq!(missing, [false, false, true, true, false]);
        assert!(
            got.notes()
                .iter()
                .any(|n| n.contains("`wide` has no evaluation near step 60"))
        );
    }

    #[test]
    fn too_little_is_an_error() {
        let grid = StageGrid::equal(2).unwrap();
        let one = table(&[("x", &[(100, 3.0)])]);
        let err = StageLosses::new(&one, &grid, Resample::Interpolate, None).unwrap_err();
        assert!(err.to_string().contains("two stage points"), "{err}");
        let empty = Trajectories::new(DomainSet::from_names(["a"]).unwrap());
        let err = StageLosses::new(&empty, &grid, Resample::Interpolate, None).unwrap_err();
        assert!(err.to_string().contains("no trajectories"), "{err}");
        let short: &[(u64, f64)] = &[(10, 5.0), (20, 4.0)];
        let long: &[(u64, f64)] = &[(33, 5.0), (67, 4.5), (100, 4.0)];
        let mixed = table(&[("a", short), ("b", short), ("c", short), ("d", long)]);
        let err = StageLosses::new(&mixed, &grid, Resample::Interpolate, None).unwrap_err();
        assert!(
            err.to_string().contains("1 of 4 runs reach step 100"),
            "{err}"
        );
    }
}
