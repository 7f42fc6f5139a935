//! Splits in the direction of use: fit on smaller and shorter, judge on larger
//! and longer.

use serde::{Deserialize, Serialize};

use crate::scale::runs::{ScaleRuns, end};

/// What a split tests of a law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A larger model, as long.
    Larger,
    /// The same models, longer.
    Longer,
    /// A larger model, longer.
    LargerAndLonger,
    /// Mixtures that were not fitted: nothing of scale was judged.
    OtherMixtures,
}

impl Direction {
    /// What was judged, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Larger => "larger",
            Self::Longer => "longer",
            Self::LargerAndLonger => "larger and longer",
            Self::OtherMixtures => "other mixtures",
        }
    }
}

/// Runs to fit and runs to judge.
pub(crate) struct Split {
    pub(crate) direction: Direction,
    pub(crate) fit: ScaleRuns,
    pub(crate) judge: ScaleRuns,
}

impl Split {
    /// How many times larger and longer the judged runs are.
    pub(crate) fn factors(&self) -> (f64, f64) {
        let last = |runs: &ScaleRuns| runs.sizes().last().copied().unwrap_or(1.0);
        (
            last(&self.judge) / last(&self.fit),
            self.judge.token_range().1 / self.fit.token_range().1,
        )
    }
}

/// The splits that some runs allow. With three sizes or more the largest is
/// judged by the others; where there are four lengths or more and the shortest is at
/// most 0.3 of the longest, the longer part is judged by the shorter. With neither, mixtures are held out.
pub(crate) fn splits(runs: &ScaleRuns) -> Vec<Split> {
    let sizes = runs.sizes();
    let (first, last) = runs.token_range();
    let half = 0.5 * last;
    let long = first <= 0.6 * half && runs.lengths() >= 4;
    let mut out = Vec::new();
    let mut add = |direction, fit: Option<ScaleRuns>, judge: Option<ScaleRuns>| {
        if let (Some(fit), Some(judge)) = (fit, judge) {
            out.push(Split {
                direction,
                fit,
                judge,
            });
        }
    };
    if let [.., second, largest] = sizes[..]
        && sizes.len() >= 3
    {
        add(
            Direction::Larger,
            runs.filtered(|r, _| r.parameters <= second),
            runs.filtered(|r, p| r.parameters == largest && 2.0 * p.tokens >= end(r)),
        );
        if long {
            add(
                Direction::LargerAndLonger,
                runs.filtered(|r, p| r.parameters <= second && p.tokens <= half),
                runs.filtered(|r, p| r.parameters == largest && p.tokens > half),
            );
        }
    }
    if long {
        add(
            Direction::Longer,
            runs.filtered(|_, p| p.tokens <= half),
            runs.filtered(|_, p| p.tokens > half),
        );
    }
    if out.is_empty() {
        let folds = runs.mixture_folds(3);
        for part in 0..3 {
            out.extend(
                runs.of_runs(|r| folds[r] != part)
                    .zip(runs.of_runs(|r| folds[r] == part))
                    .map(|(fit, judge)| Split {
                        direction: Direction::OtherMixtures,
                        fit,
                        judge,
                    }),
            );
        }
    }
    out
}
