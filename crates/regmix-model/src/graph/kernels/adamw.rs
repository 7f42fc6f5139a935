//! AdamW in one pass.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::{grid, owned};

const THREADS: usize = 256;

#[cube(launch)]
#[allow(clippy::too_many_arguments)]
fn kernel(
    w: &mut Tensor<f32>,
    g: &Tensor<f32>,
    m: &mut Tensor<f32>,
    v: &mut Tensor<f32>,
    count: usize,
    clip: f32,
    beta1: f32,
    rest1: f32,
    beta2: f32,
    rest2: f32,
    inverse_root2: f32,
    eps: f32,
    decay: f32,
    rate: f32,
    #[comptime] threads: usize,
) {
    let at = CUBE_POS * threads + UNIT_POS as usize;
    if at < count {
        let g = g[at] * clip;
        let mean = m[at] * beta1 + g * rest1;
        let square = v[at] * beta2 + g * g * rest2;
        m[at] = mean;
        v[at] = square;
        w[at] = w[at] * decay - rate * mean / (square.sqrt() * inverse_root2 + eps);
    }
}

pub(super) fn launch(
    w: CubeTensor,
    g: CubeTensor,
    m: CubeTensor,
    v: CubeTensor,
    [
        clip,
        beta1,
        rest1,
        beta2,
        rest2,
        inverse_root2,
        eps,
        decay,
        rate,
    ]: [f32; 9],
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [w, m, v] = [w, m, v].map(owned);
    let g = into_contiguous(g);
    let count = w.meta.shape().num_elements();
    kernel::launch(
        &w.client.clone(),
        grid(count.div_ceil(THREADS)),
        CubeDim::new_1d(THREADS as u32),
        w.clone().into_tensor_arg(),
        g.into_tensor_arg(),
        m.clone().into_tensor_arg(),
        v.clone().into_tensor_arg(),
        count,
        clip,
        beta1,
        rest1,
        beta2,
        rest2,
        inverse_root2,
        eps,
        decay,
        rate,
        THREADS,
    );
    (w, m, v)
}
