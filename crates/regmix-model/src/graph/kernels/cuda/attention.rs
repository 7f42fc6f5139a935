//! Causal attention that does not hold the scores, for numbers of bf16, as in
//! FlashAttention-2 (Dao 2023, arXiv 2307.08691).
//!
//! CubeCL's matrix instructions do not reach the speed of these kernels, which are
//! written in CUDA and compiled by NVRTC at their first use.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_void};
use std::sync::OnceLock;

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cudarc::driver::result::{device, launch_kernel, module};
use cudarc::driver::sys::{CUdevice_attribute, CUfunction, CUstream, cuCtxGetDevice};
use cudarc::nvrtc;

use super::super::{empty, scale, workgroups};
use super::{enqueue, is_here};
use crate::graph::arguments::Sizes;

const SOURCE: &str = concat!(
    include_str!("attention/primitives.cu"),
    include_str!("attention/common.cu"),
    include_str!("attention/forward.cu"),
    include_str!("attention/backward.cu"),
);

/// Threads of a workgroup, except where it is stated.
const THREADS: u32 = 128;

/// The sizes as the kernels take them.
fn numbers(of: Sizes) -> [u32; 4] {
    [of.batch, of.tokens, of.heads, of.kv_heads].map(|n| n as u32)
}

/// The kernels for one head dimension on one device.
#[derive(Clone, Copy)]
struct Functions {
    forward: CUfunction,
    delta: CUfunction,
    keys_and_values: CUfunction,
    queries: CUfunction,
}

/// Whether these kernels compute attention with heads of `dim` numbers, of the type and
/// on the device of a tensor.
pub(in super::super) fn has_attention(t: &CubeTensor, dim: usize) -> bool {
    // It is asked for every layer of every step, and looks for files.
    static COMPILER: OnceLock<bool> = OnceLock::new();
    // SAFETY: it only tries to open a library by name.
    let compiler = || *COMPILER.get_or_init(|| unsafe { nvrtc::sys::is_culib_present() });
    // The instructions for products of bf16, which compute capability 8.0 brought.
    let instructions = || {
        let mma = &t.client.properties().features.matmul.mma;
        let bf16 = dtype_to_storage_type(DType::BF16);
        mma.iter()
            .any(|c| c.a_type == bf16 && (c.m, c.n, c.k) == (16, 8, 16))
    };
    is_here(t)
        && t.dtype == DType::BF16
        && [32, 64, 128].contains(&dim)
        && compiler()
        && instructions()
}

/// Output of all heads, `[batch tokens, heads dim]`, and the logarithms of the sums,
/// `[batch heads tokens]`, in f32. A row of `qkv` holds all queries, keys and values,
/// after the rotation.
pub(in super::super) fn forward(qkv: CubeTensor, sizes: Sizes) -> (CubeTensor, CubeTensor) {
    let qkv = into_contiguous(qkv);
    let rows = sizes.batch * sizes.tokens;
    let out = empty(
        &qkv,
        Shape::new([rows, sizes.heads * sizes.dim]),
        DType::BF16,
    );
    let lse = empty(&qkv, Shape::new([rows * sizes.heads]), DType::F32);
    enqueue([&qkv], [&out, &lse], move |stream, [qkv], [out, lse]| {
        let forward = functions(sizes.dim)?.forward;
        let grid = workgroups(sizes, sizes.heads, 64) as u32;
        let (numbers, scale) = (numbers(sizes), Some(scale(sizes)));
        launch(
            stream,
            forward,
            grid,
            THREADS,
            &[qkv, out, lse],
            &numbers,
            scale,
        )
    });
    (out, lse)
}

/// The gradient of queries, keys and values, as `qkv`, given that of the output.
pub(in super::super) fn backward(
    [qkv, dout, out, lse]: [CubeTensor; 4],
    sizes: Sizes,
) -> CubeTensor {
    let [qkv, dout, out, lse] = [qkv, dout, out, lse].map(into_contiguous);
    let dqkv = empty(&qkv, qkv.meta.shape().clone(), DType::BF16);
    let delta = empty(&lse, lse.meta.shape().clone(), DType::F32);
    enqueue(
        [&qkv, &dout, &out, &lse],
        [&dqkv, &delta],
        move |stream, [qkv, dout, out, lse], [dqkv, delta]| {
            let kernels = functions(sizes.dim)?;
            let numbers = numbers(sizes);
            let chunks = sizes.batch * sizes.tokens * sizes.heads * sizes.dim / 8;
            let blocks = chunks.div_ceil(256) as u32;
            let [batch, tokens, heads, _] = numbers;
            let few = [batch, tokens, heads];
            launch(
                stream,
                kernels.delta,
                blocks,
                256,
                &[dout, out, delta],
                &few,
                None,
            )?;
            let pointers = [qkv, dout, lse, delta, dqkv];
            for (kernel, heads) in [
                (kernels.keys_and_values, sizes.kv_heads),
                (kernels.queries, sizes.heads),
            ] {
                let rows = if sizes.dim == 32 { 128 } else { 64 };
                let grid = workgroups(sizes, heads, rows) as u32;
                let scale = Some(scale(sizes));
                launch(stream, kernel, grid, THREADS, &pointers, &numbers, scale)?;
            }
            Ok(())
        },
    );
    dqkv
}

/// Starts a kernel whose parameters are addresses, then whole numbers, then maybe one
/// more number.
fn launch(
    stream: CUstream,
    kernel: CUfunction,
    grid: u32,
    threads: u32,
    addresses: &[u64],
    numbers: &[u32],
    scale: Option<f32>,
) -> Result<(), String> {
    let pointer = |of: *const c_void| of.cast_mut();
    let mut parameters: Vec<*mut c_void> = Vec::new();
    parameters.extend(
        addresses
            .iter()
            .map(|a| pointer(std::ptr::from_ref(a).cast())),
    );
    parameters.extend(
        numbers
            .iter()
            .map(|n| pointer(std::ptr::from_ref(n).cast())),
    );
    parameters.extend(scale.iter().map(|s| pointer(std::ptr::from_ref(s).cast())));
    // SAFETY: the parameters are those of the kernel and live until the call returns,
    // which copies them; the addresses are of live allocations of the kernel's sizes.
    unsafe {
        launch_kernel(
            kernel,
            (grid, 1, 1),
            (threads, 1, 1),
            0,
            stream,
            &mut parameters,
        )
    }
    .map_err(|e| format!("attention: {e}"))
}

/// The kernels for a head dimension, compiled at their first use.
fn functions(dim: usize) -> Result<Functions, String> {
    thread_local! {
        // Of the thread that executes a device's work.
        static COMPILED: RefCell<BTreeMap<usize, Functions>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(functions) = compiled.get(&dim) {
            return Ok(*functions);
        }
        let functions = compile(dim)?;
        compiled.insert(dim, functions);
        Ok(functions)
    })
}

fn compile(dim: usize) -> Result<Functions, String> {
    let driver = |e: cudarc::driver::DriverError| format!("attention: {e}");
    let version = || {
        let mut card = 0;
        // SAFETY: the driver writes the number of the device of the current context.
        unsafe { cuCtxGetDevice(&mut card) }.result()?;
        let of = |attribute| {
            // SAFETY: a question to the driver about a device that it named.
            unsafe { device::get_attribute(card, attribute) }
        };
        use CUdevice_attribute::{
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
        };
        Ok((of(MAJOR)?, of(MINOR)?))
    };
    let (major, minor) = version().map_err(driver)?;
    let options = [
        format!("--gpu-architecture=sm_{major}{minor}"),
        format!("--define-macro=HEAD_DIM={dim}"),
    ];
    let source = CString::new(SOURCE).map_err(|e| e.to_string())?;
    let ptx = assemble(&source, &options)?;
    // SAFETY: NVRTC's output is a whole module, and ends with a zero.
    let module = unsafe { module::load_data(ptx.as_ptr().cast()) }.map_err(driver)?;
    let function = |name: &CStr| {
        // SAFETY: the module was loaded above and is never unloaded.
        unsafe { module::get_function(module, name.to_owned()) }.map_err(driver)
    };
    Ok(Functions {
        forward: function(c"attention_forward")?,
        delta: function(c"attention_delta")?,
        keys_and_values: function(c"attention_backward_dkdv")?,
        queries: function(c"attention_backward_dq")?,
    })
}

/// NVRTC's output, or its log as the error.
fn assemble(source: &CStr, options: &[String]) -> Result<Vec<std::ffi::c_char>, String> {
    let program = nvrtc::result::create_program(source, Some(c"attention.cu"))
        .map_err(|e| format!("NVRTC: {e}"))?;
    // SAFETY: the program was created above, and is destroyed once, below.
    let compiled = unsafe { nvrtc::result::compile_program(program, options) };
    let result = match compiled {
        Ok(()) => unsafe { nvrtc::result::get_ptx(program) }.map_err(|e| format!("NVRTC: {e}")),
        Err(e) => {
            // SAFETY: as above.
            let log = unsafe { nvrtc::result::get_program_log(program) }.unwrap_or_default();
            let log: String = log.iter().map(|&c| c as u8 as char).collect();
            Err(format!("NVRTC: {e}: {}", log.trim_end_matches('\0')))
        }
    };
    // SAFETY: as above.
    unsafe { nvrtc::result::destroy_program(program) }.map_err(|e| format!("NVRTC: {e}"))?;
    result
}
