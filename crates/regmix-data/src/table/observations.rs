//! Mixtures and values of the same runs, joined.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::mixtures::MixtureTable;
use super::names::compare_runs;
use super::records::read_text;
use super::values::ValueTable;
use crate::alike;
use crate::error::{Error, Result};

/// Mixtures and values of the same runs, in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Observations {
    /// The mixtures, one per run.
    pub mixtures: MixtureTable,
    /// The values, rows in the order of the mixtures.
    pub values: ValueTable,
}

impl Observations {
    /// Reads both tables from CSV files. A column of losses that has the name of a
    /// domain counts, even where trackers give that name to something else, such
    /// as `seed`.
    ///
    /// # Errors
    /// As [`MixtureTable::read_csv`], [`ValueTable::read_csv`] and
    /// [`Observations::join`].
    pub fn read_csv(mixtures: &Path, values: &Path) -> Result<Self> {
        let mixtures = MixtureTable::read_csv(mixtures)?;
        Self::with_values(mixtures, &read_text(values)?, values)
    }

    /// Parses both tables from CSV text; the paths are used in errors only.
    ///
    /// # Errors
    /// As [`Observations::read_csv`].
    pub fn parse(mixtures: (&str, &Path), values: (&str, &Path)) -> Result<Self> {
        Self::with_values(
            MixtureTable::parse(mixtures.0, mixtures.1)?,
            values.0,
            values.1,
        )
    }

    fn with_values(mixtures: MixtureTable, values: &str, path: &Path) -> Result<Self> {
        let table = ValueTable::parse_of(values, path, mixtures.domains())?;
        // A run that did not finish may be so in one of the files only.
        let (left, right) = (mixtures.unfinished().clone(), table.unfinished().clone());
        let (mixtures, table) = (mixtures.without(&right), table.without(&left));
        Self::join(mixtures, table).map_err(|e| e.in_file(path))
    }

    /// Joins the two tables by run; the order and the names of the mixtures
    /// are kept. Where names differ, numbers are compared as numbers: `1`,
    /// `1.0` and `001` are the same run.
    ///
    /// # Errors
    /// When a run is in one table only.
    pub fn join(mixtures: MixtureTable, values: ValueTable) -> Result<Self> {
        let ids = Ids::of(mixtures.runs(), values.runs());
        let mut by_run: BTreeMap<String, &Vec<f64>> = (values.runs().iter().zip(values.rows()))
            .map(|(run, row)| (ids.key(run), row))
            .collect();
        let mut rows = Vec::with_capacity(mixtures.len());
        let mut without = Vec::new();
        for run in mixtures.runs() {
            match by_run.remove(&ids.key(run)) {
                Some(row) => rows.push((run.clone(), row.clone())),
                None => without.push(run.as_str()),
            }
        }
        let (without, has, lacks, other) = match without.is_empty() {
            false => (without, "a mixture", "losses", values.runs()),
            true => {
                let spare = |run: &&String| by_run.contains_key(&ids.key(run));
                let spare = values.runs().iter().filter(spare).map(String::as_str);
                (spare.collect(), "losses", "mixture", mixtures.runs())
            }
        };
        if !without.is_empty() {
            let other: Vec<&str> = other.iter().map(String::as_str).collect();
            let alike = alike::notes("runs", without.iter().chain(&other).copied());
            let help = match alike.first() {
                Some(alike) => alike,
                None => "remove those rows, add the missing ones, or name the runs alike",
            };
            return Err(Error::input(format!(
                "runs with {has} but no {lacks}: {}; the other table has the runs {}; expected the \
                 same runs in both tables",
                listed(&without),
                listed(&other)
            ))
            .help(help));
        }
        let names = values.targets().iter().map(String::as_str);
        let alike = alike::notes(
            "domains and targets",
            mixtures.domains().names().chain(names),
        );
        let joined = ValueTable::new(values.targets().to_vec(), rows)?;
        let values = joined.with_notes_of(&values).and_notes(alike);
        Ok(Self { mixtures, values })
    }

    /// The same runs in the order of their names, in which numbers count as numbers:
    /// `run-2` comes before `run-10`. Whatever order the rows of the files have, the
    /// result is the same.
    ///
    /// ```
    /// use regmix_data::table::{MixtureTable, Observations, ValueTable};
    ///
    /// let runs = Observations::join(
    ///     MixtureTable::parse("run,web,code\n10,0.5,0.5\n2,0.25,0.75\n", "m.csv".as_ref())?,
    ///     ValueTable::parse("run,web\n10,3.25\n2,3.5\n", "l.csv".as_ref())?,
    /// )?;
    /// assert_eq!(runs.sorted_by_run()?.values.to_csv(), "run,web\n2,3.5\n10,3.25\n");
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When a run comes twice in a table, or the tables have different runs.
    pub fn sorted_by_run(&self) -> Result<Self> {
        let runs = self.mixtures.runs();
        let mut order: Vec<usize> = (0..runs.len()).collect();
        order.sort_by(|&a, &b| compare_runs(&runs[a], &runs[b]));
        let mixtures = self.mixtures.with_order(&order);
        let values = ValueTable::new(
            self.values.targets().to_vec(),
            (order.iter()).map(|&i| (runs[i].clone(), self.values.rows()[i].clone())),
        )?;
        Ok(Self {
            mixtures,
            values: values.with_notes_of(&self.values),
        })
    }

    /// What a reader of both files should know, see
    /// [`ValueTable::notes`].
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        self.mixtures.notes().iter().chain(self.values.notes())
    }
}

/// The first names of some.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// How runs of two tables are compared.
struct Ids {
    as_numbers: bool,
}

impl Ids {
    /// As numbers where all are numbers and no two of a table are equal, but
    /// the names differ between the tables.
    fn of(a: &[String], b: &[String]) -> Self {
        let distinct = |runs: &[String]| {
            let keys: BTreeSet<Option<String>> = runs.iter().map(|run| number_key(run)).collect();
            keys.len() == runs.len() && !keys.contains(&None)
        };
        let names: BTreeSet<&String> = a.iter().collect();
        let same = b.iter().all(|run| names.contains(run));
        Self {
            as_numbers: !same && distinct(a) && distinct(b),
        }
    }

    fn key(&self, run: &str) -> String {
        match self.as_numbers {
            true => number_key(run).unwrap_or_else(|| run.to_owned()),
            false => run.to_owned(),
        }
    }
}

/// The names of runs as another table has them, by the own name: where names
/// differ, numbers are compared as numbers, see [`Observations::join`].
pub fn names_in(own: &[String], other: &[String]) -> BTreeMap<String, String> {
    let ids = Ids::of(own, other);
    let by_key: BTreeMap<String, &String> = other.iter().map(|run| (ids.key(run), run)).collect();
    (own.iter())
        .filter_map(|run| Some((run.clone(), (*by_key.get(&ids.key(run))?).clone())))
        .collect()
}

/// A number in one form; `None` for other names, and for numbers that a double
/// does not hold exactly.
fn number_key(run: &str) -> Option<String> {
    let plain = run.len() <= 15 && run.starts_with(|c: char| c.is_ascii_digit());
    let number: f64 = run.parse().ok().filter(|_| plain)?;
    Some(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixtures(text: &str) -> Result<MixtureTable> {
        MixtureTable::parse(text, Path::new("m.csv"))
    }

    fn values(text: &str) -> Result<ValueTable> {
        ValueTable::parse(text, Path::new("l.csv"))
    }

    #[test]
    fn names_that_look_alike_in_both_tables_are_named() {
        let m = || mixtures("run,caf\u{e9},web  text\na,0.5,0.5\n").unwrap();
        let l = values("run,cafe\u{301},web text\na,3,2\n").unwrap();
        let joined = Observations::join(m(), l).unwrap();
        let alike = "differ only in white space or in the Unicode form of a letter: they are kept \
                     apart; write them alike if they are the same";
        assert_eq!(
            joined.notes().collect::<Vec<_>>(),
            [
                &format!("the domains and targets \"caf\\u{{e9}}\" and \"cafe\\u{{301}}\" {alike}"),
                &format!("the domains and targets \"web  text\" and \"web text\" {alike}"),
            ]
        );
        let m = mixtures("run,a,b\ncaf\u{e9},0.5,0.5\n").unwrap();
        let l = values("run,a\ncafe\u{301},3\n").unwrap();
        let err = Observations::join(m, l).unwrap_err();
        assert_eq!(
            err.help_text(),
            Some(&*format!(
                "the runs \"caf\\u{{e9}}\" and \"cafe\\u{{301}}\" {alike}"
            ))
        );
    }

    #[test]
    fn rows_in_another_order_are_the_same_runs() {
        let (m, l) = ("run,a,b\nr2,0,1\nr10,1,0\n", "run,a\nr10,1\nr2,2\n");
        let sorted = |m: &str| {
            Observations::join(mixtures(m).unwrap(), values(l).unwrap())
                .and_then(|o| o.sorted_by_run())
        };
        let one = sorted(m).unwrap();
        assert_eq!(one.mixtures.runs(), ["r2", "r10"]);
        assert_eq!(one.values.rows(), [[2.0], [1.0]]);
        assert_eq!(one, sorted("run,a,b\nr10,1,0\nr2,0,1\n").unwrap());
    }
}
