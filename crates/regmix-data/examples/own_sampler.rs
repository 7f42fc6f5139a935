//! A sampler of your own: every pair of domains at several shares, which shows the
//! effects of domains on each other. It implements the same trait as those of
//! regmix, and writes a table for any trainer.
//!
//! ```sh
//! cargo run --release -p regmix-data --example own_sampler > mixtures.csv
//! ```
#![allow(clippy::print_stdout)] // Its result goes there.

use regmix_data::design::{Drawn, Floored, Sampler, Space};
use regmix_data::random::{self, Stream};
use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Error, Mixture, Result};

/// Mixtures of two domains.
struct Pairs {
    /// Shares of the first of the two.
    shares: Vec<f64>,
}

impl Sampler for Pairs {
    fn name(&self) -> &'static str {
        "pairs"
    }

    fn draw(&self, space: &Space, n: usize, _: &mut Stream) -> Result<Drawn> {
        let domains = space.prior().domains();
        let (mut mixtures, mut tried) = (Vec::new(), 0);
        for (a, b) in (0..domains.len()).flat_map(|b| (0..b).map(move |a| (a, b))) {
            for share in &self.shares {
                let mut weights = space.floor().to_vec();
                let free = 1.0 - weights.iter().sum::<f64>();
                weights[a] += free * share;
                weights[b] += free * (1.0 - share);
                tried += 1;
                if weights.iter().zip(space.cap()).all(|(w, cap)| w <= cap) {
                    mixtures.push(Mixture::new(domains.clone(), weights)?);
                }
            }
        }
        if mixtures.len() < n {
            return Err(Error::input(format!(
                "{} pairs within the caps, expected {n}",
                mixtures.len()
            )));
        }
        let accepted = mixtures.len();
        mixtures.truncate(n);
        Ok(Drawn {
            mixtures,
            tried,
            accepted,
        })
    }
}

fn main() -> Result<()> {
    let domains = DomainSet::from_names(["web", "code", "books"])?;
    let prior = Mixture::new(domains, vec![0.7, 0.2, 0.1])?;
    let space = Space::new(prior).with_floor(0.02)?;
    let pairs = Pairs {
        shares: vec![0.25, 0.5, 0.75],
    };
    let samplers: [(&dyn Sampler, usize); 2] = [(&pairs, 9), (&Floored::default(), 7)];
    let mut rows = Vec::new();
    for (sampler, n) in samplers {
        let drawn = sampler.draw(&space, n, &mut random::stream(7, "design", sampler.name()))?;
        assert_eq!(drawn.mixtures.len(), n);
        for (i, mixture) in drawn.mixtures.into_iter().enumerate() {
            rows.push((format!("{}-{i}", sampler.name()), mixture));
        }
    }
    // Floors are met, up to rounding.
    assert!((rows.iter()).all(|(_, m)| m.weights().iter().all(|w| *w > 0.02 - 1e-9)));
    let domains = space.prior().domains().clone();
    print!("{}", MixtureTable::new(domains, rows)?.to_csv());
    Ok(())
}
