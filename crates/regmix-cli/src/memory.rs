//! The allocator, set for training.

/// Keeps freed buffers for reuse. A training step frees and asks for the same
/// megabytes over and over; by default glibc gives each large buffer back to
/// the system and gets it zeroed again, page by page, which takes a tenth of
/// the step and more.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_freed_buffers() {
    /// The largest value that glibc takes.
    const MMAP_THRESHOLD: libc::c_int = 32 << 20;
    const TRIM_THRESHOLD: libc::c_int = libc::c_int::MAX;
    // SAFETY: mallopt only sets numbers of the allocator; it is called before
    // any other thread exists. A refused value leaves the default.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    }
}

/// Other allocators keep what is freed.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_freed_buffers() {}
