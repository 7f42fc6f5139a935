//! Memory: how much training takes, and the allocator set for it.

use crate::config::ModelConfig;
use crate::host;

/// Bytes that one model in training takes on a CPU, `micro_batch` sequences at
/// a time: weights, gradient, both moments, and what lies between the layers.
/// What the program itself takes (some megabytes) and what writing a
/// checkpoint takes for a moment (three times the weights) come on top.
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

/// Bytes of memory that are free for programs, where the system says.
pub(crate) fn available_memory() -> Option<u64> {
    system_memory("MemAvailable:")
}

/// Bytes of memory that the machine has, where the system says.
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
/// A training step frees and asks for the same megabytes over and over; by
/// default glibc gives each large buffer back to the system and gets it zeroed
/// again, page by page, which takes a tenth of the step and more. It sets
/// glibc's allocator for the whole process; elsewhere it does nothing.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_buffers() {
    /// The largest value that glibc takes.
    const MMAP_THRESHOLD: libc::c_int = 32 << 20;
    const TRIM_THRESHOLD: libc::c_int = libc::c_int::MAX;
    // SAFETY: mallopt only sets two numbers of the allocator, under its own
    // lock. A refused value leaves the default.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    }
}

/// Keeps freed buffers for reuse, on glibc; elsewhere it does nothing.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_buffers() {}
