//! Tiny Llama-shaped proxy and target models, and their training, for regmix.
//!
//! - [`ModelConfig`] is the shape of a model; presets are RegMix's `1m`, `60m`
//!   and `1b`, and `nano` and `micro` for a CPU.
//! - [`Device`] is where it runs, chosen at run time among the back-ends that
//!   are compiled in.
//! - Two engines compute the same model: one written for processors, and one on
//!   burn for every other device.
//! - [`Trainer`] makes single steps; [`train`] makes a whole run in its folder,
//!   resumable and the same to the bit; [`train_all`] makes many at once.
//!
//! What it does not do: distributed training of one model, text generation.

mod checkpoint;
mod config;
mod device;
mod engine;
mod fleet;
mod graph;
mod host;
mod memory;
pub mod metrics;
mod optimizer;
mod parallel;
mod parameters;
mod precision;
mod run;
#[cfg(test)]
mod tests;
mod trainer;

pub use config::{ModelConfig, Parameters};
pub use device::{Device, DeviceSpec, DeviceStatus};
pub use fleet::train_all;
pub use memory::{keep_freed_buffers, training_memory};
pub use optimizer::{AdamWConfig, LearningRateSchedule, learning_rate};
pub use parallel::{ParallelTrial, default_parallel, memory_per_run};
pub use precision::Precision;
pub use run::{
    Fallback, Job, RunSegment, RunSpec, RunStatus, RunSummary, Steer, TrainConfig,
    stored_fingerprint, train,
};
pub use trainer::{StepOutcome, Trainer};
