//! Fitting and scoring with every regressor, and the search, on the published
//! tables.
#![allow(missing_docs)] // criterion's macros make a public function without.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use regmix_benches::shared;
use regmix_data::design::Dirichlet;
use regmix_data::random;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_regress::regressor::{NAMES, regressor, score};
use regmix_regress::{
    Choice, Constraints, Fit, FitOptions, Model, RecommendOptions, Samples, recommend,
};

/// Few enough for processes and trees, many enough for laws.
const MIXTURES: usize = 20_000;

fn published() -> Option<Observations> {
    let folder = shared("data/regmix-tables")?;
    let read = "the published tables are readable";
    let mixtures = MixtureTable::read_csv(folder.join("train_mixture_1m.csv")).expect(read);
    let losses = ValueTable::read_csv(folder.join("train_pile_loss_1m.csv")).expect(read);
    Some(Observations::join(mixtures, losses).expect(read))
}

fn fit_all(observations: &Observations, name: &str) -> Vec<Model> {
    let regressor = regressor(name).expect("the regressor exists");
    let rows = observations.mixtures.mixtures();
    (0..observations.values.targets().len())
        .into_par_iter()
        .map(|target| {
            let values = observations
                .values
                .rows()
                .iter()
                .map(|row| row[target])
                .collect();
            let samples = Samples::new(rows.iter().map(|m| m.weights()), values).expect("finite");
            let own = observations
                .mixtures
                .domains()
                .position(&observations.values.targets()[target]);
            regressor
                .fit(&samples.with_own_domain(own), 1)
                .expect("512 rows are enough")
        })
        .collect()
}

fn each_regressor(c: &mut Criterion) {
    let Some(observations) = published() else {
        return;
    };
    let mut rng = random::stream(1, "bench", "score");
    let flat = Dirichlet::new(&vec![1.0; observations.mixtures.domains().len()]).expect("positive");
    let candidates: Vec<Vec<f64>> = (0..MIXTURES).map(|_| flat.sample(&mut rng)).collect();
    for name in NAMES {
        let mut group = c.benchmark_group(name);
        group.sample_size(10);
        group.bench_function("fit-512-rows-13-targets", |b| {
            b.iter(|| fit_all(&observations, name));
        });
        let models = fit_all(&observations, name);
        let models: Vec<&Model> = models.iter().collect();
        group.throughput(Throughput::Elements(MIXTURES as u64));
        group.bench_function("score-20k-mixtures-13-targets", |b| {
            b.iter(|| score(&models, &candidates).iter().sum::<f64>());
        });
        group.finish();
    }
}

/// The lowest mean of 13 targets under caps, without refits.
fn search(c: &mut Criterion) {
    let Some(observations) = published() else {
        return;
    };
    let mut group = c.benchmark_group("search");
    group.sample_size(10);
    for name in ["law1", "law2", "gp", "ensemble"] {
        let options = FitOptions {
            regressors: vec![name.to_owned()],
            choice: Choice::Named(name.to_owned()),
            folds: 2,
            ..FitOptions::default()
        };
        let fit = Fit::train(&observations, &options).expect("512 rows are enough");
        let caps = (fit.domains().names())
            .fold(Constraints::none(fit.domains().clone()), |caps, domain| {
                caps.with_cap(domain, 0.3).expect("the domain is known")
            });
        let options = RecommendOptions {
            constraints: Some(caps),
            bootstrap: 0,
            ..RecommendOptions::default()
        };
        group.bench_function(name, |b| {
            b.iter(|| recommend(&fit, &options).expect("the caps leave room"));
        });
    }
    group.finish();
}

criterion_group!(benches, each_regressor, search);
criterion_main!(benches);
