//! The steps of a study, each from files to files.

mod design;
mod fit;
mod next;
mod online;
mod optimize;
mod others;
mod plan;
mod predict;
mod proxies;
mod report;
mod schedule;
mod second_size;
mod status;
mod target;
mod tokenize;

pub use fit::{earlier_runs, fit_watched, learning_watched};
pub use next::next_runs;
pub use optimize::{optimize_file, optimize_with, pareto, recommend_watched};
pub use plan::{Plan, SecondSize, plan};
pub use predict::predict_file;
pub use status::{RunCounts, Status};
