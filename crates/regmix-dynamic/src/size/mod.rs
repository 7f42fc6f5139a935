//! From the losses of a target to those of a proxy, which is of another size.

mod calibration;
mod correction;

pub use calibration::{SizeCalibration, SizeLaw};
pub use correction::SizeCorrection;
