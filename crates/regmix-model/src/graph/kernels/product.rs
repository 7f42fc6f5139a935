//! Matrix products: by cuBLAS where it is, otherwise by the kernel of cubek that burn
//! chooses, the simplest one for matrix units unless it may measure all of them (its
//! feature `autotune`), which takes minutes in every process. The benches choose others.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::cast;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::ops::numeric::add;
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::launch_ref;
use cubek::matmul::multi_level::Strategy as MultiLevel;
use cubek::matmul::multi_level::components::tile::TileMatmulKind::{self, Cmma, Mma};
use cubek::matmul::multi_level::routines::batch::double_buffering::DoubleBufferingArgs;
use cubek::matmul::multi_level::routines::batch::ordered_double_buffering::OrderedSelectionArgs;
use cubek::matmul::multi_level::routines::batch::simple::SimpleArgs;
use cubek::matmul::routine::BlueprintStrategy::Inferred;
use cubek::matmul::strategy::Strategy;
use cubek::std::InputBinding;

#[cfg(feature = "cuda")]
use super::cuda;
use super::{empty, owned};

fn simple(tile_matmul: TileMatmulKind, multi_rows: bool) -> SimpleArgs {
    SimpleArgs {
        tile_matmul,
        multi_rows,
    }
}

fn double(tile_matmul: TileMatmulKind, specialized: bool) -> DoubleBufferingArgs {
    DoubleBufferingArgs {
        tile_matmul,
        specialized,
    }
}

fn ordered(tile_matmul: TileMatmulKind, rows: u32) -> OrderedSelectionArgs {
    OrderedSelectionArgs {
        partition_k: Some(2),
        row_count: Some(rows),
        rows_per_plane: Some(2),
        tile_matmul,
    }
}

/// cubek's kernels, by name, for the benches.
pub(super) fn ways() -> Vec<(&'static str, Strategy)> {
    use MultiLevel as M;
    let all = vec![
        (
            "simple-cmma",
            M::SimpleCyclicCmma(Inferred(simple(Cmma, false))),
        ),
        (
            "simple-mma",
            M::SimpleCyclicMma(Inferred(simple(Mma, false))),
        ),
        (
            "rows-cmma",
            M::SimpleCyclicCmma(Inferred(simple(Cmma, true))),
        ),
        ("rows-mma", M::SimpleCyclicMma(Inferred(simple(Mma, true)))),
        (
            "double-cmma",
            M::DoubleCyclicCmma(Inferred(double(Cmma, false))),
        ),
        (
            "double-mma",
            M::DoubleCyclicMma(Inferred(double(Mma, false))),
        ),
        (
            "double-special-mma",
            M::DoubleCyclicMma(Inferred(double(Mma, true))),
        ),
        (
            "ordered4-cmma",
            M::OrderedDoubleCmma(Inferred(ordered(Cmma, 4))),
        ),
        (
            "ordered8-cmma",
            M::OrderedDoubleCmma(Inferred(ordered(Cmma, 8))),
        ),
        (
            "ordered8-mma",
            M::OrderedDoubleMma(Inferred(ordered(Mma, 8))),
        ),
        ("tma-cmma", M::SimpleTmaCmma(Inferred(simple(Cmma, false)))),
        ("tma-mma", M::SimpleTmaMma(Inferred(simple(Mma, false)))),
        ("tma-rows-mma", M::SimpleTmaMma(Inferred(simple(Mma, true)))),
        (
            "tma-double-mma",
            M::DoubleTmaMma(Inferred(double(Mma, false))),
        ),
        ("special-mma", M::SpecializedCyclicMma(Inferred(().into()))),
        ("special-tma-mma", M::SpecializedTmaMma(Inferred(().into()))),
        (
            "special-tma-cmma",
            M::SpecializedTmaCmma(Inferred(().into())),
        ),
        (
            "async-mma",
            M::DoubleAsyncCyclicMma(Inferred(double(Mma, false))),
        ),
    ];
    let all = all.into_iter().map(|(name, s)| (name, s.into()));
    all.collect()
}

/// The product of matrices, `[..., m, k]` and `[..., k, n]`, as numbers of a type: by
/// NVIDIA's library where there is one, otherwise by burn's kernels.
pub(super) fn product(lhs: CubeTensor, rhs: CubeTensor, dtype: DType) -> CubeTensor {
    #[cfg(feature = "cuda")]
    if let Some(product) = cuda::product(&lhs, &rhs, cuda::Product::New(dtype)) {
        return product;
    }
    let operands = lhs.dtype;
    match matmul(lhs, rhs, None, MatmulStrategy::default(), operands) {
        Ok(product) => cast(product, dtype),
        Err(e) => panic!("matrix product: {e:?}"),
    }
}

/// A sum in f32 with a product added to it, in place.
pub(super) fn add_product(sum: CubeTensor, lhs: CubeTensor, rhs: CubeTensor) -> CubeTensor {
    let sum = owned(sum);
    #[cfg(feature = "cuda")]
    if let Some(sum) = cuda::product(&lhs, &rhs, cuda::Product::Added(Box::new(sum.clone()))) {
        return sum;
    }
    add(sum, product(lhs, rhs, DType::F32))
}

/// The product by a given kernel of cubek, for the benches.
pub(super) fn launch(
    lhs: CubeTensor,
    rhs: CubeTensor,
    dtype: DType,
    way: &Strategy,
) -> Result<CubeTensor, String> {
    let mut shape: Vec<usize> = lhs.meta.shape().to_vec();
    let last = shape.len() - 1;
    shape[last] = rhs.meta.shape()[last];
    let out = empty(&lhs, Shape::from(shape), dtype);
    let [l, r, o] = [lhs.dtype, rhs.dtype, dtype].map(dtype_to_storage_type);
    let mut types = MatmulElems::from_globals(&MatmulGlobalElems {
        lhs: l,
        rhs: r,
        out: o,
    });
    launch_ref(
        way,
        &out.client,
        InputBinding::new(lhs.binding(), l),
        InputBinding::new(rhs.binding(), r),
        out.clone().binding(),
        &mut types,
    )
    .map_err(|e| format!("{e:?}"))?;
    Ok(out)
}
