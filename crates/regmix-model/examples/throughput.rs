//! Training speed of a model on this machine's processor, beside the speed of
//! its matrix products.
//!
//! ```sh
//! cargo run --release -p regmix-model --example throughput -- --parallel 2 --vocab 8192
//! ```
//!
//! Prints one line of `key=value` pairs: tokens per second of all models
//! together (median over steps), GFLOP/s, the same as a share of the fastest
//! measured matrix product, and the peak memory of the process.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use regmix_data::{Error, Result};
use regmix_model::{AdamWConfig, Device, DeviceSpec, ModelConfig, Trainer, keep_freed_buffers};

fn main() -> Result<()> {
    keep_freed_buffers();
    let mut options: BTreeMap<&str, usize> = BTreeMap::from([
        ("layers", 2),
        ("d", 256),
        ("heads", 8),
        ("kv", 4),
        ("ff", 512),
        ("ctx", 256),
        ("vocab", 8192),
        ("batch", 8),
        ("micro", 0),
        ("steps", 10),
        ("warm", 2),
        ("parallel", 1),
    ]);
    let args: Vec<String> = std::env::args().skip(1).collect();
    for pair in args.chunks(2) {
        let known = (pair[0].strip_prefix("--")).and_then(|name| options.get_mut(name));
        let value = pair.get(1).and_then(|v| v.parse().ok());
        match (known, value) {
            (Some(slot), Some(value)) => *slot = value,
            _ => {
                let names: Vec<&str> = options.into_keys().collect();
                return Err(Error::input(format!(
                    "`{}`: expected --NAME NUMBER with a name of {}",
                    pair.join(" "),
                    names.join(", ")
                )));
            }
        }
    }
    let config = ModelConfig {
        vocab_size: options["vocab"],
        layers: options["layers"],
        d_model: options["d"],
        heads: options["heads"],
        kv_heads: options["kv"],
        d_ff: options["ff"],
        context: options["ctx"],
        rope_base: 10_000.0,
        norm_eps: 1e-5,
        tied: false,
    };
    let parallel = options["parallel"];
    let batch = options["batch"];
    let micro = if options["micro"] == 0 {
        batch
    } else {
        options["micro"]
    };
    let start = Barrier::new(parallel);
    // Seconds of every step of every model.
    let steps = std::thread::scope(|scope| -> Result<Vec<Vec<f64>>> {
        let one = |seed: usize| -> Result<Vec<f64>> {
            let device = Device::open(DeviceSpec::Cpu)?;
            let mut trainer = Trainer::new(&config, AdamWConfig::default(), seed as u64, &device)?;
            let mut state = seed as u64 + 1;
            let mut seconds = Vec::new();
            for step in 0..options["warm"] + options["steps"] {
                let tokens: Vec<u32> = (0..batch * (config.context + 1))
                    .map(|_| {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        ((state >> 33) % config.vocab_size as u64) as u32
                    })
                    .collect();
                if step == options["warm"] {
                    start.wait();
                }
                let begun = Instant::now();
                trainer.step(&tokens, micro, 1e-3)?;
                if step >= options["warm"] {
                    seconds.push(begun.elapsed().as_secs_f64());
                }
            }
            Ok(seconds)
        };
        let threads: Vec<_> = (0..parallel).map(|i| scope.spawn(move || one(i))).collect();
        (threads.into_iter())
            .map(|t| {
                t.join()
                    .map_err(|_| Error::failed("a model's thread failed"))?
            })
            .collect()
    })?;
    let memory = peak_memory();
    let tokens = (batch * config.context) as f64;
    let best: f64 = steps
        .iter()
        .map(|s| tokens / s.iter().copied().fold(f64::INFINITY, f64::min))
        .sum();
    let speed: f64 = steps.into_iter().map(|s| tokens / median(s)).sum();
    let gflops = speed * config.train_flops_per_token() * 1e-9;
    let peak = product_peak(parallel);
    println!(
        "regmix parallel={parallel} vocab={} parameters={} tokens_per_second={speed:.0} \
         best={best:.0} gflops={gflops:.1} product_peak_gflops={peak:.1} share_of_peak={:.2} peak_mb={:.0} \
         peak_mb_per_model={:.0}",
        config.vocab_size,
        config.parameters().total(),
        gflops / peak,
        memory,
        memory / parallel as f64,
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// GFLOP/s of a product of the models' size, on that many threads at once.
fn product_peak(threads: usize) -> f64 {
    let one = || {
        let (m, k, n) = (512, 256, 512);
        let (a, b) = (Mat::<f32>::full(m, k, 0.5), Mat::<f32>::full(k, n, 0.25));
        let mut c = Mat::<f32>::zeros(m, n);
        let times = (0..400).map(|_| {
            let begun = Instant::now();
            matmul(&mut c, Accum::Replace, &a, &b, 1.0, Par::Seq);
            begun.elapsed().as_secs_f64()
        });
        let best = times.fold(f64::INFINITY, f64::min);
        2.0 * (m * k * n) as f64 / best * 1e-9
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().filter_map(|t| t.join().ok()).sum()
    })
}

/// Megabytes that the process held at most; 0 where the system does not say.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
