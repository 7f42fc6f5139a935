//! The trade-off of two objectives.

use serde::{Deserialize, Serialize};

use regmix_data::table::records;
use regmix_data::{DomainSet, Error, Mixture, Monitor, Result, Silent};

use crate::advise::observed::spread;
use crate::advise::recommend::estimate::Estimate;
use crate::advise::recommend::options::{Method, RecommendOptions};
use crate::advise::recommend::search::{penalised, reference_mixtures, starts};
use crate::advise::scorer::Scorer;
use crate::fit::Fit;
use crate::numeric::slices::add;
use crate::objective::Objective;
use crate::search::anneal::{Smooth, anneal};
use crate::search::soft_max::SoftMax;

/// Values this close, in parts of the range of the front, are the same.
const SAME: f64 = 1e-4;

/// A mixture that no other beats in both objectives, as the models see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParetoPoint {
    /// The mixture.
    pub mixture: Mixture,
    /// The first objective there, in its own direction.
    pub a: Estimate,
    /// The second objective there, in its own direction.
    pub b: Estimate,
    /// The share w of the second objective in `(1 - w) a + w b`, which the
    /// mixture minimises (objectives that are maximised enter with a minus
    /// sign). At 0 only the first counts, at 1 only the second.
    pub weight: f64,
}

/// Mixtures between the best for one objective and the best for another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// The first objective.
    pub a: Objective,
    /// The second objective.
    pub b: Objective,
    /// From the best for the first to the best for the second: along them the
    /// first gets worse and the second better.
    pub points: Vec<ParetoPoint>,
}

impl Front {
    /// The front as CSV: `weight`, both objectives with the ends of their
    /// 90 % intervals, and the weight of every domain; a row per mixture.
    pub fn to_csv(&self) -> String {
        let mut header = vec!["weight".to_owned()];
        for objective in [&self.a, &self.b] {
            header.extend(["", "_low", "_high"].map(|end| format!("{objective}{end}")));
        }
        if let Some(point) = self.points.first() {
            header.extend(point.mixture.domains().names().map(str::to_owned));
        }
        let rows = self.points.iter().map(|point| {
            let mut row = vec![point.weight];
            for e in [&point.a, &point.b] {
                row.extend([e.mean, e.low, e.high]);
            }
            row.extend(point.mixture.weights());
            row.into_iter().map(|x| x.to_string())
        });
        records::render(header, rows)
    }
}

/// `(1 - w) a + w b` of two scorers over the same domains. Penalties that
/// both carry count once, since the shares sum to 1.
struct Blend<'a> {
    a: &'a Scorer,
    b: &'a Scorer,
    weight: f64,
}

impl Blend<'_> {
    /// The parts that count: place, share, scorer.
    fn parts(&self) -> impl Iterator<Item = (usize, f64, &Scorer)> {
        [(0, 1.0 - self.weight, self.a), (1, self.weight, self.b)]
            .into_iter()
            .filter(|(_, share, _)| *share > 0.0)
    }
}

impl Smooth for Blend<'_> {
    type Soft = [Option<SoftMax>; 2];

    fn domains(&self) -> &DomainSet {
        Smooth::domains(self.a)
    }

    fn softest(&self) -> [Option<SoftMax>; 2] {
        [self.a.softest(), self.b.softest()]
    }

    fn sharper(&self, weights: &[f64], soft: &Self::Soft) -> (Self::Soft, f64) {
        let a = self.a.sharper(weights, &soft[0]);
        let b = self.b.sharper(weights, &soft[1]);
        let above = (1.0 - self.weight) * a.1 + self.weight * b.1;
        ([a.0, b.0], above)
    }

    fn value_at(&self, weights: &[f64], soft: Option<&Self::Soft>) -> f64 {
        self.parts()
            .map(|(i, share, scorer)| share * scorer.value_at(weights, soft.map(|s| &s[i])))
            .sum()
    }

    fn gradient_at(&self, weights: &[f64], soft: Option<&Self::Soft>) -> (f64, Option<Vec<f64>>) {
        let mut value = 0.0;
        let mut sum = Some(vec![0.0; weights.len()]);
        for (i, share, scorer) in self.parts() {
            let (one, gradient) = scorer.gradient_at(weights, soft.map(|s| &s[i]));
            value += share * one;
            sum = sum.zip(gradient).map(|(mut sum, gradient)| {
                add(&mut sum, share, &gradient);
                sum
            });
        }
        (value, sum)
    }
}

/// A point while the front is made; values always to be made small.
struct Place {
    mixture: Mixture,
    a: f64,
    b: f64,
    weight: f64,
    /// Whether nothing is left to find between this point and the next.
    closed: bool,
}

/// Mixtures that trade one objective for another: the Pareto front of the two.
///
/// The two ends are the best mixtures for each objective alone, searched as by
/// [`recommend`](crate::recommend). Then, between the two neighbours that are
/// furthest apart, the weighted sum that has the same value at both is minimised,
/// until there are `points` mixtures. Points that are dominated by another one are
/// left out.
///
/// Limits: a weighted sum finds the convex part of a front only. Where a
/// front is straight or bulges outwards, there are fewer points,
/// with a gap. Estimates are without bootstrap: their spread is
/// that of the models. The `objective` and `bootstrap` of the options are
/// not used; constraints, budget and penalties are. Cost: `points`
/// descents.
///
/// ```
/// # use regmix_data::table::{MixtureTable, Observations, ValueTable};
/// use regmix_regress::{Fit, FitOptions, Objective, RecommendOptions, pareto};
/// # let mut mixtures = String::from("run,web,code\n");
/// # let mut losses = String::from("run,web,code\n");
/// # for i in 0..16 {
/// #     let w = (f64::from(i) + 0.5) / 16.0;
/// #     mixtures += &format!("r{i},{},{}\n", w, 1.0 - w);
/// #     let loss = |own: f64| 2.0 + (0.05 + own).powf(-0.3);
/// #     losses += &format!("r{i},{},{}\n", loss(w), loss(1.0 - w));
/// # }
/// # let fit = Fit::train(
/// #     &Observations::join(
/// #         MixtureTable::parse(&mixtures, "m".as_ref())?,
/// #         ValueTable::parse(&losses, "l".as_ref())?,
/// #     )?,
/// #     &FitOptions { regressors: vec!["law1".into()], ..FitOptions::default() },
/// # )?;
/// let (web, code) = (Objective::parse("web"), Objective::parse("code"));
/// let front = pareto(&fit, &web, &code, 5, &RecommendOptions::default())?;
/// assert_eq!(front.points.len(), 5);
/// assert!(front.points.is_sorted_by(|p, q| p.a.mean < q.a.mean && p.b.mean > q.b.mean));
/// # Ok::<(), regmix_data::Error>(())
/// ```
///
/// # Errors
/// When `points` is below 2, an objective names an unknown
/// target, bounds clash, or an option is out of range.
pub fn pareto(
    fit: &Fit,
    a: &Objective,
    b: &Objective,
    points: usize,
    options: &RecommendOptions,
) -> Result<Front> {
    pareto_monitored(fit, a, b, points, options, &Silent)
}

/// [`pareto`] with a monitor.
///
/// # Errors
/// As [`pareto`], and when the monitor asks to stop.
pub fn pareto_monitored(
    fit: &Fit,
    a: &Objective,
    b: &Objective,
    points: usize,
    options: &RecommendOptions,
    monitor: &dyn Monitor,
) -> Result<Front> {
    check(points, options)?;
    let known = |objective: &Objective| objective.with_known_baseline(fit.natural().is_some());
    let (a, b) = (&known(a), &known(b));
    let scorers = (penalised(fit, a, options)?, penalised(fit, b, options)?);
    let constraints = options.bounds(fit.domains())?;
    let mut places = Vec::with_capacity(points);
    let blend = |weight: f64| Blend {
        a: &scorers.0,
        b: &scorers.1,
        weight,
    };
    // The best mixture for a weighted sum, from several starts.
    let spreads = (spread(fit, &scorers.0), spread(fit, &scorers.1));
    let place = |blend: &Blend<'_>, starts: &[Mixture]| -> Result<Place> {
        let spread = (1.0 - blend.weight) * spreads.0 + blend.weight * spreads.1;
        let descend = options.descend.for_spread(spread);
        let found = anneal(blend, starts, &constraints, &descend, monitor)?;
        Ok(Place {
            a: blend.a.mean(found.mixture.weights()),
            b: blend.b.mean(found.mixture.weights()),
            mixture: found.mixture,
            weight: blend.weight,
            closed: false,
        })
    };
    for (weight, objective, own) in [(0.0, a, &scorers.0), (1.0, b, &scorers.1)] {
        let references = reference_mixtures(fit, objective, options)?;
        let (starts, _) = starts(fit, own, &constraints, &references, options, monitor)?;
        places.push(place(&blend(weight), &starts)?);
    }
    while places.len() < points {
        let (first, last) = (&places[0], &places[places.len() - 1]);
        let range = (last.a - first.a, first.b - last.b);
        if !(range.0 > 0.0 && range.1 > 0.0) {
            break;
        }
        let Some(gap) = widest(&places, range) else {
            break;
        };
        let (p, q) = (&places[gap], &places[gap + 1]);
        let (rise, fall) = (q.a - p.a, p.b - q.b);
        let blend = blend(rise / (rise + fall));
        let starts = [p.mixture.clone(), q.mixture.clone()];
        let found = place(&blend, &starts)?;
        // How far below the line, in parts of the range.
        let below =
            (fall * (p.a - found.a) + rise * (p.b - found.b)) / (fall * range.0 + rise * range.1);
        let between = found.a > p.a && found.b > q.b && found.a < q.a && found.b < p.b;
        if between && below > SAME {
            places.insert(gap + 1, found);
        } else {
            places[gap].closed = true;
        }
    }
    let points = (undominated(places).into_iter())
        .map(|place| {
            let weights = constraints.cleared(place.mixture.weights());
            let mixture = Mixture::normalized(fit.domains().clone(), weights)?;
            Ok(point(
                mixture,
                place.weight,
                [(&scorers.0, a), (&scorers.1, b)],
            ))
        })
        .collect::<Result<_>>()?;
    Ok(Front {
        a: a.clone(),
        b: b.clone(),
        points,
    })
}

fn check(points: usize, options: &RecommendOptions) -> Result<()> {
    if !(2..=10_000).contains(&points) || options.method != Method::Descend {
        return Err(Error::input(format!(
            "{points} points by {:?}: expected 2 to 10000, by descent",
            options.method
        )));
    }
    options.check()
}

fn point(mixture: Mixture, weight: f64, [a, b]: [(&Scorer, &Objective); 2]) -> ParetoPoint {
    let estimate = |(scorer, objective): (&Scorer, &Objective)| {
        let p = scorer.predict(mixture.weights());
        Estimate::new(p.mean, p.sd).signed(objective.sign())
    };
    ParetoPoint {
        a: estimate(a),
        b: estimate(b),
        mixture,
        weight,
    }
}

/// The first of the two neighbours that are furthest apart, in parts of the
/// range of the front, with something left to find between them.
fn widest(places: &[Place], range: (f64, f64)) -> Option<usize> {
    let length = |i: usize| {
        let (p, q) = (&places[i], &places[i + 1]);
        ((q.a - p.a) / range.0).hypot((p.b - q.b) / range.1)
    };
    (0..places.len() - 1)
        .filter(|&i| !places[i].closed && length(i) > SAME)
        // The first of equals.
        .min_by(|&i, &j| length(j).total_cmp(&length(i)))
}

/// Without the places that another is at least as good as in both objectives.
fn undominated(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_by(|p, q| p.a.total_cmp(&q.a).then(p.b.total_cmp(&q.b)));
    let mut lowest = f64::INFINITY;
    places.retain(|place| {
        let better = place.b < lowest;
        lowest = lowest.min(place.b);
        better
    });
    places
}
