//! One training step per preset, on every device that is compiled in and
//! present; on the CPU, on one thread.
#![allow(missing_docs)] // criterion's macros make a public function without docs.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use regmix_model::{AdamWConfig, Device, DeviceSpec, ModelConfig, Trainer, keep_freed_buffers};

/// Preset, vocabulary, sequences per step, context.
type Case = (&'static str, usize, usize, usize);

/// `60m` and `1b` take too long on a CPU; `1m` has a short context.
const SMALL: [Case; 5] = [
    ("nano", 1024, 8, 128),
    ("nano", 8192, 8, 128),
    ("micro", 1024, 8, 128),
    ("1m", 8192, 2, 256),
    ("1m", 50_432, 1, 512),
];

/// The papers' sizes, one micro-batch per step.
const LARGE: [Case; 2] = [("1m", 50_432, 8, 2048), ("60m", 50_432, 8, 2048)];

fn train_step(c: &mut Criterion) {
    keep_freed_buffers();
    let mut group = c.benchmark_group("train_step");
    group.sample_size(10);
    for found in Device::survey().into_iter().filter(|d| d.present) {
        let device = Device::open(found.spec).expect("the device is present");
        let gpu = !matches!(found.spec, DeviceSpec::Cpu | DeviceSpec::Tch);
        let cases = match (found.software, gpu) {
            // A step takes about a second.
            (true, _) => SMALL[..1].to_vec(),
            (false, true) => [&SMALL[..], &LARGE].concat(),
            (false, false) => SMALL.to_vec(),
        };
        for (preset, vocab, batch, context) in cases {
            let config = ModelConfig {
                context,
                ..ModelConfig::preset(preset, vocab).expect("the preset exists")
            };
            let mut trainer = Trainer::new(&config, AdamWConfig::default(), 1, &device)
                .expect("the preset is valid");
            let tokens: Vec<u32> = (0..(batch * (context + 1)) as u32)
                .map(|i| i.wrapping_mul(2_654_435_761) % vocab as u32)
                .collect();
            group.throughput(Throughput::Elements((batch * context) as u64));
            let name = format!("{}/{preset}-vocab{vocab}-{batch}x{context}", found.spec);
            group.bench_function(name, |b| {
                b.iter(|| {
                    trainer
                        .step(&tokens, batch, 1e-4)
                        .expect("tokens are in the vocabulary")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, train_step);
criterion_main!(benches);
