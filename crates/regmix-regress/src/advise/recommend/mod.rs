//! The recommendation: the best mixture, with all that is known about its
//! reliability.

mod bootstrap;
pub(crate) mod contents;
pub(crate) mod estimate;
pub(crate) mod options;

pub(crate) mod search;

use std::path::Path;

use serde::{Deserialize, Serialize};

use regmix_data::sealed::{read_sealed, write_sealed};
use regmix_data::{Error, Mixture, Monitor, Result, Silent};

use crate::advise::divergence::divergence;
use crate::advise::recommend::bootstrap::Spread;
use crate::advise::recommend::contents::{
    DivergencePenalty, Penalties, Provenance, Reference, TargetEstimate, WeightSpread,
};
use crate::advise::recommend::estimate::{Estimate, Gap};
use crate::advise::recommend::options::{Method, RecommendOptions};
use crate::advise::recommend::search::{penalised, reference_mixtures, search, search_again};
use crate::advise::scorer::Scorer;
use crate::advise::support::Support;
use crate::constraints::Binding;
use crate::fit::Fit;
use crate::objective::Objective;
use crate::repetition::budget::Budget;
use crate::search::options::Termination;
use crate::search::surface::Surface;

/// The layout of `mixture.json`.
const VERSION: u32 = 2;

/// The content of `mixture.json`.
///
/// Values of the objective are without penalties and in its own direction:
/// for one that is maximised ([`Objective::Maximize`]) higher is better. Gaps
/// are positive where the recommendation is better, in either case.
///
/// How uncertainties combine:
/// - A target's `sd` is that of its model: parameter uncertainty and the
///   noise of one run.
/// - The objective's `sd` joins those of its targets with the correlation of
///   their out-of-fold errors (see [`Scorer`](crate::Scorer)); it is never less than the
///   spread of the objective over bootstrap refits. Intervals are
///   `mean ± 1.645 sd`, 90 % under a normal distribution.
/// - A fit predicts too low a value at its own optimum, since errors of the fit draw the
///   search there. The mean of that over bootstrap refits (`optimism`) is subtracted
///   from the predicted gain: `predicted` and every gap are corrected by it. `targets`
///   are the uncorrected predictions of their models.
/// - Refits that leave the measured range by more than its width are not used
///   (`refits_dropped`); where there are some, spreads are taken from the 5th and the
///   95th percentile.
/// - A gap's `sd` is `√(sd² of one side + sd² of the other)`: the scatter of the
///   difference between one run of each, if their errors were independent.
///   `exceeds_noise` holds when the whole 90 % interval is above zero. Errors that both
///   sides share make this cautious. `model_sd` is the spread of the same gap over
///   bootstrap refits, in which they cancel: how sure the models are, noise of runs
///   aside.
/// - Weights spread as the optimum moves over the bootstrap refits.
///
/// All of it assumes that proxies rank mixtures as the target run does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recommendation {
    /// The layout of this file.
    pub version: u32,
    /// What was minimised, or maximised.
    pub objective: Objective,
    /// The mixture, shares of tokens.
    pub mixture: Mixture,
    /// The unit of the objective, where the fit knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The predicted objective there.
    pub predicted: Estimate,
    /// The gap to the natural mixture, the uniform one, UniMax where a
    /// budget makes it another one, and the best observed one.
    pub references: Vec<Reference>,
    /// The predicted value of every target of the fit.
    pub targets: Vec<TargetEstimate>,
    /// Every weight with its spread and what it means in epochs.
    pub weights: Vec<WeightSpread>,
    /// The bounds that the mixture sits on: relaxing them would lower the
    /// objective.
    pub binding: Vec<Binding>,
    /// The penalty on divergence from the natural mixture, where there was
    /// one.
    #[serde(rename = "pull")]
    pub divergence_penalty: Option<DivergencePenalty>,
    /// The penalties for leaving what proxies covered, where there were some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalties: Option<Penalties>,
    /// Whether proxies were trained near the mixture.
    pub support: Support,
    /// By how much refits are too optimistic at their own optimum: the mean
    /// over the bootstrap of this fit's prediction there minus the refit's,
    /// with the opposite sign for an objective that is maximised. Absent without
    /// bootstrap.
    pub optimism: Option<f64>,
    /// Whether `optimism` has been subtracted: `predicted` is then that much
    /// worse than the fit's own prediction, and every gap that much smaller.
    /// Files of earlier versions contain the fit's own predictions.
    #[serde(default)]
    pub optimism_taken_off: bool,
    /// What the runs do not determine about the mixture, in sentences: shares
    /// that were the same in all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unidentified: Vec<String>,
    /// How the mixture was searched for.
    pub method: Method,
    /// Why the search stopped; absent for a simulation, which always ends.
    pub termination: Option<Termination>,
    /// Values and derivatives computed by the search.
    pub evaluations: usize,
    /// Where it comes from.
    pub provenance: Provenance,
}

impl Recommendation {
    /// Writes `mixture.json`, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_sealed(path, self)
    }

    /// Reads what [`Recommendation::save`] wrote.
    ///
    /// # Errors
    /// When the file is missing, damaged or of another version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        read_sealed(
            path,
            VERSION,
            "search for the mixture again (`regmix optimize`, in a study with `--redo`)",
        )
    }
}

/// Searches for the best mixture and says how sure it is.
///
/// The same fit and options always give the same result. Cost: one search,
/// then `bootstrap` refits of the objective's targets with one search each, in
/// parallel.
///
/// # Errors
/// When the objective names an unknown target, bounds clash, or an option is
/// out of range.
pub fn recommend(fit: &Fit, options: &RecommendOptions) -> Result<Recommendation> {
    recommend_monitored(fit, options, &Silent)
}

/// As [`recommend`], with a monitor. It has one part, "refitting", counted in
/// refits, where there are any.
///
/// # Errors
/// As [`recommend`], and when the monitor asks to stop.
pub fn recommend_monitored(
    fit: &Fit,
    options: &RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Recommendation> {
    options.check()?;
    let options = &RecommendOptions {
        objective: options
            .objective
            .with_known_baseline(fit.natural().is_some()),
        ..options.clone()
    };
    let scorer = penalised(fit, &options.objective, options)?;
    let constraints = options.bounds(fit.domains())?;
    let references = reference_mixtures(fit, &options.objective, options)?;
    let sign = options.objective.sign();
    let found = search(fit, &scorer, &constraints, &references, options, monitor)?;
    let weights = constraints.cleared(&found.weights);
    let mixture = Mixture::normalized(fit.domains().clone(), weights)?;
    let fixed: Vec<&[f64]> = std::iter::once(mixture.weights())
        .chain(references.iter().map(|r| r.1.weights()))
        .collect();
    let again =
        |refitted: &Scorer| search_again(fit, refitted, &constraints, fixed[0], options, monitor);
    let spread = Spread::measure(fit, &scorer, &fixed, &again, options, monitor)?;
    let estimate = |place: usize, flattery: f64| {
        let p = scorer.predict(fixed[place]);
        Estimate::new(p.mean + flattery, p.sd.max(spread.value_sd(place)))
    };
    let predicted = estimate(0, spread.optimism().unwrap_or(0.0));
    let references = (references.iter().enumerate())
        .map(|(i, (name, reference))| {
            let there = estimate(i + 1, 0.0);
            let gap = Gap::new(&there, &predicted, spread.gap_sd(i + 1));
            Reference {
                name: name.clone(),
                mixture: reference.clone(),
                predicted: there.signed(sign),
                gap,
            }
        })
        .collect();
    let targets = (fit.targets().iter().zip(fit.predict(&mixture)?))
        .map(|(t, p)| TargetEstimate {
            target: t.target.clone(),
            regressor: t.regressor.clone(),
            predicted: Estimate::new(p.mean, p.sd),
        })
        .collect();
    Ok(Recommendation {
        version: VERSION,
        objective: options.objective.clone(),
        unit: fit.unit_of(&options.objective).map(str::to_owned),
        predicted: predicted.signed(sign),
        references,
        targets,
        weights: weight_spreads(fit, &mixture, &spread, options.budget.as_ref())?,
        binding: constraints.binding(mixture.weights()),
        divergence_penalty: divergence_penalty(fit, &mixture, options),
        penalties: (options.caution > 0.0 || options.distance > 0.0).then(|| {
            let (beyond, cost) = scorer.beyond(mixture.weights());
            Penalties {
                caution: options.caution,
                distance: options.distance,
                beyond,
                cost,
            }
        }),
        support: Support::of_scorer(fit, &mixture, &scorer)?,
        optimism: spread.optimism(),
        optimism_taken_off: spread.optimism().is_some(),
        unidentified: fit.unidentified(),
        method: options.method,
        termination: found.termination,
        evaluations: found.evaluations,
        provenance: provenance(fit, options, &spread),
        mixture,
    })
}

/// The best of some given mixtures: its place, and its predicted objective.
///
/// ```
/// use regmix_data::table::{MixtureTable, Observations, ValueTable};
/// use regmix_regress::{Fit, FitOptions, RecommendOptions, recommend_among};
///
/// let (mut mixtures, mut losses) = (String::from("run,web,code\n"), String::from("run,web\n"));
/// for i in 0..12 {
///     let w = (i as f64 + 0.5) / 12.0;
///     mixtures += &format!("r{i},{w},{}\n", 1.0 - w);
///     losses += &format!("r{i},{}\n", 3.0 - 0.5 * w);
/// }
/// let runs = Observations::join(
///     MixtureTable::parse(&mixtures, "mixtures.csv".as_ref())?,
///     ValueTable::parse(&losses, "losses.csv".as_ref())?,
/// )?;
/// let fit = Fit::train(&runs, &FitOptions {
///     regressors: vec!["linear".into()],
///     ..FitOptions::default()
/// })?;
/// let best = recommend_among(&fit, runs.mixtures.mixtures(), &RecommendOptions::default())?;
/// assert_eq!(best.place, 11);
/// assert!((best.predicted.mean - (3.0 - 0.5 * 11.5 / 12.0)).abs() < 1e-3);
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors When there are no mixtures or they are over other domains, and as [`recommend`].
/// Constraints are not checked.
pub fn recommend_among(
    fit: &Fit,
    candidates: &[Mixture],
    options: &RecommendOptions,
) -> Result<BestOf> {
    options.check()?;
    let scorer = penalised(fit, &options.objective, options)?;
    let rows: Vec<Vec<f64>> = (candidates.iter())
        .map(|m| Ok(m.reordered(fit.domains())?.weights().to_vec()))
        .collect::<Result<_>>()?;
    let lowest = |scorer: &Scorer| {
        let values = scorer.values(&rows);
        (0..values.len()).min_by(|&a, &b| values[a].total_cmp(&values[b]))
    };
    let place = lowest(&scorer)
        .ok_or_else(|| Error::input("no mixtures to choose from: expected at least one"))?;
    let again = |refitted: &Scorer| Ok(rows[lowest(refitted).unwrap_or(place)].clone());
    let fixed = [&rows[place][..]];
    let spread = Spread::measure(fit, &scorer, &fixed, &again, options, &Silent)?;
    let p = scorer.predict(fixed[0]);
    let promised = p.mean + spread.optimism().unwrap_or(0.0);
    Ok(BestOf {
        place,
        predicted: Estimate::new(promised, p.sd.max(spread.value_sd(0)))
            .signed(options.objective.sign()),
        optimism: spread.optimism(),
    })
}

/// The best of some given mixtures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestOf {
    /// Its place among them.
    pub place: usize,
    /// The objective there, with `optimism` subtracted.
    pub predicted: Estimate,
    /// As in [`Recommendation`].
    pub optimism: Option<f64>,
}

fn divergence_penalty(
    fit: &Fit,
    mixture: &Mixture,
    options: &RecommendOptions,
) -> Option<DivergencePenalty> {
    (options.kl > 0.0).then(|| DivergencePenalty {
        towards: match fit.natural() {
            Some(_) => "natural".to_owned(),
            None => "uniform".to_owned(),
        },
        strength: options.kl,
        divergence: divergence(mixture.weights(), fit.prior().weights()),
    })
}

fn provenance(fit: &Fit, options: &RecommendOptions, spread: &Spread) -> Provenance {
    Provenance {
        program: format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        runs: fit.rows(),
        fit_seed: fit.seed(),
        seed: options.seed,
        caution: options.caution,
        refits: spread.len(),
        refits_dropped: spread.dropped(),
        regressors: (fit.targets().iter())
            .map(|t| (t.target.clone(), t.regressor.clone()))
            .collect(),
    }
}

/// Every weight with its spread over the refits, and what it means in epochs.
fn weight_spreads(
    fit: &Fit,
    mixture: &Mixture,
    spread: &Spread,
    budget: Option<&Budget>,
) -> Result<Vec<WeightSpread>> {
    let natural = fit.natural();
    let mut out = Vec::with_capacity(fit.domains().len());
    for (i, (domain, weight)) in mixture.iter().enumerate() {
        let (sd, low, high) = spread.weight(i);
        out.push(WeightSpread {
            domain: domain.to_string(),
            weight,
            natural: natural.as_ref().and_then(|n| n.get(domain.as_str())),
            sd,
            low,
            high,
            epochs: budget
                .map(|b| b.epochs(domain.as_str(), weight))
                .transpose()?
                .flatten(),
            effective_tokens: budget
                .map(|b| b.effective_tokens(domain.as_str(), weight))
                .transpose()?,
        });
    }
    Ok(out)
}
