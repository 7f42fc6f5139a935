//! Records of runs: their losses along training, the mixtures that they
//! trained on, and the rows for a stage model that are made of both.

mod segments;
mod stage_grid;
mod stage_losses;
mod trajectories;
mod transitions;

pub use segments::{Segment, Segments};
pub use stage_grid::StageGrid;
pub use stage_losses::{Resample, StageLosses};
pub use trajectories::{Point, Trajectories};
pub use transitions::{FirstSegment, Transition, Transitions};
