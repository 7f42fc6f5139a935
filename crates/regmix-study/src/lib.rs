//! The study folder of regmix: from a corpus to a mixture, every step a readable
//! file.
//!
//! - [`Study`]: a folder with a `study.toml`; every step is a method of it.
//! - [`config::StudyConfig`]: what `study.toml` holds.
//! - [`Context`]: progress, stopping and redoing, which every step takes.
//! - [`Status`]: what is finished, what is stale, and what comes next.
//! - [`check::TargetCheck`]: targets trained on the found mixture and on others.
//! - [`models`]: export and import of trained models.
//! - [`eval`]: accuracies of trained models.
//! - [`launch`]: workers on Slurm, Kubernetes, HyperQueue, or this machine.
//!
//! [`tables`] fits, predicts, searches, plans and reports from tables of the user's own
//! runs, without a study; [`files`] names every file of a study.
//!
//! Example: `whole_study` (every step, from text to the report).

pub mod campaign;
pub mod check;
pub mod compare;
pub mod config;
mod demo;
pub mod eval;
pub mod files;
pub mod launch;
pub mod models;
mod plain_mixture;
mod progress;
mod report;
mod source_files;
mod stamp;
mod steps;
mod study;
pub mod tables;
mod tensorboard;
mod workers;

pub use demo::DemoCorpus;
pub use files::STUDY_FILE;
pub use plain_mixture::PlainMixture;
pub use progress::{Pace, RunOwner, RunRow, RunState};
pub use steps::clean::{Leftover, LeftoverKind};
pub use steps::doremi::{DoremiOutcome, DoremiRound};
pub use steps::estimate::{Estimate, KindEstimate};
pub use steps::plain_mixtures::{NamedMixture, PlainMixtures};
pub use steps::proxies::Trained;
pub use steps::retry::Retried;
pub use steps::status::{ExpertStatus, RunCounts, SizeStatus, Status};
pub use study::{Context, Study};
pub use workers::{Part, TrainOptions};
