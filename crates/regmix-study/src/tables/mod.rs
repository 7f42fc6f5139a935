//! What works on tables of the user's own runs, without a study.

mod earlier;
mod fit;
mod limits;
mod next_runs;
mod optimize;
mod predict;
mod schedule;

pub use earlier::earlier_runs;
pub use fit::{fit_watched, learning_watched};
pub(crate) use limits::{bounded, limited};
pub use next_runs::next_runs;
pub(crate) use next_runs::{all_limits, number_runs};
pub(crate) use optimize::optimize_with;
pub use optimize::{optimize_file, pareto, recommend_watched};
pub use predict::predict_file;
pub use schedule::{Plan, SecondSize, plan};
pub(crate) use schedule::{measure_size_correction, plan_request};
