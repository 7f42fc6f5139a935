//! One function per format.

mod levanter;
mod megatron;
mod mosaic;
mod nanotron;
mod olmo;
mod plain;
mod python;
mod text;
mod tinyllama;

use super::account::DomainAccount;
use super::exported_file::ExportedFile;
use super::mapping::{RunFacts, Source};
use super::shares::{SegmentShares, decimal};
use super::trainer::Trainer;
use super::unit::SampleUnit;
use crate::error::{Error, Result};

/// A domain that is written.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Its name for the trainer.
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) account: &'a DomainAccount,
    /// Its part of every segment.
    pub(super) parts: Vec<u64>,
}

impl Entry<'_> {
    /// Its only path: the mapping was checked for it.
    fn path(&self) -> &str {
        self.source.places().next().unwrap_or_default()
    }

    fn weight(&self, span: usize) -> String {
        decimal(self.parts[span])
    }

    /// An error about a key of the domain.
    fn error(&self, key: &str, problem: String) -> Error {
        Error::input(problem).field(format!("domains.{}.{key}", self.account.domain))
    }
}

/// What is written.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) trainer: Trainer,
    pub(super) unit: SampleUnit,
    /// How many of the unit the run draws.
    pub(super) samples: Option<f64>,
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) spans: &'a [SegmentShares],
    pub(super) run: &'a RunFacts,
}

impl<'a> Job<'a> {
    /// The domains that a segment has.
    fn drawn(&self, span: usize) -> impl Iterator<Item = &Entry<'a>> {
        let zeros = self.trainer.keeps_zeros();
        (self.entries.iter()).filter(move |e| zeros || e.parts[span] > 0)
    }

    fn seed(&self) -> u64 {
        self.run.seed.unwrap_or(42)
    }

    /// The validation or test texts of all domains that have one.
    fn held_out(&self, of: impl Fn(&Source) -> &Option<String>) -> Vec<&str> {
        (self.entries.iter())
            .filter_map(|e| of(&e.source).as_deref())
            .collect()
    }

    /// What a person should know besides tokens and epochs.
    pub(super) fn notes(&self, changes: bool) -> Vec<String> {
        let mut notes = Vec::new();
        match self.trainer {
            Trainer::Megatron if changes => notes.push(
                "training stops at every transition: start it again with the blend of the next phase"
                    .to_owned(),
            ),
            Trainer::OlmoCore if changes => notes.push(
                "OLMo-core is started once per stage, and limits repetition within each stage only"
                    .to_owned(),
            ),
            Trainer::MosaicStreaming if self.samples.is_none() => notes.push(
                "no `epoch_size`: without the tokens of the run and of a sequence, an epoch is as \
                 long as all streams together"
                    .to_owned(),
            ),
            _ => {}
        }
        notes
    }
}

/// Writes the files. With `force`, limits of the format follow what is drawn.
pub(super) fn write(job: &Job<'_>, force: bool) -> Result<Vec<ExportedFile>> {
    match job.trainer {
        Trainer::Megatron => megatron::arguments(job),
        Trainer::MegatronArgs => megatron::arguments_file(job),
        Trainer::MegatronJson => megatron::per_split(job),
        Trainer::Nemo => megatron::nemo(job),
        Trainer::MegatronBridge => megatron::bridge(job),
        Trainer::GptNeoX => megatron::gpt_neox(job),
        Trainer::Energon => Ok(mosaic::energon(job)),
        Trainer::MosaicStreaming => mosaic::streams(job),
        Trainer::OlmoCore => olmo::sources(job, force),
        Trainer::Olmix => olmo::mix(job, force),
        Trainer::LitGpt => python::lit_gpt(job),
        Trainer::HfDatasets => python::hf_datasets(job),
        Trainer::TorchTitan => python::torch_titan(job),
        Trainer::TinyLlama => tinyllama::data_config(job),
        Trainer::RegmixYaml => tinyllama::regmix(job),
        Trainer::Levanter => levanter::levanter(job),
        Trainer::Nanotron => nanotron::nanotron(job),
        Trainer::DoremiJson => Ok(plain::doremi(job)),
        Trainer::Csv => Ok(plain::csv(job)),
        Trainer::Json => plain::json(job),
    }
}

fn file(name: impl Into<String>, text: String) -> ExportedFile {
    ExportedFile {
        name: name.into(),
        text,
    }
}

fn one_file(name: &str, text: String) -> Vec<ExportedFile> {
    vec![file(name, text)]
}
