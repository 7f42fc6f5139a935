//! Two CSV files in, the best mixture out.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example recommend -- MIXTURES.csv LOSSES.csv TARGET
//! ```
//!
//! Without arguments it takes the runs in `runs`, which were simulated. TARGET may be `mean` or
//! `worst`.
#![allow(clippy::print_stdout)] // Its result goes there.

use std::path::Path;

use regmix_data::table::Observations;
use regmix_regress::{Fit, FitOptions, Objective, RecommendOptions, recommend};

fn main() -> regmix_data::Result<()> {
    let mut args = std::env::args().skip(1);
    let runs = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/runs");
    let mut table = |name| args.next().unwrap_or_else(|| format!("{runs}/{name}.csv"));
    let (mixtures, losses) = (table("mixtures"), table("losses"));
    let target = args.next().unwrap_or_else(|| "mean".to_owned());

    let runs = Observations::read_csv(Path::new(&mixtures), Path::new(&losses))?;
    let fit = Fit::train(&runs, &FitOptions::default())?;
    let options = RecommendOptions {
        objective: Objective::parse(&target),
        ..RecommendOptions::default()
    };
    let found = recommend(&fit, &options)?;
    for (domain, weight) in found.mixture.iter() {
        println!("{domain} {weight:.3}");
    }
    let (low, high) = (found.predicted.low, found.predicted.high);
    println!("{target}: 90 % interval {low:.3} to {high:.3}");
    // Neither plain mixtures nor the best of the runs are clearly better.
    assert!(found.references.iter().all(|other| other.gap.high > 0.0));
    Ok(())
}
