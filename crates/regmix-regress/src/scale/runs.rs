//! What laws of scale are fitted to: runs of several sizes with losses along
//! training.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use regmix_data::{DomainSet, Error, Result};

/// One measurement of all targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalePoint {
    /// Tokens seen; positive.
    pub tokens: f64,
    /// One value per target, nats per token for losses; NaN where there is none.
    #[serde(with = "gaps")]
    pub values: Vec<f64>,
}

/// One run: a mixture, a size, and measurements in the order of their tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleRun {
    /// The run's name.
    pub run: String,
    /// Weights over the domains, which sum to 1.
    pub weights: Vec<f64>,
    /// Parameters of the model.
    pub parameters: f64,
    /// Measurements; at least one.
    pub points: Vec<ScalePoint>,
}

/// Runs over one domain set with the same targets, checked.
///
/// ```
/// use regmix_data::DomainSet;
/// use regmix_regress::scale::{ScalePoint, ScaleRun, ScaleRuns};
///
/// let run = |run: &str, parameters| ScaleRun {
///     run: run.to_owned(),
///     weights: vec![0.25, 0.75],
///     parameters,
///     points: vec![ScalePoint { tokens: 1e9, values: vec![3.2] }],
/// };
/// let domains = DomainSet::from_names(["web", "code"])?;
/// let runs = vec![run("a", 7e7), run("b", 1.6e8)];
/// let runs = ScaleRuns::new(domains, vec!["web".to_owned()], runs)?;
/// assert_eq!(runs.sizes(), [7e7, 1.6e8]);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct ScaleRuns {
    domains: DomainSet,
    targets: Vec<String>,
    runs: Vec<ScaleRun>,
    /// The tokens of the last point of every run, also where points were left out.
    #[serde(skip)]
    ends: Vec<f64>,
}

/// Runs as they are read.
#[derive(Deserialize)]
struct Unchecked {
    domains: DomainSet,
    targets: Vec<String>,
    runs: Vec<ScaleRun>,
}

impl TryFrom<Unchecked> for ScaleRuns {
    type Error = Error;

    fn try_from(read: Unchecked) -> Result<Self> {
        Self::new(read.domains, read.targets, read.runs)
    }
}

impl ScaleRuns {
    /// Collects runs.
    ///
    /// # Errors
    /// When there is none, a length is wrong, a number is out of range, tokens do
    /// not increase along a run.
    pub fn new(domains: DomainSet, targets: Vec<String>, runs: Vec<ScaleRun>) -> Result<Self> {
        if runs.is_empty() || targets.is_empty() {
            return Err(Error::input(format!(
                "{} runs and {} targets: expected at least one of each",
                runs.len(),
                targets.len()
            )));
        }
        for run in &runs {
            check(run, domains.len(), targets.len())?;
        }
        Ok(Self {
            domains,
            targets,
            ends: runs.iter().map(end).collect(),
            runs,
        })
    }

    /// The part of a run that was left at a point: 0 at its end.
    pub(crate) fn left(&self, run: usize, point: usize) -> f64 {
        (1.0 - self.runs[run].points[point].tokens / self.ends[run]).max(0.0)
    }

    /// The domains of the mixtures.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// The names of the targets.
    pub fn targets(&self) -> &[String] {
        &self.targets
    }

    /// The runs.
    pub fn runs(&self) -> &[ScaleRun] {
        &self.runs
    }

    /// The sizes, each once, the smallest first.
    pub fn sizes(&self) -> Vec<f64> {
        let mut sizes: Vec<f64> = self.runs.iter().map(|r| r.parameters).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        sizes
    }

    /// The fewest and the most tokens of any point.
    pub fn token_range(&self) -> (f64, f64) {
        let all = self.runs.iter().flat_map(|r| &r.points).map(|p| p.tokens);
        all.fold((f64::INFINITY, 0.0), |(low, high), t| {
            (low.min(t), high.max(t))
        })
    }

    /// How many lengths of training differ by more than a twentieth.
    pub fn lengths(&self) -> usize {
        let mut all: Vec<f64> = (self.runs.iter())
            .flat_map(|r| r.points.iter().map(|p| p.tokens))
            .collect();
        all.sort_by(f64::total_cmp);
        all.dedup_by(|a, b| *a <= *b * 1.05);
        all.len()
    }

    /// The runs of every mixture, by place, in the order in which mixtures first
    /// come.
    pub(crate) fn by_mixture(&self) -> Vec<Vec<usize>> {
        let mut seen: BTreeMap<Vec<i64>, usize> = BTreeMap::new();
        let mut out: Vec<Vec<usize>> = Vec::new();
        for (i, run) in self.runs.iter().enumerate() {
            // Rounding of published weights must not part one mixture in two.
            let key = run.weights.iter().map(|w| (w * 1e5).round() as i64);
            let place = *seen.entry(key.collect()).or_insert(out.len());
            if place == out.len() {
                out.push(Vec::new());
            }
            out[place].push(i);
        }
        out
    }

    /// The part of every run, of so many parts into which mixtures are divided in turn.
    pub(crate) fn mixture_folds(&self, parts: usize) -> Vec<usize> {
        let mut folds = vec![0; self.runs.len()];
        for (place, members) in self.by_mixture().iter().enumerate() {
            members.iter().for_each(|&r| folds[r] = place % parts);
        }
        folds
    }

    /// The same runs with their last points alone.
    pub(crate) fn ends(&self) -> Self {
        self.thinned(1)
    }

    /// The same runs with so many of their points at most, in even steps back from
    /// the last.
    pub(crate) fn thinned(&self, most: usize) -> Self {
        let thin = |run: &ScaleRun| {
            let mut points: Vec<ScalePoint> = (steps_back(run.points.len(), most))
                .map(|p| run.points[p].clone())
                .collect();
            points.reverse();
            ScaleRun {
                points,
                ..run.clone()
            }
        };
        Self {
            domains: self.domains.clone(),
            targets: self.targets.clone(),
            runs: self.runs.iter().map(thin).collect(),
            ends: self.runs.iter().map(end).collect(),
        }
    }

    /// The same runs with the points for which `keep` holds; runs that keep no
    /// point are left out. `None` where nothing is left.
    pub(crate) fn filtered(&self, keep: impl Fn(&ScaleRun, &ScalePoint) -> bool) -> Option<Self> {
        let mut out = Self {
            domains: self.domains.clone(),
            targets: self.targets.clone(),
            runs: Vec::new(),
            ends: Vec::new(),
        };
        for (run, end) in self.runs.iter().zip(&self.ends) {
            let points: Vec<ScalePoint> =
                (run.points.iter().filter(|p| keep(run, p)).cloned()).collect();
            if !points.is_empty() {
                out.ends.push(*end);
                out.runs.push(ScaleRun {
                    points,
                    ..run.clone()
                });
            }
        }
        (!out.runs.is_empty()).then_some(out)
    }

    /// The runs at the places for which `keep` holds; `None` where there is none.
    pub(crate) fn of_runs(&self, keep: impl Fn(usize) -> bool) -> Option<Self> {
        let kept = (0..self.runs.len()).filter(|&r| keep(r));
        let (runs, ends): (Vec<_>, Vec<_>) =
            (kept.map(|r| (self.runs[r].clone(), self.ends[r]))).unzip();
        (!runs.is_empty()).then(|| Self {
            domains: self.domains.clone(),
            targets: self.targets.clone(),
            runs,
            ends,
        })
    }

    /// The points at the ends of runs alone; `None` where there is none.
    pub(crate) fn at_ends(&self) -> Option<Self> {
        let ends: BTreeMap<&str, f64> = (self.runs.iter().map(|r| r.run.as_str()))
            .zip(self.ends.iter().copied())
            .collect();
        self.filtered(|run, point| point.tokens >= ends[run.run.as_str()])
    }
}

/// So many of `n` places at most, in even steps back from the last.
pub(crate) fn steps_back(n: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = most.min(n);
    (0..kept).map(move |k| n - 1 - k * n / kept)
}

/// The tokens of the last point of a run.
pub(crate) fn end(run: &ScaleRun) -> f64 {
    run.points.last().map_or(0.0, |p| p.tokens)
}

fn check(run: &ScaleRun, domains: usize, targets: usize) -> Result<()> {
    let bad = |problem: String| Error::input(format!("run `{}`: {problem}", run.run));
    if run.weights.len() != domains || run.weights.iter().any(|w| !(*w >= 0.0 && *w <= 1.0 + 1e-6))
    {
        return Err(bad(format!(
            "weights {:?}: expected {domains} numbers between 0 and 1",
            run.weights
        )));
    }
    if !(run.parameters >= 1.0 && run.parameters.is_finite()) {
        return Err(bad(format!(
            "{} parameters: expected a positive number",
            run.parameters
        )));
    }
    if run.points.is_empty() {
        return Err(bad("no measurement: expected at least one point".to_owned()));
    }
    for (i, point) in run.points.iter().enumerate() {
        if !(point.tokens > 0.0 && point.tokens.is_finite()) {
            return Err(bad(format!(
                "{} tokens: expected a positive number",
                point.tokens
            )));
        }
        if i > 0 && point.tokens <= run.points[i - 1].tokens {
            return Err(bad(format!(
                "{} tokens follow {}: expected them to increase",
                point.tokens,
                run.points[i - 1].tokens
            )));
        }
        let wrong = |v: &f64| v.is_infinite() || *v <= 0.0;
        if point.values.len() != targets || point.values.iter().any(wrong) {
            return Err(bad(format!(
                "values {:?} at {} tokens: expected {targets} positive losses",
                point.values, point.tokens
            )));
        }
    }
    Ok(())
}

/// NaN as null: JSON has no NaN.
mod gaps {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        let some = |v: &f64| v.is_finite().then_some(*v);
        values.iter().map(some).collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        let read = Vec::<Option<f64>>::deserialize(from)?;
        Ok(read.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }
}
