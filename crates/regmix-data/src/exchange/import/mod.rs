//! Tables of runs from the logs of trackers and evaluation harnesses.
//!
//! [`read_logs`] reads files as they were exported: CSV of Weights & Biases
//! (histories, panels, summaries) and of data frames, event files of TensorBoard,
//! JSON lines, lists and summaries, histories of Hugging Face's Trainer, and results of
//! lm-eval, all of them also compressed by gzip. A [`Selection`] says which
//! metrics are targets and which numbers are weights. [`Imported::of`] puts the
//! runs together: mixtures, last values, values along training, sizes.
//!
//! ```
//! use regmix_data::exchange::{Imported, RunNames, Selection, read_logs};
//! use regmix_data::Silent;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("run-a.csv");
//! std::fs::write(&path, "_step,eval/web/loss,lr\n10,4.5,0.1\n20,3.5,0.1\n")?;
//! let selection = Selection { targets: vec!["eval/*/loss".parse()?], ..Selection::default() };
//! let logs = read_logs(&[path], &RunNames::default(), &selection, &Silent)?;
//! let imported = Imported::of(logs, &selection)?;
//! assert_eq!(imported.losses.to_csv(), "run,web\nrun-a,3.5\n");
//! assert_eq!(imported.skipped, ["lr"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assemble;
mod contents;
mod files;
mod json;
mod kind;
mod labels;
mod lm_eval;
mod log;
mod names;
mod olmix;
mod pattern;
mod run;
mod selection;
mod table_log;
mod tensorboard;

pub use assemble::Imported;
pub use files::{find_logs, read_logs};
pub use log::Logs;
pub use names::RunNames;
pub use olmix::{OlmixFit, read_olmix};
pub use pattern::Pattern;
pub use run::ImportedPoint;
pub use selection::Selection;
