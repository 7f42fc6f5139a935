//! Which device a model runs on.
//!
//! This module and [`crate::graph`] are the only ones that know burn, so that
//! a later burn is a small change.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device as BurnDevice;
use regmix_data::{Error, ErrorKind, Result};

/// A device as the user names it: `auto`, `cpu`, `cuda:0`, `vulkan:0`,
/// `wgpu:0`, `tch` or `tch:0`.
///
/// ```
/// use regmix_model::DeviceSpec;
///
/// let spec: DeviceSpec = "cuda:1".parse()?;
/// assert_eq!(spec, DeviceSpec::Cuda(1));
/// assert!("cuda:x".parse::<DeviceSpec>().is_err());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceSpec {
    /// The first GPU that is compiled in and present, else the CPU.
    #[default]
    Auto,
    /// burn's pure-Rust CPU back-end.
    Cpu,
    /// An NVIDIA GPU through CUDA.
    Cuda(usize),
    /// A GPU through Vulkan (SPIR-V kernels).
    Vulkan(usize),
    /// A GPU through wgpu (whatever graphics API is there).
    Wgpu(usize),
    /// libtorch on the CPU.
    Tch,
    /// libtorch on a CUDA GPU.
    TchCuda(usize),
}

impl FromStr for DeviceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, index.parse::<usize>().ok()),
            None => (text, Some(0)),
        };
        let named_index = text.contains(':');
        match (kind, index) {
            ("auto", Some(_)) if !named_index => Ok(Self::Auto),
            ("cpu" | "flex", Some(_)) if !named_index => Ok(Self::Cpu),
            ("cuda", Some(i)) => Ok(Self::Cuda(i)),
            ("vulkan", Some(i)) => Ok(Self::Vulkan(i)),
            ("wgpu", Some(i)) => Ok(Self::Wgpu(i)),
            ("tch", Some(_)) if !named_index => Ok(Self::Tch),
            ("tch", Some(i)) => Ok(Self::TchCuda(i)),
            _ => Err(Error::input(format!(
                "unknown device `{text}`: expected auto, cpu, cuda[:n], vulkan[:n], wgpu[:n] or \
                 tch[:n]"
            ))
            .help("`regmix devices` lists what this binary can use")),
        }
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(i) => write!(f, "cuda:{i}"),
            Self::Vulkan(i) => write!(f, "vulkan:{i}"),
            Self::Wgpu(i) => write!(f, "wgpu:{i}"),
            Self::Tch => f.write_str("tch"),
            Self::TchCuda(i) => write!(f, "tch:{i}"),
        }
    }
}

/// A device that is compiled in and present.
#[derive(Debug, Clone)]
pub struct Device {
    spec: DeviceSpec,
    burn: BurnDevice,
}

/// What [`Device::survey`] found of one kind of device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// How to ask for it.
    pub spec: DeviceSpec,
    /// Whether this binary holds its back-end.
    pub compiled: bool,
    /// Whether the machine has it.
    pub present: bool,
    /// What to do to get it, or what it is.
    pub note: String,
}

impl Device {
    /// Opens a device.
    ///
    /// # Errors
    /// When its back-end is not compiled in, or the machine has none; the
    /// error says what to install or which feature to build with.
    pub fn open(spec: DeviceSpec) -> Result<Self> {
        let spec = match spec {
            DeviceSpec::Auto => Self::best(),
            other => other,
        };
        let feature = match spec {
            DeviceSpec::Auto | DeviceSpec::Cpu => ("flex", cfg!(feature = "flex")),
            DeviceSpec::Cuda(_) => ("cuda", cfg!(feature = "cuda")),
            DeviceSpec::Vulkan(_) => ("vulkan", cfg!(feature = "vulkan")),
            DeviceSpec::Wgpu(_) => ("wgpu", cfg!(feature = "wgpu")),
            DeviceSpec::Tch | DeviceSpec::TchCuda(_) => ("tch", cfg!(feature = "tch")),
        };
        if !feature.1 {
            return Err(Error::new(
                ErrorKind::Device,
                format!("device `{spec}` is not compiled into this binary"),
            )
            .help(format!(
                "build with `--features {}`, or use `--device cpu`; `regmix devices` lists what \
                 there is",
                feature.0
            )));
        }
        // Back-ends panic when their driver is missing: turn that into an
        // error. Nothing is shared with the closure, so nothing is left half
        // done.
        std::panic::catch_unwind(|| connect(spec))
            .ok()
            .flatten()
            .map(|burn| Self { spec, burn })
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Device,
                    format!("device `{spec}` is not present on this machine"),
                )
                .help("check the driver, or use `--device cpu`")
            })
    }

    /// What `auto` means here.
    fn best() -> DeviceSpec {
        Self::survey()
            .into_iter()
            .find(|s| s.present)
            .map_or(DeviceSpec::Cpu, |s| s.spec)
    }

    /// Every kind of device, GPUs first, with what is known of it.
    pub fn survey() -> Vec<DeviceStatus> {
        [
            (DeviceSpec::Cuda(0), cfg!(feature = "cuda"), "cuda"),
            (DeviceSpec::Vulkan(0), cfg!(feature = "vulkan"), "vulkan"),
            (DeviceSpec::Wgpu(0), cfg!(feature = "wgpu"), "wgpu"),
            (DeviceSpec::Cpu, cfg!(feature = "flex"), "flex"),
            (DeviceSpec::Tch, cfg!(feature = "tch"), "tch"),
        ]
        .into_iter()
        .map(|(spec, compiled, feature)| {
            let present =
                compiled && std::panic::catch_unwind(|| connect(spec)).is_ok_and(|d| d.is_some());
            let note = match (compiled, present) {
                (false, _) => format!("build with --features {feature}"),
                (true, false) => "no driver or device found".to_owned(),
                (true, true) => describe(spec),
            };
            DeviceStatus {
                spec,
                compiled,
                present,
                note,
            }
        })
        .collect()
    }

    /// How it was asked for, with `auto` resolved.
    pub fn spec(&self) -> DeviceSpec {
        self.spec
    }

    /// Whether models share the processor with this program.
    pub fn is_cpu(&self) -> bool {
        matches!(self.spec, DeviceSpec::Cpu | DeviceSpec::Tch)
    }

    /// Whether models are trained by code of this crate, without burn.
    pub(crate) fn is_host(&self) -> bool {
        matches!(self.spec, DeviceSpec::Cpu)
    }

    pub(crate) fn burn(&self) -> &BurnDevice {
        &self.burn
    }
}

fn describe(spec: DeviceSpec) -> String {
    match spec {
        DeviceSpec::Cpu => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            format!("pure Rust, {threads} threads")
        }
        _ => "present".to_owned(),
    }
}

/// burn's device, or `None` where the driver lists none.
fn connect(spec: DeviceSpec) -> Option<BurnDevice> {
    #[allow(unused_variables, clippy::needless_pass_by_value)]
    #[cfg(any(feature = "cuda", feature = "vulkan", feature = "wgpu"))]
    fn listed(kind: burn::tensor::DeviceType, index: usize) -> Option<BurnDevice> {
        BurnDevice::enumerate(kind)
            .into_vec()
            .into_iter()
            .nth(index)
    }
    match spec {
        #[cfg(feature = "flex")]
        DeviceSpec::Auto | DeviceSpec::Cpu => Some(BurnDevice::flex()),
        #[cfg(feature = "cuda")]
        DeviceSpec::Cuda(i) => listed(burn::tensor::DeviceType::Cuda, i),
        #[cfg(feature = "vulkan")]
        DeviceSpec::Vulkan(i) => listed(burn::tensor::DeviceType::Vulkan, i),
        #[cfg(feature = "wgpu")]
        DeviceSpec::Wgpu(i) => listed(burn::tensor::DeviceType::Wgpu, i),
        #[cfg(feature = "tch")]
        DeviceSpec::Tch => Some(BurnDevice::libtorch()),
        #[cfg(feature = "tch")]
        DeviceSpec::TchCuda(i) => Some(BurnDevice::libtorch_cuda(i)),
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in [
            "auto", "cpu", "cuda:0", "vulkan:3", "wgpu:1", "tch", "tch:2",
        ] {
            assert_eq!(name.parse::<DeviceSpec>().unwrap().to_string(), name);
        }
        for name in ["gpu", "cpu:1", "cuda:", "cuda:-1", ""] {
            assert!(name.parse::<DeviceSpec>().is_err(), "{name}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_is_not_compiled_in_is_an_error_with_the_feature_named() {
        let err = Device::open(DeviceSpec::Cuda(0)).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Device);
        assert!(err.help_text().unwrap().contains("--features cuda"));
    }
}
