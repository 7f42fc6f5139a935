//! Which laws, and which process, are used: chosen by splits in the direction of
//! use.

use rayon::prelude::*;
use regmix_data::{Error, Monitor, Result, Unit};
use serde::{Deserialize, Serialize};

use crate::metrics::spearman;
use crate::prediction::Z90;
use crate::scale::blend::{Blend, LnPrediction, setting};
use crate::scale::fitted::FittedLaw;
use crate::scale::form::LawName;
use crate::scale::process::Kernel;
use crate::scale::split::{Direction, Split};
use crate::scale::units::Units;

/// The name under which the chosen laws with their process are listed.
pub const CHOSEN: &str = "chosen";

/// How a law did on a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The law, or [`CHOSEN`].
    pub law: String,
    /// What was asked.
    pub direction: Direction,
    /// How many times larger the judged models were than the fitted ones.
    pub size_factor: f64,
    /// How many times longer they were trained.
    pub tokens_factor: f64,
    /// Mean relative error over mixtures, lengths and targets.
    pub error: f64,
    /// Mean over targets of the Spearman correlation over mixtures at the last
    /// judged length; NaN where fewer than three mixtures are there.
    pub spearman: f64,
}

/// The kernels that are compared: none; weak ones that remember a mixture along
/// all lengths, which repairs ranks; and stronger ones that fade soon beyond the
/// lengths of the runs.
fn kernels() -> Vec<Option<Kernel>> {
    let kernel = |sd: f64, common_tokens: f64, tokens: f64, noise: f64| {
        Some(Kernel {
            common: sd,
            common_lengths: [0.7, common_tokens],
            mixture: sd,
            weights_length: 0.9,
            mixture_lengths: [2.5, tokens],
            noise,
        })
    };
    vec![
        None,
        kernel(0.01, 0.7, 3.0, 0.012),
        kernel(0.02, 0.7, 3.0, 0.012),
        kernel(0.02, 0.35, 0.35, 0.008),
        kernel(0.02, 0.5, 0.5, 0.008),
    ]
}

/// What was chosen.
pub(crate) struct Selection {
    pub(crate) laws: Vec<LawName>,
    pub(crate) kernel: Option<Kernel>,
    pub(crate) judged: Vec<Judged>,
    /// How fast the standard deviation of every target grows beyond the data.
    pub(crate) growth: Vec<f64>,
}

/// The laws of one split, fitted once, with the logarithms that they predict for
/// the judged measurements.
struct Contest<'a> {
    split: &'a Split,
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
        counting: (&[f64], &[f64]),
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        /// Measurements of a run that are judged.
        const EACH: usize = 4;
        let units = Units::of(&split.fit, counting.0, counting.1);
        let laws = Blend::laws(names, &split.fit, &units, 2, monitor)?;
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
                    let one =
                        |&(r, p): &(usize, usize)| law.ln_loss_by(&form, &setting(judge, r, p)).0;
                    points.iter().map(one).collect()
                };
                laws.iter().map(each).collect()
            })
            .collect();
        Ok(Self {
            split,
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
        )
    }

    fn corrected(&self, blend: &Blend) -> Vec<Vec<f64>> {
        let judge = &self.split.judge;
        (self.points.par_iter().enumerate())
            .map(|(t, points)| {
                let one = |&(r, p): &(usize, usize)| blend.ln_mean(t, &setting(judge, r, p), None);
                points.iter().map(one).collect()
            })
            .collect()
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

/// Chooses the laws whose mean, and the process with which, held-out runs are
/// predicted best: the least product, over all splits, of the error and of what the
/// rank correlation lacks to 1.
pub(crate) fn select(
    names: &[LawName],
    splits: &[Split],
    counting: (&[f64], &[f64]),
    monitor: &dyn Monitor,
) -> Result<Selection> {
    monitor.begin("judging laws", splits.len() as u64, Unit::Items);
    let mut contests = Vec::new();
    for split in splits {
        contests.push(Contest::hold(names, split, counting, monitor)?);
        monitor.advance(1);
    }
    monitor.end();
    // A law of the own weight alone takes part where all targets are domains.
    let general: Vec<LawName> = (names.iter().copied())
        .filter(|n| {
            contests
                .iter()
                .all(|c| c.laws.iter().all(|l| l.iter().any(|l| l.law() == *n)))
        })
        .collect();
    if general.is_empty() {
        return Err(Error::input(
            "no law that serves every target: expected at least one besides `bimix` and `dcpt`, \
             which are for targets that are domains",
        )
        .field("--laws"));
    }
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
    let mut best = (vec![general[0]], f64::INFINITY);
    for some in subsets(&general) {
        let found = score(&|c| Ok(c.mean(&some)))?;
        // A further law must bring something.
        if found < best.1 - 0.01 * some.len() as f64 {
            best = (some, found);
        }
    }
    let laws = best.0;
    let mut kernel = (None, f64::INFINITY);
    for some in kernels() {
        monitor.check()?;
        let found = score(&|c| Ok(c.corrected(&c.blend(&laws, some)?)))?;
        if found < kernel.1 - 0.02 {
            kernel = (some, found);
        }
    }
    let kernel = kernel.0;
    let (judged, needed) = judge(&contests, &general, &laws, kernel)?;
    Ok(Selection {
        laws,
        kernel,
        judged,
        growth: growth(&needed),
    })
}

/// Judges each law and the chosen blend on all splits. Beside it, by target, how
/// fast intervals must grow with the distance from the data to hold each held-out
/// measurement.
fn judge(
    contests: &[Contest<'_>],
    general: &[LawName],
    laws: &[LawName],
    kernel: Option<Kernel>,
) -> Result<(Vec<Judged>, Vec<Vec<f64>>)> {
    let mut judged = Vec::new();
    let mut needed: Vec<Vec<f64>> = Vec::new();
    for contest in contests {
        for name in general {
            judged.push(contest.judged(name.as_str(), &contest.mean(&[*name])));
        }
        let blend = contest.blend(laws, kernel)?;
        judged.push(contest.judged(CHOSEN, &contest.corrected(&blend)));
        needed.resize(contest.points.len(), Vec::new());
        for (t, points) in contest.points.iter().enumerate() {
            // A few measurements of every run are enough.
            let every = points.len().div_ceil(200).max(1);
            for &at in points.iter().step_by(every) {
                let p: LnPrediction = blend.predict(t, &setting(&contest.split.judge, at.0, at.1));
                let error = (contest.measured(t, at).ln() - p.mean).abs() / Z90;
                let more = (error.powi(2) - p.base.powi(2)).max(0.0).sqrt();
                if p.far > 0.1 {
                    needed[t].push(more / p.far);
                }
            }
        }
    }
    Ok((judged, needed))
}

/// The growth with which 90 % of the held-out measurements fall into the
/// intervals: half-way between a target's own and that of all. One hundredth
/// per unit where nothing was judged beyond the data.
fn growth(needed: &[Vec<f64>]) -> Vec<f64> {
    let ninety = |mut needed: Vec<f64>| {
        needed.sort_by(f64::total_cmp);
        let at = (0.9 * needed.len() as f64).ceil() as usize;
        needed.get(at.saturating_sub(1)).copied()
    };
    let all = ninety(needed.concat()).unwrap_or(0.01);
    (needed.iter())
        .map(|own| match own.len() < 10 {
            true => all,
            false => 0.5 * (all + ninety(own.clone()).unwrap_or(all)),
        })
        .collect()
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
