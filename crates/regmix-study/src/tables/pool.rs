//! Choosing runs from a table of mixtures.

use std::path::Path;

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Mixture, Monitor, Result, design};

/// Weights of a run that are this near, in total variation, are the same but for
/// rounding.
const ROUNDING: f64 = 0.005;

/// A mixture that was chosen to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenRun {
    /// Its name in the pool.
    pub run: String,
    /// The mixture.
    pub mixture: Mixture,
    /// Total variation to the nearest mixture that was run or chosen before;
    /// none for the first of all.
    pub distance: Option<f64>,
}

/// Chooses which of the mixtures of a file to run beside those of another one,
/// in the order of choice ([`design::choose`]).
///
/// # Errors
/// As [`choose_runs`], and when a file cannot be read.
pub fn choose_from_files(
    pool: &Path,
    have: Option<&Path>,
    runs: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<ChosenRun>> {
    let read = |path: &Path| -> Result<MixtureTable> {
        let table = MixtureTable::read_csv(path)?;
        table.notes().iter().for_each(|note| monitor.message(note));
        Ok(table)
    };
    let pool_table = read(pool)?;
    let have = have.map(read).transpose()?;
    choose_runs(&pool_table, have.as_ref(), runs).map_err(|e| e.in_file_if_none(pool))
}

/// Chooses which mixtures of a table to run beside those of another one, in the
/// order of choice. Domains are joined by name. A mixture of the pool that has
/// the name of a run is that run and is not chosen again.
///
/// # Errors
/// When the tables are over other domains, a name stands for two mixtures, no
/// run is wanted, or the pool has too few.
pub fn choose_runs(
    pool: &MixtureTable,
    have: Option<&MixtureTable>,
    runs: usize,
) -> Result<Vec<ChosenRun>> {
    if runs == 0 {
        return Err(Error::input("0 runs: expected at least 1").field("--runs"));
    }
    let have = have.map(|h| h.reordered(pool.domains())).transpose()?;
    let mut left: Vec<(&str, &Mixture)> = Vec::new();
    for (run, mixture) in pool.iter() {
        match have.as_ref().and_then(|h| h.get(run)) {
            None => left.push((run, mixture)),
            Some(ran) if ran.tv_distance(mixture) <= ROUNDING => (),
            Some(ran) => {
                return Err(Error::input(format!(
                    "`{run}` has another mixture than the run of that name, which differs in \
                     {:.1}% of the tokens: expected a name for each",
                    100.0 * ran.tv_distance(mixture)
                ))
                .help("rename the mixtures of the pool that were not run"));
            }
        }
    }
    let candidates: Vec<Mixture> = left.iter().map(|(_, m)| (*m).clone()).collect();
    let mut before: Vec<Mixture> = have.map_or_else(Vec::new, |h| h.mixtures().to_vec());
    let places = design::choose(&candidates, &before, runs)?;
    Ok((places.into_iter())
        .map(|place| {
            let (run, mixture) = left[place];
            let nearest = before.iter().map(|m| m.tv_distance(mixture));
            let distance = nearest.min_by(f64::total_cmp);
            before.push(mixture.clone());
            ChosenRun {
                run: run.to_owned(),
                mixture: mixture.clone(),
                distance,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> MixtureTable {
        MixtureTable::parse(&format!("run,web,code\n{rows}"), "t.csv".as_ref()).unwrap()
    }

    #[test]
    fn runs_that_are_there_are_left_out_and_spread_from() {
        let pool = table("a,1,0\nb,0.9,0.1\nc,0.5,0.5\nd,0,1\n");
        // Other order of domains, other rounding.
        let have = MixtureTable::parse("run,code,web\na,0.001,0.999\n", "h.csv".as_ref()).unwrap();
        let chosen = choose_runs(&pool, Some(&have), 2).unwrap();
        let names: Vec<&str> = chosen.iter().map(|c| c.run.as_str()).collect();
        assert_eq!(names, ["d", "c"]);
        assert!((chosen[0].distance.unwrap() - 0.999).abs() < 1e-9);
        assert!((chosen[1].distance.unwrap() - 0.499).abs() < 1e-9);
        assert_eq!(choose_runs(&pool, None, 1).unwrap()[0].distance, None);
    }

    #[test]
    fn what_cannot_be_chosen_is_said() {
        let pool = table("a,1,0\nb,0.5,0.5\n");
        let message = |have: &str, runs| {
            let have = table(have);
            choose_runs(&pool, Some(&have), runs)
                .unwrap_err()
                .to_string()
        };
        let expected = "`a` has another mixture than the run of that name, which differs in 70.0% of \
                        the tokens: expected a name for each";
        assert_eq!(message("a,0.3,0.7\n", 1), expected);
        assert_eq!(
            message("a,1,0\n", 2),
            "1 of 1 candidates differ from each other and from the 1 runs that are there: expected at \
             least the 2 that are wanted"
        );
        assert_eq!(
            message("a,1,0\n", 0),
            "`--runs`: 0 runs: expected at least 1"
        );
    }
}
