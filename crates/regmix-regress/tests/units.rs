//! Losses in any unit.

mod common;

use common::{observations, quick};
use regmix_data::table::{Observations, ValueTable};
use regmix_regress::{Fit, FitOptions, RecommendOptions, recommend};

#[test]
fn the_unit_of_losses_does_not_matter() {
    let runs = observations(0.01);
    let at = |factor: f64| {
        let rows = runs.values.rows().iter();
        let rows = rows.map(|row| row.iter().map(|v| factor * v).collect::<Vec<f64>>());
        let named = runs.values.runs().iter().cloned().zip(rows);
        let scaled = Observations {
            mixtures: runs.mixtures.clone(),
            values: ValueTable::new(runs.values.targets().to_vec(), named).unwrap(),
        };
        let gp = FitOptions {
            regressors: vec!["gp".to_owned()],
            ..quick()
        };
        let fit = Fit::train(&scaled, &gp).unwrap();
        let options = RecommendOptions {
            bootstrap: 0,
            ..RecommendOptions::default()
        };
        recommend(&fit, &options).unwrap().mixture
    };
    let nats = at(1.0);
    for factor in [1e-6, 1e-3, 1e3] {
        let other = at(factor);
        let apart = nats.tv_distance(&other);
        assert!(apart < 1e-4, "{factor}: {apart}");
    }
}
