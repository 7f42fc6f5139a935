//! Speeds of the kernels of matrix products, for the benches.

use std::time::Instant;

use burn::tensor::{Device as BurnDevice, Distribution, FloatDType, Tensor};
use regmix_data::{Error, Result};

use super::kernels::Kernels;
use crate::device::{Device, catch_panics};

/// A matrix product of numbers of bf16 on a GPU.
#[derive(Debug)]
pub struct ProductTrial {
    /// `[batch, m, k]` and `[batch, k, n]`.
    operands: [Tensor<3>; 2],
    wide: bool,
    kernels: Kernels,
    device: BurnDevice,
    /// The first numbers of the product by the first kernel.
    expected: Option<Vec<f32>>,
}

impl ProductTrial {
    /// Of random numbers: `size` is batch, m, k and n; `transposed` says which operands
    /// lie in memory transposed; the result is f32 if `wide`.
    ///
    /// # Errors
    ///
    /// A device without kernels.
    pub fn new(
        device: &Device,
        [batch, m, k, n]: [usize; 4],
        transposed: [bool; 2],
        wide: bool,
    ) -> Result<Self> {
        let burn = device.burn().cloned();
        let kernels = burn.as_ref().and_then(Kernels::of);
        let (Some(burn), Some(kernels)) = (burn, kernels) else {
            return Err(Error::input("products are measured on a GPU"));
        };
        let operand = |rows: usize, columns: usize, transposed: bool| {
            let shape = match transposed {
                true => [batch, columns, rows],
                false => [batch, rows, columns],
            };
            let t = Tensor::<3>::random(shape, Distribution::Uniform(-1.0, 1.0), &burn);
            let t = t.cast(FloatDType::BF16);
            if transposed { t.swap_dims(1, 2) } else { t }
        };
        Ok(Self {
            operands: [operand(m, k, transposed[0]), operand(k, n, transposed[1])],
            wide,
            kernels,
            device: burn,
            expected: None,
        })
    }

    /// The names of the kernels.
    pub fn ways() -> Vec<&'static str> {
        Kernels::ways()
    }

    /// Seconds of a product by a kernel, the best of several, and the greatest
    /// difference of some of its numbers from those of the first kernel.
    ///
    /// # Errors
    ///
    /// A kernel that the device does not run for this product.
    pub fn seconds(&mut self, way: usize) -> Result<(f64, f32)> {
        let found = catch_panics(|| self.measure(way));
        found.map_err(|failure| Error::failed(failure.reason()))?
    }

    fn measure(&mut self, way: usize) -> Result<(f64, f32)> {
        let sync = || (self.device.sync()).map_err(|e| Error::failed(format!("{e:?}")));
        let dtype = if self.wide {
            FloatDType::F32
        } else {
            FloatDType::BF16
        };
        let product = || {
            let [a, b] = self.operands.clone();
            self.kernels.product_by(a, b, dtype, way)
        };
        let first = product().slice([0..1, 0..16, 0..16]).cast(FloatDType::F32);
        let numbers: Vec<f32> = first.into_data().iter().collect();
        let expected = self.expected.get_or_insert_with(|| numbers.clone());
        let gaps = numbers
            .iter()
            .zip(expected.iter())
            .map(|(a, b)| (a - b).abs());
        let gap = gaps.fold(0.0, f32::max);
        sync()?;
        // Several processes compile at once, and measure one after the other.
        let path = std::env::temp_dir().join("regmix-products.lock");
        let lock = std::fs::File::create(&path).map_err(|e| Error::failed(e.to_string()))?;
        lock.lock().map_err(|e| Error::failed(e.to_string()))?;
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let clock = Instant::now();
            for _ in 0..4 {
                drop(product());
            }
            sync()?;
            best = best.min(clock.elapsed().as_secs_f64() / 4.0);
        }
        Ok((best, gap))
    }
}
