//! Which device a model runs on.
//!
//! This module and [`crate::graph`] are the only ones that know burn, so that
//! a later burn is a small change.

mod hardware;
mod survey;

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device as BurnDevice, FloatDType};
use regmix_data::{Error, ErrorKind, Result};

use crate::failure::caught;
use crate::precision::Precision;
pub use survey::DeviceStatus;

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
    /// The first GPU that is compiled in and present, else the CPU. A GPU
    /// that is itself a program on the CPU does not count.
    #[default]
    Auto,
    /// The CPU, through the engine of this crate.
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
    /// What its engines do wrong on purpose.
    #[cfg(test)]
    pub(crate) fault: Option<crate::tests::Fault>,
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
        let (feature, compiled) = spec.feature();
        if !compiled {
            return Err(Error::new(
                ErrorKind::Device,
                format!("device `{spec}` is not compiled into this binary"),
            )
            .help(format!(
                "build with `--features {feature}`, or use `--device cpu`; `regmix devices` lists \
                 what there is"
            )));
        }
        match probe(spec) {
            Ok(burn) => Ok(Self {
                spec,
                burn,
                #[cfg(test)]
                fault: None,
            }),
            Err(missing) => Err(Error::new(
                ErrorKind::Device,
                format!(
                    "device `{spec}` is not present on this machine: {}",
                    missing.what
                ),
            )
            .help(format!("{}, or use `--device cpu`", missing.remedy))),
        }
    }

    /// What `auto` means here.
    fn best() -> DeviceSpec {
        (Self::survey().into_iter())
            .find(|s| s.present && !s.software)
            .map_or(DeviceSpec::Cpu, |s| s.spec)
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

    /// Whether models can be trained in a precision here.
    ///
    /// # Errors
    /// On a CPU for anything but `f32`, and on a device whose kernels do not
    /// know the type.
    pub fn check_precision(&self, precision: Precision) -> Result<()> {
        let refused = |why: &str, help: &str| {
            Err(Error::new(
                ErrorKind::Device,
                format!("precision `{precision}` on device `{}`: {why}", self.spec),
            )
            .field("precision")
            .help(help))
        };
        if precision == Precision::F32 {
            return Ok(());
        }
        if self.is_cpu() {
            return refused(
                "a processor converts bf16 to f32 and back, which only takes longer",
                "set precision = \"f32\", or train on a GPU with `--device`",
            );
        }
        let known = caught(|| self.burn.supports_dtype(FloatDType::BF16)).unwrap_or(false);
        if !known {
            return refused(
                "its kernels do not compute with this type",
                "set precision = \"f32\"; CUDA knows bf16",
            );
        }
        Ok(())
    }

    /// The same under another name: its models are trained through burn then.
    #[cfg(test)]
    pub(crate) fn disguised(self, spec: DeviceSpec) -> Self {
        Self { spec, ..self }
    }

    /// Gives back memory that the back-end keeps for reuse.
    pub(crate) fn release_unused(&self) {
        if !self.is_host() {
            caught(|| self.burn.memory_cleanup()).ok();
        }
    }
}

impl DeviceSpec {
    /// The feature that holds its back-end, and whether it is compiled in.
    pub(crate) fn feature(self) -> (&'static str, bool) {
        match self {
            Self::Auto | Self::Cpu => ("flex", cfg!(feature = "flex")),
            Self::Cuda(_) => ("cuda", cfg!(feature = "cuda")),
            Self::Vulkan(_) => ("vulkan", cfg!(feature = "vulkan")),
            Self::Wgpu(_) => ("wgpu", cfg!(feature = "wgpu")),
            Self::Tch | Self::TchCuda(_) => ("tch", cfg!(feature = "tch")),
        }
    }

    /// What it is called in messages.
    fn driver(self) -> (&'static str, &'static str) {
        match self {
            Self::Cuda(_) | Self::TchCuda(_) => (
                "no NVIDIA driver was found",
                "install NVIDIA's driver (libcuda.so.1)",
            ),
            Self::Vulkan(_) => (
                "no Vulkan driver was found",
                "install the GPU's Vulkan driver and its loader (libvulkan.so.1)",
            ),
            Self::Wgpu(_) => (
                "no Vulkan or OpenGL driver was found",
                "install the GPU's Vulkan driver and its loader (libvulkan.so.1)",
            ),
            Self::Tch => (
                "libtorch cannot be used",
                "check LIBTORCH and LD_LIBRARY_PATH",
            ),
            Self::Auto | Self::Cpu => ("it cannot be used", "report this"),
        }
    }
}

/// Why a device cannot be opened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    what: String,
    remedy: String,
}

/// Opens a device and computes on it: back-ends find out about most troubles
/// at the first use.
fn probe(spec: DeviceSpec) -> std::result::Result<BurnDevice, Missing> {
    let (what, remedy) = spec.driver();
    let missing = |what: String, remedy: &str| Missing {
        what,
        remedy: remedy.to_owned(),
    };
    if !hardware::driver_installed(spec) {
        return Err(missing(what.to_owned(), remedy));
    }
    match caught(|| connect(spec)) {
        Ok(Connected::Ready(device)) => {
            if spec == DeviceSpec::Cpu {
                return Ok(device);
            }
            match caught(|| answers(&device)) {
                Ok(true) => Ok(device),
                Ok(false) => Err(missing(
                    "it adds up numbers wrongly".to_owned(),
                    "update the driver",
                )),
                Err(failure) => Err(missing(failure.first_line().to_owned(), "check the driver")),
            }
        }
        Ok(Connected::Fewer(0)) => Err(missing(what.to_owned(), remedy)),
        Ok(Connected::Fewer(n)) => Err(missing(
            format!("there are {n} of its kind, numbered from 0"),
            "choose one of `regmix devices`",
        )),
        Err(failure) => Err(missing(failure.first_line().to_owned(), remedy)),
    }
}

/// Whether a device adds up some numbers.
fn answers(device: &BurnDevice) -> bool {
    let numbers = burn::tensor::Tensor::<1>::from_floats([1.0, 2.0, 4.0], device);
    numbers.sum().into_scalar::<f32>() == 7.0
}

enum Connected {
    Ready(BurnDevice),
    /// The back-end lists so many devices, and this is none of them.
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
        #[cfg(feature = "flex")]
        DeviceSpec::Auto | DeviceSpec::Cpu => Connected::Ready(BurnDevice::flex()),
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
