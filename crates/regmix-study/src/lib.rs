//! The study directory of regmix: from a corpus to a mixture, every step a readable file.

pub mod check;
pub mod config;
mod demo;
pub mod report;
mod source_files;
mod stamp;
mod steps;
mod study;

pub use demo::DemoCorpus;
pub use steps::{
    Plan, RunCounts, SecondSize, Status, earlier_runs, fit_watched, learning_watched, next_runs,
    optimize_file, optimize_with, pareto, plan, predict_file, recommend_watched,
};
pub use study::{Context, STUDY_FILE, Study, natural_mixture};
