//! The study directory of regmix: from a corpus to a mixture, every step a readable file.

pub mod check;
pub mod config;
mod demo;
pub mod files;
pub mod report;
mod source_files;
mod stamp;
mod steps;
mod study;
pub mod tables;

pub use demo::DemoCorpus;
pub use files::STUDY_FILE;
pub use steps::status::{RunCounts, Status};
pub use study::{Context, Study, natural_mixture};
