//! Matrix products by cuBLAS, where it is installed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::OnceLock;

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cudarc::cublas::result::{create_handle, gemm_strided_batched_ex, set_stream};
use cudarc::cublas::sys::{
    cublasComputeType_t, cublasGemmAlgo_t, cublasHandle_t, cublasOperation_t, cudaDataType,
    is_culib_present,
};
use cudarc::driver::sys::CUstream;

use super::super::empty;
use super::{enqueue, is_here};

/// A matrix of a batch, as cuBLAS describes it: every matrix begins `stride` numbers
/// after the one before, and every row `ld` numbers after the one before, or every
/// column where it is transposed.
struct Operand {
    tensor: CubeTensor,
    transposed: bool,
    ld: usize,
    stride: usize,
}

impl Operand {
    fn new(tensor: CubeTensor) -> Self {
        match Self::layout(&tensor) {
            Some((transposed, ld, stride)) => Self {
                tensor,
                transposed,
                ld,
                stride,
            },
            None => Self::new(into_contiguous(tensor)),
        }
    }

    /// Transposed, `ld` and `stride`, where a tensor's strides are of that kind.
    fn layout(t: &CubeTensor) -> Option<(bool, usize, usize)> {
        let (shape, strides) = (t.meta.shape(), t.meta.strides());
        let last = shape.num_dims() - 1;
        let [rows, columns] = [shape[last - 1], shape[last]];
        let [down, right] = [strides[last - 1], strides[last]];
        let (transposed, ld) = match (down, right) {
            (ld, 1) if ld >= columns => (false, ld),
            (1, ld) if ld >= rows => (true, ld),
            _ => return None,
        };
        let mut stride = 0;
        let mut expected = None;
        for dim in (0..last - 1).rev().filter(|&dim| shape[dim] > 1) {
            match expected {
                None => stride = strides[dim],
                Some(expected) if expected == strides[dim] => {}
                Some(_) => return None,
            }
            expected = Some(strides[dim] * shape[dim]);
        }
        Some((transposed, ld, stride))
    }

    fn operation(&self) -> cublasOperation_t {
        match self.transposed {
            false => cublasOperation_t::CUBLAS_OP_N,
            true => cublasOperation_t::CUBLAS_OP_T,
        }
    }
}

fn data_type(dtype: DType) -> Option<cudaDataType> {
    match dtype {
        DType::F32 => Some(cudaDataType::CUDA_R_32F),
        DType::BF16 => Some(cudaDataType::CUDA_R_16BF),
        _ => None,
    }
}

/// Where a product is written.
pub(in super::super) enum Product {
    /// A new tensor of numbers of a type.
    New(DType),
    /// Added to a tensor.
    Added(Box<CubeTensor>),
}

/// The product of matrices, `[..., m, k]` and `[..., k, n]`, or nothing where cuBLAS does
/// not compute it. In f32 it multiplies in TF32, as burn's kernels do.
pub(in super::super) fn product(
    lhs: &CubeTensor,
    rhs: &CubeTensor,
    product: Product,
) -> Option<CubeTensor> {
    if !is_here(lhs) || !installed() {
        return None;
    }
    let shape = lhs.meta.shape();
    let last = shape.num_dims() - 1;
    let [m, k, n] = [shape[last - 1], shape[last], rhs.meta.shape()[last]];
    let batch: usize = (0..last - 1).map(|dim| shape[dim]).product();
    let (add, out) = match product {
        Product::New(dtype) => {
            let mut of_product: Vec<usize> = shape.to_vec();
            of_product[last] = n;
            (false, empty(lhs, Shape::from(of_product), dtype))
        }
        Product::Added(sum) => (true, *sum),
    };
    let [kind_of_lhs, kind_of_out] = [data_type(lhs.dtype)?, data_type(out.dtype)?];
    let [lhs, rhs] = [lhs, rhs].map(|t| Operand::new(t.clone()));
    let int = |n: usize| i32::try_from(n).ok();
    let sizes = [int(m)?, int(k)?, int(n)?, int(batch)?];
    let lds = [int(lhs.ld)?, int(rhs.ld)?];
    let strides = [lhs.stride, rhs.stride, m * n].map(|n| n as i64);
    let operations = [lhs.operation(), rhs.operation()];
    let compute = match kind_of_lhs {
        cudaDataType::CUDA_R_32F => cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
        _ => cublasComputeType_t::CUBLAS_COMPUTE_32F,
    };
    enqueue(
        [&lhs.tensor, &rhs.tensor],
        [&out],
        move |stream, [lhs, rhs], [out]| {
            let handle = handle(stream)?;
            let [m, k, n, batch] = sizes;
            let (alpha, beta) = (1.0_f32, f32::from(u8::from(add)));
            let number = |n: &f32| std::ptr::from_ref(n).cast::<c_void>();
            // cuBLAS counts columns first: its product of the right matrix and the left is
            // this one, transposed.
            // SAFETY: the addresses are of live allocations of these sizes, which the
            // stream's order protects until the product is done.
            let done = unsafe {
                gemm_strided_batched_ex(
                    handle,
                    operations[1],
                    operations[0],
                    n,
                    m,
                    k,
                    number(&alpha),
                    rhs as *const c_void,
                    kind_of_lhs,
                    lds[1],
                    strides[1],
                    lhs as *const c_void,
                    kind_of_lhs,
                    lds[0],
                    strides[0],
                    number(&beta),
                    out as *mut c_void,
                    kind_of_out,
                    n,
                    strides[2],
                    batch,
                    compute,
                    cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
                )
            };
            done.map_err(|e| format!("cuBLAS, product of {m} x {k} and {k} x {n}: {e:?}"))
        },
    );
    Some(out)
}

/// Whether the library can be loaded.
fn installed() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    // SAFETY: it only tries to open a library by name.
    *FOUND.get_or_init(|| unsafe { is_culib_present() })
}

/// The library's state for a stream; streams do not share its workspace.
fn handle(stream: CUstream) -> Result<cublasHandle_t, String> {
    thread_local! {
        // Of the thread that executes a device's work.
        static HANDLES: RefCell<BTreeMap<usize, cublasHandle_t>> = RefCell::default();
    }
    HANDLES.with_borrow_mut(|handles| {
        if let Some(&handle) = handles.get(&(stream as usize)) {
            return Ok(handle);
        }
        let handle = create_handle().map_err(|e| format!("cuBLAS: {e:?}"))?;
        // SAFETY: both are live; the stream is the back-end's, which keeps it.
        unsafe { set_stream(handle, stream.cast()) }.map_err(|e| format!("cuBLAS: {e:?}"))?;
        handles.insert(stream as usize, handle);
        Ok(handle)
    })
}
