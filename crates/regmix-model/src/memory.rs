//! The allocator, set for training.

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
