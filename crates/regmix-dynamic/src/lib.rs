//! Loss trajectories and mixture schedules: RegMix-D (arXiv 2606.18663) and
//! improvements on it.
//!
//! The five types to start from: [`Trajectories`] (losses of runs along
//! training), [`Transitions`] (rows for a stage model), [`Planner`] (fits and
//! plans), [`Schedule`] (its result) and [`Controller`] (changes mixtures while
//! a target trains).
//!
//! RegMix learns from the last losses of many proxies which single mixture is
//! best. Here the losses along training are used: a *stage model* f predicts
//! how a stage of training on a mixture changes the losses, `l_{j+1} = f(t_j,
//! m, l_j)`, and mixtures are chosen stage by stage. A *segment* is a stretch
//! of training on one mixture; a *stage* is the interval between two stage
//! points.
//!
//! - [`Trajectories`]: run x step x domain, from CSV or a study;
//!   [`StageLosses`] brings them to stage points ([`StageGrid`]).
//! - [`Segments`]: the mixtures of a run and when it trained on them; designs
//!   of proxies that change their mixture during the run ([`Segments::switching`]).
//! - [`StageModel`], [`StageAccuracy`]: f, and its accuracy on held-out runs.
//! - [`Planner`]: offline, a [`Schedule`] before the target starts, with
//!   predictions, standard deviations and epochs.
//! - [`Controller`]: online, from the losses that the target reports;
//!   [`protocol`] for trainers in other languages.
//! - [`PredictedObserved`]: predicted and observed losses of a target, side by side.
//! - [`SizeCorrection`], [`SizeCalibration`]: from a target's losses to the
//!   proxies' scale, by its first segment, by a second size of models, or by laws of
//!   scale ([`ScaleTranslation`]).
//! - [`peers`]: other methods that choose mixtures while a model trains: ODM, ADO, Aioli.
//! - [`DynamicConfig`]: every choice, with the paper's values ([`DynamicConfig::paper`]) and
//!   those of regmix ([`DynamicConfig::improved`], the default).
//! - [`simulator`]: simulated dynamics with known truth, to test all this on.
//!
//! Example: `controller` (in the loop of a trainer).
//!
//! ```
//! use regmix_data::table::MixtureTable;
//! use regmix_data::{DomainSet, Mixture};
//! use regmix_dynamic::{
//!     DynamicConfig, Planner, Point, Request, RunLength, Segments, StageLosses, Trajectories, Transitions,
//! };
//! use regmix_regress::Objective;
//!
//! // Sixteen proxies; code tokens are worth more late, web tokens early.
//! let mut design = String::from("run,web,code\n");
//! let mut table = Trajectories::new(DomainSet::from_names(["web", "code"])?);
//! for i in 0..16u32 {
//!     let web = (f64::from(i) + 0.5) / 16.0;
//!     design += &format!("r{i},{web},{}\n", 1.0 - web);
//!     let (mut tokens, mut points) = (1.0, Vec::new());
//!     for step in 1..=60u64 {
//!         let late = step as f64 / 60.0;
//!         tokens += web.sqrt() * (1.5 - late) + (1.0 - web).sqrt() * (0.5 + late);
//!         let loss = 1.0 + 5.0 / f64::sqrt(tokens);
//!         points.push(Point { step, tokens: 100 * step, loss: vec![loss, loss] });
//!     }
//!     table.push(format!("r{i}"), points)?;
//! }
//! let runs = Segments::fixed(&MixtureTable::parse(&design, "mixtures.csv".as_ref())?);
//!
//! let config = DynamicConfig { stages: 3, ..DynamicConfig::improved() };
//! let losses = StageLosses::new(&table, &config.grid()?, config.resample, None)?;
//! let planner = Planner::fit(&Transitions::new(&losses, &runs)?, Request {
//!     objective: Objective::Mean,
//!     prior: Mixture::uniform(runs.domains().clone()),
//!     constraints: None,
//!     budget: None,
//!     target: RunLength { steps: 4000, tokens: 4_000_000_000 },
//!     config,
//! })?;
//! let schedule = planner.schedule()?;
//! let code: Vec<f64> = schedule.segments.iter().map(|s| s.mixture.weights()[1]).collect();
//! assert!(code[0] < 0.3 && code[3] > 0.7 && !schedule.fell_back);
//! # Ok::<(), regmix_data::Error>(())
//! ```
//!
//! # What it does not do
//!
//! It trains nothing and watches no trainer: losses come in as tables, or as lines to the
//! controller. The stage model is not refitted while a target trains. Stage points are given; a
//! plan does not choose them. Predicted losses are those of a proxy, and a larger model is
//! assumed to rank schedules in the same order; losses of a target are predicted only where a
//! size correction was measured. The state consists of the losses alone: what a model has
//! learnt beyond them is not represented.

mod config;
mod dynamics;
mod online;
pub mod peers;
mod plan;
mod predicted_observed;
mod record;
mod schedule;
pub mod simulator;
mod size;
mod stage_model;

pub use config::{
    DynamicConfig, FirstLosses, FirstMixture, Lookahead, Outcome, Preset, SMOOTH, Search, State,
};
pub use dynamics::{Dynamics, Moment, Slopes};
#[cfg(feature = "http")]
pub use online::http;
pub use online::{Controller, ControllerState, Decision, StateLock, Steering, protocol};
pub use predicted_observed::{PredictedObserved, StagePoint};
pub use record::{
    FirstSegment, Point, Resample, Segment, Segments, StageGrid, StageLosses, Trajectories,
    Transition, Transitions,
};
pub use schedule::{PlannedSegment, Planner, Request, RunLength, Schedule, Weight};
pub use size::{ScaleTranslation, SizeAndLength, SizeCalibration, SizeCorrection, SizeLaw};
pub use stage_model::{OverTargets, StageAccuracy, StageModel, StageSummary};
