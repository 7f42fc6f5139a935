//! Code that is compiled for several widths of vector instructions.

use std::any::TypeId;

use pulp::{Arch, Scalar, Simd, WithSimd};

/// A computation that is compiled several times, for vectors of different
/// widths. `run` and everything it calls in loops must be `#[inline(always)]`.
/// Loops are best over arrays and slices of known length: an iterator that is
/// not inlined into a loop prevents vector instructions.
pub trait Op {
    /// The result.
    type Output;

    /// Computes. `FMA`: the CPU has an instruction to multiply and add.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs a computation compiled for the widest vectors that the CPU has.
pub fn widest<O: Op>(op: O) -> O::Output {
    Arch::new().dispatch(Dispatch(op))
}

struct Dispatch<O>(O);

impl<O: Op> WithSimd for Dispatch<O> {
    type Output = O::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> O::Output {
        if TypeId::of::<S>() == TypeId::of::<Scalar>() {
            self.0.run::<false>()
        } else {
            self.0.run::<true>()
        }
    }
}
