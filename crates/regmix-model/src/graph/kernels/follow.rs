//! A tensor that carries the errors of others.
//!
//! CubeCL marks what a kernel did not write: it did not compile, could not be
//! launched, or its input is marked. Who reads such a tensor gets the error. A mark
//! is lost where an operation writes a tensor in parts without reading it, as burn's
//! `cat` does (the next part that is written removes it), and behind atomic
//! additions, as in burn's `sum` (the sum is not marked). This kernel changes
//! nothing. It reads its sources, as far as CubeCL can tell, so that it does not run
//! where one of them is marked, and the result is marked instead.

use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

#[cube(launch)]
fn kernel<E: Numeric>(
    result: &mut Tensor<E>,
    a: &Tensor<E>,
    b: &Tensor<E>,
    c: &Tensor<E>,
    d: &Tensor<E>,
    // Never true, which the compiler does not know.
    change: u32,
    #[define(E)] _dtype: ElemType,
) {
    if change == 1u32 {
        result[0] = result[0] + a[0] + b[0] + c[0] + d[0];
    }
}

/// All of one type.
pub(super) fn launch(result: CubeTensor, sources: [CubeTensor; 4]) -> CubeTensor {
    let [a, b, c, d] = sources;
    kernel::launch(
        &result.client.clone(),
        CubeCount::Static(1, 1, 1),
        CubeDim::new_1d(1),
        result.clone().into_tensor_arg(),
        a.into_tensor_arg(),
        b.into_tensor_arg(),
        c.into_tensor_arg(),
        d.into_tensor_arg(),
        0,
        dtype_to_storage_type(result.dtype),
    );
    result
}
