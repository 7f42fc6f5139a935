//! Measures how much earlier runs help when a domain is added: every domain of
//! a table of runs in turn is treated as the new one.
//!
//! ```sh
//! cargo run --release -p regmix-regress --example reuse -- \
//!     train_mixture_1m.csv train_pile_loss_1m.csv ensemble
//! ```
//!
//! Earlier runs are those without weight on the domain, with its column taken
//! out and put back by `recast`. A few random runs with weight on it are the
//! new ones; all others with weight on it are the test set. Prints, as JSON,
//! Spearman's rank correlation times 100 and the mean absolute error of a
//! regressor fitted to the new runs alone and to both, means over targets,
//! draws and domains, with the standard deviation over domains.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `--new` | `16,32,64` | numbers of new runs |
//! | `--draws` | 3 | random choices of them |
//! | `--fewest` | 64 | earlier runs that a domain must have |
//! | `--seed` | 0 | seed of the choices and of fits |
//! | `--threads` | 1 | threads |
#![allow(clippy::print_stdout)] // Its result goes there.

mod common;

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::{Value, json};

use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations};
use regmix_data::{DomainSet, Error, Mixture, Result};
use regmix_regress::metrics::{mae, spearman};
use regmix_regress::regressor::regressor;
use regmix_regress::{Regressor, Samples, recast};

use common::{Arguments, average, observations, spread, with_threads};

/// A domain that plays the new one.
struct Added {
    /// Earlier runs as they come back from the table without the domain.
    earlier: Vec<(usize, Mixture)>,
    /// Places of the runs that use it.
    users: Vec<usize>,
    name: String,
}

fn main() -> Result<()> {
    let words = Arguments::read(&["--new", "--draws", "--fewest", "--seed", "--threads"])?;
    let [mixtures, losses, name] = &words.plain[..] else {
        return Err(Error::input(format!(
            "{} arguments: expected MIXTURES.csv LOSSES.csv REGRESSOR",
            words.plain.len()
        )));
    };
    let table = observations(mixtures, losses)?;
    let regressor = regressor(name)?;
    let seed: u64 = words.number("--seed", 0)?;
    let (draws, fewest) = (words.number("--draws", 3)?, words.number("--fewest", 64)?);
    let new: Vec<usize> = words.numbers("--new", vec![16, 32, 64])?;
    let most = new.iter().copied().max().unwrap_or(0);
    let added: Vec<Added> = (table.mixtures.domains().names())
        .map(|domain| split(&table, domain))
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .filter(|a| a.earlier.len() >= fewest && a.users.len() >= 2 * most)
        .collect();
    let out = with_threads(words.number("--threads", 1)?, || {
        (new.iter())
            .map(|&n| measure(&table, &added, &*regressor, n, draws, seed))
            .collect::<Result<Vec<_>>>()
    })?;
    let domains: BTreeMap<&str, usize> = (added.iter())
        .map(|a| (a.name.as_str(), a.earlier.len()))
        .collect();
    println!(
        "{:#}",
        json!({"regressor": name, "earlier runs": domains, "draws": draws, "new": out})
    );
    Ok(())
}

fn split(table: &Observations, domain: &str) -> Result<Added> {
    let all = table.mixtures.domains();
    let place = all.require(domain)?;
    let others = DomainSet::from_names(all.names().filter(|d| *d != domain))?;
    let (mut places, mut rows, mut users) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (run, mixture)) in table.mixtures.iter().enumerate() {
        if mixture.weights()[place] > 0.0 {
            users.push(i);
            continue;
        }
        let mut weights = mixture.weights().to_vec();
        weights.remove(place);
        rows.push((
            run.to_owned(),
            Mixture::normalized(others.clone(), weights)?,
        ));
        places.push(i);
    }
    let earlier = match rows.is_empty() {
        true => Vec::new(),
        false => recast(&MixtureTable::new(others, rows)?, all, &BTreeMap::new())?
            .mixtures
            .mixtures()
            .to_vec(),
    };
    Ok(Added {
        earlier: places.into_iter().zip(earlier).collect(),
        users,
        name: domain.to_owned(),
    })
}

fn measure(
    table: &Observations,
    added: &[Added],
    regressor: &dyn Regressor,
    new: usize,
    draws: usize,
    seed: u64,
) -> Result<Value> {
    let targets = table.values.targets().len();
    let jobs: Vec<(usize, usize, usize)> = (0..added.len())
        .flat_map(|a| (0..draws).map(move |draw| (a, draw)))
        .flat_map(|(a, draw)| (0..targets).map(move |t| (a, draw, t)))
        .collect();
    let judged = (jobs.par_iter())
        .map(|&(a, draw, t)| judge(table, &added[a], regressor, new, draw, t, seed))
        .collect::<Result<Vec<_>>>()?;
    let by_domain = |figure: &dyn Fn(&[[f64; 2]; 2]) -> f64| {
        let means: Vec<f64> = (judged.chunks(draws * targets))
            .map(|some| average(&some.iter().map(figure).collect::<Vec<_>>()))
            .collect();
        json!({"mean": average(&means), "sd": spread(&means)})
    };
    let of = |which: usize| json!({"spearman": by_domain(&|j| j[which][0]), "mae": by_domain(&|j| j[which][1])});
    Ok(json!({"runs": new, "new alone": of(0), "with earlier runs": of(1)}))
}

/// Spearman x 100 and mean absolute error, without and with earlier runs.
fn judge(
    table: &Observations,
    added: &Added,
    regressor: &dyn Regressor,
    new: usize,
    draw: usize,
    target: usize,
    seed: u64,
) -> Result<[[f64; 2]; 2]> {
    let mut order = added.users.clone();
    let run = format!("{}-{new}-{draw}", added.name);
    order.shuffle(&mut stream(seed, &run, "reuse"));
    let (fresh, rest) = order.split_at(new);
    let at = |i: &usize| {
        (
            table.mixtures.mixtures()[*i].weights(),
            table.values.rows()[*i][target],
        )
    };
    let own = (table.mixtures.domains()).position(&table.values.targets()[target]);
    let alone: Vec<(&[f64], f64)> = fresh.iter().map(at).collect();
    let mut both = alone.clone();
    both.extend(
        (added.earlier.iter()).map(|(i, m)| (m.weights(), table.values.rows()[*i][target])),
    );
    let (judges, measured): (Vec<&[f64]>, Vec<f64>) = rest.iter().map(at).unzip();
    let judged = |rows: Vec<(&[f64], f64)>| {
        let (rows, values): (Vec<&[f64]>, Vec<f64>) = rows.into_iter().unzip();
        let samples = Samples::new(rows, values)?.with_own_domain(own);
        let predicted = regressor.fit(&samples, seed)?.means(&judges);
        Ok::<_, Error>([
            100.0 * spearman(&measured, &predicted),
            mae(&measured, &predicted),
        ])
    };
    Ok([judged(alone)?, judged(both)?])
}
