//! One transformer block: the forward pass, and the backward pass from the
//! values that it kept.

use super::attention::{self, Forward, Heads, Scratch};
use super::matrix::{Write, matrix, matrix_mut, sized};
use super::product::Products;
use super::rope::{Rotary, Turn};
use super::{norm, swiglu};

/// Places of a block's parameters among its nine.
const ATTENTION_NORM: usize = 0;
const QUERY: usize = 1;
const KEY: usize = 2;
const VALUE: usize = 3;
const OUTPUT: usize = 4;
const FEED_NORM: usize = 5;
const GATE: usize = 6;
const UP: usize = 7;
const DOWN: usize = 8;

/// The properties that all blocks of a model share.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) d: usize,
    pub(super) d_ff: usize,
    pub(super) heads: Heads,
    pub(super) eps: f32,
    pub(super) rotary: Rotary,
}

impl Shape {
    fn kv(&self) -> usize {
        self.heads.kv_heads * self.heads.dim
    }
}

/// The values that a forward pass keeps for the backward pass, one vector per
/// tensor, reused from step to step.
#[derive(Debug, Default)]
pub(super) struct Activations {
    /// Reciprocal roots of mean squares of both norms.
    root: [Vec<f32>; 2],
    /// Both norms' outputs.
    normed: [Vec<f32>; 2],
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    lse: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    inner: Vec<f32>,
}

/// Buffers of the backward pass and of attention, shared by all blocks of a
/// model.
#[derive(Debug, Default)]
pub(super) struct Work {
    wide: Vec<f32>,
    narrow: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
    attention: Scratch,
}

#[cfg(test)]
impl Activations {
    pub(super) fn held(&self) -> usize {
        let singles = [&self.q, &self.k, &self.v, &self.attended, &self.lse];
        let wide = [&self.gate, &self.up, &self.inner];
        let all = singles
            .into_iter()
            .chain(wide)
            .chain(&self.root)
            .chain(&self.normed);
        all.map(Vec::len).sum()
    }
}

#[cfg(test)]
impl Work {
    pub(super) fn held(&self) -> usize {
        let all = [&self.wide, &self.narrow, &self.dq, &self.dk, &self.dv];
        all.into_iter().map(Vec::len).sum()
    }
}

/// Computes `x w` for several weights into buffers, which are resized.
fn project<const N: usize>(
    products: &mut Products,
    x: &[f32],
    inputs: usize,
    each: [(&[f32], &mut Vec<f32>); N],
) {
    let rows = x.len() / inputs;
    products.shared(
        matrix(x, inputs),
        each.map(|(w, out)| {
            let outputs = w.len() / inputs;
            let out = matrix_mut(sized(out, rows * outputs), outputs);
            (out, Write::Replace, matrix(w, outputs))
        }),
    );
}

/// Adds `x w` to `out`.
fn project_and_add(products: &mut Products, x: &[f32], w: &[f32], inputs: usize, out: &mut [f32]) {
    let outputs = w.len() / inputs;
    let (x, w) = (matrix(x, inputs), matrix(w, outputs));
    products.product(matrix_mut(out, outputs), Write::Add, x, w);
}

/// Computes the gradient of the weights of `y = x w`, given `x` and the gradients
/// of each `y`.
fn weight_gradients<const N: usize>(
    products: &mut Products,
    x: &[f32],
    inputs: usize,
    write: Write,
    each: [(&[f32], &mut [f32]); N],
) {
    products.shared(
        matrix(x, inputs).transpose(),
        each.map(|(dy, dw)| {
            let outputs = dw.len() / inputs;
            (matrix_mut(dw, outputs), write, matrix(dy, outputs))
        }),
    );
}

/// Computes the gradient of `x` in `y = x w`.
fn input_gradient(
    products: &mut Products,
    dy: &[f32],
    w: &[f32],
    inputs: usize,
    (dx, write): (&mut [f32], Write),
) {
    let outputs = w.len() / inputs;
    let (dy, w) = (matrix(dy, outputs), matrix(w, outputs));
    products.product(matrix_mut(dx, inputs), write, dy, w.transpose());
}

/// Adds the block's attention part to `x`, given its input.
pub(super) fn attend(
    shape: &Shape,
    weights: &[Vec<f32>],
    input: &[f32],
    x: &mut [f32],
    activations: &mut Activations,
    work: &mut Work,
    products: &mut Products,
) {
    let Shape {
        d, heads, rotary, ..
    } = shape;
    let rows = input.len() / d;
    let (h, root) = (
        sized(&mut activations.normed[0], input.len()),
        sized(&mut activations.root[0], rows),
    );
    norm::forward(input, &weights[ATTENTION_NORM], shape.eps, h, root);
    let Activations { q, k, v, .. } = activations;
    project(
        products,
        h,
        *d,
        [
            (&weights[QUERY], q),
            (&weights[KEY], k),
            (&weights[VALUE], v),
        ],
    );
    let (q, k) = (&mut q[..input.len()], &mut k[..rows * shape.kv()]);
    let v = &v[..rows * shape.kv()];
    rotary.rotate(q, heads.tokens, *d, Turn::Forward);
    rotary.rotate(k, heads.tokens, shape.kv(), Turn::Forward);
    let attended = sized(&mut activations.attended, input.len());
    let lse = sized(&mut activations.lse, rows * heads.heads);
    attention::forward(
        *heads,
        [q, k, v],
        attended,
        lse,
        &mut work.attention,
        products,
    );
    project_and_add(products, attended, &weights[OUTPUT], *d, x);
}

/// Adds the block's feed-forward part to `x`, given its input.
pub(super) fn feed_forward(
    shape: &Shape,
    weights: &[Vec<f32>],
    input: &[f32],
    x: &mut [f32],
    activations: &mut Activations,
    products: &mut Products,
) {
    let Shape { d, d_ff, .. } = shape;
    let rows = input.len() / d;
    let (h, root) = (
        sized(&mut activations.normed[1], input.len()),
        sized(&mut activations.root[1], rows),
    );
    norm::forward(input, &weights[FEED_NORM], shape.eps, h, root);
    let Activations { gate, up, .. } = activations;
    project(
        products,
        h,
        *d,
        [(&weights[GATE], gate), (&weights[UP], up)],
    );
    let (gate, up) = (&gate[..rows * d_ff], &up[..rows * d_ff]);
    let inner = sized(&mut activations.inner, rows * d_ff);
    swiglu::forward(gate, up, inner);
    project_and_add(products, inner, &weights[DOWN], *d_ff, x);
}

/// The backward pass through one block.
pub(super) struct Backward<'a> {
    pub(super) shape: &'a Shape,
    pub(super) weights: &'a [Vec<f32>],
    /// As the weights.
    pub(super) gradients: &'a mut [Vec<f32>],
    /// Whether the gradients of matrices are replaced or added to; those of norms
    /// are always added to.
    pub(super) write: Write,
    pub(super) activations: &'a mut Activations,
    pub(super) work: &'a mut Work,
    pub(super) products: &'a mut Products,
}

impl Backward<'_> {
    /// The backward pass of [`feed_forward`], given its input. `dx` holds the
    /// gradient of the output, and receives that of the input.
    pub(super) fn feed_forward(&mut self, input: &[f32], dx: &mut [f32]) {
        let Self {
            shape,
            weights,
            gradients,
            write,
            activations,
            work,
            products,
        } = self;
        let (d, d_ff, write) = (shape.d, shape.d_ff, *write);
        let rows = input.len() / d;
        let wide = rows * d_ff;
        let dinner = sized(&mut work.wide, wide);
        let inner = &activations.inner[..wide];
        weight_gradients(products, inner, d_ff, write, [(dx, &mut gradients[DOWN])]);
        let to = (&mut *dinner, Write::Replace);
        input_gradient(products, dx, &weights[DOWN], d_ff, to);
        let (gate, up) = (&mut activations.gate[..wide], &mut activations.up[..wide]);
        swiglu::backward(gate, up, dinner);
        let h = &activations.normed[1][..input.len()];
        let dh = sized(&mut work.narrow, input.len());
        let [dgate, dup] = gradients
            .get_disjoint_mut([GATE, UP])
            .expect("two parameters");
        weight_gradients(products, h, d, write, [(gate, dgate), (up, dup)]);
        for (place, dy, write) in [(GATE, gate, Write::Replace), (UP, up, Write::Add)] {
            input_gradient(products, dy, &weights[place], d, (&mut *dh, write));
        }
        let root = &activations.root[1][..rows];
        let dweight = &mut gradients[FEED_NORM];
        norm::backward([input, &weights[FEED_NORM], root, dh], dx, dweight);
    }

    /// The backward pass of [`attend`].
    pub(super) fn attend(&mut self, input: &[f32], dx: &mut [f32]) {
        let Self {
            shape,
            weights,
            gradients,
            write,
            activations,
            work,
            products,
        } = self;
        let (d, heads, write) = (shape.d, shape.heads, *write);
        let (n, rows, kv) = (input.len(), input.len() / d, shape.kv());
        let dout = sized(&mut work.narrow, n);
        let attended = &activations.attended[..n];
        weight_gradients(products, attended, d, write, [(dx, &mut gradients[OUTPUT])]);
        let to = (&mut *dout, Write::Replace);
        input_gradient(products, dx, &weights[OUTPUT], d, to);
        let dq = sized(&mut work.dq, n);
        let dk = sized(&mut work.dk, rows * kv);
        let dv = sized(&mut work.dv, rows * kv);
        let forward = Forward {
            q: &activations.q[..n],
            k: &activations.k[..rows * kv],
            v: &activations.v[..rows * kv],
            out: &activations.attended[..n],
            lse: &activations.lse[..rows * heads.heads],
        };
        let scratch = &mut work.attention;
        attention::backward(heads, forward, dout, [dq, dk, dv], scratch, products);
        let rotary = &shape.rotary;
        rotary.rotate(dq, heads.tokens, d, Turn::Backward);
        rotary.rotate(dk, heads.tokens, kv, Turn::Backward);
        let h = &activations.normed[0][..n];
        let dh = dout;
        let [query, key, value] = gradients
            .get_disjoint_mut([QUERY, KEY, VALUE])
            .expect("three parameters");
        let each = [(&*dq, &mut **query), (dk, key), (dv, value)];
        weight_gradients(products, h, d, write, each);
        for (place, dy, write) in [
            (QUERY, dq, Write::Replace),
            (KEY, dk, Write::Add),
            (VALUE, dv, Write::Add),
        ] {
            input_gradient(products, dy, &weights[place], d, (&mut *dh, write));
        }
        let root = &activations.root[0][..rows];
        let dweight = &mut gradients[ATTENTION_NORM];
        norm::backward([input, &weights[ATTENTION_NORM], root, dh], dx, dweight);
    }
}
