//! The engine for burn's devices, on burn's back-end for CPUs.
#![allow(clippy::print_stdout)]

use regmix_data::random;

use super::correctness::{difference, engines, shapes, tokens};
use super::tiny;
use crate::config::ModelConfig;
use crate::device::{Device, DeviceSpec};
use crate::engine::{Engine, Parts};
use crate::graph::{Graph, Limits};
use crate::optimizer::AdamWConfig;
use crate::parameters;
use crate::precision::Precision;

/// So few that attention is computed in blocks of 64 rows, the output layer in chunks
/// of 64, and that parameters lie in several tensors.
pub(super) const LEAST: Limits = Limits {
    scores: 1,
    logits: 1,
    tokens: 0,
    slab: 3000,
};

fn graph(config: &ModelConfig, precision: Precision, limits: Limits) -> Graph {
    let values = parameters::init(config, &mut random::stream(5, "test", "init")).unwrap();
    let device = burn::tensor::Device::flex();
    Graph::with_limits(config, vec![values], precision, &device, limits)
}

#[test]
fn blocks_and_chunks_change_nothing_but_rounding() {
    for config in shapes() {
        let (mut host, _) = engines(&config, 5);
        let mut graph = graph(&config, Precision::F32, LEAST);
        let batch = tokens(&config, 5);
        for (a, b) in host.losses(&batch).iter().zip(graph.losses(&batch)) {
            assert!((a - b).abs() < 1e-5, "{a} {b} {config:?}");
        }
        let (a, b) = (host.accumulate(&batch, 1.0), graph.accumulate(&batch, 1.0));
        assert!((a - b).abs() < 1e-5, "{a} {b} {config:?}");
        let gradients = host.gradients().into_iter().zip(graph.gradients());
        for ((a, b), parameter) in gradients.zip(parameters::list(&config)) {
            let gap = difference(&a, &b);
            assert!(gap < 1e-4, "{}: {gap} {config:?}", parameter.name);
        }
    }
}

/// The devices of burn that are compiled in and present, each with the greatest
/// difference that its rounding may cause. NVIDIA's cards multiply in TF32, which rounds
/// to 10 bits, in kernels that depend on the sizes.
pub(super) fn present() -> Vec<(Device, f32)> {
    let mut found = Vec::new();
    for status in Device::survey() {
        match Device::open(status.spec) {
            Ok(device) if device.burn().is_some() => {
                let most = match status.spec {
                    DeviceSpec::Cuda(_) => 1e-2,
                    _ => 1e-4,
                };
                found.push((device, most));
            }
            _ => println!("skipped {}: {}", status.spec, status.note),
        }
    }
    found
}

/// On every device, so that each kernel is compared with the engine for processors; the
/// script for the software renderer runs this.
#[test]
fn every_device_has_the_gradients_of_the_processor() {
    for (device, most) in present() {
        let burn = device.burn().unwrap();
        let all = [Limits::default(), LEAST];
        let all = all
            .into_iter()
            .flat_map(|l| shapes().into_iter().map(move |s| (s, l)));
        for (config, limits) in all {
            let config = &config;
            let (mut host, _) = engines(config, 5);
            let values = host.state().weights.clone();
            let mut graph = Graph::with_limits(config, vec![values], Precision::F32, burn, limits);
            let batch = tokens(config, 3);
            let adamw = AdamWConfig::default();
            let mut worst = 0.0_f32;
            // The second step starts from the updated weights.
            for _ in 0..2 {
                let (a, b) = (host.accumulate(&batch, 1.0), graph.accumulate(&batch, 1.0));
                let gap = (a - b).abs();
                assert!(
                    gap < f64::from(most),
                    "{}: {a} {b} {config:?}",
                    device.spec()
                );
                let gradients = host.gradients().into_iter().zip(graph.gradients());
                for ((a, b), parameter) in gradients.zip(parameters::list(config)) {
                    let gap = difference(&a, &b);
                    assert!(gap < most, "{}: {gap} {config:?}", parameter.name);
                    worst = worst.max(gap);
                }
                let norms = (host.update(&adamw, 1e-3), graph.update(&adamw, 1e-3));
                let gap = (norms.0 / norms.1 - 1.0).abs();
                assert!(gap < f64::from(most), "{norms:?}");
            }
            println!(
                "{}: gradients {worst:.1e} apart at most, {config:?}",
                device.spec()
            );
        }
    }
}

/// One step reads from the device once; its result is that of the parts.
#[test]
fn a_step_is_the_sum_of_its_parts() {
    let config = tiny();
    let batch = tokens(&config, 5);
    let (first, second) = batch.split_at(3 * (config.context + 1));
    let parts = [(first, 0.6), (second, 0.4)];
    let adamw = AdamWConfig::default();
    let mut whole = graph(&config, Precision::F32, Limits::default());
    let mut pieces = graph(&config, Precision::F32, Limits::default());
    for _ in 0..3 {
        let (loss, norm) = whole.step(&parts, &adamw, 1e-2);
        let expected: f64 = (parts.iter())
            .map(|(tokens, share)| share * pieces.accumulate(tokens, *share))
            .sum();
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
        assert!((norm - pieces.update(&adamw, 1e-2)).abs() < 1e-6);
    }
    assert_eq!(whole.state(), pieces.state());
}

/// Rounding the operands to 8 bits of mantissa moves a gradient by some percent.
#[test]
fn gradients_in_bf16_are_those_of_f32_within_its_rounding() {
    for config in shapes() {
        let mut exact = graph(&config, Precision::F32, Limits::default());
        let mut rounded = graph(&config, Precision::Bf16, LEAST);
        let batch = tokens(&config, 3);
        let losses = (
            exact.accumulate(&batch, 1.0),
            rounded.accumulate(&batch, 1.0),
        );
        assert!((losses.0 - losses.1).abs() < 0.02, "{losses:?}");
        assert!(losses.0 != losses.1, "nothing was rounded");
        let gradients = exact.gradients().into_iter().zip(rounded.gradients());
        for ((a, b), parameter) in gradients.zip(parameters::list(&config)) {
            let gap = difference(&a, &b);
            assert!(gap < 0.05, "{}: {gap} {config:?}", parameter.name);
        }
    }
}

/// The count is compared with the memory of a process of its own, which trains on
/// sizes at which tensors are most of it.
#[cfg(target_os = "linux")]
#[test]
fn the_counted_memory_is_what_the_tensors_take() {
    const CHILD: &str = "REGMIX_TEST_MEMORY";
    let attention = ModelConfig {
        vocab_size: 300,
        d_model: 64,
        heads: 8,
        kv_heads: 4,
        d_ff: 96,
        context: 512,
        ..tiny()
    };
    let output_layer = ModelConfig {
        vocab_size: 20_000,
        d_model: 64,
        context: 64,
        ..tiny()
    };
    let feed_forward = ModelConfig {
        d_model: 64,
        d_ff: 2048,
        context: 128,
        ..tiny()
    };
    // Several blocks and chunks.
    let limits = Limits {
        scores: 1 << 21,
        logits: 1 << 21,
        ..Limits::default()
    };
    let (shapes, micro_batch) = ([attention, output_layer, feed_forward], 8);
    if let Ok(index) = std::env::var(CHILD) {
        let config = &shapes[index.parse::<usize>().unwrap()];
        let before = memory_in_use("VmRSS:");
        let mut graph = graph(config, Precision::F32, limits);
        let batch = tokens(config, micro_batch);
        for _ in 0..2 {
            graph.step(&[(&batch, 1.0)], &AdamWConfig::default(), 1e-3);
        }
        println!("taken={}", memory_in_use("VmHWM:") - before);
        return;
    }
    for (index, config) in shapes.iter().enumerate() {
        let name = "tests::graph::the_counted_memory_is_what_the_tensors_take";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, index.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let taken = text.lines().find_map(|l| Some(l.split_once("taken=")?.1));
        let taken: f64 = taken.unwrap_or_else(|| panic!("{text}")).parse().unwrap();
        let counted = crate::graph::bytes_held(config, micro_batch, Precision::F32, limits) as f64;
        println!(
            "shape {index}: {taken} bytes taken, {counted} counted, {}",
            taken / counted
        );
        assert!(
            (0.6..1.1).contains(&(taken / counted)),
            "{index}: {taken} {counted}"
        );
    }
}

/// A line of what Linux knows of this process, in bytes.
#[cfg(target_os = "linux")]
fn memory_in_use(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with(what)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

/// NaN must show, and not be lost in a maximum or a mask.
#[test]
fn a_weight_that_is_not_a_number_shows_in_loss_and_norm() {
    let config = tiny();
    let mut graph = graph(&config, Precision::F32, Limits::default());
    let sound = graph.state().into_owned();
    for p in 0..parameters::list(&config).len() {
        let mut state = sound.clone();
        state.weights[p].fill(f32::NAN);
        graph.restore(state);
        let batch = tokens(&config, 2);
        let (loss, norm) = graph.step(&[(&batch, 1.0)], &AdamWConfig::default(), 1e-3);
        assert!(!loss.is_finite() && !norm.is_finite(), "{p}: {loss} {norm}");
        assert!(graph.state().moments.is_empty());
    }
}
