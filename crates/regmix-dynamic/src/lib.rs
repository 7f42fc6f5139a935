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

mod segments;
mod stages;
mod trajectories;

pub use segments::{Segment, Segments};
pub use stages::{Resample, StageGrid, StageLosses};
pub use trajectories::{Point, Trajectories};
