//! A simulated study whose best mixture is known.

use rand_distr::{Distribution, StandardNormal};

use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Mixture};
use regmix_regress::FitOptions;

pub(crate) const RUNS: usize = 48;

pub(crate) fn domains() -> DomainSet {
    DomainSet::from_names(["web", "code", "law", "junk"]).unwrap()
}

/// Losses of `web`, `code`, `law`: each falls with its own domain, `junk`
/// helps nobody.
pub(crate) fn losses(w: &[f64]) -> Vec<f64> {
    (0..3)
        .map(|j| 2.0 + 0.8 * (0.02 + w[j] + 0.1 * w[0]).powf(-0.25))
        .collect()
}

pub(crate) fn observations(noise: f64) -> Observations {
    let mut rng = stream(7, "study", "test");
    let mut mixtures = Vec::new();
    let mut values = Vec::new();
    for run in 0..RUNS {
        let raw: Vec<f64> = (0..4)
            .map(|_| {
                let z: f64 = StandardNormal.sample(&mut rng);
                z.exp()
            })
            .collect();
        let mixture = Mixture::normalized(domains(), raw).unwrap();
        let mut row = losses(mixture.weights());
        for v in &mut row {
            let z: f64 = StandardNormal.sample(&mut rng);
            *v += noise * z;
        }
        values.push((format!("r{run}"), row));
        mixtures.push((format!("r{run}"), mixture));
    }
    let names = ["web", "code", "law"].map(str::to_owned).to_vec();
    Observations::join(
        MixtureTable::new(domains(), mixtures).unwrap(),
        ValueTable::new(names, values).unwrap(),
    )
    .unwrap()
}

pub(crate) fn quick() -> FitOptions {
    FitOptions {
        regressors: vec!["linear".into(), "law1".into()],
        natural: Some(Mixture::new(domains(), vec![0.4, 0.1, 0.1, 0.4]).unwrap()),
        ..FitOptions::default()
    }
}
