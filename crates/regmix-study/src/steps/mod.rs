//! The steps of a study, each from files to files.

mod arms;
mod arms_from_files;
pub(crate) mod clean;
pub(crate) mod compare;
pub(crate) mod current;
pub(crate) mod design;
pub(crate) mod doremi;
pub(crate) mod fit;
mod limits;
mod loss_inputs;
pub(crate) mod losses;
pub(crate) mod next_design;
pub(crate) mod optimize;
mod peer_run;
pub(crate) mod plain_mixtures;
pub(crate) mod proxies;
pub(crate) mod report;
pub(crate) mod retry;
mod runs;
pub(crate) mod scale;
pub(crate) mod schedule;
mod size_correction;
pub(crate) mod sizes;
pub(crate) mod status;
mod steered_run;
pub(crate) mod target;
pub(crate) mod tokenize;
