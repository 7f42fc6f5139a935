//! Opening a device of burn and checking that it computes.

use burn::tensor::{Device as BurnDevice, FloatDType, Tensor, TensorData};

use super::failure::catch_panics;
use super::hardware;
use super::spec::DeviceSpec;
use crate::graph;
use crate::precision::Precision;

/// Why a device cannot be opened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) problem: String,
    pub(super) remedy: String,
    /// Whether the machine has the device, which does not compute as it should.
    pub(super) found: bool,
}

/// Opens a device and computes on it: most faults of a back-end show only at
/// its first use. A CPU needs no back-end of burn.
pub(super) fn probe(spec: DeviceSpec) -> std::result::Result<Option<BurnDevice>, Missing> {
    if spec == DeviceSpec::Cpu {
        return Ok(None);
    }
    let (problem, remedy) = spec.driver();
    let missing = |problem: String, remedy: &str| Missing {
        problem,
        remedy: remedy.to_owned(),
        found: false,
    };
    let fails = |problem: String, remedy: &str| Missing {
        found: true,
        ..missing(problem, remedy)
    };
    if !hardware::driver_installed(spec) {
        return Err(missing(problem.to_owned(), remedy));
    }
    match catch_panics(|| connect(spec)) {
        Ok(Connected::Ready(device)) => match catch_panics(|| wrong(&device)) {
            Ok(None) => Ok(Some(device)),
            Ok(Some(problem)) => Err(fails(problem.to_owned(), "update the driver")),
            Err(failure) => {
                let remedy = failure.remedy().unwrap_or("check the driver");
                Err(fails(failure.reason(), remedy))
            }
        },
        Ok(Connected::Fewer(0)) if matches!(spec, DeviceSpec::Cuda(_)) => {
            let (problem, remedy) = hardware::no_cards();
            Err(missing(problem, remedy))
        }
        Ok(Connected::Fewer(0)) => Err(missing(problem.to_owned(), remedy)),
        Ok(Connected::Fewer(n)) => Err(missing(others(spec, n), "choose one of these")),
        Err(failure) => {
            let remedy = failure.remedy().unwrap_or(remedy);
            Err(missing(failure.reason(), remedy))
        }
    }
}

/// The devices of a kind of which there are `n`.
fn others(spec: DeviceSpec, n: usize) -> String {
    let name = spec.to_string();
    let kind = name.split(':').next().unwrap_or_default();
    match n {
        1 => format!("there is only {kind}:0"),
        n => format!("there are {kind}:0 to {kind}:{}", n - 1),
    }
}

/// How many NVIDIA cards there are.
#[cfg(feature = "cuda")]
pub(super) fn cards() -> usize {
    let count = || BurnDevice::enumerate(burn::tensor::DeviceType::Cuda).into_vec();
    catch_panics(count).map_or(0, |found| found.len())
}

#[cfg(not(feature = "cuda"))]
pub(super) fn cards() -> usize {
    0
}

/// What a device computes wrongly. Sums and matrix products are compiled in different
/// ways: on CUDA, products of matrix units need more headers.
fn wrong(device: &BurnDevice) -> Option<&'static str> {
    let numbers = Tensor::<1>::from_floats([1.0, 2.0, 4.0], device);
    if numbers.sum().into_scalar::<f32>() != 7.0 {
        return Some("it adds up numbers wrongly");
    }
    if !multiplies(device, Precision::F32) {
        return Some("it multiplies matrices wrongly");
    }
    let bf16 = device.supports_dtype(FloatDType::BF16);
    (bf16 && !multiplies(device, Precision::Bf16))
        .then_some("it multiplies matrices wrongly in bf16")
}

/// Rows and columns of the matrices that are multiplied.
const SIDE: usize = 64;

/// Whether the product of two matrices is right. Its numbers, below 257, are exact in
/// bf16 and in the TF32 of CUDA's matrix units.
fn multiplies(device: &BurnDevice, precision: Precision) -> bool {
    let (a, b, product) = matrices();
    let [a, b] = [a, b].map(|numbers| {
        let data = TensorData::new(numbers, [SIDE, SIDE]);
        Tensor::<2>::from_data(data, device)
    });
    let found = graph::product(a, b, precision).into_data();
    found.iter::<f32>().eq(product)
}

/// Two matrices of numbers up to 2, and their product.
fn matrices() -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let fill = |number: fn(usize, usize) -> usize| -> Vec<f32> {
        (0..SIDE * SIDE)
            .map(|at| (number(at / SIDE, at % SIDE) % 3) as f32)
            .collect()
    };
    let (a, b) = (fill(|i, k| i + k), fill(|k, j| k * j + j));
    let product = (0..SIDE * SIDE)
        .map(|at| {
            let (i, j) = (at / SIDE, at % SIDE);
            (0..SIDE).map(|k| a[i * SIDE + k] * b[k * SIDE + j]).sum()
        })
        .collect();
    (a, b, product)
}

enum Connected {
    #[cfg_attr(
        not(any(
            feature = "cuda",
            feature = "vulkan",
            feature = "wgpu",
            feature = "tch"
        )),
        expect(dead_code, reason = "this build has the CPU alone")
    )]
    Ready(BurnDevice),
    /// The back-end lists only so many devices.
    Fewer(usize),
}

/// burn's device.
// burn means to drop libtorch in a later line; 0.22 has it.
#[cfg_attr(feature = "tch", expect(deprecated))]
fn connect(spec: DeviceSpec) -> Connected {
    #[cfg(any(feature = "cuda", feature = "vulkan", feature = "wgpu"))]
    fn listed(kind: burn::tensor::DeviceType, index: usize) -> Connected {
        let mut devices = BurnDevice::enumerate(kind).into_vec();
        match devices.len() {
            n if index < n => Connected::Ready(devices.swap_remove(index)),
            n => Connected::Fewer(n),
        }
    }
    match spec {
        #[cfg(feature = "cuda")]
        DeviceSpec::Cuda(i) => listed(burn::tensor::DeviceType::Cuda, i),
        #[cfg(feature = "vulkan")]
        DeviceSpec::Vulkan(i) => listed(burn::tensor::DeviceType::Vulkan, i),
        #[cfg(feature = "wgpu")]
        DeviceSpec::Wgpu(i) => listed(burn::tensor::DeviceType::Wgpu, i),
        #[cfg(feature = "tch")]
        DeviceSpec::Tch => Connected::Ready(BurnDevice::libtorch()),
        #[cfg(feature = "tch")]
        DeviceSpec::TchCuda(i) => Connected::Ready(BurnDevice::libtorch_cuda(i)),
        #[allow(unreachable_patterns)]
        _ => Connected::Fewer(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_computes_is_not_wrong() {
        assert_eq!(wrong(&BurnDevice::flex()), None);
        let (_, _, product) = matrices();
        let greatest = product.into_iter().fold(0.0, f32::max);
        assert!((2.0..=256.0).contains(&greatest), "{greatest}");
    }

    #[test]
    fn a_number_that_is_too_large_names_the_devices_that_are_there() {
        assert_eq!(others(DeviceSpec::Cuda(3), 2), "there are cuda:0 to cuda:1");
        assert_eq!(others(DeviceSpec::Wgpu(1), 1), "there is only wgpu:0");
    }
}
