//! Times the search for the best mixture under caps, and prints it as JSON:
//! the fit, the search alone, and the search with refits on resampled runs.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example optimum -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv ensemble mean --cap 0.3
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--cap` | 0.3 | cap of every domain |
//! | `--refits` | 20 | refits on resampled runs; 0 leaves them out |
//! | `--threads` | 1 | threads |
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use std::time::Instant;

use serde_json::json;

use regmix_data::{Error, Result};
use regmix_regress::{
    Choice, Constraints, Fit, FitOptions, Objective, RecommendOptions, recommend,
};

use common::{Arguments, observations, with_threads};

fn main() -> Result<()> {
    let words = Arguments::read(&["--cap", "--refits", "--threads"])?;
    let [mixtures, losses, name, objective] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv REGRESSOR OBJECTIVE",
            words.plain.len()
        )));
    };
    let table = observations(mixtures, losses)?;
    let cap: f64 = words.number("--cap", 0.3)?;
    let refits: usize = words.number("--refits", 20)?;
    let out = with_threads(words.number("--threads", 1)?, || {
        let started = Instant::now();
        let fit = Fit::train(
            &table,
            &FitOptions {
                regressors: vec![name.clone()],
                choice: Choice::Named(name.clone()),
                folds: 2,
                ..FitOptions::default()
            },
        )?;
        let fitted = started.elapsed().as_secs_f64();
        let mut constraints = Constraints::none(fit.domains().clone());
        for domain in fit.domains().names() {
            constraints = constraints.with_cap(domain, cap)?;
        }
        let recommend = |bootstrap: usize| {
            let started = Instant::now();
            let found = recommend(
                &fit,
                &RecommendOptions {
                    objective: Objective::parse(objective),
                    constraints: Some(constraints.clone()),
                    bootstrap,
                    ..RecommendOptions::default()
                },
            )?;
            Ok::<_, Error>((found, started.elapsed().as_secs_f64()))
        };
        let (found, searched) = recommend(0)?;
        let mut out = json!({
            "regressor": name,
            "objective": objective,
            "value": found.predicted,
            "evaluations": found.evaluations,
            "seconds": {"fit and two folds": fitted, "search": searched},
            "mixture": found.mixture,
        });
        if refits > 0 {
            let (found, all) = recommend(refits)?;
            out["with_refits"] = json!({
                "refits": found.provenance.refits,
                "seconds": all,
                "optimism": found.optimism,
                "weights": found.weights,
            });
        }
        Ok(out)
    })?;
    println!("{out:#}");
    Ok(())
}
