//! Memory: how much training takes, and the settings of the allocator.

use crate::config::ModelConfig;
use crate::graph::{self, Limits};
use crate::host;
use crate::precision::Precision;

/// Bytes that one model in training takes on a CPU, `micro_batch` sequences at
/// a time: weights, gradient, both moments, and what is between the layers. The
/// program itself takes some megabytes more, and writing a checkpoint three
/// times the weights for a moment.
///
/// ```
/// use regmix_model::{ModelConfig, training_memory};
///
/// let config = ModelConfig::preset("nano", 1024)?;
/// let megabytes = training_memory(&config, 8) >> 20;
/// assert!((10..40).contains(&megabytes));
/// # Ok::<(), regmix_data::Error>(())
/// ```
pub fn training_memory(model: &ModelConfig, micro_batch: usize) -> u64 {
    host::numbers_held(model, micro_batch).saturating_mul(4)
}

/// How many sequences a model computes at once on a device with so many free bytes:
/// those of the configuration, or a half, a quarter, ... of them, so that the model
/// fits. How many there are changes nothing but rounding.
pub(crate) fn fitting_micro_batch(
    model: &ModelConfig,
    micro_batch: usize,
    precision: Precision,
    free: Option<u64>,
) -> usize {
    let fits =
        |sequences| free.is_none_or(|free| device_memory(model, sequences, precision) <= free);
    let mut sequences = micro_batch;
    while sequences > 1 && !fits(sequences) {
        sequences = sequences.div_ceil(2);
    }
    sequences
}

/// Bytes that one model in training takes on a GPU: what it holds, and half as
/// much again for the freed memory that a back-end keeps for reuse.
///
/// ```
/// use regmix_model::{ModelConfig, Precision, device_memory};
///
/// // As the papers train it, 32 sequences of 2,048 tokens at a time.
/// let config = ModelConfig::preset("1m", 50_432)?;
/// assert!(device_memory(&config, 32, Precision::Bf16) < 6 << 30);
/// # Ok::<(), regmix_data::Error>(())
/// ```
pub fn device_memory(model: &ModelConfig, micro_batch: usize, precision: Precision) -> u64 {
    let held = graph::bytes_held(model, micro_batch, precision, Limits::default());
    held.saturating_add(held / 2)
}

/// Bytes of memory that this process can still use, where the system says: the
/// free memory of the machine, or less under a limit (`ulimit -v`, a container).
pub(crate) fn available_memory() -> Option<u64> {
    [
        system_memory("MemAvailable:"),
        address_space(),
        control_group(),
    ]
    .into_iter()
    .flatten()
    .min()
}

/// What is left under `ulimit -v`.
fn address_space() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find(|l| l.starts_with("Max address space"))?;
    let limit: u64 = line.split_whitespace().nth(3)?.parse().ok()?;
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let used: u64 = pages.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(used * 4096))
}

/// What is left under the memory limit of the container, in version 2 of Linux's
/// control groups.
fn control_group() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|l| l.strip_prefix("0::/"))?;
    let folder = std::path::Path::new("/sys/fs/cgroup").join(own);
    let text = |name| std::fs::read_to_string(folder.join(name)).ok();
    let limit: u64 = text("memory.max")?.trim().parse().ok()?;
    let used: u64 = text("memory.current")?.trim().parse().ok()?;
    // Cached files count as used but are given up on demand.
    let stat = text("memory.stat")?;
    let cached = stat.lines().find_map(|l| l.strip_prefix("file "))?;
    let cached: u64 = cached.trim().parse().ok()?;
    Some(limit.saturating_sub(used.saturating_sub(cached)))
}

/// Bytes of memory that the machine has, where the system tells.
pub(crate) fn total_memory() -> Option<u64> {
    system_memory("MemTotal:")
}

fn system_memory(what: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(what))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

/// Keeps freed buffers for reuse; call it once, at the start of `main`.
///
/// A training step frees and allocates the same megabytes again and again. By
/// default glibc returns each large buffer to the system and receives it again
/// with zeroed pages, which takes a tenth of the step or more. This sets glibc's
/// allocator for the whole process; with other C libraries it does nothing.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_buffers() {
    /// The largest value that glibc accepts.
    const MMAP_THRESHOLD: libc::c_int = 32 << 20;
    const TRIM_THRESHOLD: libc::c_int = libc::c_int::MAX;
    // SAFETY: mallopt only sets two numbers of the allocator, under the
    // allocator's lock. If it rejects a value, the default stays.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    }
}

/// Keeps freed buffers for reuse, with glibc; here it does nothing.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_buffers() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_sequences_are_computed_at_once_as_fit() {
        let model = ModelConfig::preset("1m", 50_432).unwrap();
        let fitting = |free| fitting_micro_batch(&model, 512, Precision::Bf16, free);
        assert_eq!(fitting(None), 512);
        assert_eq!(fitting(Some(u64::MAX)), 512);
        // A card of 80 GB, one of 20, one that is too small.
        assert_eq!(fitting(Some(80_000_000_000)), 512);
        assert_eq!(fitting(Some(20_000_000_000)), 128);
        assert_eq!(fitting(Some(1)), 1);
        // Parts of about equal size.
        assert_eq!(
            fitting_micro_batch(&model, 12, Precision::F32, Some(3_500_000_000)),
            3
        );
    }
}
