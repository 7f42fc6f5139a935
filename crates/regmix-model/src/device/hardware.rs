//! Names and memory of processors and cards, and whether a driver is there.

use std::process::Command;

use burn::tensor::Device as BurnDevice;

use super::spec::DeviceSpec;

/// What is known of the hardware behind a device.
#[derive(Debug, Default)]
pub(super) struct Hardware {
    pub(super) name: Option<String>,
    pub(super) memory: Option<u64>,
    pub(super) software: bool,
}

impl Hardware {
    /// Bytes of memory that a card has free, or a software renderer. `device` is
    /// burn's, where the device is one of burn's.
    pub(super) fn free_memory(spec: DeviceSpec, device: Option<&BurnDevice>) -> Option<u64> {
        let device = device.filter(|_| spec != DeviceSpec::Tch)?;
        match bus_of(device)? {
            Some(bus) => card_memory(&bus, Memory::Free),
            None => crate::memory::available_memory(),
        }
    }

    /// `device` is burn's, where the device is one of burn's.
    pub(super) fn of(spec: DeviceSpec, device: Option<&BurnDevice>) -> Self {
        match device {
            Some(device) if spec != DeviceSpec::Tch => card(device),
            _ => Self {
                name: processor(),
                memory: crate::memory::total_memory(),
                software: false,
            },
        }
    }
}

/// What the back-end knows of the card.
#[cfg(any(feature = "cuda", feature = "vulkan", feature = "wgpu"))]
fn card(device: &BurnDevice) -> Hardware {
    let Some(identity) = device.identity() else {
        return Hardware::default();
    };
    // A software renderer sits on no bus.
    let Some(physical) = identity.physical else {
        return Hardware {
            name: Some(identity.name),
            memory: crate::memory::total_memory(),
            software: true,
        };
    };
    let bus = physical.pci_address.map(|a| a.to_string());
    Hardware {
        name: Some(identity.name),
        memory: bus.and_then(|bus| card_memory(&bus, Memory::Total)),
        software: false,
    }
}

#[cfg(not(any(feature = "cuda", feature = "vulkan", feature = "wgpu")))]
fn card(_: &BurnDevice) -> Hardware {
    Hardware::default()
}

/// The address of a card on its bus; a software renderer has none. Nothing where the
/// back-end does not tell.
#[cfg(any(feature = "cuda", feature = "vulkan", feature = "wgpu"))]
fn bus_of(device: &BurnDevice) -> Option<Option<String>> {
    let physical = device.identity()?.physical;
    match physical {
        None => Some(None),
        Some(card) => Some(Some(card.pci_address?.to_string())),
    }
}

#[cfg(not(any(feature = "cuda", feature = "vulkan", feature = "wgpu")))]
fn bus_of(_: &BurnDevice) -> Option<Option<String>> {
    None
}

/// Which of a card's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(any(feature = "cuda", feature = "vulkan", feature = "wgpu")),
    allow(dead_code)
)]
enum Memory {
    Total,
    Free,
}

/// Bytes of a card's memory, by its address on the bus: AMD's driver has files
/// for it, NVIDIA's a command.
#[cfg_attr(
    not(any(feature = "cuda", feature = "vulkan", feature = "wgpu")),
    allow(dead_code)
)]
fn card_memory(bus: &str, which: Memory) -> Option<u64> {
    let file = |name: &str| -> Option<u64> {
        let path = format!("/sys/bus/pci/devices/{bus}/mem_info_vram_{name}");
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    if let Some(total) = file("total") {
        return match which {
            Memory::Total => Some(total),
            Memory::Free => file("used").map(|used| total.saturating_sub(used)),
        };
    }
    let field = match which {
        Memory::Total => "memory.total",
        Memory::Free => "memory.free",
    };
    let output = Command::new("nvidia-smi")
        .arg(format!("--query-gpu=pci.bus_id,{field}"))
        .arg("--format=csv,noheader,nounits")
        .output()
        .ok()?;
    megabytes_of(&String::from_utf8_lossy(&output.stdout), bus).map(|mb| mb << 20)
}

/// The memory of a card in lines of `bus, MiB`. The domain of an address may
/// have four digits or eight.
fn megabytes_of(lines: &str, bus: &str) -> Option<u64> {
    let short = |address: &str| {
        address
            .trim()
            .to_lowercase()
            .trim_start_matches('0')
            .to_owned()
    };
    lines.lines().find_map(|line| {
        let (address, memory) = line.split_once(',')?;
        (short(address) == short(bus)).then(|| memory.trim().parse().ok())?
    })
}

fn processor() -> Option<String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with("model name"));
    let name = line.and_then(|l| Some(l.split_once(':')?.1.trim()));
    Some(format!(
        "{}, {threads} threads",
        name.unwrap_or(std::env::consts::ARCH)
    ))
}

/// Whether the library of a driver can be loaded; true where only the back-end
/// can find out.
#[cfg(target_os = "linux")]
pub(super) fn driver_installed(spec: DeviceSpec) -> bool {
    match spec {
        DeviceSpec::Cuda(_) | DeviceSpec::CudaAll | DeviceSpec::TchCuda(_) => {
            loads(c"libcuda.so.1")
        }
        DeviceSpec::Vulkan(_) => loads(c"libvulkan.so.1"),
        _ => true,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn driver_installed(_: DeviceSpec) -> bool {
    true
}

/// Why NVIDIA's driver, which is installed, lists no card, and what to do.
pub(super) fn no_cards() -> (String, &'static str) {
    match cuda_starts() {
        Some(0 | NO_DEVICE) | None => (
            "NVIDIA's driver finds no card".to_owned(),
            "check `nvidia-smi`, and CUDA_VISIBLE_DEVICES",
        ),
        Some(DRIVER_MISMATCH) => (
            "NVIDIA's driver does not start: its library and its kernel module are of different \
             versions"
                .to_owned(),
            "restart the machine, or install NVIDIA's driver again",
        ),
        Some(code) => (
            format!("NVIDIA's driver does not start: error {code} of CUDA"),
            "check `nvidia-smi`, and update NVIDIA's driver",
        ),
    }
}

// Values of CUresult.
const NO_DEVICE: i32 = 100;
const DRIVER_MISMATCH: i32 = 803;

/// The result of `cuInit`, where the driver has it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn cuda_starts() -> Option<i32> {
    let library = library(c"libcuda.so.1");
    // SAFETY: the names end with a zero, and the library is never unloaded. `cuInit` has
    // this type in every version of CUDA, and may be called any number of times.
    #[allow(unsafe_code)]
    unsafe {
        if library.is_null() {
            return None;
        }
        let symbol = libc::dlsym(library, c"cuInit".as_ptr());
        if symbol.is_null() {
            return None;
        }
        let start = std::mem::transmute::<*mut libc::c_void, extern "C" fn(u32) -> i32>(symbol);
        Some(start(0))
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn cuda_starts() -> Option<i32> {
    None
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn loads(name: &std::ffi::CStr) -> bool {
    !library(name).is_null()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn library(name: &std::ffi::CStr) -> *mut libc::c_void {
    // SAFETY: the name ends with a zero. Loading runs the library's
    // constructors: it is a driver that the back-end is about to load anyway,
    // and it is never unloaded.
    #[allow(unsafe_code)]
    unsafe {
        libc::dlopen(name.as_ptr(), libc::RTLD_LAZY)
    }
}

#[cfg(all(target_os = "linux", not(target_env = "gnu")))]
fn loads(_: &std::ffi::CStr) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_found_by_their_address() {
        let lines = "00000000:17:00.0, 24564\n00000000:CA:00.0, 81559\n";
        assert_eq!(megabytes_of(lines, "0000:ca:00.0"), Some(81_559));
        assert_eq!(megabytes_of(lines, "0000:17:00.0"), Some(24_564));
        assert_eq!(megabytes_of(lines, "0000:18:00.0"), None);
        assert_eq!(megabytes_of("no devices were found", "0000:18:00.0"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_processor_has_a_name() {
        assert!(processor().unwrap().contains("threads"));
    }
}
