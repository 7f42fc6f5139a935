//! Import from the logs of trackers, and export to the formats of trainers.
//!
//! [`read_logs`] reads what trackers and evaluation harnesses write, and
//! [`Imported::of`] makes tables of runs of it: mixtures, last values, values along
//! training, sizes.
//!
//! [`export`] takes an [`ExportPlan`] (a mixture, or the mixtures of a schedule)
//! and a [`Mapping`] (where the data of every domain lies, and how much there is),
//! and gives the files that a [`Trainer`] reads, with the tokens and epochs of
//! every domain that follow from what is written.
//!
//! ```
//! use regmix_data::exchange::{ExportOptions, ExportPlan, Mapping, Trainer, export};
//! use regmix_data::{DomainSet, Mixture};
//!
//! let domains = DomainSet::from_names(["web", "code"])?;
//! let mixture = Mixture::new(domains.clone(), vec![0.7, 0.3])?;
//! let mapping = Mapping::from_pattern(&domains, "/data/{domain}_text_document")?;
//! let plan = ExportPlan::of_mixture(mixture);
//! let out = export(&plan, &mapping, Trainer::Megatron, &ExportOptions::default())?;
//! assert_eq!(
//!     out.files[0].text,
//!     "--data-path 0.7 /data/web_text_document 0.3 /data/code_text_document\n",
//! );
//! # Ok::<(), regmix_data::Error>(())
//! ```
//!
//! Weights of regmix are shares of tokens. What a weight means to a trainer is in
//! [`Trainer::units`]:
//!
//! | unit | its weight |
//! |---|---|
//! | tokens | the weight |
//! | sequences of one length, filled with tokens | the weight |
//! | documents | the weight divided by the mean tokens of a document, rescaled |
//! | bytes | the weight divided by the mean tokens of a byte, rescaled |

mod account;
mod export;
mod exported_file;
mod import;
mod mapping;
mod plan;
mod shares;
pub mod tfevents;
mod trainer;
mod unit;
mod write;

pub use account::DomainAccount;
pub use export::{ExportOptions, Exported, export};
pub use exported_file::ExportedFile;
pub use import::{
    Imported, ImportedPoint, Logs, OlmixFit, Pattern, RunNames, Selection, find_logs, read_logs,
    read_olmix,
};
pub use mapping::{Mapping, RunFacts, Source};
pub use plan::{ExportPlan, ExportSegment};
pub use trainer::Trainer;
pub use unit::SampleUnit;
