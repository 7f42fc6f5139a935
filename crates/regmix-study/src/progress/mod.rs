//! The progress of the runs of a study, as `status` shows it.

mod index;
mod owner;
mod pace;
mod record;
mod row;

pub use owner::RunOwner;
pub use pace::Pace;
pub use row::{RunRow, RunState};

pub(crate) use index::{Index, Inputs};
