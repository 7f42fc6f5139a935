//! The critical mixture ratio of continual pre-training (arXiv 2407.17467).

use serde::Serialize;

use regmix_data::{Error, Result};

use crate::prediction::Z90;
use crate::scale::power::PowerLaw;

/// One run that continues from a trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct CmrRun {
    /// The run's name.
    pub run: String,
    /// The share of special text in its mixture.
    pub special_share: f64,
    /// Tokens, the general loss and the special loss; the first point, at 0
    /// tokens, is the model before.
    pub points: Vec<(f64, f64, f64)>,
}

/// The largest share of special text at which the general loss stays within
/// its limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cmr {
    /// How far the general loss may rise, in nats per token.
    pub epsilon: f64,
    /// The tokens for which the shares hold.
    pub tokens: f64,
    /// The general loss before.
    pub general_before: f64,
    /// The special loss before.
    pub special_before: f64,
    /// The general loss by the share of general text, at the last measurement.
    pub general_law: PowerLaw,
    /// The special loss by the share of special text, at the last measurement.
    pub special_law: PowerLaw,
    /// Special shares up to this are feasible; `None` where none is.
    pub critical: Option<CriticalRatio>,
    /// The critical ratio at every measured length.
    pub by_tokens: Vec<CriticalRatio>,
    /// The critical ratio by tokens, where at least four lengths have one.
    pub ratio_by_tokens: Option<PowerLaw>,
    /// The special loss above that before, by tokens, for every run.
    pub special_by_tokens: Vec<(String, PowerLaw)>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// A critical ratio with its 90 % interval, whose ends are NaN with three shares,
/// through which the law passes exactly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CriticalRatio {
    /// Tokens of the run.
    pub tokens: f64,
    /// The largest feasible special share.
    pub special_share: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Cmr {
    /// Finds the critical ratio after `tokens`, by default those of the last
    /// measurement.
    ///
    /// At every length that all runs have, the general loss is fitted by a power
    /// with a level of the general share, `L(g) = α g^s + β`; the critical share
    /// is where it has risen by `epsilon`. Shares of 0 and 1 are left out, as in
    /// the paper: a power law does not hold there. The interval is the residual
    /// spread around these laws, pooled over lengths, over their slope.
    ///
    /// # Errors
    /// When a run has no measurement at 0 tokens, fewer than three shares lie
    /// between 0 and 1, no length is common to all runs, or a number is out of
    /// range.
    pub fn find(runs: &[CmrRun], epsilon: f64, tokens: Option<f64>) -> Result<Self> {
        if !(epsilon >= 0.0 && epsilon.is_finite()) {
            return Err(
                Error::input(format!("{epsilon}: expected nats per token, 0 or more"))
                    .field("--epsilon"),
            );
        }
        let mut notes = Vec::new();
        let inner = inner(runs, &mut notes)?;
        let (general_before, special_before) = before(&inner)?;
        let lengths = common_lengths(&inner);
        let Some(&last) = lengths.last() else {
            return Err(Error::input("no length at which all runs were measured")
                .help("measure all runs after the same numbers of tokens"));
        };
        let law = |length: f64, general: bool| {
            let points: Vec<(f64, f64)> = (inner.iter())
                .filter_map(|run| {
                    let p = run.points.iter().find(|p| p.0 == length)?;
                    Some(match general {
                        true => (1.0 - run.special_share, p.1),
                        false => (run.special_share, p.2),
                    })
                })
                .collect();
            PowerLaw::fit(&points)
        };
        let laws: Vec<(f64, PowerLaw)> = (lengths.iter())
            .map(|&length| Ok((length, law(length, true)?)))
            .collect::<Result<_>>()?;
        let noise = pooled(&laws);
        if laws.iter().any(|(_, law)| rises(law)) {
            notes.push(
                "the general loss falls as the share of special text grows: special text sets no \
                 upper limit here, and small shares of it may exceed the limit; compare the losses \
                 of the runs"
                    .to_owned(),
            );
        }
        let mut by_tokens = Vec::new();
        for (length, law) in &laws {
            by_tokens.extend(critical(law, general_before + epsilon, *length, noise));
        }
        let ratios: Vec<(f64, f64)> = (by_tokens.iter())
            .map(|c| (c.tokens, c.special_share))
            .collect();
        let ratio_by_tokens = match ratios.len() >= 4 {
            true => Some(PowerLaw::fit(&ratios)?),
            false => None,
        };
        let tokens = tokens.unwrap_or(last);
        let at_tokens = ratio_at(tokens, &lengths, &by_tokens, ratio_by_tokens, &mut notes)?;
        notes.extend(at_tokens.and_then(|found| outside(&inner, found.special_share)));
        if noise.is_nan() {
            notes.push(
                "three shares leave nothing to judge the law by: there is no interval; train at a \
                 fourth"
                    .to_owned(),
            );
        }
        Ok(Self {
            epsilon,
            tokens,
            general_before,
            special_before,
            general_law: law(last, true)?,
            special_law: law(last, false)?,
            critical: at_tokens,
            by_tokens,
            ratio_by_tokens,
            special_by_tokens: (inner.iter())
                .filter_map(|run| {
                    let later = run.points.iter().filter(|p| p.0 > 0.0);
                    let points: Vec<_> = later.map(|p| (p.0, p.2 - special_before)).collect();
                    Some((run.run.clone(), PowerLaw::fit(&points).ok()?))
                })
                .collect(),
            notes,
        })
    }
}

/// The runs whose shares lie between 0 and 1.
fn inner<'a>(runs: &'a [CmrRun], notes: &mut Vec<String>) -> Result<Vec<&'a CmrRun>> {
    let (inner, outer): (Vec<&CmrRun>, Vec<&CmrRun>) =
        (runs.iter()).partition(|r| r.special_share > 0.0 && r.special_share < 1.0);
    if !outer.is_empty() {
        let names: Vec<&str> = outer.iter().map(|r| r.run.as_str()).collect();
        notes.push(format!(
            "left out {}: their share of special text is 0 or 1, which a power law does not reach",
            names.join(", ")
        ));
    }
    let mut shares: Vec<f64> = inner.iter().map(|r| r.special_share).collect();
    shares.sort_by(f64::total_cmp);
    shares.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
    if shares.len() < 3 {
        return Err(Error::input(format!(
            "{} shares of special text between 0 and 1: expected at least three",
            shares.len()
        ))
        .help("train at further shares, such as 0.25, 0.5 and 0.75"));
    }
    Ok(inner)
}

/// The losses of the model before.
fn before(runs: &[&CmrRun]) -> Result<(f64, f64)> {
    /// Losses of one model differ by less between measurements.
    const SAME: f64 = 0.01;
    let mut sum = (0.0, 0.0);
    let mut range: [Option<(f64, &str)>; 2] = [None, None];
    for run in runs {
        if run.points.is_empty() {
            return Err(Error::input(format!(
                "run `{}` has no point at which the general and the special loss were measured",
                run.run
            ))
            .help("remove the run, or add what was measured"));
        }
        let Some(first) = run.points.first().filter(|p| p.0 == 0.0) else {
            return Err(Error::input(format!(
                "run `{}` has no measurement at step 0 and 0 tokens: expected the losses of the \
                 model before",
                run.run
            ))
            .help("add a row of step 0 to every run"));
        };
        sum.0 += first.1 / runs.len() as f64;
        sum.1 += first.2 / runs.len() as f64;
        let [low, high] = &mut range;
        if low.is_none_or(|l| first.1 < l.0) {
            *low = Some((first.1, &run.run));
        }
        if high.is_none_or(|h| first.1 > h.0) {
            *high = Some((first.1, &run.run));
        }
    }
    if let [Some(low), Some(high)] = range
        && high.0 > (1.0 + SAME) * low.0
    {
        return Err(Error::input(format!(
            "before training the general loss of `{}` is {:.4} and that of `{}` {:.4}: expected \
             runs that go on from one model",
            low.1, low.0, high.1, high.0
        ))
        .help("leave out the runs that continue from another model"));
    }
    Ok(sum)
}

/// Positive token counts that all runs have.
fn common_lengths(runs: &[&CmrRun]) -> Vec<f64> {
    let has = |run: &CmrRun, tokens: f64| run.points.iter().any(|p| p.0 == tokens);
    (runs[0].points.iter())
        .map(|p| p.0)
        .filter(|&t| t > 0.0 && runs.iter().all(|run| has(run, t)))
        .collect()
}

/// A note where a share lies outside of those that were run.
fn outside(runs: &[&CmrRun], share: f64) -> Option<String> {
    let shares = runs.iter().map(|r| r.special_share);
    let (low, high) = shares.fold((1.0f64, 0.0f64), |(l, h), s| (l.min(s), h.max(s)));
    (share < low || share > high).then(|| {
        format!(
            "the critical share {share:.4} lies outside of those that were run ({low} to {high}): \
             train there before you trust it"
        )
    })
}

/// The residual spread of all laws together; NaN where three shares leave none.
fn pooled(laws: &[(f64, PowerLaw)]) -> f64 {
    let squares: Vec<f64> = (laws.iter())
        .map(|(_, law)| law.residual_sd.powi(2))
        .filter(|s| s.is_finite())
        .collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}

/// A share of general text that stands for none at all.
const LITTLE: f64 = 1e-3;

/// Whether the general loss rises with the share of general text, which no law expects.
fn rises(law: &PowerLaw) -> bool {
    law.value(1.0) > law.value(LITTLE)
}

/// The greatest share of special text at which the general loss keeps to a limit.
fn critical(law: &PowerLaw, limit: f64, tokens: f64, noise: f64) -> Option<CriticalRatio> {
    let share = match law.inverse(limit) {
        // Even special text alone keeps to the limit.
        _ if law.value(LITTLE) <= limit => 1.0,
        // The loss is lowest with special text alone, and above the limit even there.
        _ if rises(law) => return None,
        Some(general) => 1.0 - general,
        None => return None,
    };
    if share <= 0.0 {
        return None;
    }
    let share = share.min(1.0);
    let spread = Z90 * noise / law.slope((1.0 - share).max(LITTLE)).abs();
    Some(CriticalRatio {
        tokens,
        special_share: share,
        // Not by `max` and `min`, which drop NaN.
        low: (share - spread).clamp(0.0, 1.0),
        high: (share + spread).clamp(0.0, 1.0),
    })
}

/// The ratio at some tokens: measured there, or by the law of ratios.
fn ratio_at(
    tokens: f64,
    lengths: &[f64],
    found: &[CriticalRatio],
    law: Option<PowerLaw>,
    notes: &mut Vec<String>,
) -> Result<Option<CriticalRatio>> {
    if !(tokens > 0.0 && tokens.is_finite()) {
        return Err(Error::input(format!("{tokens}: expected tokens")).field("--tokens"));
    }
    if lengths.contains(&tokens) {
        return Ok(found.iter().find(|c| c.tokens == tokens).copied());
    }
    let (first, last) = (lengths[0], lengths[lengths.len() - 1]);
    let Some(law) = law else {
        return Err(Error::input(format!(
            "no run was measured after {tokens} tokens, and fewer than four lengths have a \
             critical ratio"
        ))
        .field("--tokens")
        .help("ask for a measured length, or measure more lengths"));
    };
    if tokens > last {
        notes.push(format!(
            "{:.1} times the tokens of the runs: the ratio is extended along its law",
            tokens / last
        ));
    }
    if tokens < first {
        notes.push(format!(
            "before the first measurement, after {first:e} tokens: the ratio is extended along its \
             law"
        ));
    }
    let share = law.value(tokens).clamp(0.0, 1.0);
    let half = found.last().map_or(0.1, |c| 0.5 * (c.high - c.low))
        + Z90 * law.residual_sd.max(0.0) * (1.0 + (tokens / last).ln().max(0.0));
    Ok(Some(CriticalRatio {
        tokens,
        special_share: share,
        low: (share - half).clamp(0.0, 1.0),
        high: (share + half).clamp(0.0, 1.0),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs under L(g, T) with a known critical share.
    fn runs(shares: &[f64]) -> Vec<CmrRun> {
        (shares.iter())
            .map(|&special_share| {
                let points = (0..=8).map(|k| {
                    let tokens = 1e9 * f64::from(k);
                    let general = match k {
                        0 => 2.5,
                        _ => 2.3 + 0.1 * (1.0 - special_share).powf(-0.8),
                    };
                    (
                        tokens,
                        general,
                        2.0 - 0.1 * f64::from(k).powf(0.3) * special_share,
                    )
                });
                CmrRun {
                    run: format!("s{special_share}"),
                    special_share,
                    points: points.collect(),
                }
            })
            .collect()
    }

    #[test]
    fn a_known_ratio_is_found_and_ends_are_left_out() {
        let found = Cmr::find(&runs(&[0.0, 0.25, 0.5, 0.6, 0.75, 1.0]), 0.05, None).unwrap();
        // 2.3 + 0.1 g^-0.8 = 2.55.
        let truth = 1.0 - 2.5f64.powf(-1.0 / 0.8);
        let ratio = found.critical.unwrap();
        assert!(
            (ratio.special_share - truth).abs() < 1e-3,
            "{ratio:?} {truth}"
        );
        assert!(ratio.low <= truth + 1e-3 && truth - 1e-3 <= ratio.high);
        assert_eq!(
            found.notes,
            [
                "left out s0, s1: their share of special text is 0 or 1, which a power law does not \
              reach"
            ]
        );
        let later = Cmr::find(&runs(&[0.25, 0.5, 0.6, 0.75]), 0.05, Some(16e9)).unwrap();
        assert!((later.critical.unwrap().special_share - truth).abs() < 1e-2);
        assert!(later.notes[0].starts_with("2.0 times the tokens"));
    }

    #[test]
    fn general_loss_that_falls_with_special_text_sets_no_upper_limit() {
        let mut turned = runs(&[0.25, 0.4, 0.5, 0.6, 0.75]);
        for run in &mut turned {
            let special = run.special_share;
            for point in run.points.iter_mut().skip(1) {
                point.1 = 2.3 + 0.1 * special.powf(-0.8);
            }
        }
        let found = Cmr::find(&turned, 0.05, None).unwrap();
        assert_eq!(found.critical.unwrap().special_share, 1.0);
        assert!(
            found
                .notes
                .iter()
                .any(|note| note.starts_with("the general loss falls")),
            "{:?}",
            found.notes
        );
        // Above the limit everywhere.
        for run in &mut turned {
            run.points
                .iter_mut()
                .skip(1)
                .for_each(|point| point.1 += 1.0);
        }
        assert!(Cmr::find(&turned, 0.05, None).unwrap().critical.is_none());
    }

    #[test]
    fn three_shares_have_no_interval() {
        let found = Cmr::find(&runs(&[0.25, 0.5, 0.75]), 0.05, None).unwrap();
        let ratio = found.critical.unwrap();
        assert!(ratio.low.is_nan() && ratio.high.is_nan(), "{ratio:?}");
        assert_eq!(
            found.notes,
            [
                "three shares leave nothing to judge the law by: there is no interval; train at a \
                 fourth"
            ]
        );
    }

    #[test]
    fn what_lies_outside_of_the_runs_is_said() {
        let found = Cmr::find(&runs(&[0.2, 0.4, 0.5, 0.6]), 0.05, Some(1e8)).unwrap();
        let before = "before the first measurement, after 1e9 tokens: the ratio is extended along";
        assert!(found.notes[0].starts_with(before), "{:?}", found.notes);
        let outside = "lies outside of those that were run (0.2 to 0.6)";
        assert!(found.notes[1].contains(outside), "{:?}", found.notes);
    }

    #[test]
    fn bad_runs_are_refused() {
        let text = |runs: &[CmrRun], epsilon, tokens| {
            Cmr::find(runs, epsilon, tokens).unwrap_err().to_string()
        };
        assert_eq!(
            text(&runs(&[0.0, 0.5, 0.75, 1.0]), 0.05, None),
            "2 shares of special text between 0 and 1: expected at least three"
        );
        let mut late = runs(&[0.25, 0.5, 0.75]);
        late[1].points.remove(0);
        assert_eq!(
            text(&late, 0.05, None),
            "run `s0.5` has no measurement at step 0 and 0 tokens: expected the losses of the \
             model before"
        );
        let mut other = runs(&[0.25, 0.5, 0.75]);
        other[2].points[0].1 = 2.6;
        assert_eq!(
            text(&other, 0.05, None),
            "before training the general loss of `s0.25` is 2.5000 and that of `s0.75` 2.6000: \
             expected runs that go on from one model"
        );
        other[2].points.clear();
        assert_eq!(
            text(&other, 0.05, None),
            "run `s0.75` has no point at which the general and the special loss were measured"
        );
        assert_eq!(
            text(&runs(&[0.25, 0.5, 0.75]), -1.0, None),
            "`--epsilon`: -1: expected nats per token, 0 or more"
        );
        assert_eq!(
            text(&runs(&[0.25, 0.5, 0.75]), 0.05, Some(-2.0)),
            "`--tokens`: -2: expected tokens"
        );
    }
}
