//! The engine for processors: the whole step written by hand, forward and
//! backward, on plain slices.
//!
//! burn's CPU back-end makes one pass over memory and one allocation per
//! operation; at the size of a proxy these took more than half of a step, the
//! matrix products the rest. Here every product writes where its result is
//! needed, everything between two products is one pass of vector code, and all
//! buffers are kept as long as the model. A step uses only the calling thread:
//! proxies are trained side by side, one thread each, and never wait for each
//! other.
//!
//! So the model is described twice, here and in [`crate::graph`], and tests check
//! that losses, logits, all gradients and training agree.

mod adamw;
mod attention;
mod block;
mod embedding;
mod loss;
pub(crate) mod matrix;
mod memory;
mod norm;
pub(crate) mod product;
mod rope;
mod swiglu;
mod vector;

use std::borrow::Cow;

use attention::Heads;
use block::{Activations, Shape, Work};
use embedding::RowGradient;
use matrix::{Matrix, Write, matrix, matrix_mut, sized};
pub(crate) use memory::numbers_held;
use product::Products;

use crate::config::ModelConfig;
use crate::engine::{Engine, Parts, State, WeightsOf, mean, split, step_by_parts};
use crate::optimizer::AdamWConfig;
use crate::parameters::PER_BLOCK;
use crate::precision::Precision;

const EMBEDDING: usize = 0;

/// A model in the processor's memory.
#[derive(Debug)]
pub(crate) struct Host {
    config: ModelConfig,
    shape: Shape,
    state: State,
    gradient: Gradient,
    buffers: Buffers,
}

/// The gradient of all parameters, allocated at the first step.
#[derive(Debug, Default)]
struct Gradient {
    /// As the weights; the embedding's is empty unless it is tied.
    dense: Vec<Vec<f32>>,
    /// The embedding's, unless it is tied.
    rows: Option<RowGradient>,
    /// Whether it holds anything.
    started: bool,
}

/// The values between the layers; grows to the largest batch seen.
#[derive(Debug, Default)]
struct Buffers {
    ids: Vec<u32>,
    targets: Vec<u32>,
    /// Inputs of every half block and of the last norm.
    stream: Vec<Vec<f32>>,
    blocks: Vec<Activations>,
    work: Work,
    /// Of the last norm.
    root: Vec<f32>,
    normed: Vec<f32>,
    dnormed: Vec<f32>,
    dx: Vec<f32>,
    output: loss::Scratch,
    losses: Vec<f32>,
    /// Of the rows, in the loss.
    row_weights: Vec<f32>,
    products: Products,
}

impl Host {
    /// A model with the weights of `values`, in the order of
    /// [`crate::parameters::list`].
    pub(crate) fn new(config: &ModelConfig, values: Vec<Vec<f32>>, precision: Precision) -> Self {
        Self {
            shape: Shape {
                d: config.d_model,
                d_ff: config.d_ff,
                heads: Heads {
                    heads: config.heads,
                    kv_heads: config.kv_heads,
                    dim: config.head_dim(),
                    tokens: config.context,
                },
                eps: config.norm_eps,
                rotary: rope::Rotary::new(config),
            },
            config: config.clone(),
            state: State {
                weights: values,
                ..State::default()
            },
            gradient: Gradient::default(),
            buffers: Buffers {
                products: Products::new(precision),
                ..Buffers::default()
            },
        }
    }

    /// Computes the last hidden states of the tokens in `buffers.ids` into
    /// `buffers.normed`. With `keep`, all that the backward pass needs is kept;
    /// otherwise all blocks share the buffers of one.
    fn forward(&mut self, keep: bool) {
        let Self {
            config,
            shape,
            state,
            buffers,
            ..
        } = self;
        let d = shape.d;
        let n = buffers.ids.len() * d;
        let streams = if keep { 2 * config.layers + 1 } else { 2 };
        let blocks = if keep { config.layers } else { 1 };
        if buffers.stream.len() < streams {
            buffers.stream.resize_with(streams, Vec::new);
        }
        if buffers.blocks.len() < blocks {
            buffers.blocks.resize_with(blocks, Activations::default);
        }
        for stream in &mut buffers.stream[..streams] {
            sized(stream, n);
        }
        let weights = &state.weights;
        embedding::forward(
            &buffers.ids,
            &weights[EMBEDDING],
            d,
            &mut buffers.stream[0][..n],
        );
        for layer in 0..config.layers {
            let weights = &weights[1 + layer * PER_BLOCK..][..PER_BLOCK];
            let activations = &mut buffers.blocks[if keep { layer } else { 0 }];
            let at = if keep { 2 * layer } else { 0 };
            let (x, y) = input_and_output(&mut buffers.stream, at, at + 1, n);
            let products = &mut buffers.products;
            block::attend(
                shape,
                weights,
                x,
                y,
                activations,
                &mut buffers.work,
                products,
            );
            let (x, y) = input_and_output(
                &mut buffers.stream,
                at + 1,
                if keep { at + 2 } else { 0 },
                n,
            );
            block::feed_forward(shape, weights, x, y, activations, &mut buffers.products);
        }
        let last = &buffers.stream[if keep { 2 * config.layers } else { 0 }][..n];
        let norm = &weights[1 + config.layers * PER_BLOCK];
        let root = sized(&mut buffers.root, n / d);
        norm::forward(last, norm, shape.eps, sized(&mut buffers.normed, n), root);
    }

    /// Splits sequences into `buffers.ids` and `buffers.targets`.
    fn set_tokens(&mut self, tokens: &[u32]) {
        let (ids, targets) = split(tokens, self.config.context);
        self.buffers.ids.clear();
        self.buffers.ids.extend(ids);
        self.buffers.targets.clear();
        self.buffers.targets.extend(targets);
    }

    /// Allocates the gradient at the first step.
    fn prepare_gradient(&mut self) {
        let Self {
            config,
            state,
            gradient,
            ..
        } = self;
        if gradient.dense.is_empty() {
            gradient.dense = state.weights.iter().map(|w| vec![0.0; w.len()]).collect();
            if !config.tied {
                gradient.dense[EMBEDDING] = Vec::new();
                gradient.rows = Some(RowGradient::new(config.vocab_size, config.d_model));
            }
        }
        if !gradient.started {
            // Matrix products overwrite; norms add.
            for g in gradient
                .dense
                .iter_mut()
                .filter(|g| g.len() == config.d_model)
            {
                g.fill(0.0);
            }
        }
    }
}

/// The output layer, `[d, vocab]`.
fn output_layer<'a>(config: &ModelConfig, weights: &'a [Vec<f32>]) -> Matrix<'a> {
    if config.tied {
        matrix(&weights[EMBEDDING], config.d_model).transpose()
    } else {
        matrix(&weights[weights.len() - 1], config.vocab_size)
    }
}

/// The stream `from`, to read, and the stream `to`, set to the same values, to
/// add to.
fn input_and_output(
    stream: &mut [Vec<f32>],
    from: usize,
    to: usize,
    n: usize,
) -> (&[f32], &mut [f32]) {
    let [x, y] = stream
        .get_disjoint_mut([from, to])
        .expect("a block's input and output are two buffers");
    y[..n].copy_from_slice(&x[..n]);
    (&x[..n], &mut y[..n])
}

impl Host {
    /// The weights of rows from those of sequences.
    fn set_weights(&mut self, weights: &[f32]) {
        let context = self.config.context;
        let by_row = weights.iter().map(|w| w / context as f32);
        let row_weights = &mut self.buffers.row_weights;
        row_weights.clear();
        row_weights.extend(by_row.flat_map(|w| std::iter::repeat_n(w, context)));
    }

    /// The weighted sum of the sequences' mean losses in `buffers.losses`.
    fn weighted_sum(&self, weights: &[f32]) -> f64 {
        let losses = self.buffers.losses.chunks(self.config.context);
        (weights.iter().zip(losses))
            .map(|(w, losses)| f64::from(*w) * mean(losses))
            .sum()
    }

    /// Computes `buffers.losses` after a forward pass.
    fn output_losses(&mut self) {
        let Self {
            config,
            state,
            buffers,
            ..
        } = self;
        let rows = buffers.ids.len();
        loss::losses(
            &buffers.normed[..rows * config.d_model],
            output_layer(config, &state.weights),
            &buffers.targets,
            sized(&mut buffers.losses, rows),
            &mut buffers.output,
            &mut buffers.products,
        );
    }

    /// Adds to the gradient, after a forward pass that kept what it needs. The rows'
    /// weights are in `buffers.row_weights`; losses are left in `buffers.losses`.
    fn backward(&mut self) {
        self.prepare_gradient();
        let Self {
            config,
            shape,
            state,
            gradient,
            buffers,
        } = self;
        let d = shape.d;
        let rows = buffers.ids.len();
        let n = rows * d;
        let write = if gradient.started {
            Write::Add
        } else {
            Write::Replace
        };
        gradient.started = true;
        let Gradient {
            dense,
            rows: embedding_rows,
            ..
        } = gradient;
        let weights = &state.weights;
        let place = if config.tied {
            EMBEDDING
        } else {
            dense.len() - 1
        };
        let losses = sized(&mut buffers.losses, rows);
        let normed = &buffers.normed[..n];
        let dnormed = sized(&mut buffers.dnormed, n);
        let output = loss::Gradient {
            dh: dnormed,
            dhead: if config.tied {
                matrix_mut(&mut dense[place], d).transpose()
            } else {
                matrix_mut(&mut dense[place], config.vocab_size)
            },
            write,
            weights: &buffers.row_weights,
        };
        loss::backward(
            normed,
            output_layer(config, weights),
            &buffers.targets,
            losses,
            output,
            &mut buffers.output,
            &mut buffers.products,
        );
        let dx = sized(&mut buffers.dx, n);
        dx.fill(0.0);
        let norm = 1 + config.layers * PER_BLOCK;
        let last = &buffers.stream[2 * config.layers][..n];
        let given = [last, &weights[norm], &buffers.root[..rows], dnormed];
        norm::backward(given, dx, &mut dense[norm]);
        for layer in (0..config.layers).rev() {
            let range = 1 + layer * PER_BLOCK..1 + (layer + 1) * PER_BLOCK;
            let (weights, gradients) = (&weights[range.clone()], &mut dense[range]);
            let mut back = block::Backward {
                shape,
                weights,
                gradients,
                write,
                activations: &mut buffers.blocks[layer],
                work: &mut buffers.work,
                products: &mut buffers.products,
            };
            back.feed_forward(&buffers.stream[2 * layer + 1][..n], dx);
            back.attend(&buffers.stream[2 * layer][..n], dx);
        }
        match embedding_rows {
            Some(rows) => rows.add(&buffers.ids, dx),
            None => embedding::backward(&buffers.ids, dx, d, &mut dense[EMBEDDING]),
        }
    }

    /// Sequences in these tokens.
    fn sequences(&self, tokens: &[u32]) -> usize {
        tokens.len() / (self.config.context + 1)
    }
}

impl Parts for Host {
    fn accumulate(&mut self, tokens: &[u32], share: f64) -> f64 {
        let rows = self.sequences(tokens) * self.config.context;
        let weights = &mut self.buffers.row_weights;
        weights.clear();
        weights.resize(rows, (share / rows as f64) as f32);
        self.set_tokens(tokens);
        self.forward(true);
        self.backward();
        mean(&self.buffers.losses[..rows])
    }

    fn accumulate_weighted(&mut self, tokens: &[u32], weights: &[f32]) -> f64 {
        self.set_tokens(tokens);
        self.forward(true);
        self.set_weights(weights);
        self.backward();
        self.weighted_sum(weights)
    }

    fn accumulate_by(&mut self, tokens: &[u32], weigh: &mut WeightsOf<'_>) -> f64 {
        self.set_tokens(tokens);
        self.forward(true);
        self.output_losses();
        let rows = self.buffers.ids.len();
        let weights = weigh(&self.buffers.losses[..rows]);
        self.set_weights(&weights);
        self.backward();
        self.weighted_sum(&weights)
    }

    fn update(&mut self, config: &AdamWConfig, lr: f64) -> f64 {
        let Self {
            state, gradient, ..
        } = self;
        gradient.started = false;
        let dense = gradient.dense.iter().map(|g| adamw::sum_of_squares(g));
        let sparse = gradient
            .rows
            .iter()
            .map(|g| adamw::sum_of_squares(g.rows()));
        let norm = dense.chain(sparse).sum::<f64>().sqrt();
        if norm.is_finite() {
            if state.moments.is_empty() {
                let zeros = |w: &Vec<f32>| (vec![0.0; w.len()], vec![0.0; w.len()]);
                state.moments = state.weights.iter().map(zeros).collect();
            }
            state.updates += 1;
            let update = adamw::Update::new(config, lr, state.updates, norm);
            let all = state.weights.iter_mut().zip(&mut state.moments);
            for (i, ((w, (m, v)), g)) in all.zip(&gradient.dense).enumerate() {
                match &gradient.rows {
                    Some(rows) if i == EMBEDDING => {
                        let d = self.shape.d;
                        let moments = m.chunks_exact_mut(d).zip(v.chunks_exact_mut(d));
                        for (id, (w, (m, v))) in w.chunks_exact_mut(d).zip(moments).enumerate() {
                            update.apply(w, rows.of(id), m, v);
                        }
                    }
                    _ => update.apply(w, g, m, v),
                }
            }
        }
        if let Some(rows) = &mut gradient.rows {
            rows.clear();
        }
        norm
    }
}

impl Engine for Host {
    fn step(&mut self, parts: &[(&[u32], f64)], config: &AdamWConfig, lr: f64) -> (f64, f64) {
        step_by_parts(self, parts, config, lr)
    }

    fn parts(&mut self) -> Option<&mut dyn Parts> {
        Some(self)
    }

    fn token_losses(&mut self, tokens: &[u32]) -> Vec<f32> {
        self.set_tokens(tokens);
        self.forward(false);
        self.output_losses();
        self.buffers.losses[..self.buffers.ids.len()].to_vec()
    }

    fn logits(&mut self, tokens: &[u32]) -> Vec<f32> {
        // Padded to a whole sequence: later tokens do not affect earlier ones.
        self.buffers.ids.clear();
        self.buffers.ids.extend_from_slice(tokens);
        self.buffers.ids.resize(self.config.context, 0);
        self.forward(false);
        let Self {
            config,
            state,
            buffers,
            ..
        } = self;
        let mut logits = vec![0.0; tokens.len() * config.vocab_size];
        buffers.products.product(
            matrix_mut(&mut logits, config.vocab_size),
            Write::Replace,
            matrix(
                &buffers.normed[..tokens.len() * config.d_model],
                config.d_model,
            ),
            output_layer(config, &state.weights),
        );
        logits
    }

    fn state(&self) -> Cow<'_, State> {
        Cow::Borrowed(&self.state)
    }

    fn restore(&mut self, state: State) {
        self.state = state;
    }
}
