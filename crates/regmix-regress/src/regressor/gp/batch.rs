//! The joint posterior over many mixtures, and how further runs would shrink it.

use faer::Mat;

use crate::numeric::slices::dot;
use crate::regressor::gp::model::GpModel;

/// The uncertainty of a [`GpModel`] over some mixtures, in units of the
/// standardised (logarithms of) values.
///
/// [`Batch::condition`] takes a mixture as run, with the value that is
/// expected there: means stay what they are (the imputed value says nothing
/// new), variances shrink by the covariance with it,
/// `v_j ← v_j - c_ij² / (v_i + noise_i)`. That is one row of a pivoted
/// Cholesky factor, so nothing is factorised again. Memory O(n N) for n runs
/// and N mixtures; a row costs O(N (n + D + rows before)).
pub(crate) struct Batch<'a> {
    model: &'a GpModel,
    /// Standardised inputs, `[mixtures][domains]`.
    inputs: Vec<f64>,
    /// What the runs explain: columns with `explained_i · explained_j` of the
    /// covariance before any run.
    explained: Mat<f64>,
    variances: Vec<f64>,
    noises: Vec<f64>,
    /// As `explained`, one row per mixture that was taken as run.
    taken: Vec<Vec<f64>>,
}

impl<'a> Batch<'a> {
    /// The joint uncertainty over some mixtures. Cost O(n² N).
    pub(crate) fn new(model: &'a GpModel, rows: &[&[f64]]) -> Self {
        let (explained, before) = model.explained(rows);
        let (variances, noises) = (before.into_iter().enumerate())
            .map(|(i, (_, own, noise))| {
                let known: f64 = explained.col_as_slice(i).iter().map(|c| c * c).sum();
                ((own - known).max(0.0), noise)
            })
            .unzip();
        Self {
            model,
            inputs: (rows.iter())
                .flat_map(|weights| model.inputs.of_weights(weights))
                .collect(),
            explained,
            variances,
            noises,
            taken: Vec::new(),
        }
    }

    /// Variances of the surface itself, without the noise of a run.
    pub(crate) fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// Variances of the noise of one run.
    #[cfg(test)]
    pub(crate) fn noises(&self) -> &[f64] {
        &self.noises
    }

    /// Takes mixture `i` as run.
    pub(crate) fn condition(&mut self, i: usize) {
        let d = self.model.domains();
        let one = &self.inputs[i * d..(i + 1) * d];
        // A mixture whose value is known up to rounding changes nothing.
        let scale = (self.variances[i] + self.noises[i]).sqrt();
        if scale.is_nan() || scale <= 1e-9 {
            return;
        }
        let row: Vec<f64> = (self.inputs.chunks_exact(d).enumerate())
            .map(|(j, other)| {
                let known = dot(
                    self.explained.col_as_slice(i),
                    self.explained.col_as_slice(j),
                );
                let taken: f64 = self.taken.iter().map(|row| row[i] * row[j]).sum();
                (self.model.covariance(one, other) - known - taken) / scale
            })
            .collect();
        for (variance, c) in self.variances.iter_mut().zip(&row) {
            *variance = (*variance - c * c).max(0.0);
        }
        self.taken.push(row);
    }
}
