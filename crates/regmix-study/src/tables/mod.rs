//! What works on tables of the user's own runs, without a study.

mod earlier;
mod export;
mod fit;
mod import;
mod limits;
mod next_runs;
mod objective;
mod optimize;
mod peer;
mod pool;
mod predict;
mod prior;
mod report;
mod scale;
mod schedule;

pub(crate) use earlier::earlier_runs;
pub(crate) use export::mixture_of_json;
pub use export::{plan_of_schedule, read_mapping, read_plan};
pub use fit::{Beside, fit_tables, learning_curve, refuse_to_overwrite};
pub use import::{
    ImportedTables, import_logs, import_olmix, import_tables, is_imported, select_by,
};
pub(crate) use limits::{bounded, limited};
pub use next_runs::next_runs;
pub(crate) use next_runs::number_runs;
pub use optimize::{optimize, pareto};
pub use peer::peer;
pub use pool::{ChosenRun, choose_from_files, choose_runs};
pub use predict::{Extrapolations, predict_file};
pub use prior::prior_of;
pub use report::report;
pub(crate) use scale::read_scale_runs;
pub use scale::{CmrQuestion, Counting, ScaleTables, cmr, fit_scale, optimize_scale};
pub use schedule::{Plan, SecondSize, plan};
pub(crate) use schedule::{measure_size_correction, plan_request, warn_without_switches};
