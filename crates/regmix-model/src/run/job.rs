//! A run together with its folder.

use std::path::PathBuf;
use std::sync::Arc;

use super::spec::RunSpec;
use super::steer::Steer;
use super::trained_model::TrainedModel;
use super::weigh::Weigh;

/// A run and its folder.
#[derive(Debug, Clone)]
pub struct Job {
    /// The run.
    pub spec: RunSpec,
    /// The run's folder.
    pub folder: PathBuf,
    /// What chooses its mixtures while it trains, if anything does.
    pub steer: Option<Arc<dyn Steer>>,
    /// What weighs its sequences, if anything does.
    pub weigh: Option<Arc<dyn Weigh>>,
    /// The model that it starts from; random weights if absent.
    pub start: Option<Arc<TrainedModel>>,
}

impl Job {
    /// A run without anything that changes or weighs what it sees.
    pub fn new(spec: RunSpec, folder: PathBuf, start: Option<Arc<TrainedModel>>) -> Self {
        Self {
            spec,
            folder,
            steer: None,
            weigh: None,
            start,
        }
    }
}
