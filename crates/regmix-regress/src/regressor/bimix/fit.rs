//! Fitting the power law in a target's own weight.

use regmix_data::{Error, Result};

use crate::bimix::scarcity::{scarcity, scarcity_slope};
use crate::metrics::mean;
use crate::regressor::bimix::model::BimixModel;
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::regressor::uncertainty::{Linearised, Uncertainty};
use crate::samples::Samples;

/// Fits [`BimixModel`], `L(r) = K r_own^-α` (BiMix, arXiv 2405.14908), by
/// least squares on the logarithm of the loss, in closed form.
///
/// It has no settings. Values must be positive, and the target must be the
/// loss of one of the domains. Cost O(n).
///
/// Wins with a handful of rows, where two numbers are all that can be known,
/// and where domains have nothing in common. Fails wherever other domains
/// help: it predicts the same loss for all mixtures with the same own
/// weight, and a search on the mean of such laws underrates domains that
/// help many.
///
/// ```
/// use regmix_regress::{Samples, regressor::{Bimix, Model, Regressor}};
///
/// let rows: Vec<Vec<f64>> = (1..10).map(|i| vec![0.1 * i as f64, 1.0 - 0.1 * i as f64]).collect();
/// let losses = rows.iter().map(|w| 2.5 * w[1].powf(-0.07)).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?.with_own_domain(Some(1));
/// let Model::Bimix(law) = Bimix.fit(&samples, 0)? else { panic!() };
/// assert!((law.alpha() - 0.07).abs() < 1e-9 && (law.scale() - 2.5).abs() < 1e-9);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Bimix;

impl Regressor for Bimix {
    fn name(&self) -> &str {
        "bimix"
    }

    fn fit_with(&self, samples: &Samples<'_>, _: FitContext<'_>) -> Result<Model> {
        let Some(own) = samples.own_domain() else {
            return Err(Error::input(
                "the target is no domain's loss: expected one, since the law goes by the domain's \
                 own weight",
            )
            .help("name the target as its domain, or use another regressor"));
        };
        samples.require_losses("the law of a domain's own weight")?;
        let x: Vec<f64> = samples.rows().iter().map(|r| scarcity(r[own])).collect();
        let y: Vec<f64> = samples.values().iter().map(|v| v.ln()).collect();
        let (mx, my) = (mean(&x), mean(&y));
        let xx: f64 = x.iter().map(|x| (x - mx) * (x - mx)).sum();
        if xx <= 1e-12 * x.len() as f64 {
            return Err(Error::input(format!(
                "the target's own domain has weight {} in every row: expected different weights",
                samples.rows()[0][own]
            ))
            .help("add rows with another share of it, or use another regressor"));
        }
        let xy: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
        let alpha = xy / xx;
        let ln_scale = my - alpha * mx;
        let mut at = Linearised::default();
        for ((x, row), value) in x.iter().zip(samples.rows()).zip(samples.values()) {
            let level = (ln_scale + alpha * x).exp();
            let slope = (level * alpha * scarcity_slope(row[own])).abs();
            at.push(vec![level, level * x], level - value, slope);
        }
        Ok(Model::Bimix(BimixModel {
            domains: samples.domains(),
            own,
            ln_scale,
            alpha,
            uncertainty: Uncertainty::of(at, &[0.0, 0.0], samples.values())?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fitted(own: &[f64], loss: impl Fn(f64) -> f64) -> Result<Model> {
        let rows: Vec<Vec<f64>> = own.iter().map(|w| vec![1.0 - w, *w]).collect();
        let values = own.iter().map(|w| loss(*w)).collect();
        let samples = Samples::new(rows.iter().map(Vec::as_slice), values)?;
        Bimix.fit(&samples.with_own_domain(Some(1)), 0)
    }

    #[test]
    fn what_it_cannot_describe_is_refused() {
        let rows: Vec<Vec<f64>> = (1..9).map(|i| vec![0.1 * f64::from(i); 2]).collect();
        let of = |values: Vec<f64>| Samples::new(rows.iter().map(Vec::as_slice), values).unwrap();
        let losses: Vec<f64> = (1..9).map(f64::from).collect();
        let err = Bimix.fit(&of(losses), 0).unwrap_err();
        assert!(
            err.is_input() && err.to_string().contains("no domain's loss"),
            "{err}"
        );
        let err = fitted(&[0.0; 6], |_| 2.0).unwrap_err();
        assert!(err.to_string().contains("all values are the same"), "{err}");
        let noise = std::cell::Cell::new(1.0);
        let err = fitted(&[0.0; 6], |_| {
            noise.set(noise.get() + 1.0);
            noise.get()
        });
        assert!(
            err.unwrap_err()
                .to_string()
                .contains("weight 0 in every row")
        );
        let err = fitted(&[0.1, 0.2, 0.3], |w| w - 0.2).unwrap_err();
        assert!(
            err.is_input() && err.to_string().contains("positive"),
            "{err}"
        );
    }

    #[test]
    fn a_weight_of_zero_is_finite_and_says_how_little_is_known() {
        let model = fitted(&[0.1, 0.2, 0.3, 0.4, 0.5], |w| {
            2.0 * w.powf(-0.1) + 0.01 * w
        })
        .unwrap();
        let (inside, outside) = (model.predict(&[0.7, 0.3]), model.predict(&[1.0, 0.0]));
        assert!(outside.mean.is_finite() && outside.mean > inside.mean);
        assert!(outside.sd > inside.sd && inside.sd > 0.0);
    }

    proptest! {
        #[test]
        fn the_gradient_matches_finite_differences(alpha in -0.3f64..1.5, w in 0.0f64..1.0) {
            let own = [0.0, 0.002, 0.05, 0.3, 0.9];
            let model = fitted(&own, |w| 2.0 * (alpha * scarcity(w)).exp() + 1e-3 * w).unwrap();
            for w in [w, 1e-3 * w] {
                let h = 1e-6 * w.max(1e-3);
                let at = |w: f64| model.mean(&[0.5, w]);
                let numeric = (at(w + h) - at(w - h)) / (2.0 * h);
                let g = model.gradient(&[0.5, w]).unwrap();
                prop_assert!(g[0] == 0.0);
                prop_assert!((g[1] - numeric).abs() < 1e-4 * (1.0 + numeric.abs()), "{g:?} {numeric}");
            }
        }
    }
}
