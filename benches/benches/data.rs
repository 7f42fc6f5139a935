//! Tokenizing, loading, drawing mixtures.
#![allow(missing_docs)] // criterion's macros make a public function without docs.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regmix_benches::{bpe, mini_corpus, tokenized};
use regmix_data::design::{Floored, Maximin, RegMix, Sampler, Space};
use regmix_data::tokenizer::Tokenizer;
use regmix_data::{DomainSet, Loader, LoaderConfig, Mixture, random};

fn tokenize(c: &mut Criterion) {
    let Some(source) = mini_corpus() else { return };
    let text: u64 = {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let corpus = tokenized(&source, &Tokenizer::bytes().expect("built in"), dir.path());
        (corpus.manifest().domains.iter())
            .map(|d| d.train.bytes + d.valid.bytes)
            .sum()
    };
    let mut group = c.benchmark_group("tokenize");
    group.sample_size(10).throughput(Throughput::Bytes(text));
    for (name, tokenizer) in [
        ("bytes", Tokenizer::bytes().expect("built in")),
        ("bpe-4096", bpe(&source)),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let dir = tempfile::tempdir().expect("a temporary folder");
                tokenized(&source, &tokenizer, dir.path())
            });
        });
    }
    group.finish();
}

fn load(c: &mut Criterion) {
    let Some(source) = mini_corpus() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let corpus = tokenized(&source, &bpe(&source), dir.path());
    let mut group = c.benchmark_group("loader");
    for seq_len in [128_usize, 1024] {
        let batch = 16;
        let mixture = Mixture::uniform(corpus.domains().clone());
        let config = LoaderConfig::new(seq_len, 1, "bench");
        let mut loader =
            Loader::new(corpus.clone(), mixture, config).expect("domains are large enough");
        let mut tokens = vec![0; batch * (seq_len + 1)];
        let mut start = 0;
        group.throughput(Throughput::Elements((batch * seq_len) as u64));
        group.bench_function(format!("fill-{batch}x{seq_len}"), |b| {
            b.iter(|| {
                loader
                    .fill_batch(start, &mut tokens)
                    .expect("the corpus is valid");
                start += batch as u64;
            });
        });
    }
    group.finish();
}

fn draw(c: &mut Criterion) {
    let domains = DomainSet::from_names((0..17).map(|i| format!("d{i}"))).expect("names are valid");
    let weights = (0..17).map(|i| 1.0 / f64::from(1 + i)).collect();
    let space = Space::new(Mixture::normalized(domains, weights).expect("weights are positive"));
    let mut group = c.benchmark_group("draw-512-mixtures");
    group.sample_size(10);
    let samplers: [&dyn Sampler; 3] =
        [&RegMix::default(), &Floored::default(), &Maximin::default()];
    for sampler in samplers {
        group.bench_function(sampler.name(), |b| {
            b.iter(|| {
                let mut rng = random::stream(1, "bench", "draw");
                sampler
                    .draw(&space, 512, &mut rng)
                    .expect("the space is wide")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tokenize, load, draw);
criterion_main!(benches);
