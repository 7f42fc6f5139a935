//! Which laws, and which process, are used: chosen by splits in the direction of
//! use.

use std::collections::BTreeMap;

use rayon::prelude::*;
use regmix_data::table::records::number_or_empty;
use regmix_data::{Error, Monitor, Result, Unit};
use serde::{Deserialize, Serialize};

use crate::metrics::spearman;
use crate::scale::anchor::Anchor;
use crate::scale::blend::{Blend, setting};
use crate::scale::choice::{Choice, USUAL};
use crate::scale::fitted::FittedLaw;
use crate::scale::form::LawName;
use crate::scale::growth::{Growth, Held};
use crate::scale::law::ScaleLaw;
use crate::scale::nested::{DML_NESTED, NestedLaw};
use crate::scale::process::{Kernel, Part};
use crate::scale::split::{Direction, Split};

/// The name under which the chosen laws with their process are listed.
pub const CHOSEN: &str = "chosen";

/// The errors of a law on a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The law, or [`CHOSEN`].
    pub law: String,
    /// What the split tests.
    pub direction: Direction,
    /// How many times larger the judged models were than the fitted ones.
    pub size_factor: f64,
    /// How many times longer they were trained.
    pub tokens_factor: f64,
    /// Mean relative error over mixtures, lengths and targets; NaN for a baseline
    /// that the runs do not allow.
    #[serde(with = "number_or_empty")]
    pub error: f64,
    /// Mean over targets of the Spearman correlation over mixtures at the last
    /// judged length; NaN where fewer than three mixtures are there.
    #[serde(with = "number_or_empty")]
    pub spearman: f64,
}

/// By how much others must be better, in the logarithm of the score of a split.
const CLEARLY: f64 = 0.3;

/// The kernels that are compared, the usual one first, then a weaker one and none.
/// What all mixtures share fades at once beyond the lengths of the runs, since a
/// trend of residuals there says little about what comes after; what is particular
/// to a mixture fades slowly, since ranks stay.
fn kernels() -> Vec<Option<Kernel>> {
    let kernel = |strength: f64| {
        let part = |sd: f64, lengths| Part {
            sd: strength * sd,
            lengths,
        };
        Some(Kernel {
            step: part(0.02, [1.5, 0.12]),
            mixture: part(0.015, [1.2, 0.8]),
            mixture_step: part(0.02, [1.4, 0.1]),
            weights_length: 0.4,
            noise: 0.01,
        })
    };
    vec![kernel(1.0), kernel(0.5), None]
}

/// What was chosen.
pub(crate) struct Selection {
    pub(crate) laws: Vec<LawName>,
    pub(crate) kernel: Option<Kernel>,
    pub(crate) judged: Vec<Judged>,
    /// How standard deviations grow beyond the data.
    pub(crate) growth: Growth,
}

/// The laws of one split, fitted once, with the logarithms that they predict for
/// the judged measurements.
struct Contest<'a> {
    split: &'a Split,
    /// The factor on what parameters leave open.
    open: f64,
    anchor: Option<Anchor>,
    /// `[target][law]`.
    laws: Vec<Vec<FittedLaw>>,
    /// `[target]`: places of the measurements.
    points: Vec<Vec<(usize, usize)>>,
    /// `[target][law][point]`.
    ln: Vec<Vec<Vec<f64>>>,
}

impl<'a> Contest<'a> {
    fn hold(
        names: &[LawName],
        split: &'a Split,
        choice: &Choice<'_>,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        /// Measurements of a run that are judged.
        const EACH: usize = 4;
        let units = choice.units(&split.fit);
        let laws = Blend::laws(names, &split.fit, &units, choice.fitting(2), monitor)?;
        let judge = &split.judge;
        let points: Vec<Vec<(usize, usize)>> = (0..judge.targets().len())
            .map(|t| {
                let all = judge.runs().iter().enumerate();
                all.flat_map(|(r, run)| {
                    let finite = |p: &usize| run.points[*p].values[t].is_finite();
                    let measured: Vec<usize> = (0..run.points.len()).filter(finite).collect();
                    // Points of one run say nearly the same.
                    let every = measured.len().div_ceil(EACH).max(1);
                    let mut kept: Vec<(usize, usize)> =
                        (measured.iter().rev().step_by(every).map(|&p| (r, p))).collect();
                    kept.reverse();
                    kept
                })
                .collect()
            })
            .collect();
        let ln = (laws.iter().zip(&points))
            .map(|(laws, points)| {
                let each = |law: &FittedLaw| {
                    let form = law.form();
                    let one = |&(r, p): &(usize, usize)| law.ln_value(&form, &setting(judge, r, p));
                    points.iter().map(one).collect()
                };
                laws.iter().map(each).collect()
            })
            .collect();
        Ok(Self {
            split,
            open: choice.mixtures.open,
            anchor: choice.anchor(&split.fit, monitor)?,
            laws,
            points,
            ln,
        })
    }

    fn measured(&self, target: usize, (r, p): (usize, usize)) -> f64 {
        self.split.judge.runs()[r].points[p].values[target]
    }

    /// The mean relative error of predicted logarithms, `[target][point]`.
    fn error(&self, predicted: &[Vec<f64>]) -> f64 {
        let mut errors = Vec::new();
        for (t, ln) in predicted.iter().enumerate() {
            let each = self.points[t].iter().zip(ln);
            let sum: f64 = each
                .map(|(&at, ln)| (ln.exp() / self.measured(t, at) - 1.0).abs())
                .sum();
            if !ln.is_empty() {
                errors.push(sum / ln.len() as f64);
            }
        }
        errors.iter().sum::<f64>() / errors.len() as f64
    }

    /// The mean of the laws at some places in the list of names.
    fn mean(&self, of: &[LawName]) -> Vec<Vec<f64>> {
        (self.ln.iter().zip(&self.laws).zip(&self.points))
            .map(|((ln, laws), points)| {
                let some: Vec<&Vec<f64>> = (ln.iter().zip(laws))
                    .filter(|(_, law)| of.contains(&law.law()))
                    .map(|(ln, _)| ln)
                    .collect();
                (0..points.len())
                    .map(|i| some.iter().map(|ln| ln[i]).sum::<f64>() / some.len() as f64)
                    .collect()
            })
            .collect()
    }

    fn blend(&self, of: &[LawName], kernel: Option<Kernel>) -> Result<Blend> {
        let some = |laws: &Vec<FittedLaw>| {
            let chosen = laws.iter().filter(|law| of.contains(&law.law()));
            chosen.cloned().collect()
        };
        Blend::join(
            self.laws.iter().map(some).collect(),
            &self.split.fit,
            kernel,
            self.anchor.clone(),
            self.open,
        )
    }

    /// The mean of the laws of a blend with what its process adds.
    fn corrected(&self, of: &[LawName], blend: &Blend) -> Vec<Vec<f64>> {
        let mut out = self.mean(of);
        let corrections: BTreeMap<(usize, usize), Vec<f64>> = (self.places().into_par_iter())
            .map(|(r, p)| ((r, p), blend.corrections(&setting(&self.split.judge, r, p))))
            .collect();
        for (t, (ln, points)) in out.iter_mut().zip(&self.points).enumerate() {
            for (ln, at) in ln.iter_mut().zip(points) {
                *ln += corrections[at][t];
            }
        }
        out
    }

    /// What Data Mixing Laws as published predict, fitted to the same runs.
    fn nested(&self, monitor: &dyn Monitor) -> Result<Vec<Vec<f64>>> {
        let nested = NestedLaw::fit(&self.split.fit, monitor)?;
        (self.points.iter().enumerate())
            .map(|(t, points)| {
                let law = nested.target(t);
                let one = |&(r, p): &(usize, usize)| {
                    monitor.check()?;
                    Ok(law.predict(&setting(&self.split.judge, r, p)).mean.ln())
                };
                points.iter().map(one).collect()
            })
            .collect()
    }

    /// The judged measurements of any target, each once.
    fn places(&self) -> Vec<(usize, usize)> {
        let mut all = self.points.concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn judged(&self, law: &str, predicted: &[Vec<f64>]) -> Judged {
        let (size_factor, tokens_factor) = self.split.factors();
        Judged {
            law: law.to_owned(),
            direction: self.split.direction,
            size_factor,
            tokens_factor,
            error: self.error(predicted),
            spearman: self.spearman(predicted),
        }
    }

    /// Over the last measurement of every judged run.
    fn spearman(&self, predicted: &[Vec<f64>]) -> f64 {
        let mut all = Vec::new();
        for (t, ln) in predicted.iter().enumerate() {
            let largest = self.split.judge.sizes().last().copied();
            let (mut measured, mut expected) = (Vec::new(), Vec::new());
            for (i, &(r, p)) in self.points[t].iter().enumerate() {
                let last = self.points[t].get(i + 1).is_none_or(|next| next.0 != r);
                if last && Some(self.split.judge.runs()[r].parameters) == largest {
                    measured.push(self.measured(t, (r, p)));
                    expected.push(ln[i]);
                }
            }
            if measured.len() >= 3 {
                all.push(spearman(&measured, &expected));
            }
        }
        all.iter().sum::<f64>() / all.len() as f64
    }
}

/// Judged points, by the direction of their split.
type HeldOut = Vec<(Direction, Vec<Held>)>;

/// Chooses the laws whose mean, and the process with which, held-out runs are
/// predicted best: the least product, over all splits, of the error and of what the
/// rank correlation lacks to 1.
pub(crate) fn select(
    choice: &Choice<'_>,
    splits: &[Split],
    monitor: &dyn Monitor,
) -> Result<Selection> {
    monitor.begin("judging laws", splits.len() as u64, Unit::Items);
    let mut contests = Vec::new();
    for split in splits {
        contests.push(Contest::hold(choice.names, split, choice, monitor)?);
        monitor.advance(1);
    }
    monitor.end();
    let general = for_all_targets(choice.names, &contests)?;
    let score = |predicted: &dyn Fn(&Contest<'_>) -> Result<Vec<Vec<f64>>>| -> Result<f64> {
        let mut product = 0.0;
        for contest in &contests {
            let predicted = predicted(contest)?;
            product += contest.error(&predicted).ln();
            let apart = 1.0 - contest.spearman(&predicted);
            if apart.is_finite() {
                product += apart.max(1e-3).ln();
            }
        }
        Ok(product)
    };
    let usual: Vec<LawName> = (general.iter().copied())
        .filter(|name| USUAL.contains(name))
        .collect();
    let mut best = match usual.is_empty() {
        true => (vec![general[0]], f64::INFINITY),
        false => {
            // Other laws must be better by more than chance.
            let found = score(&|c| Ok(c.mean(&usual)))?;
            (usual, found - CLEARLY * contests.len() as f64)
        }
    };
    for some in subsets(&general) {
        let found = score(&|c| Ok(c.mean(&some)))?;
        // A further law must bring something.
        if found < best.1 - 0.01 * some.len() as f64 {
            best = (some, found);
        }
    }
    let laws = best.0;
    let mut kernel = (None, f64::INFINITY);
    for (turn, some) in kernels().into_iter().enumerate() {
        monitor.check()?;
        let found = score(&|c| Ok(c.corrected(&laws, &c.blend(&laws, some)?)))?;
        // Splits that judge longer runs alone do not see what it does for larger
        // models: others than the usual must be clearly better.
        let ahead = match turn {
            0 => CLEARLY * contests.len() as f64,
            _ => 0.0,
        };
        if found - ahead < kernel.1 {
            kernel = (some, found - ahead);
        }
    }
    let kernel = kernel.0;
    let (mut judged, held) = judge(&contests, &general, &laws, kernel)?;
    if choice.nested {
        for contest in &contests {
            judged.push(contest.judged(DML_NESTED, &contest.nested(monitor)?));
        }
    }
    Ok(Selection {
        laws,
        kernel,
        judged,
        growth: Growth::calibrated(&held),
    })
}

/// The laws that serve every target: one of the own weight alone takes part where
/// all targets are domains.
fn for_all_targets(names: &[LawName], contests: &[Contest<'_>]) -> Result<Vec<LawName>> {
    let serves = |contest: &Contest<'_>, name: LawName| {
        (contest.laws.iter()).all(|laws| laws.iter().any(|law| law.law() == name))
    };
    let general: Vec<LawName> = (names.iter().copied())
        .filter(|name| contests.iter().all(|contest| serves(contest, *name)))
        .collect();
    if general.is_empty() {
        return Err(Error::input(
            "no law that serves every target: expected at least one besides `bimix` and `dcpt`, \
             which are for targets that are domains",
        )
        .field("--laws"));
    }
    Ok(general)
}

/// The error of a selection on a split.
///
/// # Errors
/// When the monitor asks to stop.
pub(crate) fn trial(
    split: &Split,
    selection: &Selection,
    choice: &Choice<'_>,
    monitor: &dyn Monitor,
) -> Result<f64> {
    let contest = Contest::hold(&selection.laws, split, choice, monitor)?;
    let blend = contest.blend(&selection.laws, selection.kernel)?;
    Ok(contest.error(&contest.corrected(&selection.laws, &blend)))
}

/// Judges each law and the chosen blend on all splits. Beside it, by split, the
/// errors of the blend.
fn judge(
    contests: &[Contest<'_>],
    general: &[LawName],
    laws: &[LawName],
    kernel: Option<Kernel>,
) -> Result<(Vec<Judged>, HeldOut)> {
    let mut judged = Vec::new();
    let mut out = Vec::new();
    for contest in contests {
        for name in general {
            judged.push(contest.judged(name.as_str(), &contest.mean(&[*name])));
        }
        let blend = contest.blend(laws, kernel)?;
        judged.push(contest.judged(CHOSEN, &contest.corrected(laws, &blend)));
        // A few hundred measurements are enough.
        let places = contest.places();
        let every = places.len().div_ceil(200).max(1);
        let places: Vec<_> = places.into_iter().step_by(every).collect();
        let held = (places.par_iter())
            .flat_map_iter(|&at| {
                let predicted = blend.predict(&setting(&contest.split.judge, at.0, at.1));
                (predicted.into_iter().enumerate()).map(move |(t, predicted)| Held {
                    error: contest.measured(t, at).ln() - predicted.mean,
                    predicted,
                })
            })
            .filter(|held| held.error.is_finite())
            .collect();
        out.push((contest.split.direction, held));
    }
    Ok((judged, out))
}

/// All sets of one to three of the names.
fn subsets(names: &[LawName]) -> Vec<Vec<LawName>> {
    let mut out: Vec<Vec<LawName>> = (1u32..1 << names.len())
        .filter(|bits| bits.count_ones() <= 3)
        .map(|bits| {
            let has = |i: &usize| bits >> i & 1 == 1;
            (0..names.len()).filter(has).map(|i| names[i]).collect()
        })
        .collect();
    out.sort_by_key(Vec::len);
    out
}
