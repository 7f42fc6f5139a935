//! Conversion of the losses of a target to those of a proxy, which has another
//! size.

mod by_scale;
mod calibration;
mod correction;

pub use by_scale::{ScaleTranslation, SizeAndLength};
pub use calibration::{SizeCalibration, SizeLaw};
pub use correction::SizeCorrection;
