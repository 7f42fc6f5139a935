//! How a device is named.

use std::fmt;
use std::str::FromStr;

use regmix_data::{Error, Result};

/// A device as the user names it: `auto`, `cpu`, `cuda:0`, `cuda:all`, `vulkan:0`,
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
    /// The first GPU that is compiled in and present, else the CPU. Software
    /// renderers do not count.
    #[default]
    Auto,
    /// The CPU, through the engine of this crate.
    Cpu,
    /// An NVIDIA GPU through CUDA.
    Cuda(usize),
    /// All NVIDIA GPUs of the machine; every model is on one of them.
    CudaAll,
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
        if text == "cuda:all" {
            return Ok(Self::CudaAll);
        }
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
                "unknown device `{text}`: expected auto, cpu, cuda[:n], cuda:all, vulkan[:n], wgpu[:n] or \
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
            Self::CudaAll => f.write_str("cuda:all"),
            Self::Cuda(i) => write!(f, "cuda:{i}"),
            Self::Vulkan(i) => write!(f, "vulkan:{i}"),
            Self::Wgpu(i) => write!(f, "wgpu:{i}"),
            Self::Tch => f.write_str("tch"),
            Self::TchCuda(i) => write!(f, "tch:{i}"),
        }
    }
}

impl DeviceSpec {
    /// The feature that holds its back-end, and whether it is compiled in.
    pub(crate) fn feature(self) -> (&'static str, bool) {
        match self {
            Self::Auto | Self::Cpu => ("default", true),
            Self::Cuda(_) | Self::CudaAll => ("cuda", cfg!(feature = "cuda")),
            Self::Vulkan(_) => ("vulkan", cfg!(feature = "vulkan")),
            Self::Wgpu(_) => ("wgpu", cfg!(feature = "wgpu")),
            Self::Tch | Self::TchCuda(_) => ("tch", cfg!(feature = "tch")),
        }
    }

    /// The problem where its driver is missing, and the remedy.
    pub(super) fn driver(self) -> (&'static str, &'static str) {
        match self {
            Self::Cuda(_) | Self::CudaAll | Self::TchCuda(_) => (
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in [
            "auto", "cpu", "cuda:0", "cuda:all", "vulkan:3", "wgpu:1", "tch", "tch:2",
        ] {
            assert_eq!(name.parse::<DeviceSpec>().unwrap().to_string(), name);
        }
        for name in ["gpu", "cpu:1", "cuda:", "cuda:-1", ""] {
            let err = name.parse::<DeviceSpec>().unwrap_err();
            assert!(err.problem().contains("unknown device"), "{name}: {err}");
        }
    }
}
