//! Which device a model runs on.
//!
//! Only this module and [`crate::graph`] use burn, so that an upgrade of burn
//! is a small change.

pub(crate) mod failure;
mod hardware;
mod probe;
mod spec;
mod survey;

use std::sync::Arc;

use burn::tensor::{Device as BurnDevice, FloatDType};
use regmix_data::{Error, ErrorKind, Result};

use crate::config::ModelConfig;
use crate::precision::Precision;
use crate::stack::Stacks;
pub(crate) use failure::catch_panics;
use hardware::Hardware;
use probe::probe;
pub use spec::DeviceSpec;
pub use survey::DeviceStatus;

/// A device that is compiled in and present.
#[derive(Debug, Clone)]
pub struct Device {
    spec: DeviceSpec,
    /// burn's device; none on a CPU, where models are trained without burn.
    burn: Option<BurnDevice>,
    /// Bytes of a card's memory that were free when it was opened, where the system
    /// tells.
    free_memory: Option<u64>,
    /// Models on it that are computed together.
    stacks: Arc<Stacks>,
    /// The cards, where the device stands for several.
    others: Vec<Device>,
    /// How its engines fail on purpose.
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
        if spec == DeviceSpec::CudaAll {
            let mut cards = (0..probe::cards().max(1)).map(|i| Self::open(DeviceSpec::Cuda(i)));
            let first = cards.next().expect("at least one is tried")?;
            let others = cards.collect::<Result<Vec<Self>>>()?;
            return Ok(first.with_others(spec, others));
        }
        match probe(spec) {
            Ok(burn) => Ok(Self {
                spec,
                free_memory: Hardware::free_memory(spec, burn.as_ref()),
                burn,
                stacks: Arc::default(),
                others: Vec::new(),
                #[cfg(test)]
                fault: None,
            }),
            Err(missing) => Err(Error::new(
                ErrorKind::Device,
                format!(
                    "device `{spec}` {} on this machine: {}",
                    match missing.found {
                        true => "does not compute",
                        false => "is not present",
                    },
                    missing.problem
                ),
            )
            .help(format!("{}, or use `--device cpu`", missing.remedy))),
        }
    }

    /// A device that stands for this one and others.
    pub(crate) fn with_others(self, spec: DeviceSpec, others: Vec<Self>) -> Self {
        let mut first = self.clone();
        first.others.push(self);
        first.others.extend(others);
        first.spec = spec;
        first
    }

    /// How many cards it stands for.
    pub fn cards(&self) -> usize {
        self.others.len().max(1)
    }

    /// The card for one of several models at once.
    pub(crate) fn card(&self, model: usize) -> &Self {
        match self.others.len() {
            0 => self,
            cards => &self.others[model % cards],
        }
    }

    /// The device that `auto` stands for.
    fn best() -> DeviceSpec {
        (Self::survey().into_iter())
            .find(|s| s.present && !s.software)
            .map_or(DeviceSpec::Cpu, |s| s.spec)
    }

    /// Its name, with `auto` resolved.
    pub fn spec(&self) -> DeviceSpec {
        self.spec
    }

    /// Whether models share the processor with this program.
    pub fn is_cpu(&self) -> bool {
        matches!(self.spec, DeviceSpec::Cpu | DeviceSpec::Tch)
    }

    /// Whether models are trained by code of this crate, without burn.
    pub(crate) fn is_host(&self) -> bool {
        self.burn.is_none()
    }

    /// Bytes of a card's memory that were free when it was opened, where the system
    /// tells; nothing for a processor.
    pub(crate) fn free_memory(&self) -> Option<u64> {
        self.free_memory
    }

    pub(crate) fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    pub(crate) fn burn(&self) -> Option<&BurnDevice> {
        self.burn.as_ref()
    }

    /// Whether models can be trained in a precision here.
    ///
    /// # Errors
    /// On a device whose kernels do not know the type, and with libtorch on a CPU.
    pub fn check_precision(&self, precision: Precision) -> Result<()> {
        let refused = |why: &str, help: &str| {
            Err(Error::new(
                ErrorKind::Device,
                format!("precision `{precision}` on device `{}`: {why}", self.spec),
            )
            .field("precision")
            .help(help))
        };
        if precision == Precision::F32 || self.is_host() {
            return Ok(());
        }
        if self.is_cpu() {
            return refused(
                "models in bf16 are trained on processors without libtorch",
                "use `--device cpu`, or set precision = \"f32\"",
            );
        }
        let supports = |burn: &BurnDevice| burn.supports_dtype(FloatDType::BF16);
        let known = catch_panics(|| self.burn().is_some_and(supports)).unwrap_or(false);
        if !known {
            return refused(
                "its kernels do not compute with this type",
                "set precision = \"f32\"; CUDA knows bf16",
            );
        }
        Ok(())
    }

    /// What there is to know about training a model in a precision on this device, as a
    /// line for people: what a CPU multiplies numbers of bf16 with, or what the lack of
    /// instructions for it costs, and that an NVIDIA card is faster in bf16.
    pub fn note_on(&self, precision: Precision, model: &ModelConfig) -> Option<&'static str> {
        /// Smaller models do not fill a card in either precision.
        const LEAST_WIDTH: usize = 256;
        match precision {
            Precision::Bf16 if self.is_host() => Some(crate::host::product::bf16_by().unwrap_or(
                "this processor has no instructions for bf16: operands are rounded, and a \
                     step takes at least as long as with precision = \"f32\"",
            )),
            Precision::F32
                if matches!(self.spec, DeviceSpec::Cuda(_) | DeviceSpec::CudaAll)
                    && model.d_model >= LEAST_WIDTH =>
            {
                Some(
                    "with precision = \"bf16\" an NVIDIA card trains a model of this width \
                     several times as fast",
                )
            }
            _ => None,
        }
    }

    /// burn's back-end for CPUs, which only the tests use, under the name of
    /// another device.
    #[cfg(test)]
    pub(crate) fn disguised(self, spec: DeviceSpec) -> Self {
        let burn = Some(BurnDevice::flex());
        Self { spec, burn, ..self }
    }

    /// Frees memory that the back-end keeps for reuse by the calling thread.
    pub fn release_unused(&self) {
        if let Some(burn) = self.burn() {
            catch_panics(|| burn.memory_cleanup()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_pointed_to_the_faster_precision() {
        let model = |name| ModelConfig::preset(name, 300).unwrap();
        let cpu = Device::open(DeviceSpec::Cpu).unwrap();
        assert_eq!(cpu.note_on(Precision::F32, &model("1m")), None);
        let note = cpu.note_on(Precision::Bf16, &model("nano")).unwrap();
        assert!(note.contains("bf16"), "{note}");
        let card = cpu.disguised(DeviceSpec::Cuda(0));
        let note = card.note_on(Precision::F32, &model("1m")).unwrap();
        assert!(note.contains("precision = \"bf16\""), "{note}");
        assert_eq!(card.note_on(Precision::F32, &model("nano")), None);
        assert_eq!(card.note_on(Precision::Bf16, &model("1m")), None);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_is_not_compiled_in_is_an_error_with_the_feature_named() {
        let err = Device::open(DeviceSpec::Cuda(0)).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Device);
        assert!(err.help_text().unwrap().contains("--features cuda"));
    }
}
