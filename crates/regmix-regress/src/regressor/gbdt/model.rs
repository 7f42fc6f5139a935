//! A fitted sum of trees with its standard deviation.

use serde::{Deserialize, Serialize};

use crate::prediction::Prediction;
use crate::regressor::gbdt::error_size::ErrorSize;
use crate::regressor::gbdt::forest::Forest;

/// A fitted sum of trees; see [`Gbdt`](crate::regressor::Gbdt).
///
/// In JSON it takes about 0.2 MB for 1000 trees of 20 leaves. It is checked
/// when it is read: numbers finite, every tree complete, no question about a
/// bound or a leaf that is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GbdtModel {
    pub(super) forest: Forest,
    #[serde(rename = "spread")]
    pub(super) error_size: ErrorSize,
}

impl GbdtModel {
    pub(crate) fn mean(&self, weights: &[f64]) -> f64 {
        self.forest.mean(weights)
    }

    pub(crate) fn means<W: AsRef<[f64]>>(&self, rows: &[W], out: &mut [f64]) {
        self.forest.means(rows, out);
    }

    pub(crate) fn predict(&self, weights: &[f64]) -> Prediction {
        Prediction {
            mean: self.forest.mean(weights),
            sd: self.error_size.sd(weights),
        }
    }

    pub(crate) fn predict_batch<W: AsRef<[f64]>>(&self, rows: &[W]) -> Vec<Prediction> {
        let mut means = vec![0.0; rows.len()];
        self.forest.means(rows, &mut means);
        let sds = self.error_size.sds(rows);
        (means.into_iter().zip(sds))
            .map(|(mean, sd)| Prediction { mean, sd })
            .collect()
    }

    /// The model over the inputs that are left when the last ones are known.
    pub(crate) fn given(&self, tail: &[f64]) -> Self {
        Self {
            forest: self.forest.given(tail),
            error_size: self.error_size.given(tail),
        }
    }

    /// How many trees there are.
    pub fn trees(&self) -> usize {
        self.forest.trees().count()
    }

    pub(crate) fn domains(&self) -> usize {
        self.forest.domains()
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.error_size.is_sound(self.domains())
    }
}
