//! How far the runs of a study are: what `status` shows of them.

mod index;
mod owner;
mod pace;
mod record;
mod row;

pub use owner::RunOwner;
pub use pace::Pace;
pub use row::{RunRow, RunState};

pub(crate) use index::{Index, Inputs};
