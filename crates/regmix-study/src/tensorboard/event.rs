//! The messages of TensorBoard's event files, as far as they are used here
//! (`tensorboard/compat/proto/event.proto` and `summary.proto`).

use prost::{Message, Oneof};
use regmix_data::Evaluation;

/// The version of the format; readers look at it to know how runs are resumed.
const VERSION: &str = "brain.Event:2";

/// `Event`: something that happened at a step.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub(super) what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    /// Optional, so that a zero is written as well.
    #[prost(float, optional, tag = "2")]
    pub(super) simple_value: Option<f32>,
}

/// `SessionLog`; its status 1 is `START`, at which a reader forgets what it read
/// from earlier files at this step and later.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionLog {
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

impl What {
    pub(super) fn version() -> Self {
        Self::FileVersion(VERSION.to_owned())
    }

    pub(super) fn start() -> Self {
        Self::SessionLog(SessionLog { status: 1 })
    }
}

impl Event {
    /// The values of an evaluation.
    pub(super) fn of(evaluation: &Evaluation<'_>, wall_time: f64) -> Self {
        let value = |tag: String, value: f64| Value {
            tag,
            // TensorBoard knows no longer numbers.
            simple_value: Some(value as f32),
        };
        let e = evaluation;
        let loss = e.loss.iter();
        let bits = e.bits_per_byte.iter();
        let all = (loss.map(|(domain, &x)| value(format!("loss/{domain}"), x)))
            .chain(bits.map(|(domain, &x)| value(format!("bits_per_byte/{domain}"), x)))
            .chain([
                value("train_loss".to_owned(), e.train_loss),
                value("gradient_norm".to_owned(), e.gradient_norm),
                value("lr".to_owned(), e.lr),
            ]);
        Self {
            wall_time,
            step: i64::try_from(e.step).unwrap_or(i64::MAX),
            what: Some(What::Summary(Summary {
                value: all.collect(),
            })),
        }
    }
}
