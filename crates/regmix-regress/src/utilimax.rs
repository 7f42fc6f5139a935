//! UtiliMax: a mixture from utilities of domains for tasks.

use std::collections::BTreeMap;
use std::path::Path;

use regmix_data::table::RunRows;
use regmix_data::{DomainSet, Error, Mixture, Result};

use crate::constraints::Constraints;
use crate::numeric::slices::{add, dot};
use crate::search::descend::descend;
use crate::search::options::DescendOptions;
use crate::search::surface::Surface;

/// The utility of every domain for every task, such as the accuracy of a model that was
/// trained on the domain alone.
///
/// Utilities are scaled so that the best domain of a task has 1: their unit does not matter.
///
/// ```
/// use regmix_data::DomainSet;
/// use regmix_regress::{Utilities, utilimax};
///
/// let domains = DomainSet::from_names(["web", "books", "code"])?;
/// let csv = "domain,reading,programming\nweb,0.5,0.2\nbooks,0.6,0.1\ncode,0.1,0.4\n";
/// let utilities = Utilities::parse(csv, "utilities.csv".as_ref(), &domains)?;
/// assert_eq!(utilities.of_domain("web").unwrap(), [0.5 / 0.6, 0.5]);
/// let mixture = utilimax(&utilities, None)?;
/// assert!(mixture.get("web") > mixture.get("books"));
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Utilities {
    domains: DomainSet,
    tasks: Vec<String>,
    /// Scaled, `[domains][tasks]`.
    rows: Vec<Vec<f64>>,
    notes: Vec<String>,
}

impl Utilities {
    /// Collects utilities: a row for every domain, in their order, with a number of at least
    /// 0 for every task.
    ///
    /// # Errors
    /// When there is no task, a row is missing or has another length, a number is negative or
    /// not finite, or no domain has a utility above 0 for a task.
    pub fn new(domains: DomainSet, tasks: Vec<String>, mut rows: Vec<Vec<f64>>) -> Result<Self> {
        if tasks.is_empty() {
            return Err(Error::input("no task: expected at least one"));
        }
        if rows.len() != domains.len() || rows.iter().any(|row| row.len() != tasks.len()) {
            return Err(Error::input(format!(
                "utilities of {} domains: expected those of {}, {} for each",
                rows.len(),
                domains.len(),
                tasks.len()
            )));
        }
        for (place, task) in tasks.iter().enumerate() {
            for (row, domain) in rows.iter().zip(domains.names()) {
                check(row[place], domain, task)?;
            }
            let most = rows.iter().map(|row| row[place]).fold(0.0, f64::max);
            if most == 0.0 {
                return Err(Error::input(
                    "every utility is 0: expected that of one domain above 0",
                )
                .field(task)
                .help("leave the task out: it does not tell domains apart"));
            }
            rows.iter_mut().for_each(|row| row[place] /= most);
        }
        Ok(Self {
            domains,
            tasks,
            rows,
            notes: Vec::new(),
        })
    }

    /// Reads a CSV file, `domain,<task>...`, with a row for each of `domains`.
    ///
    /// # Errors
    /// When the file cannot be read or is no such table, a domain is unknown, missing or there
    /// twice, a field is empty, and as [`Utilities::new`].
    pub fn read_csv(path: impl AsRef<Path>, domains: &DomainSet) -> Result<Self> {
        let path = path.as_ref();
        Self::of(RunRows::read_csv(path)?, path, domains)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`Utilities::read_csv`].
    pub fn parse(text: &str, path: &Path, domains: &DomainSet) -> Result<Self> {
        Self::of(RunRows::parse(text, path)?, path, domains)
    }

    fn of(table: RunRows, path: &Path, domains: &DomainSet) -> Result<Self> {
        let mut by_domain = BTreeMap::new();
        for row in table.rows {
            let here = |e: Error| e.in_file(path).line(row.line);
            let place = domains.require(&row.run).map_err(here)?;
            for (value, task) in row.values.iter().zip(&table.columns) {
                check(*value, &row.run, task).map_err(here)?;
            }
            if let Some((first, _)) = by_domain.insert(place, (row.line, row.values)) {
                return Err(here(Error::input(format!(
                    "domain `{}` is already on line {first}: expected every domain once",
                    row.run
                ))));
            }
        }
        let missing = (0..domains.len()).filter(|place| !by_domain.contains_key(place));
        let missing: Vec<String> = missing
            .map(|place| format!("`{}`", domains[place].as_str()))
            .collect();
        if !missing.is_empty() {
            return Err(Error::input(format!(
                "no utilities of {}: expected a row for every domain",
                missing.join(", ")
            ))
            .in_file(path));
        }
        let rows = by_domain.into_values().map(|(_, values)| values).collect();
        let known = Self::new(domains.clone(), table.columns, rows);
        let known = known.map_err(|e| e.in_file(path))?;
        Ok(Self {
            notes: table.notes,
            ..known
        })
    }

    /// The domains, in their order.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// The tasks, in their order.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// The utilities of a domain for every task, 0 to 1.
    pub fn of_domain(&self, domain: &str) -> Option<&[f64]> {
        let place = self.domains.position(domain)?;
        Some(&self.rows[place])
    }

    /// What a reader of the file should know, in sentences: columns that were left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Checks one utility.
fn check(value: f64, domain: &str, task: &str) -> Result<()> {
    let problem = match value {
        x if x.is_nan() => "no utility".to_owned(),
        x if x.is_infinite() || x < 0.0 => format!("a utility of {x}"),
        _ => return Ok(()),
    };
    Err(Error::input(format!(
        "{problem} for domain `{domain}`: expected a finite number of at least 0"
    ))
    .field(task))
}

/// By how much residuals are rounded, so that the value has a slope where all are 0.
const ROUNDED: f64 = 1e-5;

/// How far above the minimum a result may be, apart from `ROUNDED`.
const GAP: f64 = 1e-6;

/// The mixture by UtiliMax (arXiv 2501.11747) within some limits: as near as possible to the
/// best of every task at once, without relying on few domains,
///
/// `min_w ‖Uᵀ w - 1‖ + K ‖w‖²`
///
/// with the utilities U of K domains. Limits of repetition, as in the paper, are caps of
/// [`Constraints::from_epochs`]. Where all utilities are equal, the mixture is as even as the
/// limits allow, like that of [`unimax`](crate::unimax).
///
/// The problem is convex: the result is within 1e-5 of the minimum, which is checked by a
/// lower bound. Corners of the norm are rounded, `√(‖r‖² + 1e-10)`. Cost O(K · tasks) per
/// step, some tens of steps.
///
/// The second term is strong: one domain alone costs K there and the uniform mixture 1, while
/// the first term is at most the root of the number of tasks. With many domains and few tasks
/// the mixture is nearly uniform.
///
/// # Errors
/// When the limits are over other domains, or the minimum was not reached.
pub fn utilimax(utilities: &Utilities, constraints: Option<&Constraints>) -> Result<Mixture> {
    let domains = &utilities.domains;
    let limits = Constraints::or_none(constraints, domains)?;
    let options = DescendOptions {
        max_iterations: 5000,
        tolerance: 1e-9,
    };
    let start = [Mixture::uniform(domains.clone())];
    let found = descend(&Value(utilities), &start, &limits, &options)?;
    let weights = limits.cleared(found.mixture.weights());
    let (_, slopes) = utilities.value_and_slopes(&weights);
    let gap = dot(&slopes, &weights) - dot(&slopes, &limits.lowest(&slopes));
    if gap > GAP {
        return Err(Error::failed(format!(
            "the search of utilimax ended up to {gap:e} above the minimum, expected {GAP:e}"
        )));
    }
    Mixture::normalized(domains.clone(), weights)
}

impl Utilities {
    /// The objective of UtiliMax at weights in the order of the domains, with rounded
    /// corners, and its slopes.
    fn value_and_slopes(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let mut residuals = vec![-1.0; self.tasks.len()];
        for (row, weight) in self.rows.iter().zip(weights) {
            add(&mut residuals, *weight, row);
        }
        let norm = (dot(&residuals, &residuals) + ROUNDED * ROUNDED).sqrt();
        let k = weights.len() as f64;
        let slopes = (self.rows.iter().zip(weights))
            .map(|(row, weight)| dot(row, &residuals) / norm + 2.0 * k * weight)
            .collect();
        (norm + k * dot(weights, weights), slopes)
    }
}

/// The objective as a surface to search on.
struct Value<'a>(&'a Utilities);

impl Surface for Value<'_> {
    fn domains(&self) -> &DomainSet {
        &self.0.domains
    }

    fn value(&self, weights: &[f64]) -> f64 {
        self.0.value_and_slopes(weights).0
    }

    fn gradient(&self, weights: &[f64]) -> Option<Vec<f64>> {
        Some(self.0.value_and_slopes(weights).1)
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Option<Vec<f64>>) {
        let (value, slopes) = self.0.value_and_slopes(weights);
        (value, Some(slopes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::repetition::unimax::unimax;

    fn domains(count: usize) -> DomainSet {
        DomainSet::from_names((0..count).map(|i| format!("d{i}"))).unwrap()
    }

    fn utilities(rows: &[&[f64]]) -> Utilities {
        let tasks = (0..rows[0].len()).map(|i| format!("t{i}")).collect();
        let rows = rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        Utilities::new(domains(rows.len()), tasks, rows).unwrap()
    }

    /// The formula, as it stands in the paper.
    fn plain(utilities: &Utilities, weights: &[f64]) -> f64 {
        let residual = |t: usize| {
            let sum: f64 = (utilities.rows.iter().zip(weights))
                .map(|(u, w)| u[t] * w)
                .sum();
            (sum - 1.0).powi(2)
        };
        let first: f64 = (0..utilities.tasks.len()).map(residual).sum();
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        first.sqrt() + weights.len() as f64 * squares
    }

    #[test]
    fn no_point_of_a_grid_is_lower() {
        for rows in [
            [&[0.5, 0.2][..], &[0.6, 0.1], &[0.1, 0.4]],
            // One domain is the best of many tasks: the corner of the norm is the minimum.
            [&[1.0; 60][..], &[0.1; 60], &[0.2; 60]],
            [&[1.0, 0.0, 0.3][..], &[0.0, 1.0, 0.3], &[0.9, 0.9, 1.0]],
        ] {
            let utilities = utilities(&rows);
            let found = utilimax(&utilities, None).unwrap();
            let value = plain(&utilities, found.weights());
            let mut lowest = f64::INFINITY;
            for a in 0..=400 {
                for b in 0..=400 - a {
                    let c = 400 - a - b;
                    let weights = [a, b, c].map(|n| f64::from(n) / 400.0);
                    lowest = lowest.min(plain(&utilities, &weights));
                }
            }
            assert!(value < lowest + 2e-5, "{value} {lowest}");
            assert!(value > lowest - 1e-3, "{value} {lowest}");
        }
        let best = utilities(&[&[1.0; 60][..], &[0.1; 60], &[0.2; 60]]);
        assert!(utilimax(&best, None).unwrap().weights()[0] > 1.0 - 1e-4);
    }

    #[test]
    fn equal_utilities_give_the_most_even_mixture() {
        let equal = utilities(&[&[0.3, 7.0][..]; 4]);
        for weight in utilimax(&equal, None).unwrap().weights() {
            assert!((weight - 0.25).abs() < 1e-6, "{weight}");
        }
        let available = [10.0, 300.0, 30.0, 600.0];
        let caps = Constraints::from_epochs(domains(4), &available, 800.0, 4.0).unwrap();
        let even = unimax(domains(4), &available, 800.0, 4.0).unwrap();
        let found = utilimax(&equal, Some(&caps)).unwrap();
        for (a, b) in found.weights().iter().zip(even.weights()) {
            assert!((a - b).abs() < 1e-4, "{found:?} {even:?}");
        }
    }

    #[test]
    fn the_unit_of_a_task_does_not_matter() {
        let shares = utilities(&[&[0.5, 0.2][..], &[0.6, 0.1]]);
        let percent = utilities(&[&[0.5, 20.0][..], &[0.6, 10.0]]);
        assert_eq!(shares.rows, percent.rows);
    }

    proptest! {
        #[test]
        fn no_allowed_mixture_is_lower(
            values in prop::collection::vec(0.0f64..1.0, 30),
            caps in prop::collection::vec(0.3f64..1.0, 5),
            others in prop::collection::vec(prop::collection::vec(0.0f64..1.0, 5), 20),
        ) {
            let rows: Vec<&[f64]> = values.chunks(6).collect();
            let utilities = utilities(&rows);
            let limits = caps.iter().enumerate().fold(
                Constraints::none(domains(5)),
                |limits, (i, cap)| limits.with_cap(&format!("d{i}"), *cap).unwrap(),
            );
            let found = utilimax(&utilities, Some(&limits)).unwrap();
            prop_assert!(limits.allows(found.weights()));
            let value = plain(&utilities, found.weights());
            for other in others {
                let other = limits.projected(&other);
                prop_assert!(value <= plain(&utilities, &other) + 2e-5);
            }
        }
    }

    #[test]
    fn wrong_tables_are_refused() {
        let domains = DomainSet::from_names(["web", "code"]).unwrap();
        let error = |text: &str| {
            let e = Utilities::parse(text, "u.csv".as_ref(), &domains).unwrap_err();
            e.to_string()
        };
        assert_eq!(
            error("domain,a\nweb,1\ncod,1\n"),
            "u.csv:3: unknown domain `cod`: expected one of web, code"
        );
        assert_eq!(
            error("domain,a\nweb,1\n"),
            "u.csv: no utilities of `code`: expected a row for every domain"
        );
        assert_eq!(
            error("domain,a\nweb,1\ncode,2\nweb,1\n"),
            "u.csv:4: domain `web` is already on line 2: expected every domain once"
        );
        assert_eq!(
            error("domain,a,b\nweb,1,2\ncode,1,-2\n"),
            "u.csv:3: `b`: a utility of -2 for domain `code`: expected a finite number of at least 0"
        );
        assert_eq!(
            error("domain,a,b\nweb,1,\ncode,1,2\n"),
            "u.csv:2: `b`: no utility for domain `web`: expected a finite number of at least 0"
        );
        assert_eq!(
            error("domain,a,b\nweb,1,inf\ncode,1,2\n"),
            "u.csv:2: `b`: a utility of inf for domain `web`: expected a finite number of at least 0"
        );
        assert_eq!(
            error("domain,a,b\nweb,1,0\ncode,1,0\n"),
            "u.csv: `b`: every utility is 0: expected that of one domain above 0"
        );
        assert_eq!(
            Utilities::new(domains, vec!["a".to_owned()], vec![vec![1.0]])
                .unwrap_err()
                .to_string(),
            "utilities of 1 domains: expected those of 2, 1 for each"
        );
    }
}
