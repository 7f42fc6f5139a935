//! The engine on burn's tensors, for any device: the whole step written by hand,
//! forward and backward.
//!
//! The structure is that of [`crate::host`]. burn's autodiff would keep the result
//! of every operation until the backward pass: the scores of all heads and the
//! logits of all rows, several times over, which is most of the memory. Here the
//! forward pass keeps what the backward pass needs and nothing else
//! ([`bytes_held`] counts it).
//!
//! An engine holds one model, or several of the same shape: the kernels of a step then
//! compute all of them ([`crate::stack`]).

mod adamw;
mod alone;
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
mod models;
mod norm;
mod products;
mod rotary;
mod sums;
mod swiglu;
#[cfg(all(feature = "kernels", not(feature = "fusion")))]
pub(crate) mod trial;

use burn::tensor::{Device as BurnDevice, Int, Tensor, TensorData};

use crate::config::ModelConfig;
use crate::engine::{State, split};
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

/// One model or several of the same shape on a burn device.
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
    operands: Vec<Tensor<3>>,
    gradients: Gradients,
    /// Mean and mean square of every gradient; empty before the first update.
    moments: Vec<(Tensor<1>, Tensor<1>)>,
    /// Updates of every model.
    updates: Vec<u64>,
    /// The parts of slabs that are of one model, for kernels.
    pieces: Vec<Tensor<1, Int>>,
    device: BurnDevice,
}

/// How a model is updated: AdamW's numbers and the learning rate.
#[derive(Debug, Clone)]
pub(crate) struct Rate {
    pub(crate) adamw: AdamWConfig,
    pub(crate) lr: f64,
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
        Self::with_limits(config, vec![values], precision, device, Limits::default())
    }

    /// Several models, with the weights of each.
    pub(crate) fn with_limits(
        config: &ModelConfig,
        values: Vec<Vec<Vec<f32>>>,
        precision: Precision,
        device: &BurnDevice,
        limits: Limits,
    ) -> Self {
        let products = Products::new(precision, device);
        let kernels = Kernels::of(device);
        let models = values.len();
        let slab = kernels.map_or(0, |_| limits.slab);
        let flat = Flat::new(layout::list(config), models, slab);
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
            moments: Vec::new(),
            updates: vec![0; models],
            pieces: kernels.map_or(Vec::new(), |_| flat.pieces(device)),
            flat,
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

    /// How many models there are.
    pub(crate) fn models(&self) -> usize {
        self.flat.models()
    }

    /// The rows of tokens in the embeddings of all models, which lie below each other.
    fn places(&self, ids: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut ids: Vec<u32> = ids.collect();
        let of_model = ids.len() / self.models();
        let vocab = self.config.vocab_size as u32;
        for (model, ids) in (0_u32..).zip(ids.chunks_mut(of_model)) {
            ids.iter_mut().for_each(|id| *id += model * vocab);
        }
        ids
    }

    /// Embeds tokens, given their rows in the embeddings, and passes them through all
    /// blocks. `keep` receives what a block keeps.
    fn forward(
        &self,
        rows: &[u32],
        tokens: usize,
        mut keep: impl FnMut(Attended, Fed),
    ) -> Tensor<2> {
        let batch = rows.len() / tokens;
        let rows = self.indices(rows.iter().copied());
        let embedding = self.flat.tensor(&self.weights, layout::EMBEDDING);
        let mut x = models::below(embedding).select(0, rows);
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

    fn indices(&self, numbers: impl Iterator<Item = u32>) -> Tensor<1, Int> {
        embedding::indices(numbers.map(|n| n as i32).collect(), &self.device)
    }

    /// Adds `share` times the gradient of the sequences' mean loss to the
    /// gradient, for every model. Returns the sum of the losses of every model's tokens,
    /// which the device may not have computed yet, and how many they are.
    fn backward(&mut self, tokens: &[u32], share: f64) -> (Tensor<1>, f64) {
        let sequences = tokens.len() / (self.config.context + 1) / self.models();
        let rows = (sequences * self.config.context) as f64;
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
        let context = self.config.context;
        let (ids, targets) = split(tokens, context);
        let ids = self.places(ids);
        let targets = self.indices(targets);
        let mut blocks = Vec::new();
        let last = self.forward(&ids, context, |attended, fed| blocks.push((attended, fed)));
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
        let given = [kept.last, kept.root, dh];
        let (mut dx, dweight) = self.norm.backward(given, weight, none);
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
            let mut add = |place: usize, t: Tensor<3>| gradients.add(first + place, t);
            dx = shape.feed_forward_back(weights, fed, dx, &mut add);
            dx = shape.attend_back(weights, attended, dx, &mut add);
        }
        let models = self.models();
        let embedding = embedding::backward(ids, dx, models * self.config.vocab_size);
        self.gradients
            .add(layout::EMBEDDING, models::apart(embedding, models));
    }

    /// Updates the weights of every model that has a rate by its gradient, of this norm,
    /// and clears the gradients. Where the norm is not finite, nothing is updated.
    fn apply(&mut self, gradient: Vec<Tensor<1>>, rates: &[Option<Rate>], norms: &[f64]) {
        self.gradients.clear();
        let mut of_models = Vec::new();
        for (model, (rate, norm)) in rates.iter().zip(norms).enumerate() {
            let rate = rate.as_ref().filter(|_| norm.is_finite());
            of_models.push(rate.map(|rate| {
                self.updates[model] += 1;
                adamw::Update::new(&rate.adamw, rate.lr, self.updates[model], *norm)
            }));
        }
        if of_models.iter().all(Option::is_none) {
            return;
        }
        let updates = adamw::Updates::new(of_models, self.kernels, &self.device);
        // Tensors that are held once are overwritten.
        self.operands.clear();
        self.begin_moments();
        let weights = std::mem::take(&mut self.weights);
        let moments = std::mem::take(&mut self.moments);
        let given = weights.into_iter().zip(moments).zip(gradient);
        for (slab, ((w, (m, v)), g)) in given.enumerate() {
            let [w, m, v] = updates.apply([w, g, m, v], self.pieces.get(slab));
            self.weights.push(w);
            self.moments.push((m, v));
        }
        self.prepare_operands();
    }

    /// Moments of zero, where there are none yet.
    fn begin_moments(&mut self) {
        if self.moments.is_empty() {
            let zeros = |w: &Tensor<1>| (w.zeros_like(), w.zeros_like());
            self.moments = self.weights.iter().map(zeros).collect();
        }
    }

    /// One step of every model that has a rate, on the parts of its batch, each with its
    /// share of the batch; in a part the sequences of every model follow those of the
    /// model before it. Returns the loss and the norm of the gradient of every model.
    ///
    /// Reads from the device once: with every number that is read the program
    /// waits for the device, and the device then for the program.
    pub(crate) fn step_all(
        &mut self,
        parts: &[(&[u32], f64)],
        rates: &[Option<Rate>],
    ) -> Vec<(f64, f64)> {
        let models = self.models();
        let mut factors = Vec::new();
        let mut read = Vec::new();
        for (tokens, share) in parts {
            let (sums, rows) = self.backward(tokens, *share);
            factors.push(share / rows);
            read.push(sums);
        }
        let gradient = self.gradients.whole();
        read.push(self.sums_of_squares(&gradient));
        let read = numbers(joined::cat(read, 0));
        let (sums, squares) = read.split_at(read.len() - models);
        let norms: Vec<f64> = squares.iter().map(|&s| f64::from(s).sqrt()).collect();
        self.apply(gradient, rates, &norms);
        let loss = |model: usize| {
            let of_parts = sums.chunks(models).zip(&factors);
            of_parts.map(|(sums, by)| f64::from(sums[model]) * by).sum()
        };
        norms
            .iter()
            .enumerate()
            .map(|(m, &norm)| (loss(m), norm))
            .collect()
    }

    fn sums_of_squares(&self, gradient: &[Tensor<1>]) -> Tensor<1> {
        adamw::sums_of_squares(self.kernels, gradient, &self.pieces, self.models())
    }

    /// The loss of every token, the sequences of every model after those of the model
    /// before it.
    pub(crate) fn token_losses_all(&self, tokens: &[u32]) -> Vec<f32> {
        let (ids, targets) = split(tokens, self.config.context);
        let x = self.forward(&self.places(ids), self.config.context, |_, _| {});
        let targets = self.indices(targets);
        numbers(self.output().losses(self.last_norm(x).0, targets))
    }

    /// Logits of a sequence for every model, `[models, tokens, vocab]`; the sequences of
    /// all are equally long.
    pub(crate) fn logits_all(&self, tokens: &[u32]) -> Vec<f32> {
        let of_model = tokens.len() / self.models();
        let rows = self.places(tokens.iter().copied());
        let x = self.forward(&rows, of_model, |_, _| {});
        numbers(self.output().logits(self.last_norm(x).0))
    }

    /// Everything from which the training of one model is resumed.
    pub(crate) fn state_of(&self, model: usize) -> State {
        let (means, squares): (Vec<_>, Vec<_>) = match self.updates[model] {
            0 => (Vec::new(), Vec::new()),
            _ => self.moments.iter().cloned().unzip(),
        };
        let [means, squares] = [means, squares].map(|slabs| self.flat.download(&slabs, model));
        State {
            weights: self.flat.download(&self.weights, model),
            moments: means.into_iter().zip(squares).collect(),
            updates: self.updates[model],
        }
    }

    /// Resumes one model from a state of the same shapes, in the place of the one that
    /// was there.
    pub(crate) fn restore_one(&mut self, model: usize, state: State) {
        let mut moments = state.moments;
        if moments.is_empty() && !self.moments.is_empty() {
            let zeros = |w: &Vec<f32>| vec![0.0; w.len()];
            moments = (state.weights.iter())
                .map(|w| (zeros(w), zeros(w)))
                .collect();
        }
        self.operands.clear();
        self.gradients.clear();
        let (flat, device) = (&self.flat, &self.device);
        flat.replace(&mut self.weights, model, state.weights, device);
        self.updates[model] = state.updates;
        if !moments.is_empty() {
            self.begin_moments();
            let (means, squares) = moments.into_iter().unzip();
            let all = std::mem::take(&mut self.moments).into_iter();
            let (mut m, mut v): (Vec<_>, Vec<_>) = all.unzip();
            self.flat.replace(&mut m, model, means, &self.device);
            self.flat.replace(&mut v, model, squares, &self.device);
            self.moments = m.into_iter().zip(v).collect();
        }
        self.prepare_operands();
    }
}

#[cfg(test)]
impl Graph {
    /// The gradient so far, in the order of the parameters.
    pub(crate) fn gradients(&mut self) -> Vec<Vec<f32>> {
        self.flat.download(&self.gradients.whole(), 0)
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
