//! How well predictions agree with measurements.
//!
//! All functions take two slices of the same length, `measured` and
//! `predicted`, of finite numbers; values beyond the shorter one are ignored.
//! Where a quantity is not defined (no rows, no spread) they return NaN
//! rather than a number that could be taken for a result. Cost O(n), or
//! O(n log n) where ranks are needed.

use crate::prediction::Prediction;
pub use crate::prediction::Z90;

/// Spearman's rank correlation, in `[-1, 1]`; ties get their average rank.
///
/// NaN when either side has no spread.
///
/// ```
/// use regmix_regress::metrics::spearman;
///
/// assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 300.0]), 1.0);
/// assert!(spearman(&[1.0, 2.0], &[5.0, 5.0]).is_nan());
/// ```
pub fn spearman(measured: &[f64], predicted: &[f64]) -> f64 {
    let n = measured.len().min(predicted.len());
    pearson(&ranks(&measured[..n]), &ranks(&predicted[..n]))
}

/// Pearson's correlation, in `[-1, 1]`; NaN when either side has no spread.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (ma, mb) = (mean(&a[..n]), mean(&b[..n]));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma) * (x - ma);
        bb += (y - mb) * (y - mb);
    }
    if aa > 0.0 && bb > 0.0 {
        (ab / (aa * bb).sqrt()).clamp(-1.0, 1.0)
    } else {
        f64::NAN
    }
}

/// Mean and sample standard deviation (divisor n - 1), in the unit of the
/// values; the latter is NaN of fewer than two values.
///
/// ```
/// use regmix_regress::metrics::mean_and_sd;
///
/// assert_eq!(mean_and_sd(&[1.0, 3.0]), (2.0, 2.0_f64.sqrt()));
/// assert!(mean_and_sd(&[1.0]).1.is_nan());
/// ```
pub fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (squares / (values.len() as f64 - 1.0)).sqrt())
}

/// Mean absolute error, in the unit of the values.
pub fn mae(measured: &[f64], predicted: &[f64]) -> f64 {
    let errors: Vec<f64> = pairs(measured, predicted)
        .map(|(m, p)| (m - p).abs())
        .collect();
    mean(&errors)
}

/// Mean squared error, in the squared unit of the values.
pub fn mse(measured: &[f64], predicted: &[f64]) -> f64 {
    let errors: Vec<f64> = pairs(measured, predicted)
        .map(|(m, p)| (m - p) * (m - p))
        .collect();
    mean(&errors)
}

/// Coefficient of determination: 1 - MSE / variance of `measured`. At most 1,
/// negative when the mean of `measured` would have been the better guess.
pub fn r2(measured: &[f64], predicted: &[f64]) -> f64 {
    let n = measured.len().min(predicted.len());
    let spread = variance(&measured[..n]);
    if spread > 0.0 {
        1.0 - mse(measured, predicted) / spread
    } else {
        f64::NAN
    }
}

/// What picking the row with the lowest prediction costs: its measured value
/// minus the lowest measured value. Not negative; 0 is best.
pub fn top1_regret(measured: &[f64], predicted: &[f64]) -> f64 {
    let by_prediction = pairs(measured, predicted).min_by(|a, b| a.1.total_cmp(&b.1));
    let best = pairs(measured, predicted)
        .map(|(m, _)| m)
        .min_by(f64::total_cmp);
    match (by_prediction, best) {
        (Some((picked, _)), Some(best)) => picked - best,
        _ => f64::NAN,
    }
}

/// Measured minus predicted value of the row with the lowest prediction: by
/// how much a model is too optimistic about the row it would pick. Positive: it
/// predicts too low a value.
pub fn top1_optimism(measured: &[f64], predicted: &[f64]) -> f64 {
    let lowest = pairs(measured, predicted).min_by(|a, b| a.1.total_cmp(&b.1));
    lowest.map_or(f64::NAN, |(m, p)| m - p)
}

/// Spearman's rank correlation of standard deviations with absolute errors,
/// in `[-1, 1]`: whether a predictor knows where it is wrong. NaN when all
/// standard deviations are the same.
pub fn sd_rank(measured: &[f64], predicted: &[Prediction]) -> f64 {
    let (sds, errors): (Vec<f64>, Vec<f64>) = (measured.iter().zip(predicted))
        .map(|(m, p)| (p.sd, (m - p.mean).abs()))
        .unzip();
    spearman(&sds, &errors)
}

/// Share of measurements inside the central 90 % interval of their
/// prediction, `mean ± 1.645 sd`. A calibrated predictor has 0.9.
pub fn coverage90(measured: &[f64], predicted: &[Prediction]) -> f64 {
    let inside: Vec<f64> = (measured.iter().zip(predicted))
        .map(|(m, p)| f64::from(u8::from((m - p.mean).abs() <= Z90 * p.sd)))
        .collect();
    mean(&inside)
}

/// Arithmetic mean; NaN for no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Variance with divisor n; NaN for no values.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let m = mean(values);
    values.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / values.len() as f64
}

/// Quantile by linear interpolation between order statistics; `q` in
/// `[0, 1]`; NaN for no values.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(last);
    sorted[low] + (at - low as f64) * (sorted[high] - sorted[low])
}

/// The value below which a further one of the same kind is with probability
/// `q`: the order statistic with number `q (n + 1)`, by linear interpolation,
/// the largest value where that is beyond it. Unlike [`quantile`] it is right
/// on average for few values, too. NaN for no values.
pub(crate) fn next_quantile(values: &[f64], q: f64) -> f64 {
    let n = values.len() as f64;
    quantile(values, (q * (n + 1.0) - 1.0) / (n - 1.0).max(1.0))
}

fn pairs<'a>(a: &'a [f64], b: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    a.iter().copied().zip(b.iter().copied())
}

/// Ranks from 1, ties sharing the average of the ranks they cover.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let value = values[order[from]];
        let tied = order[from..]
            .iter()
            .take_while(|&&i| values[i] == value)
            .count()
            .max(1);
        let rank = from as f64 + (tied as f64 + 1.0) / 2.0;
        for &i in &order[from..from + tied] {
            ranks[i] = rank;
        }
        from += tied;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::RngExt;

    #[test]
    fn ties_share_their_average_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [4.0, 1.0, 4.0, 2.0, 4.0]);
        // Worked by hand: ranks (1, 2.5, 2.5, 4) against (1, 2, 3, 4) have
        // covariance 4.5 and squared norms 4.5 and 5.
        let rho = spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
        assert!((rho - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn errors_on_a_small_table() {
        let (m, p) = ([1.0, 2.0, 4.0], [2.0, 2.0, 2.0]);
        assert_eq!(mae(&m, &p), 1.0);
        assert!((mse(&m, &p) - 5.0 / 3.0).abs() < 1e-12);
        assert_eq!(top1_regret(&[3.0, 1.0, 2.0], &[0.5, 0.9, 0.2]), 1.0);
        assert_eq!(top1_optimism(&[3.0, 1.0, 2.0], &[0.5, 0.9, 0.2]), 1.8);
        let sure = |mean| Prediction { mean, sd: 1.0 };
        assert_eq!(coverage90(&[0.0, 0.0], &[sure(1.6), sure(1.7)]), 0.5);
        assert!(mae(&[], &[]).is_nan() && top1_regret(&[], &[]).is_nan());
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[0.0, 1.0], 0.25), 0.25);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_next_of_few_values_is_below_their_quantile_as_often_as_it_says() {
        let mut rng = regmix_data::random::stream(1, "metrics", "test");
        let mut share = |of: fn(&[f64], f64) -> f64| {
            let below = (0..20_000).filter(|_| {
                let values: Vec<f64> = (0..19).map(|_| rng.random()).collect();
                rng.random::<f64>() < of(&values, 0.9)
            });
            below.count() as f64 / 20_000.0
        };
        assert!((share(next_quantile) - 0.9).abs() < 0.01);
        assert!(share(quantile) < 0.87);
        assert_eq!(next_quantile(&[1.0, 2.0], 0.9), 2.0);
        assert_eq!(next_quantile(&[1.0], 0.9), 1.0);
        assert!(next_quantile(&[], 0.9).is_nan());
    }

    proptest! {
        #[test]
        fn ranks_ignore_monotone_maps(v in prop::collection::vec(-5.0f64..5.0, 3..30), w in prop::collection::vec(-5.0f64..5.0, 30)) {
            let a = spearman(&v, &w[..v.len()]);
            let bent: Vec<f64> = v.iter().map(|x| x.exp()).collect();
            let b = spearman(&bent, &w[..v.len()]);
            prop_assert!((a - b).abs() < 1e-12 || (a.is_nan() && b.is_nan()));
        }

        #[test]
        fn the_mean_has_an_r2_of_zero(v in prop::collection::vec(-5.0f64..5.0, 3..30)) {
            let flat = vec![mean(&v); v.len()];
            prop_assume!(variance(&v) > 1e-9);
            prop_assert!(r2(&v, &flat).abs() < 1e-9);
            prop_assert!(top1_regret(&v, &v) == 0.0);
        }
    }
}
