//! Data Mixing Laws as published: a step law, then a size law, then a mixture law.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use regmix_data::{Error, Monitor, Result};

use crate::prediction::Prediction;
use crate::regressor::{Dml, Model, Regressor};
use crate::samples::Samples;
use crate::scale::law::ScaleLaw;
use crate::scale::runs::ScaleRuns;
use crate::scale::units::Setting;

/// The name under which it is judged.
pub const DML_NESTED: &str = "dml_nested";

/// The exponent of size with fewer than three sizes: that of Hoffmann et al.
const USUAL_EXPONENT: f64 = 0.34;

/// The nested procedure of Ye et al., Data Mixing Laws (arXiv 2403.16952), as a
/// baseline for the laws of this module, whose parameters are all fitted together.
///
/// | step | law | fitted to | shared |
/// |---|---|---|---|
/// | 1 | `L(D) = E + K D^-α` | every run and target | α by the targets of a run |
/// | 2 | `L(N) = E + A N^-α` at the asked length | every mixture and target | α by all |
/// | 3 | `L(r) = c + exp(Σ t_j r_j)` at the asked size and length | every target | nothing |
///
/// Step 1 uses the points after the first third of a run, as the paper does (steps
/// 10,000 to 30,000), where three are there. For every α of a grid (0.05 to 3) the
/// levels are exact least squares of the relative error, 0 or more, in place of
/// the paper's Huber losses from many starts; step 3 is [`Dml`]. With two sizes α
/// of step 2 is 0.34; with one size there is no step 2.
///
/// The result is a law of one size and length: each that is asked for is fitted
/// anew, and kept. Cost of one O(runs · targets) and a fit of [`Dml`] per target.
///
/// It is good where every run is long and smooth, so that each can be extrapolated
/// by itself. It fails with few points per run or few sizes: the noise of every
/// single extrapolation enters step 3.
#[derive(Debug)]
pub struct NestedLaw {
    runs: ScaleRuns,
    /// By run, by target.
    steps: Vec<Vec<Option<Falling>>>,
    fitted: Mutex<BTreeMap<(u64, u64), MixtureLaws>>,
}

/// The mixture law of every target at one size and length, where there is one.
type MixtureLaws = Arc<Vec<Option<Model>>>;

/// `level + scale x^-exponent`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Falling {
    level: f64,
    scale: f64,
    exponent: f64,
}

impl Falling {
    fn at(self, x: f64) -> f64 {
        self.level + self.scale * x.powf(-self.exponent)
    }

    /// Both levels, 0 or more, by least squares of the relative error, with its
    /// squares.
    fn fit(points: &[(f64, f64)], exponent: f64) -> (Self, f64) {
        let (mut aa, mut ab, mut bb, mut a, mut b) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for &(x, y) in points {
            let (u, v) = (1.0 / y, x.powf(-exponent) / y);
            aa += u * u;
            ab += u * v;
            bb += v * v;
            a += u;
            b += v;
        }
        let determinant = aa * bb - ab * ab;
        let (level, scale) = match determinant > 1e-12 * aa * bb {
            true => (
                (bb * a - ab * b) / determinant,
                (aa * b - ab * a) / determinant,
            ),
            false => (a / aa, 0.0),
        };
        let (level, scale) = match (level >= 0.0, scale >= 0.0) {
            (true, true) => (level, scale),
            (true, false) => (a / aa, 0.0),
            (false, _) => (0.0, b / bb),
        };
        let law = Self {
            level,
            scale,
            exponent,
        };
        let squares = points.iter().map(|&(x, y)| (law.at(x) / y - 1.0).powi(2));
        (law, squares.sum())
    }

    /// Curves with one exponent, the best of a grid.
    fn fit_all(curves: &[Vec<(f64, f64)>]) -> Vec<Option<Self>> {
        let squares = |exponent: f64| -> f64 {
            let each = curves.iter().filter(|c| c.len() > 1);
            each.map(|c| Self::fit(c, exponent).1).sum()
        };
        let mut best = (f64::INFINITY, USUAL_EXPONENT);
        let mut exponent = 0.05;
        while exponent < 3.0 {
            let found = squares(exponent);
            if found < best.0 {
                best = (found, exponent);
            }
            exponent *= 1.08;
        }
        let enough = curves.iter().any(|c| c.len() > 2);
        Self::fit_with(curves, if enough { best.1 } else { USUAL_EXPONENT })
    }

    fn fit_with(curves: &[Vec<(f64, f64)>], exponent: f64) -> Vec<Option<Self>> {
        (curves.iter())
            .map(|c| (!c.is_empty()).then(|| Self::fit(c, exponent).0))
            .collect()
    }
}

impl NestedLaw {
    /// Fits step 1.
    ///
    /// # Errors
    /// When the monitor asks to stop.
    pub fn fit(runs: &ScaleRuns, monitor: &dyn Monitor) -> Result<Self> {
        let steps = (runs.runs().par_iter())
            .map(|run| {
                monitor.check()?;
                let end = run.points.last().map_or(0.0, |p| p.tokens);
                let curves: Vec<Vec<(f64, f64)>> = (0..runs.targets().len())
                    .map(|t| {
                        let measured = run.points.iter().filter(|p| p.values[t].is_finite());
                        let all: Vec<(f64, f64)> =
                            measured.map(|p| (p.tokens / end, p.values[t])).collect();
                        let late: Vec<(f64, f64)> =
                            all.iter().copied().filter(|p| 3.0 * p.0 >= 1.0).collect();
                        if late.len() >= 3 { late } else { all }
                    })
                    .collect();
                Ok(Falling::fit_all(&curves))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            runs: runs.clone(),
            steps,
            fitted: Mutex::default(),
        })
    }

    /// The law of one target, by place.
    pub fn target(&self, target: usize) -> NestedTarget<'_> {
        NestedTarget { law: self, target }
    }

    /// The losses of all mixtures at a size and length, by steps 1 and 2: places of
    /// the first run of every mixture, and by target what is known.
    fn extended(&self, parameters: f64, tokens: f64) -> (Vec<usize>, Vec<Vec<Option<f64>>>) {
        let runs = self.runs.runs();
        let groups = self.runs.by_mixture();
        let targets = self.runs.targets().len();
        let at_length = |r: usize, t: usize| {
            let end = runs[r].points.last().map_or(1.0, |p| p.tokens);
            self.steps[r][t].map(|law| law.at(tokens / end))
        };
        // By target and mixture, the losses over sizes.
        let curves: Vec<Vec<(f64, f64)>> = (0..targets)
            .flat_map(|t| groups.iter().map(move |members| (t, members)))
            .map(|(t, members)| {
                let each = members.iter().filter_map(|&r| {
                    let loss = at_length(r, t)?;
                    Some((runs[r].parameters / parameters, loss))
                });
                each.collect()
            })
            .collect();
        let sizes = self.runs.sizes().len();
        let laws = match sizes {
            0..3 => Falling::fit_with(&curves, USUAL_EXPONENT),
            _ => Falling::fit_all(&curves),
        };
        let losses = laws.iter().map(|law| law.map(|law| law.at(1.0)));
        let losses: Vec<Option<f64>> = losses.collect();
        let firsts = groups.iter().map(|members| members[0]).collect();
        let by_target = losses.chunks(groups.len()).map(<[_]>::to_vec).collect();
        (firsts, by_target)
    }

    /// The mixture laws at a size and length, by target; `None` where too few
    /// mixtures are known.
    fn models(&self, parameters: f64, tokens: f64) -> MixtureLaws {
        let key = (parameters.to_bits(), tokens.to_bits());
        let kept = |fitted: &BTreeMap<_, MixtureLaws>| fitted.get(&key).cloned();
        let lock = || self.fitted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(models) = kept(&lock()) {
            return models;
        }
        let (firsts, losses) = self.extended(parameters, tokens);
        let models: Vec<Option<Model>> = (losses.par_iter().enumerate())
            .map(|(t, losses)| self.mixture_law(t, &firsts, losses).ok())
            .collect();
        let models = Arc::new(models);
        lock().insert(key, Arc::clone(&models));
        models
    }

    fn mixture_law(
        &self,
        target: usize,
        firsts: &[usize],
        losses: &[Option<f64>],
    ) -> Result<Model> {
        let known = firsts.iter().zip(losses);
        let (rows, values): (Vec<&[f64]>, Vec<f64>) = known
            .filter_map(|(&r, loss)| Some((&self.runs.runs()[r].weights[..], (*loss)?)))
            .unzip();
        if rows.len() < 3 {
            return Err(Error::input("fewer than three mixtures"));
        }
        let own = self.runs.domains().position(&self.runs.targets()[target]);
        let samples = Samples::new(rows, values)?.with_own_domain(own);
        Dml::default().fit(&samples, 0)
    }
}

/// The nested law of one target.
#[derive(Debug, Clone, Copy)]
pub struct NestedTarget<'a> {
    law: &'a NestedLaw,
    target: usize,
}

impl ScaleLaw for NestedTarget<'_> {
    fn name(&self) -> &str {
        DML_NESTED
    }

    /// NaN where the runs do not allow the procedure.
    fn predict(&self, at: &Setting<'_>) -> Prediction {
        let models = self.law.models(at.parameters, at.tokens);
        match &models[self.target] {
            Some(model) => model.predict(at.weights),
            None => Prediction {
                mean: f64::NAN,
                sd: f64::NAN,
            },
        }
    }

    fn gradient(&self, at: &Setting<'_>) -> Vec<f64> {
        let models = self.law.models(at.parameters, at.tokens);
        let model = models[self.target].as_ref();
        let slopes = model.and_then(|model| model.gradient(at.weights));
        slopes.unwrap_or_else(|| vec![f64::NAN; at.weights.len()])
    }
}
