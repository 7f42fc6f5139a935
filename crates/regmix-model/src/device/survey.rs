//! What this binary can run on, and what the machine has.

use super::hardware::Hardware;
use super::probe::probe;
use super::{Device, DeviceSpec};

/// The result of [`Device::survey`] for one kind of device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// The name of the device, as in `--device`.
    pub spec: DeviceSpec,
    /// Whether this binary holds its back-end.
    pub compiled: bool,
    /// Whether the machine has it, and it computes correctly.
    pub present: bool,
    /// Whether it is a software renderer, such as SwiftShader or llvmpipe;
    /// `auto` does not choose it.
    pub software: bool,
    /// The processor or the card, as it calls itself.
    pub name: Option<String>,
    /// Bytes of memory in all, where the system tells.
    pub memory: Option<u64>,
    /// What to do to get it; empty where it is present.
    pub note: String,
}

impl Device {
    /// Every kind of device, GPUs first. Opens each of them and computes a sum and
    /// products there; for a device that is not usable, the note says what to do.
    pub fn survey() -> Vec<DeviceStatus> {
        [
            DeviceSpec::Cuda(0),
            DeviceSpec::Vulkan(0),
            DeviceSpec::Wgpu(0),
            DeviceSpec::Cpu,
            DeviceSpec::Tch,
        ]
        .into_iter()
        .map(DeviceStatus::of)
        .collect()
    }
}

impl DeviceStatus {
    fn of(spec: DeviceSpec) -> Self {
        let (feature, compiled) = spec.feature();
        let mut status = Self {
            spec,
            compiled,
            present: false,
            software: false,
            name: None,
            memory: None,
            note: String::new(),
        };
        if !compiled {
            status.note = format!("build with --features {feature}");
            return status;
        }
        match probe(spec) {
            Ok(device) => {
                let found = Hardware::of(spec, device.as_ref());
                status.present = true;
                status.software = found.software;
                status.name = found.name;
                status.memory = found.memory;
            }
            Err(missing) => status.note = format!("{}: {}", missing.problem, missing.remedy),
        }
        status
    }
}
