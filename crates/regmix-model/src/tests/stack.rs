//! Several models that are computed together.
#![allow(clippy::print_stdout)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use regmix_data::random;

use super::correctness::{difference, shapes, tokens};
use super::graph::LEAST;
use super::tiny;
use crate::config::ModelConfig;
use crate::device::{Device, DeviceSpec};
use crate::engine::{Engine, State};
use crate::graph::{Graph, Limits, Rate};
use crate::optimizer::AdamWConfig;
use crate::parameters;
use crate::precision::Precision;
use crate::trainer::{StepOutcome, Trainer};

const MODELS: usize = 3;

fn values(config: &ModelConfig, seed: u64) -> Vec<Vec<f32>> {
    parameters::init(config, &mut random::stream(seed, "test", "init")).unwrap()
}

/// Sequences that differ between models.
fn batch(config: &ModelConfig, sequences: usize, model: usize) -> Vec<u32> {
    let mut batch = tokens(config, sequences);
    let vocab = config.vocab_size as u32;
    batch
        .iter_mut()
        .for_each(|t| *t = (*t + 3 * model as u32) % vocab);
    batch
}

/// On every device, in one chunk and in several: losses, norms and logits of every step
/// and the weights after it are those of models by themselves; the second model takes no
/// part in the second step.
#[test]
fn every_device_has_models_side_by_side_as_by_themselves() {
    let adamw = AdamWConfig::default();
    for (device, most) in devices() {
        let (name, device) = (device.spec(), device.burn().unwrap());
        for limits in [Limits::default(), LEAST] {
            for config in shapes().into_iter().filter(|c| c.vocab_size < 1000) {
                let all: Vec<_> = (0..MODELS).map(|m| values(&config, m as u64)).collect();
                let mut alone: Vec<Graph> = all
                    .iter()
                    .map(|v| vec![v.clone()])
                    .map(|v| Graph::with_limits(&config, v, Precision::F32, device, limits))
                    .collect();
                let mut stack = Graph::with_limits(&config, all, Precision::F32, device, limits);
                for step in 0..3 {
                    let batches: Vec<_> = (0..MODELS).map(|m| batch(&config, 5, m)).collect();
                    let row = config.context + 1;
                    let part = |from: usize, to: usize| -> Vec<u32> {
                        let parts = batches.iter().map(|b| b[from * row..to * row].to_vec());
                        parts.collect::<Vec<_>>().concat()
                    };
                    let parts = [(part(0, 3), 0.6), (part(3, 5), 0.4)];
                    let parts = parts.each_ref().map(|(t, share)| (t.as_slice(), *share));
                    let rate = |model: usize| Rate {
                        adamw: adamw.clone(),
                        lr: 1e-3 * (1 + model) as f64,
                    };
                    let takes_part = |model: usize| step != 1 || model != 1;
                    let rates: Vec<_> = (0..MODELS)
                        .map(|m| takes_part(m).then(|| rate(m)))
                        .collect();
                    let outcomes = stack.step_all(&parts, &rates);
                    for (m, (loss, norm)) in outcomes.into_iter().enumerate() {
                        if !takes_part(m) {
                            continue;
                        }
                        let (first, second) = batches[m].split_at(3 * row);
                        let own = [(first, 0.6), (second, 0.4)];
                        let (a, b) = alone[m].step(&own, &adamw, rate(m).lr);
                        let gap = (loss - a).abs().max((norm / b - 1.0).abs());
                        assert!(gap < f64::from(most), "{name}: {gap} {config:?}");
                    }
                }
                let of_all = batch(&config, MODELS, 0);
                let losses = stack.token_losses_all(&of_all);
                let logits = stack.logits_all(&of_all[..MODELS * config.context]);
                for (m, alone) in alone.iter_mut().enumerate() {
                    let own = |all: &[f32]| {
                        let count = all.len() / MODELS;
                        all[m * count..(m + 1) * count].to_vec()
                    };
                    let row = config.context + 1;
                    let expected = alone.token_losses(&of_all[m * row..(m + 1) * row]);
                    let gap = difference(&own(&losses), &expected);
                    assert!(gap < most, "{name}: losses {gap} {config:?}");
                    let (from, to) = (m * config.context, (m + 1) * config.context);
                    let expected = alone.logits(&of_all[from..to]);
                    let gap = difference(&own(&logits), &expected);
                    assert!(gap < most, "{name}: logits {gap} {config:?}");
                    compare(&stack.state_of(m), &alone.state(), most);
                }
            }
        }
    }
}

fn compare(a: &State, b: &State, most: f32) {
    assert_eq!(a.updates, b.updates);
    assert_eq!(a.moments.len(), b.moments.len());
    let moments = |s: &State| -> Vec<Vec<f32>> {
        let both = s.moments.iter().flat_map(|(m, v)| [m.clone(), v.clone()]);
        s.weights.iter().cloned().chain(both).collect()
    };
    for (a, b) in moments(a).iter().zip(&moments(b)) {
        // A step of AdamW turns a small gradient into one of the size of the rate.
        let gap = difference(a, b);
        assert!(gap < 10.0 * most, "{gap}");
    }
}

/// A model that is not a number leaves the others as they are.
#[test]
fn a_model_that_diverges_leaves_the_others_alone() {
    let config = tiny();
    let device = burn::tensor::Device::flex();
    let adamw = AdamWConfig::default();
    let mut bad = values(&config, 1);
    bad[3].fill(f32::NAN);
    let all = vec![values(&config, 0), bad, values(&config, 2)];
    let limits = Limits::default();
    let mut stack = Graph::with_limits(&config, all, Precision::F32, &device, limits);
    let tokens: Vec<u32> = (0..3).flat_map(|m| batch(&config, 2, m)).collect();
    let rates = vec![
        Some(Rate {
            adamw: adamw.clone(),
            lr: 1e-2
        });
        3
    ];
    for _ in 0..3 {
        let outcomes = stack.step_all(&[(&tokens, 1.0)], &rates);
        assert!(!outcomes[1].0.is_finite() && !outcomes[1].1.is_finite());
        assert!(outcomes[0].0.is_finite() && outcomes[2].1.is_finite());
    }
    assert_eq!(stack.state_of(1).updates, 0);
    for m in [0, 2] {
        let values = values(&config, m);
        let mut alone = Graph::new(&config, values, Precision::F32, &device);
        for _ in 0..3 {
            alone.step(&[(&batch(&config, 2, m as usize), 1.0)], &adamw, 1e-2);
        }
        compare(&stack.state_of(m as usize), &alone.state(), 1e-5);
    }
}

fn flex() -> Device {
    Device::open(DeviceSpec::Cpu)
        .unwrap()
        .disguised(DeviceSpec::Wgpu(0))
}

/// Steps, an evaluation, and more steps.
fn train(mut trainer: Trainer, model: usize, steps: usize) -> (Vec<StepOutcome>, Vec<f64>) {
    let config = tiny();
    let own = batch(&config, 4, model);
    let mut outcomes = Vec::new();
    let mut losses = Vec::new();
    for step in 0..steps {
        // Models measure their losses at different steps.
        if step == 2 + model {
            losses = trainer.evaluate(&own, 4).unwrap();
        }
        outcomes.push(trainer.step(&own, 3, 1e-2).unwrap());
    }
    (outcomes, losses)
}

fn beside(device: &Device, seed: u64, models: usize) -> Trainer {
    let adamw = AdamWConfig::default();
    Trainer::beside_others(&tiny(), adamw, seed, device, Precision::F32, models).unwrap()
}

fn agree(found: &(Vec<StepOutcome>, Vec<f64>), expected: &(Vec<StepOutcome>, Vec<f64>)) {
    assert_eq!(found.0.len(), expected.0.len());
    let steps = (found.0.iter().zip(&expected.0)).map(|(a, b)| (a.loss - b.loss).abs());
    let losses = (found.1.iter().zip(&expected.1)).map(|(a, b)| (a - b).abs());
    let gap = steps.chain(losses).fold(0.0, f64::max);
    // Ten updates of a rate of 0.01, of gradients that differ by rounding.
    assert!(gap < 1e-4, "{gap}");
}

/// burn's back-end for CPUs, and the devices of burn that are present, as
/// [`super::graph::present`].
fn devices() -> Vec<(Device, f32)> {
    let mut found = vec![(flex(), 1e-5)];
    found.extend(super::graph::present());
    found
}

/// Threads come late, end early, measure losses at different steps, and take the seats of
/// those that ended. Whichever thread computes for all, the order of the work is kept.
#[test]
fn every_device_has_threads_that_come_and_go() {
    const RUNS: usize = 7;
    let steps = |run: usize| 6 + 3 * (run % 3);
    for (device, _) in devices() {
        let next = AtomicUsize::new(0);
        let found: Vec<_> = std::thread::scope(|scope| {
            let work = || {
                let mut done = Vec::new();
                loop {
                    let run = next.fetch_add(1, Ordering::SeqCst);
                    if run >= RUNS {
                        return done;
                    }
                    let trainer = beside(&device, run as u64, MODELS);
                    done.push((run, train(trainer, run % 3, steps(run))));
                }
            };
            let threads: Vec<_> = (0..MODELS).map(|_| scope.spawn(work)).collect();
            let done = threads.into_iter().flat_map(|t| t.join().unwrap());
            done.collect()
        });
        assert_eq!(found.len(), RUNS);
        for (run, found) in found {
            let alone = beside(&flex(), run as u64, 1);
            agree(&found, &train(alone, run % 3, steps(run)));
        }
    }
}

/// A model is resumed in a seat, beside models that go on.
#[test]
fn a_model_is_resumed_beside_others() {
    let device = flex();
    let mut alone = beside(&flex(), 1, 1);
    let own = batch(&tiny(), 4, 1);
    for _ in 0..3 {
        alone.step(&own, 4, 1e-2).unwrap();
    }
    let state = alone.state().unwrap().into_owned();
    let all_there = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let trainer = beside(&device, 0, 2);
            all_there.wait();
            agree(&train(trainer, 0, 5), &train(beside(&flex(), 0, 1), 0, 5));
        });
        let mut resumed = beside(&device, 9, 2);
        resumed.restore(state).unwrap();
        all_there.wait();
        for _ in 0..3 {
            let (a, b) = (resumed.step(&own, 4, 1e-2), alone.step(&own, 4, 1e-2));
            assert!((a.unwrap().loss - b.unwrap().loss).abs() < 1e-5);
        }
        compare(&resumed.state().unwrap(), &alone.state().unwrap(), 1e-5);
        assert!(
            resumed
                .step_weighted(&own, |_| Ok(vec![0.25; 4]), 4, 1e-2)
                .is_err()
        );
    });
}

/// What fails for one model fails for all of them; new ones begin anew.
#[test]
fn a_device_that_fails_fails_for_all_models() {
    let device = flex();
    // An id outside of the vocabulary makes the back-end panic.
    let all_there = Barrier::new(2);
    let results: Vec<bool> = std::thread::scope(|scope| {
        let threads = [0, 1].map(|model| {
            let (device, all_there) = (&device, &all_there);
            scope.spawn(move || {
                let adamw = AdamWConfig::default();
                let values = values(&tiny(), 1);
                let burn = device.burn().unwrap();
                let stacks = device.stacks();
                let mut seat = stacks.join(&tiny(), values, Precision::F32, burn, 2);
                all_there.wait();
                let mut tokens = batch(&tiny(), 2, model);
                tokens[3] = if model == 0 { 1000 } else { 0 };
                let step = || seat.step(&[(&tokens, 1.0)], &adamw, 1e-2);
                let failed = crate::device::catch_panics(step).is_err();
                // Also what it holds.
                failed && crate::device::catch_panics(|| seat.state().updates).is_err()
            })
        });
        threads.map(|t| t.join().unwrap()).into()
    });
    assert_eq!(results, [true, true]);
    agree(
        &train(beside(&device, 3, 2), 0, 6),
        &train(beside(&flex(), 3, 1), 0, 6),
    );
}
