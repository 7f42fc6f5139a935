//! One training step per preset, on one thread of the CPU.
#![allow(missing_docs)] // criterion's macros make a public function without.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regmix_model::{AdamWConfig, Device, DeviceSpec, ModelConfig, Trainer, keep_freed_buffers};

/// Preset, vocabulary, sequences per step, context. `60m` and `1b` do not fit
/// a bench on a CPU; `1m` is taken at a short context.
const CASES: [(&str, usize, usize, usize); 5] = [
    ("nano", 1024, 8, 128),
    ("nano", 8192, 8, 128),
    ("micro", 1024, 8, 128),
    ("1m", 8192, 2, 256),
    ("1m", 50_432, 1, 512),
];

fn train_step(c: &mut Criterion) {
    keep_freed_buffers();
    let device = Device::open(DeviceSpec::Cpu).expect("flex is compiled in");
    let mut group = c.benchmark_group("train_step");
    group.sample_size(10);
    for (preset, vocab, batch, context) in CASES {
        let config = ModelConfig {
            context,
            ..ModelConfig::preset(preset, vocab).expect("the preset exists")
        };
        let mut trainer =
            Trainer::new(&config, AdamWConfig::default(), 1, &device).expect("the preset is sound");
        let tokens: Vec<u32> = (0..(batch * (context + 1)) as u32)
            .map(|i| i.wrapping_mul(2_654_435_761) % vocab as u32)
            .collect();
        group.throughput(Throughput::Elements((batch * context) as u64));
        group.bench_function(format!("{preset}-vocab{vocab}-{batch}x{context}"), |b| {
            b.iter(|| {
                trainer
                    .step(&tokens, batch, 1e-4)
                    .expect("tokens are in the vocabulary")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, train_step);
criterion_main!(benches);
