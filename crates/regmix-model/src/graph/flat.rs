//! Many tensors in few: the parameters, their moments and their gradients.
//!
//! What treats every number alike (AdamW, rounding, the norm of the gradient) then takes
//! one kernel for a whole model instead of one for every tensor. For small models the
//! time of a step is mostly that of starting kernels.
//!
//! The tensors of one place of several models lie side by side, so that one product serves
//! them all.

use std::ops::Range;

use burn::tensor::{Device as BurnDevice, Int, Tensor, TensorData};

use super::arguments::Part;
use super::joined;
use super::kernels::Kernels;
use super::layout::{self, Joined};
use super::loss::plus;

/// Numbers to a multiple of which every tensor begins, so that a part is seen as a
/// tensor without a copy.
const ALIGNMENT: usize = 256;

/// Tensors that a kernel adds to a slab at once: some devices bind few to a kernel.
const ADDED: usize = 4;

/// Numbers of one model that a workgroup treats.
const PIECE: usize = 1024;

/// Where the tensors of a layout lie: below each other in slabs, each of one dimension.
#[derive(Debug, Clone)]
pub(super) struct Flat {
    layout: Vec<Joined>,
    models: usize,
    slabs: Vec<Slab>,
}

#[derive(Debug, Clone)]
struct Slab {
    /// Tensors, by place in the layout.
    places: Range<usize>,
    /// Where they begin.
    starts: Vec<usize>,
    /// Numbers, with those between tensors, which are zero.
    len: usize,
}

/// Where one tensor of all models lies.
struct Spot {
    slab: usize,
    start: usize,
    /// `[models, rows, columns]`.
    shape: [usize; 3],
}

impl Spot {
    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The numbers of one model.
    fn of(&self, model: usize) -> Range<usize> {
        let count = self.count() / self.shape[0];
        self.start + model * count..self.start + (model + 1) * count
    }
}

impl Flat {
    /// Slabs of at most `most` numbers, or of one tensor. On devices without kernels that
    /// is best, since operations on large tensors leave large intermediate results.
    pub(super) fn new(layout: Vec<Joined>, models: usize, most: usize) -> Self {
        let mut slabs: Vec<Slab> = Vec::new();
        for (place, tensor) in layout.iter().enumerate() {
            let count = models * tensor.count();
            let start = |slab: &Slab| slab.len.next_multiple_of(ALIGNMENT);
            let fits = |slab: &Slab| start(slab) + count <= most;
            if !slabs.last().is_some_and(fits) {
                slabs.push(Slab {
                    places: place..place,
                    starts: Vec::new(),
                    len: 0,
                });
            }
            if let Some(slab) = slabs.last_mut() {
                slab.places.end = place + 1;
                slab.starts.push(start(slab));
                slab.len = start(slab) + count;
            }
        }
        // A part is seen without a copy only if what follows it is aligned, too.
        for slab in slabs.iter_mut().filter(|slab| slab.starts.len() > 1) {
            slab.len = slab.len.next_multiple_of(ALIGNMENT);
        }
        Self {
            layout,
            models,
            slabs,
        }
    }

    pub(super) fn models(&self) -> usize {
        self.models
    }

    /// How many tensors there are.
    pub(super) fn places(&self) -> usize {
        self.layout.len()
    }

    /// Whether a tensor is a matrix, and not the weights of a norm.
    pub(super) fn is_matrix(&self, place: usize) -> bool {
        self.layout[place].rows > 1
    }

    fn spot(&self, place: usize) -> Spot {
        let is_here = |slab: &Slab| slab.places.contains(&place);
        let slab = self.slabs.iter().position(is_here);
        let slab = slab.expect("every place is in a slab");
        let of = &self.slabs[slab];
        let [rows, columns] = self.layout[place].shape();
        Spot {
            slab,
            start: of.starts[place - of.places.start],
            shape: [self.models, rows, columns],
        }
    }

    /// Slabs of zeros.
    pub(super) fn zeros(&self, device: &BurnDevice) -> Vec<Tensor<1>> {
        (self.slabs.iter())
            .map(|slab| Tensor::zeros([slab.len], device))
            .collect()
    }

    /// Values of the parameters of every model, in the order of
    /// [`crate::parameters::list`].
    pub(super) fn upload(&self, models: Vec<Vec<Vec<f32>>>, device: &BurnDevice) -> Vec<Tensor<1>> {
        let joined = models.into_iter().map(|m| layout::join(&self.layout, m));
        let mut joined: Vec<_> = joined.map(Vec::into_iter).collect();
        (self.slabs.iter())
            .map(|slab| {
                let mut all = Vec::with_capacity(slab.len);
                for start in &slab.starts {
                    all.resize(*start, 0.0);
                    all.extend(joined.iter_mut().filter_map(Iterator::next).flatten());
                }
                all.resize(slab.len, 0.0);
                Tensor::from_data(TensorData::new(all, [slab.len]), device)
            })
            .collect()
    }

    /// The values of one model.
    pub(super) fn download(&self, slabs: &[Tensor<1>], model: usize) -> Vec<Vec<f32>> {
        let mut values = Vec::with_capacity(self.layout.len());
        for (slab, numbers) in self.slabs.iter().zip(slabs) {
            let spots = slab.places.clone().map(|place| self.spot(place));
            // Of one model, everything is read as it lies there.
            if self.models == 1 {
                let numbers = super::numbers(numbers.clone());
                values.extend(spots.map(|spot| numbers[spot.of(0)].to_vec()));
                continue;
            }
            let parts = spots.map(|spot| numbers.clone().slice_dim(0, spot.of(model)));
            let mut numbers = super::numbers(joined::cat(parts.collect(), 0)).into_iter();
            let counts = slab.places.clone().map(|place| self.layout[place].count());
            values.extend(counts.map(|count| numbers.by_ref().take(count).collect()));
        }
        layout::split(&self.layout, values)
    }

    /// Puts the values of one model in their places.
    pub(super) fn replace(
        &self,
        slabs: &mut Vec<Tensor<1>>,
        model: usize,
        values: Vec<Vec<f32>>,
        device: &BurnDevice,
    ) {
        for (place, values) in layout::join(&self.layout, values).into_iter().enumerate() {
            let spot = self.spot(place);
            let count = values.len();
            let values = Tensor::<1>::from_data(TensorData::new(values, [count]), device);
            // Held once, it is overwritten.
            let slab = slabs.remove(spot.slab);
            slabs.insert(spot.slab, slab.slice_assign([spot.of(model)], values));
        }
    }

    /// One tensor of all models, `[models, rows, columns]`, which shares their memory
    /// where the device can.
    pub(super) fn tensor(&self, slabs: &[Tensor<1>], place: usize) -> Tensor<3> {
        let spot = self.spot(place);
        let numbers = spot.start..spot.start + spot.count();
        let part = slabs[spot.slab].clone().slice_dim(0, numbers);
        part.reshape(spot.shape)
    }

    /// For every slab, where the pieces begin and end of which each is of one model, and
    /// the model.
    pub(super) fn pieces(&self, device: &BurnDevice) -> Vec<Tensor<1, Int>> {
        (self.slabs.iter())
            .map(|slab| {
                let spots = slab.places.clone().map(|place| self.spot(place));
                let of_models = spots
                    .flat_map(|spot| (0..self.models).map(move |model| (spot.of(model), model)));
                let numbers = of_models.flat_map(|(all, model)| {
                    let starts = all.clone().step_by(PIECE);
                    starts.flat_map(move |from| {
                        let to = (from + PIECE).min(all.end);
                        [from, to, model].map(|n| n as i32)
                    })
                });
                super::embedding::indices(numbers.collect(), device)
            })
            .collect()
    }

    /// Tensors of every place, joined.
    fn join(&self, tensors: Vec<Tensor<3>>, device: &BurnDevice) -> Vec<Tensor<1>> {
        let mut tensors = tensors.into_iter();
        (self.slabs.iter())
            .map(|slab| {
                let mut parts = Vec::new();
                let ends = slab.starts.iter().skip(1).chain([&slab.len]);
                for (start, end) in slab.starts.iter().zip(ends) {
                    let tensor = tensors.next().expect("every place has a tensor");
                    let count = tensor.shape().num_elements();
                    parts.push(tensor.reshape([count]));
                    if end - start > count {
                        parts.push(Tensor::zeros([end - start - count], device));
                    }
                }
                joined::cat(parts, 0)
            })
            .collect()
    }
}

/// The gradient of a batch, to which tensors are added.
pub(super) struct Gradients {
    flat: Flat,
    kernels: Option<Kernels>,
    device: BurnDevice,
    /// Those of the kernels; empty before the first.
    sums: Vec<Tensor<1>>,
    /// Whether the sums have a part of this batch, by place.
    begun: Vec<bool>,
    /// Tensors that are yet to be added to the sums.
    waiting: Vec<(usize, Tensor<3>)>,
}

impl Gradients {
    pub(super) fn new(flat: Flat, device: &BurnDevice) -> Self {
        Self {
            kernels: Kernels::of(device),
            device: device.clone(),
            sums: Vec::new(),
            begun: vec![false; flat.places()],
            waiting: Vec::new(),
            flat,
        }
    }

    pub(super) fn add(&mut self, place: usize, t: Tensor<3>) {
        if self.kernels.is_some() {
            let slab = |place: usize| self.flat.spot(place).slab;
            let apart = |(p, _): &(usize, _)| *p == place || slab(*p) != slab(place);
            if self.waiting.len() == ADDED || self.waiting.iter().any(apart) {
                self.add_waiting();
            }
            self.waiting.push((place, t));
        } else if let Some((_, sum)) = self.waiting.iter_mut().find(|(p, _)| *p == place) {
            *sum = plus(Some(sum.clone()), t);
        } else {
            self.waiting.push((place, t));
        }
    }

    /// Adds those that wait to the sums, by a kernel.
    fn add_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let (Some(kernels), Some((first, _))) = (self.kernels, waiting.first()) else {
            return;
        };
        if self.sums.is_empty() {
            self.sums = self.flat.zeros(&self.device);
        }
        let slab = self.flat.spot(*first).slab;
        let mut parts = Vec::new();
        for (place, t) in waiting {
            let spot = self.flat.spot(place);
            let part = Part {
                start: spot.start,
                count: spot.count(),
                keep: std::mem::replace(&mut self.begun[place], true),
            };
            parts.push((t.reshape([part.count]), part));
        }
        // Held once, it is overwritten.
        let sum = self.sums.remove(slab);
        let sum = kernels.add_parts(sum, &parts);
        self.sums.insert(slab, sum);
    }

    /// The whole gradient; every place has a tensor.
    pub(super) fn whole(&mut self) -> Vec<Tensor<1>> {
        if self.kernels.is_some() {
            self.add_waiting();
            return self.sums.clone();
        }
        let mut waiting = self.waiting.clone();
        waiting.sort_by_key(|(place, _)| *place);
        let tensors = waiting.into_iter().map(|(_, t)| t).collect();
        self.flat.join(tensors, &self.device)
    }

    /// Begins the next batch.
    pub(super) fn clear(&mut self) {
        self.begun.fill(false);
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::parameters;

    /// Values of parameters that all differ, beginning above a number.
    fn values(config: &ModelConfig, above: f32) -> Vec<Vec<f32>> {
        let mut next = above;
        let mut number = || {
            next += 1.0;
            next
        };
        (parameters::list(config).iter())
            .map(|p| (0..p.count()).map(|_| number()).collect())
            .collect()
    }

    #[test]
    fn tensors_come_back_from_slabs_of_any_size() {
        let device = BurnDevice::flex();
        let config = ModelConfig {
            kv_heads: 1,
            ..ModelConfig::preset("nano", 70).unwrap()
        };
        let layout = layout::list(&config);
        let first = values(&config, 0.0);
        let second = values(&config, 0.5);
        let joined = [&first, &second].map(|v| layout::join(&layout, v.clone()));
        for (most, slabs) in [(0, layout.len()), (40_000, 8), (1 << 24, 1)] {
            let flat = Flat::new(layout.clone(), 2, most);
            assert_eq!(flat.slabs.len(), slabs, "{most}");
            let all = flat.upload(vec![first.clone(), second.clone()], &device);
            assert_eq!(flat.download(&all, 0), first);
            assert_eq!(flat.download(&all, 1), second);
            let alone = Flat::new(layout.clone(), 1, most);
            let of_one = alone.upload(vec![second.clone()], &device);
            assert_eq!(alone.download(&of_one, 0), second);
            let mut replaced = flat.upload(vec![first.clone(), first.clone()], &device);
            flat.replace(&mut replaced, 1, second.clone(), &device);
            for (a, b) in replaced.into_iter().zip(&all) {
                assert_eq!(super::super::numbers(a), super::super::numbers(b.clone()));
            }
            let mut tensors = Vec::new();
            for place in 0..layout.len() {
                let spot = flat.spot(place);
                assert!(spot.start.is_multiple_of(ALIGNMENT));
                let tensor = flat.tensor(&all, place);
                let [rows, columns] = layout[place].shape();
                assert_eq!(tensor.dims(), [2, rows, columns]);
                let expected = joined.each_ref().map(|v| v[place].clone()).concat();
                assert_eq!(super::super::numbers(tensor.clone()), expected);
                tensors.push(tensor);
            }
            let again = flat.join(tensors, &device);
            for (a, b) in again.into_iter().zip(all) {
                assert_eq!(super::super::numbers(a), super::super::numbers(b));
            }
        }
    }

    #[test]
    fn pieces_are_of_one_model_and_leave_no_number_out() {
        let device = BurnDevice::flex();
        let layout = layout::list(&ModelConfig::preset("nano", 70).unwrap());
        let flat = Flat::new(layout, 3, 100_000);
        for (slab, pieces) in flat.pieces(&device).into_iter().enumerate() {
            let pieces: Vec<i32> = pieces.into_data().iter().collect();
            let mut owner = vec![None; flat.slabs[slab].len];
            for piece in pieces.chunks(3) {
                let [from, to, model] = [piece[0], piece[1], piece[2]].map(|n| n as usize);
                assert!(to - from <= PIECE);
                for owner in &mut owner[from..to] {
                    assert_eq!(owner.replace(model), None);
                }
            }
            for place in flat.slabs[slab].places.clone() {
                for model in 0..3 {
                    let numbers = flat.spot(place).of(model);
                    assert!(owner[numbers].iter().all(|o| *o == Some(model)));
                }
            }
        }
    }
}
