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
            Err(failure) => Err(missing(failure.first_line().to_owned(), "check the driver")),
        },
        Ok(Connected::Fewer(0)) => Err(missing(problem.to_owned(), remedy)),
        Ok(Connected::Fewer(n)) => Err(missing(
            format!("there are {n} of its kind, numbered from 0"),
            "choose one of `regmix devices`",
        )),
        Err(failure) => Err(missing(failure.first_line().to_owned(), remedy)),
    }
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
