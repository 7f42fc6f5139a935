//! The training speed of a model on a device; on a processor also the speed of
//! its matrix products.
//!
//! ```sh
//! cargo run --release -p regmix-model --example throughput -- --parallel 2 --vocab 8192
//! ```
//!
//! Prints one line of `key=value` pairs: tokens per second of all models
//! together (median over steps), GFLOP/s, the same as a share of the fastest
//! measured matrix product, the time of an evaluation as a share of that of a
//! training step on the same tokens, and the peak memory of the process. With
//! `--losses N` it also prints the losses of the first N steps, for comparison
//! with another device.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use regmix_data::{Error, Result};
use regmix_model::{
    AdamWConfig, Device, DeviceSpec, ModelConfig, Precision, Trainer, keep_freed_buffers,
};

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
        ("losses", 0),
    ]);
    let mut spec = DeviceSpec::Cpu;
    let mut precision = Precision::F32;
    let args: Vec<String> = std::env::args().skip(1).collect();
    for pair in args.chunks(2) {
        match (pair[0].as_str(), pair.get(1).map(String::as_str)) {
            ("--device", Some(name)) => {
                spec = name.parse()?;
                continue;
            }
            ("--precision", Some("bf16")) => {
                precision = Precision::Bf16;
                continue;
            }
            ("--precision", Some("f32")) => continue,
            _ => {}
        }
        let known = (pair[0].strip_prefix("--")).and_then(|name| options.get_mut(name));
        let value = pair.get(1).and_then(|v| v.parse().ok());
        match (known, value) {
            (Some(slot), Some(value)) => *slot = value,
            _ => {
                let names: Vec<&str> = options.into_keys().collect();
                return Err(Error::input(format!(
                    "`{}`: expected --device DEVICE, --precision f32|bf16, or --NAME NUMBER with a name \
                     of {}",
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
    let device = Device::open(spec)?;
    let start = Barrier::new(parallel);
    // Seconds of every step of every model, and of one evaluation.
    let steps = std::thread::scope(|scope| -> Result<Vec<(Vec<f64>, f64)>> {
        let one = |seed: usize| -> Result<(Vec<f64>, f64)> {
            let optimizer = AdamWConfig::default();
            let mut trainer =
                Trainer::with_precision(&config, optimizer, seed as u64, &device, precision)?;
            let mut state = seed as u64 + 1;
            let mut seconds = Vec::new();
            let mut last = Vec::new();
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
                let outcome = trainer.step(&tokens, micro, 1e-3)?;
                if seed == 0 && step < options["losses"] {
                    println!("loss step={} nats={:.6}", step + 1, outcome.loss);
                }
                if step >= options["warm"] {
                    seconds.push(begun.elapsed().as_secs_f64());
                }
                last = tokens;
            }
            let begun = Instant::now();
            trainer.evaluate(&last, micro)?;
            Ok((seconds, begun.elapsed().as_secs_f64()))
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
    let evaluation = steps.iter().map(|(_, seconds)| seconds).sum::<f64>()
        / steps.iter().map(|(s, _)| median(s.clone())).sum::<f64>();
    let best: f64 = steps
        .iter()
        .map(|(s, _)| tokens / s.iter().copied().fold(f64::INFINITY, f64::min))
        .sum();
    let speed: f64 = steps.into_iter().map(|(s, _)| tokens / median(s)).sum();
    let gflops = speed * config.train_flops_per_token() * 1e-9;
    let of_peak = match spec {
        DeviceSpec::Cpu => {
            let peak = product_peak(parallel);
            let share = gflops / peak;
            format!("product_peak_gflops={peak:.1} share_of_peak={share:.2} ")
        }
        _ => String::new(),
    };
    println!(
        "regmix device={spec} precision={precision} parallel={parallel} vocab={} parameters={} \
         tokens_per_second={speed:.0} best={best:.0} gflops={gflops:.1} {of_peak}\
         evaluation_to_step={evaluation:.2} peak_mb={memory:.0} \
         peak_mb_per_model={:.0}",
        config.vocab_size,
        config.parameters().total(),
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

/// The peak memory of the process in megabytes; 0 where the system does not
/// tell.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
