//! Memory: how much training takes, and the settings of the allocator.

use crate::config::ModelConfig;
use crate::host;

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
    4 * host::numbers_held(model, micro_batch)
}

/// Bytes of memory that are free for programs, where the system tells.
pub(crate) fn available_memory() -> Option<u64> {
    system_memory("MemAvailable:")
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
