//! Tiny Llama-shaped proxy and target models, and their training, for regmix.
//!
//! The most important types:
//!
//! - [`ModelConfig`]: the shape of a model. Presets are RegMix's `1m`, `60m` and
//!   `1b`, and `nano` and `micro` for a CPU.
//! - [`Device`]: where a model runs, chosen at run time among the back-ends that
//!   are compiled in.
//! - [`Trainer`]: a model with its optimizer, for single steps.
//! - [`RunSpec`]: everything that decides what a training run computes. [`train`]
//!   makes the run in its folder, resumable without changing a bit;
//!   [`train_all`] makes many at once.
//! - [`RunStatus`]: how far a run is, and its results.
//!
//! Example: `steps` (a training loop of your own, with a mixture that changes).
//!
//! Two engines compute the same model: one is written for CPUs (`host`), the
//! other on burn for every other device (`graph`). Distributed training of one model and text
//! generation are not supported.

mod checkpoint;
mod config;
mod device;
pub mod doremi;
mod engine;
mod fleet;
mod graph;
mod host;
mod hugging_face;
pub mod lease;
mod memory;
pub mod metrics;
mod optimizer;
mod parallel;
mod parameters;
mod precision;
mod products;
mod run;
mod scoring;
mod stack;
#[cfg(test)]
mod tests;
mod trainer;

pub use config::{ModelConfig, Parameters};
pub use device::{Device, DeviceSpec, DeviceStatus};
pub use fleet::{Shared, share_out, train_all};
#[doc(hidden)]
#[cfg(all(feature = "kernels", not(feature = "fusion")))]
pub use graph::trial::ProductTrial;
pub use memory::{device_memory, keep_freed_buffers, training_memory};
pub use optimizer::{AdamWConfig, LearningRateSchedule, learning_rate};
pub use parallel::{ParallelTrial, Speed, default_parallel, memory_per_run};
pub use precision::Precision;
#[doc(hidden)]
pub use products::Products;
pub use run::{
    Batch, Fallback, FinishedRun, Job, Opened, RunSegment, RunSpec, RunStatus, RunSummary, Steer,
    TrainConfig, TrainedModel, Weigh, stored_fingerprint, stored_spec, train, training_losses,
};
pub use scoring::{Continuation, Score};
pub use trainer::{StepOutcome, Trainer};
