//! Means and spreads of the measured errors, and their extrapolation.

use crate::learning::decay::{Decay, Measured};
use crate::learning::measure::{Judged, Measurements, Size};
use crate::learning::{LearningCurve, LearningPoint};
use crate::metrics::{mean, mean_and_sd, variance};

/// The most that a law may miss measured errors by, as a part of them.
const MISS: f64 = 0.05;

/// The largest standard error, as a part of what is extrapolated.
const DOUBT: f64 = 0.25;

/// Fewest sizes that a law of three numbers is fitted to.
const SIZES: usize = 4;

/// A number with its spread or standard error.
type Spread = (f64, f64);

/// Errors by size, `[sizes][subsets]`, with the runs of every size.
struct Errors {
    runs: Vec<f64>,
    by_size: Vec<Vec<f64>>,
}

pub(super) fn curve(measured: Measurements, all: usize) -> LearningCurve {
    let mut points = Vec::new();
    let mut notes = measured.notes;
    for (name, sizes) in &measured.regressors {
        let targets = measured.targets.iter().enumerate();
        for target in std::iter::once(None).chain(targets.map(Some)) {
            let place = target.map(|(t, _)| t);
            let point = LearningPoint {
                regressor: name.clone(),
                target: target.map(|(_, name)| name.clone()),
                runs: 0,
                extrapolated: false,
                subsets: 0,
                spearman: f64::NAN,
                spearman_sd: f64::NAN,
                mae: f64::NAN,
                mae_sd: f64::NAN,
            };
            let of = |value: fn(&Judged) -> f64| Errors::of(sizes, place, value);
            let (rho, mae) = (of(|j| j.spearman), of(|j| j.mae));
            for (i, size) in sizes.iter().enumerate() {
                let (spearman, spearman_sd) = mean_and_sd(&rho.by_size[i]);
                let (mae, mae_sd) = mean_and_sd(&mae.by_size[i]);
                points.push(LearningPoint {
                    runs: size.runs,
                    subsets: size.judged.len(),
                    spearman,
                    spearman_sd,
                    mae,
                    mae_sd,
                    ..point.clone()
                });
            }
            let further = [all, 2 * all];
            let outlook = mae.outlook(further);
            let ranks = rho.complements().outlook(further);
            if let (None, Err(why)) = (place, &outlook) {
                notes.push(format!("`{name}`: errors are not extrapolated, {why}"));
            }
            for (i, runs) in further.into_iter().enumerate() {
                let missing = (f64::NAN, f64::NAN);
                let (mae, mae_sd) = outlook.as_ref().map_or(missing, |o| o[i]);
                let (above, spearman_sd) = ranks.as_ref().map_or(missing, |o| o[i]);
                if mae.is_nan() && above.is_nan() {
                    continue;
                }
                points.push(LearningPoint {
                    runs,
                    extrapolated: true,
                    spearman: 1.0 - above,
                    spearman_sd,
                    mae,
                    mae_sd,
                    ..point.clone()
                });
            }
        }
    }
    LearningCurve { points, notes }
}

impl LearningCurve {
    /// One plain sentence per regressor: what fewer runs cost, and what twice
    /// as many would bring.
    pub fn summary(&self) -> String {
        let mut names: Vec<&str> = self.means().map(|p| &*p.regressor).collect();
        names.dedup();
        let sentences = names.iter().filter_map(|name| self.sentence(name));
        sentences.collect::<Vec<_>>().join("\n")
    }

    fn sentence(&self, name: &str) -> Option<String> {
        let of = |extrapolated: bool| {
            (self.means()).filter(move |p| p.regressor == name && p.extrapolated == extrapolated)
        };
        let (least, most) = (of(false).next()?, of(false).last()?);
        let measured = format!(
            "With {} runs `{name}` has a mean absolute error of {:.4}, with {} of {:.4}",
            most.runs, most.mae, least.runs, least.mae
        );
        let further: Vec<&LearningPoint> = of(true).filter(|p| p.mae.is_finite()).collect();
        let [now, twice] = further[..] else {
            return Some(format!(
                "{measured}; the effect of more runs cannot be extrapolated."
            ));
        };
        Some(format!(
            "{measured}; all {} would have {:.4} ± {:.4}, twice as many ({}) {:.4} ± {:.4}, {:.0} % \
             less, by a law fitted to these.",
            now.runs,
            now.mae,
            now.mae_sd,
            twice.runs,
            twice.mae,
            twice.mae_sd,
            100.0 * (1.0 - twice.mae / now.mae)
        ))
    }
}

impl Errors {
    /// One figure of every subset: of a target, or the mean over targets that
    /// have one.
    fn of(sizes: &[Size], target: Option<usize>, value: fn(&Judged) -> f64) -> Self {
        let figure = |subset: &Vec<Judged>| match target {
            Some(t) => value(&subset[t]),
            None => finite_mean(&subset.iter().map(value).collect::<Vec<_>>()),
        };
        Self {
            runs: sizes.iter().map(|s| s.runs as f64).collect(),
            by_size: (sizes.iter())
                .map(|size| size.judged.iter().map(figure).collect())
                .collect(),
        }
    }

    /// 1 minus every figure.
    fn complements(&self) -> Self {
        let turned = |size: &Vec<f64>| size.iter().map(|x| 1.0 - x).collect();
        Self {
            runs: self.runs.clone(),
            by_size: self.by_size.iter().map(turned).collect(),
        }
    }

    /// The mean error of every size and its standard error, without one
    /// subset or with all.
    fn points(&self, without: Option<usize>) -> Vec<Measured> {
        (self.runs.iter().zip(&self.by_size))
            .map(|(&runs, subsets)| {
                let some: Vec<f64> = (subsets.iter().enumerate())
                    .filter(|(i, _)| Some(*i) != without)
                    .map(|(_, e)| *e)
                    .collect();
                let (error, sd) = mean_and_sd(&some);
                Measured {
                    runs,
                    error,
                    doubt: sd / (some.len() as f64).sqrt(),
                }
            })
            .filter(|p| p.error.is_finite() && p.error > 0.0)
            .collect()
    }

    /// Errors at other numbers of runs with their standard errors, or why
    /// there are none.
    fn outlook(&self, further: [usize; 2]) -> Result<[Spread; 2], String> {
        let points = self.points(None);
        if points.len() < SIZES {
            return Err(format!(
                "{} sizes are measured, expected at least {SIZES}",
                points.len()
            ));
        }
        let falling = "they do not fall steadily with the number of runs";
        let law = Decay::fit(&points).ok_or(falling)?;
        let miss = law.miss(&points);
        if miss > MISS {
            return Err(format!(
                "the law misses them by {:.0} %, expected at most {:.0} %",
                100.0 * miss,
                100.0 * MISS
            ));
        }
        let subsets = self.by_size[0].len();
        let again: Vec<Decay> = (0..subsets)
            .map(|without| Decay::fit(&self.points(Some(without))))
            .collect::<Option<_>>()
            .ok_or(falling)?;
        let out = further.map(|runs| {
            let at: Vec<f64> = again.iter().map(|law| law.at(runs as f64)).collect();
            // Of the jackknife.
            (
                law.at(runs as f64),
                (variance(&at) * (subsets as f64 - 1.0)).sqrt(),
            )
        });
        match out.iter().find(|(error, doubt)| doubt > &(DOUBT * error)) {
            Some((error, doubt)) => Err(format!(
                "their standard error would be {:.0} %",
                100.0 * doubt / error
            )),
            None => Ok(out),
        }
    }
}

fn finite_mean(values: &[f64]) -> f64 {
    mean(&(values.iter().copied().filter(|v| v.is_finite())).collect::<Vec<_>>())
}
