//! Results in words and tables: every function gives the text for people.

mod account;
mod check;
mod curve;
mod demo_corpus;
mod design;
mod devices;
mod fitted;
mod front;
mod launch;
mod leftovers;
mod mixture;
mod number;
mod objective;
mod proposed;
mod runs;
mod scale;
mod schedule;
mod status;
mod tokenized;
mod watch;

pub(crate) use account::{left_out, read_files};
pub(crate) use check::check;
pub(crate) use demo_corpus::demo_corpus;
pub(crate) use design::design;
pub(crate) use devices::{DeviceRow, devices};
pub(crate) use fitted::{fitted, league};
pub(crate) use front::front;
pub(crate) use launch::{cancelled, launch_status, launched, trained};
pub(crate) use leftovers::leftovers;
pub(crate) use mixture::mixture;
pub(crate) use proposed::{chosen, proposed};
pub(crate) use scale::{cmr, scale, scale_fit, scale_optimum};
pub(crate) use schedule::schedule;
pub(crate) use status::status;
pub(crate) use tokenized::tokenized;
pub(crate) use watch::{View, watch};
