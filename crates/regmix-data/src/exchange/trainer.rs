//! The trainers, and what their formats demand.

use std::fmt;
use std::str::FromStr;

use super::unit::SampleUnit;
use crate::error::{Error, Result};

/// A trainer, or one of the forms that it reads mixtures in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trainer {
    /// Megatron-LM: arguments of its command.
    Megatron,
    /// Megatron-LM: the file of `--data-args-path`.
    MegatronArgs,
    /// Megatron-LM: the file of `--per-split-data-args-path`.
    MegatronJson,
    /// NeMo 2.0: the paths of `PreTrainingDataModule`.
    Nemo,
    /// Megatron-Bridge: `dataset.blend`.
    MegatronBridge,
    /// Megatron Energon: a metadata set of version 2.
    Energon,
    /// OLMo-core: a `SourceMixtureList`.
    OlmoCore,
    /// litgpt: a `CombinedStreamingDataset`.
    LitGpt,
    /// TinyLlama: `train_data_config`.
    TinyLlama,
    /// RegMix's own version of TinyLlama.
    RegmixYaml,
    /// Levanter, and Marin.
    Levanter,
    /// MosaicML Streaming, and llm-foundry.
    MosaicStreaming,
    /// `interleave_datasets` of Hugging Face's datasets.
    HfDatasets,
    /// nanotron.
    Nanotron,
    /// torchtitan.
    TorchTitan,
    /// GPT-NeoX.
    GptNeoX,
    /// DoReMi's domain weights.
    DoremiJson,
    /// The mix of an Olmix launch.
    Olmix,
    /// A table for any other program.
    Csv,
    /// The same as JSON.
    Json,
}

impl Trainer {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Megatron,
        Self::MegatronArgs,
        Self::MegatronJson,
        Self::Nemo,
        Self::MegatronBridge,
        Self::Energon,
        Self::OlmoCore,
        Self::LitGpt,
        Self::TinyLlama,
        Self::RegmixYaml,
        Self::Levanter,
        Self::MosaicStreaming,
        Self::HfDatasets,
        Self::Nanotron,
        Self::TorchTitan,
        Self::GptNeoX,
        Self::DoremiJson,
        Self::Olmix,
        Self::Csv,
        Self::Json,
    ];

    /// The name in commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Megatron => "megatron",
            Self::MegatronArgs => "megatron-args",
            Self::MegatronJson => "megatron-json",
            Self::Nemo => "nemo",
            Self::MegatronBridge => "megatron-bridge",
            Self::Energon => "energon",
            Self::OlmoCore => "olmo-core",
            Self::LitGpt => "litgpt",
            Self::TinyLlama => "tinyllama",
            Self::RegmixYaml => "regmix-yaml",
            Self::Levanter => "levanter",
            Self::MosaicStreaming => "mosaic-streaming",
            Self::HfDatasets => "hf-datasets",
            Self::Nanotron => "nanotron",
            Self::TorchTitan => "torchtitan",
            Self::GptNeoX => "gpt-neox",
            Self::DoremiJson => "doremi-json",
            Self::Olmix => "olmix",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// What its weights may count; the first is the default.
    pub fn units(self) -> &'static [SampleUnit] {
        use SampleUnit::{Documents, Sequences, Tokens};
        match self {
            Self::OlmoCore | Self::Olmix => &[Tokens],
            // These draw what is stored: documents, unless the data was packed into
            // sequences before.
            Self::Energon | Self::HfDatasets | Self::TorchTitan => &[Documents, Sequences],
            Self::MosaicStreaming => &[Sequences, Documents],
            Self::Csv | Self::Json => &SampleUnit::ALL,
            _ => &[Sequences],
        }
    }

    /// Whether it can change its mixture while it trains.
    pub fn knows_stages(self) -> bool {
        matches!(
            self,
            Self::Megatron
                | Self::OlmoCore
                | Self::Levanter
                | Self::Nanotron
                | Self::Csv
                | Self::Json
        )
    }

    /// Whether a domain of weight 0 is written.
    ///
    /// Megatron's index of samples can draw from a data set of weight 0 where
    /// counts are even, and Megatron asserts that weights are positive; OLMo-core
    /// wants ratios above 0, torchtitan weights; `interleave_datasets` never ends
    /// when it waits for a set that is not drawn. Levanter evaluates on sets of
    /// weight 0, and DoReMi numbers domains by their place in the file.
    pub(super) fn keeps_zeros(self) -> bool {
        matches!(
            self,
            Self::Levanter | Self::DoremiJson | Self::Csv | Self::Json
        )
    }

    /// Whether the file holds paths.
    pub fn needs_paths(self) -> bool {
        !matches!(
            self,
            Self::DoremiJson | Self::Olmix | Self::Csv | Self::Json | Self::TorchTitan
        )
    }

    /// Whether a domain may lie at several paths.
    pub(super) fn takes_several_paths(self) -> bool {
        !self.needs_paths() || matches!(self, Self::OlmoCore | Self::Levanter | Self::HfDatasets)
    }
}

impl fmt::Display for Trainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Trainer {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        // Names in earlier formats have `_`.
        let wanted = name.replace('_', "-");
        (Self::ALL.into_iter())
            .find(|t| t.name() == wanted)
            .ok_or_else(|| {
                let known: Vec<&str> = Self::ALL.map(Self::name).to_vec();
                Error::input(format!(
                    "unknown trainer `{name}`: expected one of {}",
                    known.join(", ")
                ))
            })
    }
}
