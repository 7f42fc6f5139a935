//! Entropies of domains, from synthetic shards. `REGMIX_BENCH_MIB=1024` measures this
//! size instead of the small ones.
#![allow(missing_docs)] // criterion's macros make a public function without docs.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regmix_benches::zipf_corpus;
use regmix_data::Silent;
use regmix_data::entropy::{EntropyOptions, measure};

fn entropies(c: &mut Criterion) {
    let mut group = c.benchmark_group("entropies");
    group.sample_size(10);
    let sizes: Vec<u64> = match std::env::var("REGMIX_BENCH_MIB") {
        Ok(size) => vec![size.parse().expect("REGMIX_BENCH_MIB is a number")],
        Err(_) => vec![16, 128],
    };
    for megabytes in sizes {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let corpus = zipf_corpus(dir.path(), megabytes << 20);
        group.throughput(Throughput::Bytes(megabytes << 20));
        group.bench_function(format!("{megabytes} MiB"), |b| {
            b.iter(|| {
                measure(&corpus, &EntropyOptions::default(), &Silent).expect("the corpus is sound")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, entropies);
criterion_main!(benches);
