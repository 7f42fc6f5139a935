//! Fitting and scoring, on the published tables.
#![allow(missing_docs)] // criterion's macros make a public function without.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use regmix_benches::shared;
use regmix_data::design::Dirichlet;
use regmix_data::random;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_regress::{Model, Samples, regressor};

const MIXTURES: usize = 1_000_000;

fn published() -> Option<Observations> {
    let folder = shared("data/regmix-tables")?;
    let read = "the published tables are readable";
    let mixtures = MixtureTable::read_csv(folder.join("train_mixture_1m.csv")).expect(read);
    let losses = ValueTable::read_csv(folder.join("train_pile_loss_1m.csv")).expect(read);
    Some(Observations::join(mixtures, losses).expect(read))
}

fn fit_all(observations: &Observations, name: &str) -> Vec<Model> {
    let regressor = regressor::regressor(name).expect("the regressor exists");
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

fn fit_and_score(c: &mut Criterion) {
    let Some(observations) = published() else {
        return;
    };
    let names = ["linear", "ridge", "elastic_net", "law1"];
    let mut group = c.benchmark_group("fit-13-targets-512-rows");
    group.sample_size(10);
    for name in names {
        group.bench_function(name, |b| b.iter(|| fit_all(&observations, name)));
    }
    group.finish();

    let mut rng = random::stream(1, "bench", "score");
    let flat = Dirichlet::new(&vec![1.0; observations.mixtures.domains().len()]).expect("positive");
    let candidates: Vec<Vec<f64>> = (0..MIXTURES).map(|_| flat.sample(&mut rng)).collect();
    let mut group = c.benchmark_group("score-1M-mixtures-13-targets");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(MIXTURES as u64));
    for name in ["linear", "law1"] {
        let models = fit_all(&observations, name);
        group.bench_function(name, |b| {
            b.iter(|| {
                // One sum per mixture stands for what a search does with them.
                (candidates.par_iter())
                    .map(|w| models.iter().map(|m| m.mean(w)).sum::<f64>())
                    .sum::<f64>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fit_and_score);
criterion_main!(benches);
