//! One training step per preset, on every device that is compiled in and
//! present; on the CPU, on one thread.
#![allow(missing_docs)] // criterion's macros make a public function without docs.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use ndarray::Array2;
use ndarray::linalg::general_mat_mul;
use regmix_model::{
    AdamWConfig, Device, DeviceSpec, ModelConfig, Precision, Products, Trainer, keep_freed_buffers,
};

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

/// The products of a layer at the shapes of a proxy, by regmix and by two libraries:
/// rows, inputs, outputs.
const LAYERS: [(usize, usize, usize); 4] = [
    (2048, 256, 256),
    (2048, 256, 512),
    (2048, 512, 256),
    (1024, 256, 8192),
];

fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("products");
    group.sample_size(10);
    for (rows, inputs, outputs) in LAYERS {
        let x = vec![0.5_f32; rows * inputs];
        let w = vec![0.25_f32; inputs * outputs];
        let dy = vec![0.125_f32; rows * outputs];
        let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
        group.throughput(Throughput::Elements(2 * (rows * inputs * outputs) as u64));
        let shape = format!("{rows}x{inputs}x{outputs}");
        for precision in [Precision::F32, Precision::Bf16] {
            let mut products = Products::new(precision);
            let name = |which| format!("regmix-{precision}/{which}/{shape}");
            group.bench_function(name("xW"), |b| {
                b.iter(|| products.forward(&x, &w, inputs, &mut y));
            });
            group.bench_function(name("gWt"), |b| {
                b.iter(|| products.input_gradient(&dy, &w, inputs, &mut dx));
            });
            group.bench_function(name("xtg"), |b| {
                b.iter(|| products.weight_gradient(&x, &dy, inputs, &mut dw));
            });
        }
        let of =
            |data: &[f32], rows, cols| MatRef::from_row_major_slice(data, rows, cols).to_owned();
        let (x, w, dy) = (
            of(&x, rows, inputs),
            of(&w, inputs, outputs),
            of(&dy, rows, outputs),
        );
        let cases = [
            ("xW", x.as_ref(), w.as_ref()),
            ("gWt", dy.as_ref(), w.transpose()),
            ("xtg", x.transpose(), dy.as_ref()),
        ];
        for (which, a, b) in cases {
            // faer's own matrices lie by column: the transposed product is the one
            // of matrices in rows.
            let (a, b) = (b.transpose(), a.transpose());
            let mut out = Mat::zeros(a.nrows(), b.ncols());
            group.bench_function(format!("faer/{which}/{shape}"), |bench| {
                bench.iter(|| matmul(&mut out, Accum::Replace, a, b, 1.0_f32, Par::Seq));
            });
        }
        let of = |m: &Mat<f32>| Array2::from_shape_fn((m.nrows(), m.ncols()), |(i, j)| m[(i, j)]);
        let (x, w, dy) = (of(&x), of(&w), of(&dy));
        let cases = [
            ("xW", x.view(), w.view()),
            ("gWt", dy.view(), w.t()),
            ("xtg", x.t(), dy.view()),
        ];
        for (which, a, b) in cases {
            let mut out = Array2::<f32>::zeros((a.nrows(), b.ncols()));
            group.bench_function(format!("matrixmultiply/{which}/{shape}"), |bench| {
                bench.iter(|| general_mat_mul(1.0, &a, &b, 0.0, &mut out));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, train_step, products);
criterion_main!(benches);
