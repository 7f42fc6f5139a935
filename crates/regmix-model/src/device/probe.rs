//! Opening a device of burn and checking that it computes.

use burn::tensor::Device as BurnDevice;

use super::failure::catch_panics;
use super::hardware;
use super::spec::DeviceSpec;

/// Why a device cannot be opened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) problem: String,
    pub(super) remedy: String,
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
    };
    if !hardware::driver_installed(spec) {
        return Err(missing(problem.to_owned(), remedy));
    }
    match catch_panics(|| connect(spec)) {
        Ok(Connected::Ready(device)) => match catch_panics(|| adds_up(&device)) {
            Ok(true) => Ok(Some(device)),
            Ok(false) => Err(missing(
                "it adds up numbers wrongly".to_owned(),
                "update the driver",
            )),
            Err(failure) => {
                let remedy = failure.remedy().unwrap_or("check the driver");
                Err(missing(failure.reason().to_owned(), remedy))
            }
        },
        Ok(Connected::Fewer(0)) => Err(missing(problem.to_owned(), remedy)),
        Ok(Connected::Fewer(n)) => Err(missing(others(spec, n), "choose one of these")),
        Err(failure) => {
            let remedy = failure.remedy().unwrap_or(remedy);
            Err(missing(failure.reason().to_owned(), remedy))
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

/// Whether a device adds up some numbers correctly.
fn adds_up(device: &BurnDevice) -> bool {
    let numbers = burn::tensor::Tensor::<1>::from_floats([1.0, 2.0, 4.0], device);
    numbers.sum().into_scalar::<f32>() == 7.0
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
    fn a_number_that_is_too_large_names_the_devices_that_are_there() {
        assert_eq!(others(DeviceSpec::Cuda(3), 2), "there are cuda:0 to cuda:1");
        assert_eq!(others(DeviceSpec::Wgpu(1), 1), "there is only wgpu:0");
    }
}
