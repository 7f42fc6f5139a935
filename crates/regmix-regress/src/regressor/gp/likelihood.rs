//! The marginal likelihood of a Gaussian process, with its gradient.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::{Mat, MatRef, Par};

use crate::numeric::slices::{add, dot};
use crate::regressor::gp::inputs::{Inputs, near_zero};
use crate::vector::{self, Op};

/// Parameters that do not belong to one domain: ln of the Matérn, the linear
/// and the noise standard deviation. After them come ln of the lengthscale of
/// every domain, and ln of the noise at weight zero of every domain.
pub(super) const HEAD: usize = 3;

/// Variance of the constant, in units of the values' variance: large, so that
/// the level is not assumed.
pub(super) const LEVEL: f64 = 100.0;

/// A guess and its precision for the logarithm of a parameter.
#[derive(Debug, Clone, Copy)]
struct Prior {
    centre: f64,
    precision: f64,
}

/// Where parameters are expected when rows say nothing about them: each
/// logarithm normal around its start.
fn prior(place: usize, domains: usize) -> Prior {
    let (centre, precision) = match place {
        0 => (0.0, 0.1),
        1 => (-1.0, 0.1),
        2 => (-3.0, 0.1),
        _ if place < HEAD + domains => (0.5 * (domains as f64).ln(), 0.2),
        _ => (-3.0, 0.1),
    };
    Prior { centre, precision }
}

/// The start of the search: the centre of the prior.
pub(super) fn start(domains: usize) -> Vec<f64> {
    (0..HEAD + 2 * domains)
        .map(|i| prior(i, domains).centre)
        .collect()
}

/// Rows of one target, prepared for many evaluations.
pub(super) struct Likelihood {
    domains: usize,
    /// Standardised inputs, `[domains][rows]`.
    inputs: Vec<f64>,
    /// Shares of the noise at weight zero, `[domains][rows]`.
    zeros: Vec<f64>,
    /// Standardised values.
    values: Vec<f64>,
    /// How often every row counts: its noise is that of a mean of so many.
    times: Vec<f64>,
    /// Inner products of inputs, lower triangle by columns.
    linear: Mat<f64>,
    scratch: Scratch,
}

struct Scratch {
    /// Inputs over lengthscales, `[domains][rows]`.
    scaled: Vec<f64>,
    /// The Matérn part.
    matern: Mat<f64>,
    /// Its derivative by the squared distance, up to the factor -1/2.
    slope: Mat<f64>,
    /// The covariance, then its factor.
    factor: Mat<f64>,
    inverse: Mat<f64>,
    memory: MemBuffer,
}

impl Likelihood {
    pub(super) fn new(inputs: &Inputs, rows: &[&[f64]], values: Vec<f64>) -> Self {
        let once = vec![1.0; rows.len()];
        Self::counted(inputs, rows, values, once)
    }

    /// As [`Likelihood::new`], with rows that count several times; only its
    /// posterior is then of use.
    pub(super) fn counted(
        inputs: &Inputs,
        rows: &[&[f64]],
        values: Vec<f64>,
        times: Vec<f64>,
    ) -> Self {
        let (n, domains) = (rows.len(), inputs.domains());
        let mut columns = Vec::with_capacity(n * domains);
        let mut zeros = Vec::with_capacity(n * domains);
        for j in 0..domains {
            columns.extend(rows.iter().map(|r| inputs.of_weight(j, r[j])));
            zeros.extend(rows.iter().map(|r| near_zero(r[j])));
        }
        let mut linear = Mat::zeros(n, n);
        for c in 0..n {
            let sums = &mut linear.col_as_slice_mut(c)[c..];
            for column in columns.chunks_exact(n) {
                add(sums, column[c], &column[c..]);
            }
        }
        let zero = || Mat::zeros(n, n);
        let memory = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default())
            .or(llt::inverse::inverse_scratch::<f64>(n, Par::Seq));
        Self {
            domains,
            zeros,
            values,
            times,
            linear,
            scratch: Scratch {
                scaled: columns.clone(),
                matern: zero(),
                slope: zero(),
                factor: zero(),
                inverse: zero(),
                memory: MemBuffer::new(memory),
            },
            inputs: columns,
        }
    }

    /// Minus the logarithm of likelihood and prior, up to a constant; writes
    /// the gradient. Infinite where the covariance is not positive.
    pub(super) fn cost(&mut self, p: &[f64], gradient: &mut [f64]) -> f64 {
        let n = self.values.len();
        let Some(log_determinant) = self.covariance(p) else {
            return f64::INFINITY;
        };
        let s = &mut self.scratch;
        let alpha = solve(s.factor.as_ref(), &self.values);
        llt::inverse::inverse(
            s.inverse.as_mut(),
            s.factor.as_ref(),
            Par::Seq,
            MemStack::new(&mut s.memory),
        );
        let fit = dot(&alpha, &self.values);
        let mut cost = 0.5 * (fit + log_determinant);
        gradient.fill(0.0);
        vector::widest(Gradient {
            n,
            domains: self.domains,
            alpha: &alpha,
            scratch: s,
            linear: &self.linear,
            zeros: &self.zeros,
            p,
            gradient,
        });
        for (i, (p, g)) in p.iter().zip(gradient.iter_mut()).enumerate() {
            let Prior { centre, precision } = prior(i, self.domains);
            cost += 0.5 * precision * (p - centre).powi(2);
            *g += precision * (p - centre);
        }
        cost
    }

    /// As [`Likelihood::cost`], without the gradient, which is most of the work.
    pub(super) fn value(&mut self, p: &[f64]) -> f64 {
        let Some(log_determinant) = self.covariance(p) else {
            return f64::INFINITY;
        };
        let fit = dot(
            &solve(self.scratch.factor.as_ref(), &self.values),
            &self.values,
        );
        let priors = p.iter().enumerate().map(|(i, p)| {
            let Prior { centre, precision } = prior(i, self.domains);
            0.5 * precision * (p - centre).powi(2)
        });
        0.5 * (fit + log_determinant) + priors.sum::<f64>()
    }

    /// Fills the factor of the covariance and gives the logarithm of the
    /// covariance's determinant; `None` where it is not positive.
    fn covariance(&mut self, p: &[f64]) -> Option<f64> {
        let n = self.values.len();
        let s = &mut self.scratch;
        for (j, ln_length) in p[HEAD..HEAD + self.domains].iter().enumerate() {
            let scale = (-ln_length).exp();
            for (x, raw) in
                (s.scaled[j * n..(j + 1) * n].iter_mut()).zip(&self.inputs[j * n..(j + 1) * n])
            {
                *x = raw * scale;
            }
        }
        vector::widest(Covariance {
            n,
            scaled: &s.scaled,
            variance: (2.0 * p[0]).exp(),
            linear_variance: (2.0 * p[1]).exp(),
            linear: &self.linear,
            matern: &mut s.matern,
            slope: &mut s.slope,
            covariance: &mut s.factor,
        });
        let noise = noise(p, self.domains, n, &self.zeros);
        for (i, (noise, times)) in noise.into_iter().zip(&self.times).enumerate() {
            s.factor[(i, i)] += noise / times;
        }
        llt::factor::cholesky_in_place(
            s.factor.as_mut(),
            Default::default(),
            Par::Seq,
            MemStack::new(&mut s.memory),
            Default::default(),
        )
        .ok()?;
        let ln = (0..n).map(|i| s.factor[(i, i)].ln()).sum::<f64>();
        ln.is_finite().then_some(2.0 * ln)
    }

    /// The posterior at some parameters: weights of the rows and the factor
    /// of the covariance.
    pub(super) fn posterior(mut self, p: &[f64]) -> Option<(Vec<f64>, Mat<f64>)> {
        self.covariance(p)?;
        let alpha = solve(self.scratch.factor.as_ref(), &self.values);
        Some((alpha, self.scratch.factor))
    }
}

/// The noise variance of every row.
fn noise(p: &[f64], domains: usize, n: usize, zeros: &[f64]) -> Vec<f64> {
    let mut out = vec![(2.0 * p[2]).exp(); n];
    for (v, zeros) in p[HEAD + domains..].iter().zip(zeros.chunks_exact(n)) {
        add(&mut out, (2.0 * v).exp(), zeros);
    }
    out
}

/// K⁻¹ y by the factor L of K.
pub(super) fn solve(factor: MatRef<'_, f64>, values: &[f64]) -> Vec<f64> {
    let mut x = Mat::from_fn(values.len(), 1, |i, _| values[i]);
    let lower = factor;
    faer::linalg::triangular_solve::solve_lower_triangular_in_place(lower, x.as_mut(), Par::Seq);
    faer::linalg::triangular_solve::solve_upper_triangular_in_place(
        lower.transpose(),
        x.as_mut(),
        Par::Seq,
    );
    x.col_as_slice(0).to_vec()
}

/// Fills the lower triangles, column by column.
struct Covariance<'a> {
    n: usize,
    scaled: &'a [f64],
    variance: f64,
    linear_variance: f64,
    linear: &'a Mat<f64>,
    matern: &'a mut Mat<f64>,
    slope: &'a mut Mat<f64>,
    covariance: &'a mut Mat<f64>,
}

impl Op for Covariance<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // These become vector instructions.
    fn run<const FMA: bool>(self) {
        for c in 0..self.n {
            let matern = &mut self.matern.col_as_slice_mut(c)[c..];
            let slope = &mut self.slope.col_as_slice_mut(c)[c..];
            let covariance = &mut self.covariance.col_as_slice_mut(c)[c..];
            let linear = &self.linear.col_as_slice(c)[c..];
            // `slope` holds squared distances for now.
            slope.fill(0.0);
            for column in self.scaled.chunks_exact(self.n) {
                let at = column[c];
                for (d, x) in slope.iter_mut().zip(&column[c..]) {
                    *d += (x - at) * (x - at);
                }
            }
            for i in 0..slope.len() {
                let t = (5.0 * slope[i]).sqrt();
                let e = self.variance * vector::exp::<FMA>(-t);
                matern[i] = e * (1.0 + t + t * t * (1.0 / 3.0));
                slope[i] = e * (5.0 / 3.0) * (1.0 + t);
                covariance[i] = matern[i] + self.linear_variance * linear[i] + LEVEL;
            }
        }
    }
}

/// Adds the gradient of the likelihood's cost.
struct Gradient<'a> {
    n: usize,
    domains: usize,
    alpha: &'a [f64],
    scratch: &'a mut Scratch,
    linear: &'a Mat<f64>,
    zeros: &'a [f64],
    p: &'a [f64],
    gradient: &'a mut [f64],
}

impl Op for Gradient<'_> {
    type Output = ();

    /// With W = K⁻¹ - ααᵀ, the derivative by θ is ½ Σ W ∂K/∂θ. Lower
    /// triangles count twice, diagonals once.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // These become vector instructions.
    fn run<const FMA: bool>(self) {
        let (n, d) = (self.n, self.domains);
        let (mut matern, mut linear) = (0.0, 0.0);
        let mut diagonal = vec![0.0; n];
        let mut by_distance = vec![0.0; n];
        let (lengths, _) = self.gradient[HEAD..].split_at_mut(d);
        for c in 0..n {
            let inverse = &self.scratch.inverse.col_as_slice(c)[c..];
            let slopes = &self.scratch.slope.col_as_slice(c)[c..];
            let materns = &self.scratch.matern.col_as_slice(c)[c..];
            let linears = &self.linear.col_as_slice(c)[c..];
            let alpha = &self.alpha[c..];
            let at = alpha[0];
            let weights = &mut by_distance[c..];
            for i in 0..weights.len() {
                weights[i] = inverse[i] - at * alpha[i];
            }
            let own = weights[0];
            diagonal[c] = own;
            weights[0] = 0.5 * own;
            matern += vector::dot(weights, materns);
            linear += vector::dot(weights, linears);
            weights[0] = 0.0;
            for (w, s) in weights.iter_mut().zip(slopes) {
                *w *= s;
            }
            for (g, column) in lengths.iter_mut().zip(self.scratch.scaled.chunks_exact(n)) {
                *g += weighted_squares(weights, &column[c..]);
            }
        }
        self.gradient[0] = 2.0 * matern;
        self.gradient[1] = 2.0 * (2.0 * self.p[1]).exp() * linear;
        self.gradient[2] = (2.0 * self.p[2]).exp() * diagonal.iter().sum::<f64>();
        for (j, zeros) in self.zeros.chunks_exact(n).enumerate() {
            let sum: f64 = diagonal.iter().zip(zeros).map(|(w, z)| w * z).sum();
            self.gradient[HEAD + d + j] = (2.0 * self.p[HEAD + d + j]).exp() * sum;
        }
    }
}

/// Σ w (x - x₀)².
#[inline(always)]
fn weighted_squares(weights: &[f64], x: &[f64]) -> f64 {
    let at = x[0];
    let mut sums = [0.0; 8];
    let (w8, x8) = (weights.chunks_exact(8), x.chunks_exact(8));
    for (w, x) in w8.remainder().iter().zip(x8.remainder()) {
        sums[0] += w * (x - at) * (x - at);
    }
    for (w, x) in w8.zip(x8) {
        for i in 0..8 {
            sums[i] += w[i] * (x[i] - at) * (x[i] - at);
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regressor::gp::inputs::Warp;
    use proptest::prelude::*;
    use regmix_data::design::Dirichlet;
    use regmix_data::random::stream;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_gradient_matches_finite_differences(
            moves in prop::collection::vec(-0.7f64..0.7, HEAD + 8),
            seed in 0u64..100,
        ) {
            let mut rng = stream(seed, "gp", "test");
            let draw = Dirichlet::new(&[1.0; 4]).unwrap();
            let rows: Vec<Vec<f64>> = (0..23).map(|_| draw.sample(&mut rng)).collect();
            let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            let values = rows.iter().map(|r| (8.0 * r[0]).sin() - r[2]).collect();
            let inputs = Inputs::of(Warp::CubeRoot, &rows, &[1.0; 23]);
            let mut likelihood = Likelihood::new(&inputs, &rows, values);
            let p: Vec<f64> = start(4).iter().zip(&moves).map(|(a, b)| a + b).collect();
            let mut analytic = vec![0.0; p.len()];
            let mut unused = analytic.clone();
            likelihood.cost(&p, &mut analytic);
            for i in 0..p.len() {
                let (mut up, mut down) = (p.clone(), p.clone());
                up[i] += 1e-5;
                down[i] -= 1e-5;
                let numeric = (likelihood.cost(&up, &mut unused)
                    - likelihood.cost(&down, &mut unused)) / 2e-5;
                prop_assert!(
                    (numeric - analytic[i]).abs() < 1e-4 * (1.0 + numeric.abs()),
                    "{i}: {numeric} {}", analytic[i]
                );
            }
        }
    }
}
