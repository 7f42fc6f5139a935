//! Smooth maxima of several numbers.

/// The largest; NaN if there is one, so that the others do not hide it.
pub(crate) fn largest(x: &[f64]) -> f64 {
    (x.iter().copied()).fold(f64::NEG_INFINITY, |top, x| {
        if x > top || x.is_nan() { x } else { top }
    })
}

/// `s ln Σ exp(x / s)` with s = `scale`: the largest with its corners rounded.
pub(crate) fn log_sum_exp(x: &[f64], scale: f64) -> f64 {
    let top = largest(x);
    top + scale
        * x.iter()
            .map(|x| ((x - top) / scale).exp())
            .sum::<f64>()
            .ln()
}

/// The derivative of [`log_sum_exp`] by each number: shares that sum to 1.
pub(crate) fn log_sum_exp_shares(x: &[f64], scale: f64) -> Vec<f64> {
    let top = largest(x);
    let parts: Vec<f64> = x.iter().map(|x| ((x - top) / scale).exp()).collect();
    let sum: f64 = parts.iter().sum();
    parts.iter().map(|p| p / sum).collect()
}

/// Smoothing of the largest of several numbers by the exponential method of
/// multipliers (Tseng and Bertsekas, 1993): `τ ln Σ_k p_k exp(x_k / τ)`.
///
/// With equal p and τ near 0 this is close to the maximum, and just as hard to
/// descend on. Here τ stays moderate and p is adapted: after a descent, p
/// becomes the softmax weights of the derivative. Where p stops changing, the
/// weighted sum `Σ_k p_k x_k` and the maximum have the same lowest point.
#[derive(Debug, Clone)]
pub(crate) struct SoftMax {
    temperature: f64,
    /// Logarithms of p.
    logs: Vec<f64>,
}

impl SoftMax {
    /// The temperature falls by this factor from round to round, to its last
    /// value in units of the first.
    const COOLING: [f64; 2] = [0.3, 0.01];

    /// Of so many numbers; `scale` is the size of a difference that matters.
    pub(crate) fn new(count: usize, scale: f64) -> Self {
        Self {
            temperature: scale,
            logs: vec![-(count as f64).ln(); count],
        }
    }

    /// The smooth maximum.
    pub(crate) fn of(&self, x: &[f64]) -> f64 {
        let raised: Vec<f64> = self.raised(x).collect();
        let top = raised.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = raised.iter().map(|r| (r - top).exp()).sum();
        self.temperature * (top + sum.ln())
    }

    /// Its derivative by each number: shares that sum to 1.
    pub(crate) fn shares(&self, x: &[f64]) -> Vec<f64> {
        let whole = self.of(x) / self.temperature;
        self.raised(x).map(|r| (r - whole).exp()).collect()
    }

    /// The next smoothing, and how far the maximum is above the weighted sum.
    pub(crate) fn sharper(&self, x: &[f64], scale: f64) -> (Self, f64) {
        let shares = self.shares(x);
        let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = shares.iter().zip(x).map(|(p, x)| p * x).sum();
        let next = Self {
            temperature: (Self::COOLING[0] * self.temperature).max(Self::COOLING[1] * scale),
            // A number without a share now may need one later.
            logs: shares.iter().map(|p| p.max(1e-6).ln()).collect(),
        };
        (next, top - sum)
    }

    /// The p, which sum to about 1.
    #[cfg(test)]
    pub(crate) fn weights(&self) -> Vec<f64> {
        self.logs.iter().map(|l| l.exp()).collect()
    }

    fn raised(&self, x: &[f64]) -> impl Iterator<Item = f64> {
        (x.iter().zip(&self.logs)).map(|(x, log)| log + x / self.temperature)
    }
}
