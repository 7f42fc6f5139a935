//! The engine on burn's tensors, for any device: the whole step written by hand,
//! forward and backward.
//!
//! The structure is that of [`crate::host`]. burn's autodiff would keep the result
//! of every operation until the backward pass: the scores of all heads and the
//! logits of all rows, several times over, which is most of the memory. Here the
//! forward pass keeps what the backward pass needs and nothing else
//! ([`bytes_held`] counts it).

mod adamw;
mod arguments;
mod attention;
mod block;
mod embedding;
mod flat;
mod joined;
// Of the features `kernels` and `fusion` the second replaces the first.
#[cfg_attr(
    not(all(feature = "kernels", not(feature = "fusion"))),
    path = "kernels/none.rs"
)]
mod kernels;
mod layout;
mod loss;
mod memory;
mod norm;
mod products;
mod rotary;
mod sums;
mod swiglu;
#[cfg(all(feature = "kernels", not(feature = "fusion")))]
pub(crate) mod trial;

use std::borrow::Cow;

use burn::tensor::{Device as BurnDevice, Int, Tensor, TensorData};

use crate::config::ModelConfig;
use crate::engine::{Engine, State, WeightsOf, split};
use crate::optimizer::AdamWConfig;
use crate::precision::Precision;
use block::{Attended, Fed, Shape};
use flat::{Flat, Gradients};
use kernels::Kernels;
use loss::{Output, Weights};
pub(crate) use memory::bytes_held;
use norm::Norm;
use products::Products;

/// How many numbers are held and computed at once. With more, products are larger and
/// there are fewer kernels to launch; from some size on a device gains nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Attention scores of a block of query rows.
    pub(crate) scores: usize,
    /// Logits of a chunk of rows.
    pub(crate) logits: usize,
    /// Tokens of a sequence up to which attention goes through rows one by one, on
    /// devices with kernels for it, and holds no scores. Blocks of scores take about ten
    /// times as many kernels; for long sequences they are faster, because devices have
    /// units for matrix products.
    pub(crate) tokens: usize,
    /// Numbers of parameters in one tensor, on devices with kernels: what can be bound
    /// to a kernel is limited.
    pub(crate) slab: usize,
}

impl Default for Limits {
    /// Scores of 256 MiB in f32, logits of 512, and slabs of 64.
    fn default() -> Self {
        Self {
            scores: 1 << 26,
            logits: 1 << 27,
            tokens: 512,
            slab: 1 << 24,
        }
    }
}

/// A matrix product as the engine computes it, from and to f32.
pub(crate) fn product(a: Tensor<2>, b: Tensor<2>, precision: Precision) -> Tensor<2> {
    let products = Products::new(precision, &a.device());
    products.wide_product(products.operand(a), products.operand(b))
}

/// A model on a burn device.
pub(crate) struct Graph {
    config: ModelConfig,
    flat: Flat,
    shape: Shape,
    norm: Norm,
    products: Products,
    limits: Limits,
    kernels: Option<Kernels>,
    /// In f32.
    weights: Vec<Tensor<1>>,
    /// The weights as operands of products, in the order of the layout, made anew after
    /// every update; norms and an embedding that is not tied as they are.
    operands: Vec<Tensor<2>>,
    gradients: Gradients,
    /// Mean and mean square of every gradient; empty before the first update.
    moments: Vec<(Tensor<1>, Tensor<1>)>,
    updates: u64,
    device: BurnDevice,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("config", &self.config)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// What the forward pass keeps.
struct Kept {
    blocks: Vec<(Attended, Fed)>,
    /// Input and root of the last norm.
    last: Tensor<2>,
    root: Tensor<2>,
}

impl Graph {
    /// A model with the weights of `values`, in the order of
    /// [`crate::parameters::list`].
    pub(crate) fn new(
        config: &ModelConfig,
        values: Vec<Vec<f32>>,
        precision: Precision,
        device: &BurnDevice,
    ) -> Self {
        Self::with_limits(config, values, precision, device, Limits::default())
    }

    pub(crate) fn with_limits(
        config: &ModelConfig,
        values: Vec<Vec<f32>>,
        precision: Precision,
        device: &BurnDevice,
        limits: Limits,
    ) -> Self {
        let products = Products::new(precision, device);
        let kernels = Kernels::of(device);
        let flat = Flat::new(layout::list(config), kernels.map_or(0, |_| limits.slab));
        let mut graph = Self {
            shape: Shape::new(config, products, limits, device),
            norm: Norm::new(config.norm_eps, products, device),
            config: config.clone(),
            products,
            limits,
            kernels,
            weights: flat.upload(values, device),
            operands: Vec::new(),
            gradients: Gradients::new(flat.clone(), device),
            flat,
            moments: Vec::new(),
            updates: 0,
            device: device.clone(),
        };
        graph.prepare_operands();
        graph
    }

    fn prepare_operands(&mut self) {
        let weights = self.weights.iter();
        let rounded: Vec<Tensor<1>> = weights.map(|w| self.products.operand(w.clone())).collect();
        let is_operand = |place: usize| {
            let looked_up = place == layout::EMBEDDING && !self.config.tied;
            self.flat.is_matrix(place) && !looked_up
        };
        self.operands = (0..self.flat.places())
            .map(|place| match is_operand(place) {
                true => self.flat.tensor(&rounded, place),
                false => self.flat.tensor(&self.weights, place),
            })
            .collect();
    }

    /// Embeds tokens and passes them through all blocks. `keep` receives what a
    /// block keeps.
    fn forward(
        &self,
        ids: Tensor<1, Int>,
        batch: usize,
        mut keep: impl FnMut(Attended, Fed),
    ) -> Tensor<2> {
        let embedding = self.flat.tensor(&self.weights, layout::EMBEDDING);
        let mut x = embedding.select(0, ids);
        for layer in 0..self.config.layers {
            let weights = &self.operands[layout::block(layer)..];
            let (y, attended) = self.shape.attend(weights, x, batch);
            let (y, fed) = self.shape.feed_forward(weights, y);
            keep(attended, fed);
            x = y;
        }
        x
    }

    /// The last norm's output, as operand, and its root.
    fn last_norm(&self, x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let weight = self.operands[layout::last_norm(&self.config)].clone();
        self.norm.forward(x, weight)
    }

    fn output(&self) -> Output {
        Output {
            weights: match layout::head(&self.config) {
                Some(place) => self.operands[place].clone(),
                None => self.operands[layout::EMBEDDING].clone().transpose(),
            },
            products: self.products,
            kernels: self.kernels,
            logits: self.limits.logits,
        }
    }

    /// Adds `share` times the gradient of the sequences' mean loss to the
    /// gradient. Returns the sum of all tokens' losses, which the device may not have
    /// computed yet, and how many there are.
    fn backward(&mut self, tokens: &[u32], share: f64) -> (Tensor<1>, f64) {
        let rows = (tokens.len() / (self.config.context + 1) * self.config.context) as f64;
        let weights = Weights::Same((share / rows) as f32);
        (self.backward_by(tokens, |_, _, _| weights), rows)
    }

    /// Weights of sequences as those of rows.
    fn weights_of_rows(&self, weights: &[f32]) -> Weights {
        let context = self.config.context;
        let by_row: Vec<f32> = (weights.iter().map(|w| w / context as f32))
            .flat_map(|w| std::iter::repeat_n(w, context))
            .collect();
        let rows = by_row.len();
        let data = TensorData::new(by_row, [rows, 1]);
        Weights::Each(Box::new(Tensor::from_data(data, &self.device)))
    }

    /// As [`Graph::backward`], with weights of rows, which may depend on the last
    /// norm's output and the targets, and the sum in place of the mean.
    fn backward_by(
        &mut self,
        tokens: &[u32],
        weights: impl FnOnce(&Self, &Tensor<2>, &Tensor<1, Int>) -> Weights,
    ) -> Tensor<1> {
        let (ids, targets) = split(tokens, self.config.context);
        let ids: Vec<u32> = ids.collect();
        let batch = ids.len() / self.config.context;
        let inputs = embedding::indices(ids.iter().map(|&t| t as i32).collect(), &self.device);
        let targets = embedding::indices(targets.map(|t| t as i32).collect(), &self.device);
        let mut blocks = Vec::new();
        let last = self.forward(inputs, batch, |attended, fed| blocks.push((attended, fed)));
        let (h, root) = self.last_norm(last.clone());
        let weights = weights(self, &h, &targets);
        let (loss, gradients) = self.output().backward(h, targets, &weights);
        match layout::head(&self.config) {
            Some(place) => self.gradients.add(place, gradients.weights),
            None => (self.gradients).add(layout::EMBEDDING, gradients.weights.transpose()),
        }
        let kept = Kept { blocks, last, root };
        self.backward_from(kept, gradients.rows, &ids);
        loss
    }

    /// The backward pass from the last norm to the embedding.
    fn backward_from(&mut self, kept: Kept, dh: Tensor<2>, ids: &[u32]) {
        let place = layout::last_norm(&self.config);
        let weight = self.operands[place].clone();
        let none = dh.zeros_like();
        let given = [kept.last, weight, kept.root, dh];
        let (mut dx, dweight) = self.norm.backward(given, none);
        self.gradients.add(place, dweight);
        // What a block kept is freed when its backward pass is done.
        for (layer, (attended, fed)) in kept.blocks.into_iter().enumerate().rev() {
            let first = layout::block(layer);
            let Self {
                shape,
                operands,
                gradients,
                ..
            } = self;
            let weights = &operands[first..];
            let mut add = |place: usize, t: Tensor<2>| gradients.add(first + place, t);
            dx = shape.feed_forward_back(weights, fed, dx, &mut add);
            dx = shape.attend_back(weights, attended, dx, &mut add);
        }
        let embedding = embedding::backward(ids, dx, self.config.vocab_size);
        self.gradients.add(layout::EMBEDDING, embedding);
    }

    /// Updates the weights by the gradient, whose norm is `norm`, and clears it.
    fn apply(&mut self, gradient: Vec<Tensor<1>>, config: &AdamWConfig, lr: f64, norm: f64) {
        self.gradients.clear();
        if !norm.is_finite() {
            return;
        }
        self.updates += 1;
        let update = adamw::Update::new(config, lr, self.updates, norm);
        // Tensors that are held once are overwritten.
        self.operands.clear();
        if self.moments.is_empty() {
            let zeros = |w: &Tensor<1>| (w.zeros_like(), w.zeros_like());
            self.moments = self.weights.iter().map(zeros).collect();
        }
        let weights = std::mem::take(&mut self.weights);
        let moments = std::mem::take(&mut self.moments);
        for ((w, moments), g) in weights.into_iter().zip(moments).zip(gradient) {
            let (w, moments) = update.apply(self.kernels, w, g, moments);
            self.weights.push(w);
            self.moments.push(moments);
        }
        self.prepare_operands();
    }
}

#[cfg(test)]
impl Graph {
    /// The gradient so far, in the order of the parameters.
    pub(crate) fn gradients(&mut self) -> Vec<Vec<f32>> {
        self.flat.download(&self.gradients.whole())
    }
}

impl Engine for Graph {
    fn accumulate(&mut self, tokens: &[u32], share: f64) -> f64 {
        let (sum, rows) = self.backward(tokens, share);
        f64::from(sum.into_scalar::<f32>()) / rows
    }

    fn update(&mut self, config: &AdamWConfig, lr: f64) -> f64 {
        let gradient = self.gradients.whole();
        let squares = adamw::sum_of_squares(&gradient).into_scalar::<f32>();
        let norm = f64::from(squares).sqrt();
        self.apply(gradient, config, lr, norm);
        norm
    }

    /// Reads from the device once: with every number that is read the program
    /// waits for the device, and the device then for the program.
    fn step(&mut self, parts: &[(&[u32], f64)], config: &AdamWConfig, lr: f64) -> (f64, f64) {
        let mut factors = Vec::new();
        let mut read = Vec::new();
        for (tokens, share) in parts {
            let (sum, rows) = self.backward(tokens, *share);
            factors.push(share / rows);
            read.push(sum);
        }
        let gradient = self.gradients.whole();
        read.push(adamw::sum_of_squares(&gradient));
        let read = numbers(joined::cat(read, 0));
        let (squares, sums) = read.split_last().expect("at least the norm is read");
        let norm = f64::from(*squares).sqrt();
        self.apply(gradient, config, lr, norm);
        let losses = sums
            .iter()
            .zip(factors)
            .map(|(&sum, by)| f64::from(sum) * by);
        (losses.sum(), norm)
    }

    fn accumulate_weighted(&mut self, tokens: &[u32], weights: &[f32]) -> f64 {
        let sum = self.backward_by(tokens, |graph, _, _| graph.weights_of_rows(weights));
        f64::from(sum.into_scalar::<f32>())
    }

    fn accumulate_by(&mut self, tokens: &[u32], weigh: &mut WeightsOf<'_>) -> f64 {
        let sum = self.backward_by(tokens, |graph, h, targets| {
            let losses = numbers(graph.output().losses(h.clone(), targets.clone()));
            graph.weights_of_rows(&weigh(&losses))
        });
        f64::from(sum.into_scalar::<f32>())
    }

    fn losses(&mut self, tokens: &[u32]) -> Vec<f64> {
        (self.token_losses(tokens).chunks(self.config.context))
            .map(|s| s.iter().map(|&l| f64::from(l)).sum::<f64>() / s.len() as f64)
            .collect()
    }

    fn token_losses(&mut self, tokens: &[u32]) -> Vec<f32> {
        let context = self.config.context;
        let (ids, targets) = split(tokens, context);
        let ids = embedding::indices(ids.map(|t| t as i32).collect(), &self.device);
        let targets = embedding::indices(targets.map(|t| t as i32).collect(), &self.device);
        let batch = ids.dims()[0] / context;
        let x = self.forward(ids, batch, |_, _| {});
        numbers(self.output().losses(self.last_norm(x).0, targets))
    }

    fn logits(&mut self, tokens: &[u32]) -> Vec<f32> {
        let ids = embedding::indices(tokens.iter().map(|&t| t as i32).collect(), &self.device);
        let x = self.forward(ids, 1, |_, _| {});
        numbers(self.output().logits(self.last_norm(x).0))
    }

    fn state(&self) -> Cow<'_, State> {
        let (means, squares): (Vec<_>, Vec<_>) = self.moments.iter().cloned().unzip();
        let [means, squares] = [means, squares].map(|slabs| self.flat.download(&slabs));
        Cow::Owned(State {
            weights: self.flat.download(&self.weights),
            moments: means.into_iter().zip(squares).collect(),
            updates: self.updates,
        })
    }

    fn restore(&mut self, state: State) {
        let (means, squares): (Vec<_>, Vec<_>) = state.moments.into_iter().unzip();
        self.operands.clear();
        self.gradients.clear();
        let upload = |values| self.flat.upload(values, &self.device);
        self.weights = upload(state.weights);
        self.moments = match means.is_empty() {
            true => Vec::new(),
            false => upload(means).into_iter().zip(upload(squares)).collect(),
        };
        self.updates = state.updates;
        self.prepare_operands();
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
