//! Measures a device for `benches/gpu.sh`, all in one process, so that every kernel
//! is compiled once: the losses of the first steps against the CPU's, then tokens
//! per second and memory over precisions and micro-batches, then several models at
//! once.
//!
//! ```sh
//! cargo run --release -p regmix-model --features cuda --example gpu -- cuda:0 seconds=150
//! ```
//!
//! Prints lines of `key=value` pairs that begin with `loss`, `speed` or `failed`.
//! After `seconds` no further measurement begins.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `seconds` | 150 | time for all |
//! | `vocab` | 50432 | token ids of `1m` |
//! | `context` | 2048 | tokens of a sequence of `1m` |
//! | `micro` | 32,64,16,8,4 | micro-batches, in this order |
//! | `precision` | bf16,f32 | precisions, in this order |
//! | `check` | 2 | sequences of the comparison of losses; 0 for none |
//! | `products` | | measures the kernels of this matrix product instead, in bf16: `head`, ... |
//! | `models` | 1,2,4,8,16 | models at once; 0 for none |
//! | `step` | 1.0 | seconds of steps that are timed per measurement |
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Barrier;
use std::time::Instant;

use regmix_data::{Error, Result};
use regmix_model::{
    AdamWConfig, Device, DeviceSpec, ModelConfig, Precision, Trainer, device_memory,
    keep_freed_buffers,
};

const LR: f64 = 1e-3;

struct Options {
    values: BTreeMap<&'static str, String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut values: BTreeMap<&'static str, String> = [
            ("seconds", "150"),
            ("vocab", "50432"),
            ("context", "2048"),
            ("micro", "32,64,16,8,4"),
            ("precision", "bf16,f32"),
            ("check", "2"),
            ("products", ""),
            ("models", "1,2,4,8,16"),
            ("step", "1.0"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        for pair in args {
            let slot = pair
                .split_once('=')
                .and_then(|(name, value)| Some((values.get_mut(name)?, value)));
            let Some((slot, value)) = slot else {
                let names: Vec<&str> = values.into_keys().collect();
                return Err(Error::input(format!(
                    "`{pair}`: expected DEVICE, then NAME=VALUE with a name of {}",
                    names.join(", ")
                )));
            };
            value.clone_into(slot);
        }
        Ok(Self { values })
    }

    fn list<T: std::str::FromStr>(&self, name: &str) -> Result<Vec<T>> {
        let parts = self.values[name].split(',');
        parts
            .map(|part| (part.parse()).map_err(|_| Error::input(format!("`{part}` in `{name}`"))))
            .collect()
    }

    fn one<T: std::str::FromStr>(&self, name: &str) -> Result<T> {
        let mut list = self.list(name)?;
        Ok(list.remove(0))
    }

    fn precisions(&self) -> Result<Vec<Precision>> {
        let names: Vec<String> = self.list("precision")?;
        names
            .iter()
            .map(|name| match name.as_str() {
                "f32" => Ok(Precision::F32),
                "bf16" => Ok(Precision::Bf16),
                _ => Err(Error::input(format!(
                    "precision `{name}`: expected f32 or bf16"
                ))),
            })
            .collect()
    }
}

fn main() -> Result<()> {
    keep_freed_buffers();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let spec: DeviceSpec = args.first().map_or("auto", String::as_str).parse()?;
    let options = Options::parse(args.get(1..).unwrap_or_default())?;
    let begun = Instant::now();
    let seconds: f64 = options.one("seconds")?;
    let in_time = || begun.elapsed().as_secs_f64() < seconds;
    let device = Device::open(spec)?;
    let mut large = ModelConfig::preset("1m", options.one("vocab")?)?;
    large.context = options.one("context")?;
    let precisions: Vec<Precision> = (options.precisions()?.into_iter())
        .filter(|p| device.check_precision(*p).is_ok())
        .collect();

    if !options.values["products"].is_empty() {
        return products(&device, &large, &options.values["products"], in_time);
    }
    let check: usize = options.one("check")?;
    if check > 0 {
        // The processor computes them, too: shorter sequences suffice.
        let mut short = large.clone();
        short.context = short.context.min(512);
        losses(&device, &short, &precisions, check)?;
    }
    let step: f64 = options.one("step")?;
    for micro in options.list::<usize>("micro")? {
        for &precision in &precisions {
            if in_time() {
                let task = Task {
                    name: "1m",
                    model: &large,
                    precision,
                    micro,
                    models: 1,
                    seconds: step,
                };
                task.report(&device);
            }
        }
    }
    // The sizes of the demo: 16 sequences of 128 tokens.
    for name in ["nano", "micro"] {
        let model = ModelConfig::preset(name, 4096)?;
        for models in options.list::<usize>("models")? {
            if models > 0 && in_time() {
                let task = Task {
                    name,
                    model: &model,
                    precision: Precision::F32,
                    micro: 16,
                    models,
                    seconds: step,
                };
                task.report(&device);
            }
        }
    }
    Ok(())
}

/// Simulated tokens.
fn tokens(model: &ModelConfig, sequences: usize, seed: u64) -> Vec<u32> {
    let mut state = seed + 1;
    (0..sequences * (model.context + 1))
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % model.vocab_size as u64) as u32
        })
        .collect()
}

fn trainer(device: &Device, model: &ModelConfig, precision: Precision) -> Result<Trainer> {
    Trainer::with_precision(model, AdamWConfig::default(), 1, device, precision)
}

/// The kernels of the products of `1m`: forward, gradient of the input, gradient of the
/// weight. The rows are those of a chunk of logits, or of 32 sequences.
#[cfg(all(feature = "kernels", not(feature = "fusion")))]
fn products(
    device: &Device,
    model: &ModelConfig,
    wanted: &str,
    in_time: impl Fn() -> bool,
) -> Result<()> {
    use regmix_model::ProductTrial;
    let (d, vocab, rows, chunk) = (model.d_model, model.vocab_size, 32 * model.context, 8192);
    let parts = 16;
    let shapes = [
        ("head", [1, chunk, d, vocab], [false, false], false),
        ("head-input", [1, chunk, vocab, d], [false, true], true),
        ("head-weight", [1, d, chunk, vocab], [true, false], true),
        ("qkv", [1, rows, d, 3 * d], [false, false], false),
        ("qkv-input", [1, rows, 3 * d, d], [false, true], false),
        (
            "qkv-weight",
            [parts, d, rows / parts, 3 * d],
            [true, false],
            true,
        ),
        ("scores", [32 * 8, 128, 32, 1024], [false, true], false),
        ("values", [32 * 8, 128, 1024, 32], [false, false], false),
    ];
    for (name, size, transposed, wide) in shapes {
        if !wanted.split(',').any(|w| w == name) {
            continue;
        }
        let mut trial = ProductTrial::new(device, size, transposed, wide)?;
        for (way, by) in ProductTrial::ways().into_iter().enumerate() {
            if !in_time() {
                return Ok(());
            }
            match trial.seconds(way) {
                Ok((seconds, gap)) => {
                    let [batch, m, k, n] = size.map(|n| n as f64);
                    let tflops = 2.0 * batch * m * k * n / seconds * 1e-12;
                    println!(
                        "product name={name} by={by} tflops={tflops:.1} \
                         microseconds={:.1} gap={gap:.4}",
                        seconds * 1e6
                    );
                }
                Err(e) => {
                    let why = e.to_string().replace(['\n', '"'], " ");
                    let why: String = why.chars().take(300).collect();
                    println!("failed what=product name={name} by={by} why=\"{why}\"");
                }
            }
        }
    }
    Ok(())
}

#[cfg(not(all(feature = "kernels", not(feature = "fusion"))))]
fn products(_: &Device, _: &ModelConfig, _: &str, _: impl Fn() -> bool) -> Result<()> {
    Err(Error::input("this build has no kernels for GPUs"))
}

/// Three steps on the CPU and on the device, in each precision.
fn losses(
    device: &Device,
    model: &ModelConfig,
    precisions: &[Precision],
    sequences: usize,
) -> Result<()> {
    const STEPS: u64 = 3;
    let steps = |device: &Device, precision| -> Result<Vec<f64>> {
        let mut trainer = trainer(device, model, precision)?;
        (0..STEPS)
            .map(|step| {
                let batch = tokens(model, sequences, step);
                // Two micro-batches: their gradients are added up.
                Ok(trainer.step(&batch, sequences.div_ceil(2), LR)?.loss)
            })
            .collect()
    };
    let cpu = Device::open(DeviceSpec::Cpu)?;
    let expected = steps(&cpu, Precision::F32)?;
    for &precision in precisions {
        match steps(device, precision) {
            Ok(found) => {
                for (step, (a, b)) in expected.iter().zip(&found).enumerate() {
                    let gap = (a - b).abs();
                    println!(
                        "loss precision={precision} step={} cpu={a:.6} device={b:.6} gap={gap:.6}",
                        step + 1
                    );
                }
            }
            Err(e) => println!("failed what=losses precision={precision} why=\"{e}\""),
        }
        device.release_unused();
    }
    Ok(())
}

/// One measurement.
struct Task<'a> {
    name: &'static str,
    model: &'a ModelConfig,
    precision: Precision,
    micro: usize,
    models: usize,
    /// Of timed steps.
    seconds: f64,
}

impl Task<'_> {
    fn report(&self, device: &Device) {
        let Self {
            name,
            model,
            precision,
            micro,
            models,
            ..
        } = self;
        let what = format!("model={name} precision={precision} micro={micro} models={models}");
        match self.measure(device) {
            Ok((speed, card)) => {
                let tflops = speed * model.train_flops_per_token() * 1e-12;
                let counted = device_memory(model, *micro, *precision) * *models as u64;
                println!(
                    "speed {what} tokens_per_second={speed:.0} tflops={tflops:.3} \
                     assumed_mb={} card_mb={card}",
                    counted >> 20
                );
            }
            Err(e) => println!("failed what=speed {what} why=\"{e}\""),
        }
    }

    /// Tokens per second of all models together, and the megabytes of the card that are
    /// then in use. A step has two micro-batches.
    fn measure(&self, device: &Device) -> Result<(f64, u64)> {
        let barrier = || Barrier::new(self.models);
        let [all_there, all_warm, all_seen] = [barrier(), barrier(), barrier()];
        let one = |seed: u64| -> Result<(f64, u64)> {
            let batch = tokens(self.model, 2 * self.micro, seed);
            let adamw = AdamWConfig::default();
            let (precision, models) = (self.precision, self.models);
            let trainer = Trainer::beside_others(self.model, adamw, 1, device, precision, models);
            // Also a thread that failed comes to each: the others wait for all.
            all_there.wait();
            let warm = trainer.and_then(|mut trainer| {
                for _ in 0..2 {
                    trainer.step(&batch, self.micro, LR)?;
                }
                Ok(trainer)
            });
            all_warm.wait();
            let memory = if seed == 0 { memory_in_use() } else { 0 };
            all_seen.wait();
            let mut trainer = warm?;
            let clock = Instant::now();
            let mut steps = 0;
            while steps < 2 || clock.elapsed().as_secs_f64() < self.seconds {
                trainer.step(&batch, self.micro, LR)?;
                steps += 1;
            }
            let per_step = 2 * self.micro * self.model.context;
            let speed = f64::from(steps) * per_step as f64 / clock.elapsed().as_secs_f64();
            Ok((speed, memory))
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.models as u64)
                .map(|seed| {
                    scope.spawn(move || {
                        let speed = one(seed);
                        device.release_unused();
                        speed
                    })
                })
                .collect();
            let mut all = (0.0, 0);
            for thread in threads {
                let (speed, memory) = (thread.join())
                    .unwrap_or_else(|_| Err(Error::failed("a model's thread failed")))?;
                all = (all.0 + speed, all.1 + memory);
            }
            Ok(all)
        })
    }
}

/// Megabytes of memory in use on the first card; 0 where NVIDIA's command is
/// missing.
fn memory_in_use() -> u64 {
    let output = Command::new("nvidia-smi")
        .args([
            "--query-gpu=memory.used",
            "--format=csv,noheader,nounits",
            "--id=0",
        ])
        .output();
    let text = output.map(|o| o.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().parse().unwrap_or(0)
}
