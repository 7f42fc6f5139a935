//! Event files of TensorBoard: records with checksums, and the messages in them.

mod event;
mod record;

pub use event::{Event, SessionLog, Summary, Tensor, Value, What};
pub use record::{Records, framed, records};
