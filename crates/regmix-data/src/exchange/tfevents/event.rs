//! The messages of TensorBoard's event files, as far as they are used here
//! (`tensorboard/compat/proto/event.proto`, `summary.proto` and `tensor.proto`).

use prost::{Message, Oneof};

use crate::error::{Error, Result};
use crate::run_event::Evaluation;

/// The version of the format; readers look at it to know how runs are resumed.
const VERSION: &str = "brain.Event:2";

/// `Event`: something that happened at a step.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// The step.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// What happened.
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub what: Option<What>,
}

/// What happened.
#[derive(Clone, PartialEq, Oneof)]
pub enum What {
    /// The version of the format, in the first event.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Numbers.
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// The run started.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// `Summary`: numbers with their names.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// The numbers.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// `Summary.Value`: a number, as TensorBoard 1 and PyTorch write it or as later
/// versions do.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Its name.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// Optional, so that a zero is written as well.
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
    /// The same in a tensor.
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<Tensor>,
}

/// `TensorProto`: one number, in its bytes or as a list.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// 1: f32, 2: f64.
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    /// Its bytes, little endian.
    #[prost(bytes = "vec", tag = "4")]
    pub tensor_content: Vec<u8>,
    /// The number.
    #[prost(float, repeated, tag = "5")]
    pub float_val: Vec<f32>,
    /// The number.
    #[prost(double, repeated, tag = "6")]
    pub double_val: Vec<f64>,
}

/// `SessionLog`; its status 1 is `START`, at which a reader forgets what it read
/// from earlier files at this step and later.
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    /// What started or ended.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

impl What {
    /// The first event of a file.
    pub fn version() -> Self {
        Self::FileVersion(VERSION.to_owned())
    }

    /// A run started, or started again.
    pub fn start() -> Self {
        Self::SessionLog(SessionLog { status: 1 })
    }
}

impl Event {
    /// The values of an evaluation.
    pub fn of(evaluation: &Evaluation<'_>, wall_time: f64) -> Self {
        let value = |tag: String, value: f64| Value {
            tag,
            // TensorBoard knows no longer numbers.
            simple_value: Some(value as f32),
            tensor: None,
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

    /// Reads a message.
    ///
    /// # Errors
    /// When it is no event.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes).map_err(|e| Error::input(e.to_string()))
    }
}

impl Value {
    /// The number, where there is exactly one.
    pub fn number(&self) -> Option<f64> {
        if let Some(x) = self.simple_value {
            return Some(shortest(x));
        }
        let tensor = self.tensor.as_ref()?;
        match (tensor.dtype, &tensor.tensor_content[..]) {
            (1, []) => match tensor.float_val[..] {
                [x] => Some(shortest(x)),
                _ => None,
            },
            (2, []) => match tensor.double_val[..] {
                [x] => Some(x),
                _ => None,
            },
            (1, bytes) => Some(shortest(f32::from_le_bytes(bytes.try_into().ok()?))),
            (2, bytes) => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
            _ => None,
        }
    }
}

/// The shortest decimal that is this f32: 3.1 and not 3.0999999046.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}
