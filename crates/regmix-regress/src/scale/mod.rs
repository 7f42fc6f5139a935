//! Laws of the loss over mixture, size of the model and length of training.
//!
//! [`ScaleFit`] fits several published laws to runs of one or more sizes,
//! judges them in the direction of use (fit on smaller and shorter, judge on
//! larger and longer), and predicts with the mean of those with the lowest
//! errors, corrected near the data by a Gaussian process on their residuals.
//! `docs/scale.md` describes every law.

mod anchor;
mod blend;
mod checks;
mod choice;
mod cmr;
mod ends;
mod fit;
mod fitted;
mod form;
mod growth;
mod law;
mod marquardt;
mod mixtures;
mod nested;
mod optimum;
mod options;
mod parameter;
mod power;
mod problem;
mod process;
mod runs;
mod select;
mod split;
mod terms;
#[cfg(test)]
mod tests;
mod transfer;
mod two_sizes;
mod units;

pub use anchor::MovedTo;
pub use cmr::{Cmr, CmrRun, CriticalRatio};
pub use ends::LastPoints;
pub use fit::{SCALE_FILE, ScaleFit, Trust};
pub use fitted::{FittedLaw, Fitting};
pub use form::LawName;
pub use law::ScaleLaw;
pub use nested::{DML_NESTED, NestedLaw, NestedTarget};
pub use optimum::{ScaleEstimate, ScaleOptimum, ScaleQuestion, ScaleStep};
pub use options::ScaleOptions;
pub use power::PowerLaw;
pub use process::{Kernel, Part};
pub use runs::{ScalePoint, ScaleRun, ScaleRuns};
pub use select::{CHOSEN, Judged};
pub use split::Direction;
pub use transfer::{RankTransfer, rank_transfer, verdict};
pub use units::{Setting, Units};
