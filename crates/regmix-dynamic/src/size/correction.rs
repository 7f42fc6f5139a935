//! From the losses of a target to the scale of the proxies.

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

/// How the loss of a target is converted to that of a proxy.
///
/// Online, the stage model is given measured losses of a model that is far
/// larger than those it was fitted on. Tables of RegMix give a ratio of
/// 1.229 ± 0.016 between models whose sizes differ by a factor of 60, which is
/// β = 0.050, but β = 0.088 for a factor of 1000 (and of 25 in tokens); a line
/// through the same pairs fits better in both cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SizeCorrection {
    /// `l · ratio^β` with the ratio of parameters, target to proxy: RegMix-D,
    /// eq. 2. Its ratio is 1000 and its β 0.05; it reports no difference
    /// between β 0.01 and 0.1.
    PowerLaw {
        /// Parameters of the target by those of a proxy; positive.
        ratio: f64,
        /// The exponent.
        beta: f64,
    },
    /// `intercept + slope · l`, one pair per target of the state, or one for
    /// all. See [`SizeCorrection::from_pairs`].
    Affine {
        /// In nats.
        intercept: Vec<f64>,
        /// Positive.
        slope: Vec<f64>,
    },
    /// A factor per target, measured at the first stage point: the loss that
    /// the stage model expects there over the loss that the target has. It is
    /// measured on this very target and needs no second size, but the first
    /// decision then does not depend on the target's losses.
    FirstSegment,
    /// Losses as they are.
    None,
}

impl Default for SizeCorrection {
    /// The paper's.
    fn default() -> Self {
        Self::PowerLaw {
            ratio: 1000.0,
            beta: 0.05,
        }
    }
}

impl SizeCorrection {
    /// A line per target from the losses of two sizes of models on the same
    /// mixtures at the same fraction of training: `pairs[target]` holds
    /// `(large, small)`.
    ///
    /// ```
    /// use regmix_dynamic::SizeCorrection;
    ///
    /// let pairs = vec![vec![(2.0, 4.2), (3.0, 5.4), (2.5, 4.8)]];
    /// let line = SizeCorrection::from_pairs(&pairs)?;
    /// assert!((line.corrected(&[2.2], None)?[0] - 4.44).abs() < 1e-9);
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a target has fewer than 3 pairs, a loss is not finite or not
    /// positive, losses of the large models are all the same, or the line
    /// falls.
    pub fn from_pairs(pairs: &[Vec<(f64, f64)>]) -> Result<Self> {
        let (mut intercepts, mut slopes) = (Vec::new(), Vec::new());
        for (target, pairs) in pairs.iter().enumerate() {
            check_pairs(target, pairs, 3)?;
            let n = pairs.len() as f64;
            let x = pairs.iter().map(|p| p.0).sum::<f64>() / n;
            let y = pairs.iter().map(|p| p.1).sum::<f64>() / n;
            let xy: f64 = pairs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
            let xx: f64 = pairs.iter().map(|p| (p.0 - x).powi(2)).sum();
            let slope = xy / xx;
            if !(slope > 0.0 && slope.is_finite()) {
                return Err(Error::input(format!(
                    "losses of the two sizes do not rise together (target {target}, slope {slope})"
                ))
                .field("size")
                .help("use `none`, or check that the pairs are of the same mixtures"));
            }
            slopes.push(slope);
            intercepts.push(y - slope * x);
        }
        Ok(Self::Affine {
            intercept: intercepts,
            slope: slopes,
        })
    }

    /// The power law through pairs of `(large, small)` losses of models whose
    /// parameters are `ratio` apart: β is the mean of `ln(small / large) /
    /// ln ratio`. For a target of another size the law is extrapolated.
    ///
    /// # Errors
    /// When there is no pair, a loss is not finite or not positive, or the
    /// ratio is not above 1.
    pub fn power_law_from_pairs(
        pairs: &[(f64, f64)],
        ratio: f64,
        target_ratio: f64,
    ) -> Result<Self> {
        check_pairs(0, pairs, 1)?;
        if !(ratio > 1.0 && ratio.is_finite() && target_ratio > 0.0 && target_ratio.is_finite()) {
            return Err(Error::input(format!(
                "ratios {ratio} and {target_ratio}: expected above 1 and positive"
            ))
            .field("size.ratio"));
        }
        let sum: f64 = pairs
            .iter()
            .map(|(large, small)| (small / large).ln())
            .sum();
        Ok(Self::PowerLaw {
            ratio: target_ratio,
            beta: sum / pairs.len() as f64 / ratio.ln(),
        })
    }

    pub(crate) fn check(&self) -> Result<()> {
        let usable = match self {
            Self::PowerLaw { ratio, beta } => *ratio > 0.0 && ratio.is_finite() && beta.is_finite(),
            Self::Affine { intercept, slope } => {
                !slope.is_empty()
                    && slope.len() == intercept.len()
                    && slope.iter().all(|s| *s > 0.0 && s.is_finite())
                    && intercept.iter().all(|i| i.is_finite())
            }
            Self::FirstSegment | Self::None => true,
        };
        if usable {
            Ok(())
        } else {
            Err(Error::input(format!(
                "{self:?}: expected a positive ratio, or slopes that are positive and as many \
                 intercepts"
            ))
            .field("size"))
        }
    }

    /// Losses on the scale of the proxies. `factors` are those measured at the
    /// first stage point, for [`SizeCorrection::FirstSegment`].
    ///
    /// # Errors
    /// When a result is not finite and positive, or the numbers of factors or
    /// lines and of losses differ.
    pub fn corrected(&self, losses: &[f64], factors: Option<&[f64]>) -> Result<Vec<f64>> {
        let of =
            |values: &[f64], i: usize| values.get(if values.len() == 1 { 0 } else { i }).copied();
        let one = |i: usize, loss: f64| match self {
            Self::PowerLaw { ratio, beta } => Some(loss * ratio.powf(*beta)),
            Self::Affine { intercept, slope } => Some(of(intercept, i)? + of(slope, i)? * loss),
            Self::FirstSegment => Some(loss * of(factors?, i)?),
            Self::None => Some(loss),
        };
        (losses.iter().enumerate())
            .map(|(i, loss)| {
                one(i, *loss)
                    .filter(|l| *l > 0.0 && l.is_finite())
                    .ok_or_else(|| {
                        Error::input(format!(
                            "loss {loss} cannot be brought to the proxies' scale by {self:?}"
                        ))
                        .field("size")
                        .help("give one intercept and slope per target")
                    })
            })
            .collect()
    }

    /// The inverse: losses of a target from those on the proxies' scale. `None`
    /// where the scale is only measured during training.
    pub(crate) fn at_target(&self, losses: &[f64]) -> Option<Vec<f64>> {
        let of =
            |values: &[f64], i: usize| values.get(if values.len() == 1 { 0 } else { i }).copied();
        (losses.iter().enumerate())
            .map(|(i, loss)| match self {
                Self::PowerLaw { ratio, beta } => Some(loss / ratio.powf(*beta)),
                Self::Affine { intercept, slope } => {
                    Some((loss - of(intercept, i)?) / of(slope, i)?)
                }
                Self::FirstSegment => None,
                Self::None => Some(*loss),
            })
            .collect()
    }
}

fn check_pairs(target: usize, pairs: &[(f64, f64)], least: usize) -> Result<()> {
    let usable = |l: f64| l > 0.0 && l.is_finite();
    if pairs.len() < least || !pairs.iter().all(|p| usable(p.0) && usable(p.1)) {
        return Err(Error::input(format!(
            "{} pairs of losses of target {target}: expected at least {least}, finite and positive",
            pairs.len()
        ))
        .field("size"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_factor() {
        let paper = SizeCorrection::default().corrected(&[3.0], None).unwrap();
        assert!((paper[0] / 3.0 - 1.4125).abs() < 1e-4);
        let same = SizeCorrection::None.corrected(&[3.0, 2.0], None).unwrap();
        assert_eq!(same, [3.0, 2.0]);
    }

    #[test]
    fn measured_corrections_are_applied_and_impossible_ones_refused() {
        let first = SizeCorrection::FirstSegment;
        assert_eq!(
            first.corrected(&[2.0, 4.0], Some(&[1.5, 1.0])).unwrap(),
            [3.0, 4.0]
        );
        let problem = |e: Error| e.to_string();
        let missing = first.corrected(&[2.0], None).unwrap_err();
        assert!(problem(missing).contains("cannot be brought to the proxies' scale"));
        let line = SizeCorrection::Affine {
            intercept: vec![-5.0],
            slope: vec![1.0],
        };
        let negative = line.corrected(&[2.0], None).unwrap_err();
        assert!(problem(negative).contains("loss 2 cannot be brought"));
        assert_eq!(line.corrected(&[7.0, 8.0], None).unwrap(), [2.0, 3.0]);
        assert_eq!(line.at_target(&[2.0, 3.0]).unwrap(), [7.0, 8.0]);
        assert_eq!(first.at_target(&[2.0]), None);
        let falling = SizeCorrection::from_pairs(&[vec![(2.0, 4.0), (3.0, 3.0), (4.0, 1.0)]]);
        assert!(problem(falling.unwrap_err()).contains("do not rise together"));
        let same = SizeCorrection::from_pairs(&[vec![(2.0, 4.0); 3]]);
        assert!(problem(same.unwrap_err()).contains("slope NaN"));
        let law =
            SizeCorrection::power_law_from_pairs(&[(3.0, 3.0 * 60f64.powf(0.05))], 60.0, 1000.0);
        let SizeCorrection::PowerLaw { beta, ratio } = law.unwrap() else {
            panic!()
        };
        assert!((beta - 0.05).abs() < 1e-12 && ratio == 1000.0);
        let none = SizeCorrection::power_law_from_pairs(&[], 60.0, 60.0);
        assert!(problem(none.unwrap_err()).contains("0 pairs of losses"));
    }
}
