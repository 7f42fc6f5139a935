//! Earlier runs made ready for a new fit.

use std::collections::BTreeMap;

use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, Result};

use crate::reuse::recast::recast;

/// Runs from before the domains changed, over the domains and targets of new
/// runs: for [`FitOptions::earlier`](crate::FitOptions::earlier). A fit uses
/// them beside the new runs; it is judged on new runs alone.
///
/// The earlier runs must have been trained as the new ones: same model,
/// tokens, tokenizer and validation text. Nothing here can check that, but a
/// fit measures its error without them ([`TargetFit::mae_without_earlier`]), and
/// warns where it is better.
///
/// Wins when few new runs can be made: on the published tables, 16 new runs
/// with earlier ones predict better than 64 alone (`benches/RESULTS.md`).
/// Loses where the earlier runs were trained otherwise.
///
/// [`TargetFit::mae_without_earlier`]: crate::TargetFit::mae_without_earlier
///
/// ```
/// use std::collections::BTreeMap;
/// use regmix_data::table::{MixtureTable, Observations, ValueTable};
/// use regmix_regress::Earlier;
///
/// let join = |mixtures: &str, losses: &str| Observations::join(
///     MixtureTable::parse(mixtures, "m.csv".as_ref())?,
///     ValueTable::parse(losses, "l.csv".as_ref())?,
/// );
/// let old = join("run,web,code\na,0.4,0.6\n", "run,web,code\na,3.1,2.2\n")?;
/// let new = join("run,web,code,law\na,0.3,0.3,0.4\n", "run,web,code,law\na,3.2,2.4,2.9\n")?;
/// let earlier = Earlier::new(&old, &new, &BTreeMap::new())?;
/// // Both have a run `a`.
/// assert_eq!(earlier.observations.mixtures.runs(), ["earlier-a"]);
/// assert_eq!(earlier.observations.mixtures.mixtures()[0].weights(), [0.4, 0.6, 0.0]);
/// assert_eq!(earlier.new_domains, ["law"]);
/// assert_eq!(earlier.unmeasured, ["law"]);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// The runs that stay useful. Where a name is also one of the new runs,
    /// all are called `earlier-<run>`. Targets that were not measured are NaN.
    pub observations: Observations,
    /// Domains that no earlier run knew.
    pub new_domains: Vec<String>,
    /// Runs that used a domain which is gone, see [`recast`].
    pub dropped: Vec<String>,
    /// Targets of the new runs that no earlier run has: fitted to new runs
    /// alone.
    pub unmeasured: Vec<String>,
    /// Targets of the earlier runs that no new run has: not used.
    pub ignored: Vec<String>,
}

impl Earlier {
    /// Writes earlier runs over the domains and targets of new ones. Domains
    /// that were split are named in `splits` with their parts, as for
    /// [`recast`].
    ///
    /// # Errors
    /// As [`recast`]; and when the two have no target in common.
    pub fn new(
        earlier: &Observations,
        new: &Observations,
        splits: &BTreeMap<String, Vec<(String, f64)>>,
    ) -> Result<Self> {
        let targets = new.values.targets();
        let of_old = earlier.values.targets();
        // The column of every target; none where it was not measured.
        let columns: Vec<Option<usize>> = (targets.iter())
            .map(|target| of_old.iter().position(|old| old == target))
            .collect();
        if columns.iter().all(Option::is_none) {
            return Err(Error::input(format!(
                "the earlier runs have losses of {}, the new ones of {}: expected at least one \
                 target in common",
                listed(of_old),
                listed(targets)
            ))
            .help("name the columns of both tables alike"));
        }
        let domains = new.mixtures.domains();
        let found = recast(&earlier.mixtures, domains, splits)?;
        let clash = (found.mixtures.runs().iter()).any(|run| new.mixtures.get(run).is_some());
        let renamed = |run: &str| match clash {
            true => format!("earlier-{run}"),
            false => run.to_owned(),
        };
        let rows: BTreeMap<&str, &Vec<f64>> = (earlier.values.runs().iter())
            .map(String::as_str)
            .zip(earlier.values.rows())
            .collect();
        let values = found.mixtures.runs().iter().map(|run| {
            let row = rows.get(run.as_str());
            let value = |column: &Option<usize>| match (row, column) {
                (Some(row), Some(column)) => row[*column],
                _ => f64::NAN,
            };
            (renamed(run), columns.iter().map(value).collect())
        });
        let values = ValueTable::new(targets.to_vec(), values)?;
        let mixtures = (found.mixtures.iter()).map(|(run, m)| (renamed(run), m.clone()));
        let mixtures = MixtureTable::new(domains.clone(), mixtures)?;
        let known = |name: &str| {
            earlier.mixtures.domains().position(name).is_some()
                || splits.values().flatten().any(|(part, _)| part == name)
        };
        Ok(Self {
            observations: Observations::join(mixtures, values)?,
            new_domains: (domains.names().filter(|name| !known(name)))
                .map(str::to_owned)
                .collect(),
            dropped: found.dropped,
            unmeasured: (targets.iter().zip(&columns))
                .filter(|(_, column)| column.is_none())
                .map(|(target, _)| target.clone())
                .collect(),
            ignored: (of_old.iter())
                .filter(|old| !targets.contains(old))
                .cloned()
                .collect(),
        })
    }
}

/// Names in a sentence, the first few of many.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 6;
    match names.len() {
        0 => "nothing".to_owned(),
        n if n > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => names.join(", "),
    }
}

/// New and earlier runs in one, new ones first.
///
/// # Errors
/// When they are over other domains or targets, or share the name of a run.
pub(crate) fn with_earlier(new: &Observations, earlier: &Observations) -> Result<Observations> {
    if new.values.targets() != earlier.values.targets() {
        return Err(Error::input(
            "the earlier runs have other targets than the new ones: expected the same",
        )
        .help("bring them into line with `Earlier::new`"));
    }
    let runs = |part: &Observations| part.mixtures.runs().to_vec().into_iter();
    let parts = [new, earlier];
    let mixtures = (parts.iter()).flat_map(|p| runs(p).zip(p.mixtures.mixtures().to_vec()));
    let rows = (parts.iter()).flat_map(|p| runs(p).zip(p.values.rows().to_vec()));
    Observations::join(
        MixtureTable::new(new.mixtures.domains().clone(), mixtures)?,
        ValueTable::new(new.values.targets().to_vec(), rows)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(mixtures: &str, losses: &str) -> Observations {
        Observations::join(
            MixtureTable::parse(mixtures, "m.csv".as_ref()).unwrap(),
            ValueTable::parse(losses, "l.csv".as_ref()).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn columns_are_joined_by_name_and_losses_stay_with_their_run() {
        let old = join(
            "run,b,a,gone\nx,0.4,0.6,0\ny,0.5,0,0.5\nz,1,0,0\n",
            "run,other,a\nz,9,3\nx,7,1\ny,8,2\n",
        );
        let new = join("run,a,b,c\nx1,0.2,0.3,0.5\n", "run,c,a\nx1,5,6\n");
        let found = Earlier::new(&old, &new, &BTreeMap::new()).unwrap();
        assert_eq!(found.observations.mixtures.runs(), ["x", "z"]);
        assert_eq!(found.dropped, ["y"]);
        assert_eq!(found.new_domains, ["c"]);
        assert_eq!(
            (&*found.unmeasured, &*found.ignored),
            (&["c".to_owned()][..], &["other".to_owned()][..])
        );
        let rows = found.observations.values.rows();
        assert!(rows[0][0].is_nan() && rows[1][0].is_nan());
        assert_eq!((rows[0][1], rows[1][1]), (1.0, 3.0));
        assert_eq!(
            found.observations.mixtures.mixtures()[0].weights(),
            [0.6, 0.4, 0.0]
        );

        let all = with_earlier(&new, &found.observations).unwrap();
        assert_eq!(all.mixtures.runs(), ["x1", "x", "z"]);
        let err = with_earlier(&new, &old).unwrap_err();
        assert!(err.to_string().contains("other targets"), "{err}");
        // The same runs twice.
        let err = with_earlier(&new, &new).unwrap_err();
        assert!(err.to_string().contains("x1"), "{err}");
    }

    #[test]
    fn nothing_in_common_is_refused() {
        let old = join("run,a,b\nx,0.4,0.6\n", "run,p\nx,1\n");
        let new = join("run,a,b,c\ny,0.2,0.3,0.5\n", "run,a\ny,5\n");
        let err = Earlier::new(&old, &new, &BTreeMap::new()).unwrap_err();
        assert!(
            err.to_string().contains("losses of p, the new ones of a"),
            "{err}"
        );
    }
}
