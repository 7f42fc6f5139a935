//! NVIDIA's libraries, in the order of a device's other work.
//!
//! CubeCL compiles kernels of its own, and has no place for a library that is given a
//! CUDA stream. Its server is reached here as its client reaches it: the work is
//! queued like a kernel, waits for the memory that it reads, and when it fails, what
//! it should have written is marked as not written, so that reading it is an error.

#[allow(unsafe_code, reason = "calls of the driver and NVRTC")]
mod attention;
#[allow(unsafe_code, reason = "calls of a C library")]
mod blas;

use std::any::TypeId;

use burn_cubecl::tensor::CubeTensor;
use cubecl_common::device_handle::DeviceHandle;
use cubecl_cuda::CudaRuntime;
use cubecl_environment::backtrace::BackTrace;
use cubecl_environment::stream::StreamId;
use cubecl_server::runtime::Runtime;
use cubecl_server::server::{ServerError, ServerStorage};
use cubecl_server::stream::{ExecuteScope, WriteScoped};
use cudarc::driver::sys::CUstream;

pub(super) use attention::{backward, forward, has_attention};
pub(super) use blas::{Product, product};

/// What executes kernels on NVIDIA's devices.
type Server = <CudaRuntime as Runtime>::Server;

/// Whether a tensor is on a device of this back-end.
fn is_here(t: &CubeTensor) -> bool {
    t.handle.service.service == TypeId::of::<Server>()
}

/// Queues work on the device. It is given the CUDA stream and the addresses of the
/// tensors that it reads, then of those that it writes.
fn enqueue<const R: usize, const W: usize>(
    reads: [&CubeTensor; R],
    writes: [&CubeTensor; W],
    work: impl FnOnce(CUstream, [u64; R], [u64; W]) -> Result<(), String> + Send + 'static,
) {
    let device = writes[0].handle.service.device;
    let reads = reads.map(|t| t.handle.clone().binding());
    let writes = writes.map(|t| t.handle.clone().binding());
    DeviceHandle::<Server>::new(device).submit(move |server| {
        let stream = StreamId::current();
        let mut found = [0; W];
        for (found, binding) in found.iter_mut().zip(&writes) {
            // A failure is that of work before this one, and stays with the memory.
            let Ok(resource) = server.get_resource(binding.clone(), stream) else {
                return;
            };
            *found = resource.resource().ptr;
        }
        ExecuteScope::over(server, stream, writes.to_vec()).execute(|server| {
            let mut read = [0; R];
            for (read, binding) in read.iter_mut().zip(&reads) {
                *read = server.get_resource(binding.clone(), stream)?.resource().ptr;
            }
            let none = std::iter::empty();
            let sys = server.write_streams().resolve(stream, none)?.current().sys;
            work(sys, read, found).map_err(|reason| ServerError::Generic {
                reason,
                backtrace: BackTrace::capture(),
            })
        });
    });
}
