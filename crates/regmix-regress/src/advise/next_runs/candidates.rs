//! Mixtures that the next runs are chosen from.

use regmix_data::design::Dirichlet;
use regmix_data::random::stream;
use regmix_data::{Mixture, Monitor, Result};

use crate::advise::next_runs::options::NextOptions;
use crate::advise::recommend::options::RecommendOptions;
use crate::advise::recommend::recommend_monitored;
use crate::constraints::Constraints;
use crate::fit::Fit;

/// Sums of concentrations of wide draws: from nearly one domain to nearly the
/// mixture they are drawn around.
const WIDE: [f64; 4] = [1.0, 4.0, 16.0, 64.0];

/// The same of draws near a good mixture.
const NEAR: [f64; 4] = [16.0, 64.0, 256.0, 1024.0];

/// Share of the prior in what near draws are around: a domain that the centre
/// leaves out can come back.
const LEAK: f64 = 0.05;

/// The optimum by this fit, the given runs, and draws: `options.explore`
/// of them wide, the others near those.
pub(super) fn candidates(
    fit: &Fit,
    best_runs: &[&[f64]],
    options: &NextOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<Mixture>> {
    let constraints = Constraints::or_none(options.constraints.as_ref(), fit.domains())?;
    let searched = RecommendOptions {
        objective: options.objective.clone(),
        constraints: options.constraints.clone(),
        bootstrap: 0,
        seed: options.seed,
        ..RecommendOptions::default()
    };
    let optimum = recommend_monitored(fit, &searched, monitor)?;
    let prior = fit.prior().weights().to_vec();
    let even = Mixture::uniform(fit.domains().clone()).weights().to_vec();
    let mut centres = vec![optimum.mixture.weights().to_vec()];
    centres.extend(best_runs.iter().map(|r| r.to_vec()));
    let mut out = centres.clone();
    out.truncate(options.candidates);
    let wide = (options.explore * (options.candidates - out.len()) as f64).round() as usize;
    let mut rng = stream(options.seed, "candidates", "acquire");
    for place in 0..options.candidates - out.len() {
        let alpha: Vec<f64> = if place < wide {
            let around = [&prior, &even][place % 2];
            let strength = WIDE[place / 2 % WIDE.len()];
            around.iter().map(|w| strength * w).collect()
        } else {
            let strength = NEAR[place % NEAR.len()];
            // Every other draw is near the optimum.
            let at = match place / NEAR.len() {
                turn if turn % 2 == 0 => 0,
                turn => turn / 2 % centres.len(),
            };
            (centres[at].iter().zip(&prior))
                .map(|(c, p)| strength * ((1.0 - LEAK) * c + LEAK * p))
                .collect()
        };
        out.push(Dirichlet::new(&alpha)?.sample(&mut rng));
    }
    (out.into_iter())
        .map(|w| Mixture::normalized(fit.domains().clone(), constraints.projected(&w)))
        .collect()
}
