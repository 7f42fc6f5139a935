//! A regressor of your own, judged together with those of regmix: a law that is
//! fitted again without the runs that it explains worst. Two of the runs have
//! diverged.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example own_regressor
//! ```
#![allow(clippy::print_stdout)] // Its result goes there.

use std::path::Path;

use regmix_data::Result;
use regmix_data::table::Observations;
use regmix_regress::metrics::mae;
use regmix_regress::regressor::{FitContext, regressor};
use regmix_regress::{CvOptions, Model, Regressor, Samples, cross_validate};

/// Another regressor, without the runs that it explains worst.
struct Trimmed {
    inner: Box<dyn Regressor>,
    /// The share of runs that are left out.
    share: f64,
}

impl Regressor for Trimmed {
    fn name(&self) -> &str {
        "trimmed"
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        let first = self.inner.fit_with(samples, context)?;
        let error = |i: usize| (first.mean(samples.rows()[i]) - samples.values()[i]).abs();
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by(|&a, &b| error(a).total_cmp(&error(b)));
        order.truncate(samples.len() - (self.share * samples.len() as f64) as usize);
        let rows = order.iter().map(|&i| samples.rows()[i]);
        let values = order.iter().map(|&i| samples.values()[i]).collect();
        let kept = Samples::new(rows, values)?.with_own_domain(samples.own_domain());
        self.inner.fit_with(&kept, context)
    }
}

fn main() -> Result<()> {
    let file = |name: &str| format!("{}/examples/runs/{name}", env!("CARGO_MANIFEST_DIR"));
    let (mixtures, losses) = (file("mixtures.csv"), file("losses.csv"));
    let runs = Observations::read_csv(Path::new(&mixtures), Path::new(&losses))?;
    let rows = runs.mixtures.mixtures().iter().map(|m| m.weights());
    let mut code: Vec<f64> = runs.values.rows().iter().map(|row| row[1]).collect();
    const DIVERGED: [usize; 2] = [9, 21];
    for run in DIVERGED {
        code[run] += 0.5;
    }
    let samples = Samples::new(rows, code.clone())?.with_own_domain(Some(1));

    let inner = regressor("law1")?;
    let own = Trimmed { inner, share: 0.2 };
    let mut errors = Vec::new();
    for judged in [&own as &dyn Regressor, &*regressor("law1")?] {
        let folds = cross_validate(judged, &samples, &CvOptions::default())?;
        // How sound runs are predicted by models that have not seen them.
        let sound = (0..code.len()).filter(|run| !DIVERGED.contains(run));
        let (measured, predicted): (Vec<f64>, Vec<f64>) = sound
            .map(|run| (code[run], folds.predictions[0][run].mean))
            .unzip();
        errors.push(mae(&measured, &predicted));
        println!("{:8} error {:.4}", judged.name(), errors[errors.len() - 1]);
    }
    assert!(errors[0] < errors[1]);
    Ok(())
}
