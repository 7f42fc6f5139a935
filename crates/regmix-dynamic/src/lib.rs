//! Loss trajectories and mixture schedules (RegMix-D).
//!
//! [`Trajectories`] is the table of what proxies measured while they trained:
//! run x step x domain. It is what RegMix-D (arXiv 2606.18663) learns from,
//! where RegMix uses only the last row of each run.
//!
//! ```
//! use regmix_data::DomainSet;
//! use regmix_dynamic::{Point, Trajectories};
//!
//! let domains = DomainSet::from_names(["web", "code"])?;
//! let point = |step, loss: [f64; 2]| Point { step, tokens: 10 * step, loss: loss.to_vec() };
//! let mut table = Trajectories::new(domains);
//! table.push("run-0000", vec![point(1, [5.0, 4.0]), point(2, [4.0, 3.5])])?;
//! let last = table.final_losses()?;
//! assert_eq!(last.rows(), [[4.0, 3.5]]);
//! assert!(table.to_csv().starts_with("run,step,tokens,web,code\nrun-0000,1,10,5,4\n"));
//! # Ok::<(), regmix_data::Error>(())
//! ```
//!
//! # What it does not do
//! It does not yet learn schedules from trajectories; it reads, checks, joins
//! and writes them.

mod config;
mod dynamics;
mod export;
mod first;
mod goal;
mod online;
mod plan;
mod planner;
mod ridge;
mod schedule;
mod segments;
pub mod simulator;
mod size;
mod smooth;
mod stage_model;
mod stages;
mod trajectories;
mod transitions;

pub use config::{Config, First, Lookahead, Outcome, Preset, SMOOTH, Search, Start, State};
pub use dynamics::{Dynamics, Moment, Slopes};
pub use export::{ExportOptions, Trainer};
pub use online::{Controller, ControllerState, Decision, protocol};
pub use planner::{Planner, Request};
pub use schedule::{Leg, Schedule, Spread, TargetRun, Weight};
pub use segments::{Segment, Segments};
pub use size::SizeCorrection;
pub use stage_model::StageModel;
pub use stages::{Resample, StageGrid, StageLosses};
pub use trajectories::{Point, Trajectories};
pub use transitions::{Beginning, Transition, Transitions};
