//! Ten steps of a tiny model on every device that is compiled in and present,
//! compared with the processor's.
//!
//! `REGMIX_EXPECT_DEVICE` names a device that must be among them, for a CI step
//! that provides one.
#![allow(clippy::print_stdout)]

use regmix_model::{AdamWConfig, Device, DeviceSpec, ModelConfig, Precision, StepOutcome, Trainer};

const STEPS: u32 = 10;
/// The greatest difference of losses, in nats.
const TOLERANCE: f64 = 1e-3;

/// Every part of the model, including grouped queries, in sizes that are not
/// multiples of a GPU's tiles.
fn tiny() -> ModelConfig {
    ModelConfig {
        vocab_size: 61,
        layers: 2,
        d_model: 24,
        heads: 4,
        kv_heads: 2,
        d_ff: 40,
        context: 12,
        rope_base: 10_000.0,
        norm_eps: 1e-5,
        tied: false,
    }
}

/// The outcome of every step, then the loss of every sequence.
type Outcome = (Vec<StepOutcome>, Vec<f64>);

fn steps(device: &Device, seed: u64) -> Outcome {
    train(Trainer::new(&tiny(), AdamWConfig::default(), seed, device).unwrap())
}

fn train(mut trainer: Trainer) -> Outcome {
    let tokens: Vec<u32> = (0..6 * 13_u32).map(|i| (i * i + 3 * i) % 61).collect();
    let outcomes = (0..STEPS)
        .map(|_| trainer.step(&tokens, 4, 1e-2).unwrap())
        .collect();
    (outcomes, trainer.evaluate(&tokens, 4).unwrap())
}

/// The greatest gap between two trainings, in nats.
fn gap((a, p): &Outcome, (b, q): &Outcome) -> f64 {
    let steps = a.iter().zip(b).map(|(a, b)| (a.loss - b.loss).abs());
    let sequences = p.iter().zip(q).map(|(p, q)| (p - q).abs());
    steps.chain(sequences).fold(0.0, f64::max)
}

/// The devices to test; prints which are skipped.
fn present() -> Vec<DeviceSpec> {
    let mut found = Vec::new();
    for status in Device::survey() {
        if status.present {
            let name = status.name.as_deref().unwrap_or("a device without a name");
            println!("{} is {name}", status.spec);
            found.push(status.spec);
        } else {
            println!("skipped {}: {}", status.spec, status.note);
        }
    }
    if let Ok(name) = std::env::var("REGMIX_EXPECT_DEVICE") {
        let expected: DeviceSpec = name.parse().unwrap();
        assert!(found.contains(&expected), "{name} is not among {found:?}");
    }
    found
}

#[test]
fn every_device_makes_the_steps_of_the_processor() {
    let expected = steps(&Device::open(DeviceSpec::Cpu).unwrap(), 7);
    let losses = &expected.0;
    assert!(losses[9].loss < losses[0].loss - 0.5, "nothing is learnt");
    for spec in present() {
        let begun = std::time::Instant::now();
        let found = steps(&Device::open(spec).unwrap(), 7);
        let gap = gap(&expected, &found);
        println!(
            "{spec}: {gap:.1e} nats away at most, in {:.1?}",
            begun.elapsed()
        );
        assert!(gap < TOLERANCE, "{spec}: {found:?}, expected {expected:?}");
    }
}

/// Threads that share a device do not disturb each other, by themselves or computed
/// together.
#[test]
fn two_models_at_once_train_as_one_by_one() {
    for spec in present() {
        let device = Device::open(spec).unwrap();
        let alone = [1, 2].map(|seed| steps(&device, seed));
        for (models, most) in [(1, 1e-6), (2, TOLERANCE)] {
            let trainer = |seed: u64| {
                let adamw = AdamWConfig::default();
                let precision = Precision::F32;
                Trainer::beside_others(&tiny(), adamw, seed, &device, precision, models).unwrap()
            };
            let together = std::thread::scope(|scope| {
                [1, 2]
                    .map(|seed| scope.spawn(move || train(trainer(seed))))
                    .map(|thread| thread.join().unwrap())
            });
            for (a, b) in alone.iter().zip(&together) {
                let gap = gap(a, b);
                println!("{spec}, two at once, {models} together: {gap:.1e} nats away at most");
                assert!(gap < most, "{spec}: {gap}");
            }
        }
    }
}
