//! Tests that need private items of the crate.

mod changing;
mod correctness;
mod doremi;
mod faults;
mod graph;
mod hugging_face;
mod runs;
mod scoring;
mod stack;

use crate::config::ModelConfig;
use crate::device::{Device, DeviceSpec};
use crate::optimizer::AdamWConfig;
use crate::trainer::Trainer;
pub(crate) use faults::Fault;

fn cpu() -> Device {
    Device::open(DeviceSpec::Cpu).unwrap()
}

/// Small enough to compute by hand, with every feature: two blocks, grouped
/// queries.
pub(crate) fn tiny() -> ModelConfig {
    ModelConfig {
        vocab_size: 13,
        layers: 2,
        d_model: 16,
        heads: 4,
        kv_heads: 2,
        d_ff: 24,
        context: 6,
        rope_base: 100.0,
        norm_eps: 1e-5,
        tied: false,
    }
}

fn trainer(config: &ModelConfig, seed: u64) -> Trainer {
    Trainer::new(config, AdamWConfig::default(), seed, &cpu()).unwrap()
}
