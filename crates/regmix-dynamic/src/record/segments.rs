//! The mixtures of runs, segment by segment: runs may change their mixture during the run.

use std::collections::BTreeMap;
use std::path::Path;

use rand::RngExt;
use rand::seq::SliceRandom;

use regmix_data::random::stream;
use regmix_data::table::records::{number, render};
use regmix_data::table::{MixtureTable, RunRows};
use regmix_data::{DomainSet, Error, Mixture, Result, artefact};

use super::stage_grid::StageGrid;

/// A stretch of training on one mixture; it ends where the next one starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Where it starts, a fraction of training in `[0, 1)`.
    pub from: f64,
    /// The mixture.
    pub mixture: Mixture,
}

/// The mixtures of runs, segment by segment; a static run has one.
///
/// In CSV, `run,from,<domain>…`, one row per segment. With static proxies, as
/// RegMix-D has them, it cannot be known whether a low loss comes from the
/// mixture now or from the mixture before, since both are the same; runs that
/// switch separate the two.
///
/// ```
/// use regmix_data::table::MixtureTable;
/// use regmix_dynamic::{Segments, StageGrid};
///
/// let design = MixtureTable::parse("run,web,code\nr0,1,0\nr1,0.5,0.5\n", "d.csv".as_ref())?;
/// let runs = Segments::switching(&design, 0.5, &StageGrid::equal(3)?, 7)?;
/// assert_eq!(runs.switching_runs(), 1);
/// // Half of its tokens before a switch at 0.5, half after.
/// let text = "run,from,web,code\nr0,0,1,0\nr0,0.5,0,1\n";
/// let one = Segments::parse(text, "s.csv".as_ref())?;
/// assert_eq!(one.mean("r0", 0.25, 0.75)?, [0.5, 0.5]);
/// assert_eq!(one.to_csv(), text);
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    domains: DomainSet,
    runs: Vec<String>,
    segments: BTreeMap<String, Vec<Segment>>,
}

impl Segments {
    /// No runs yet.
    pub fn new(domains: DomainSet) -> Self {
        Self {
            domains,
            runs: Vec::new(),
            segments: BTreeMap::new(),
        }
    }

    /// Adds a run.
    ///
    /// # Errors
    /// When the run is there already, its segments do not ascend from 0 to
    /// below 1, or a mixture is over other domains.
    pub fn push(&mut self, run: impl Into<String>, segments: Vec<Segment>) -> Result<()> {
        let run = run.into();
        let ascend = segments.windows(2).all(|s| s[0].from < s[1].from);
        let inside = segments.iter().all(|s| (0.0..1.0).contains(&s.from));
        if segments.first().is_none_or(|s| s.from != 0.0) || !ascend || !inside {
            let starts: Vec<f64> = segments.iter().map(|s| s.from).collect();
            return Err(Error::input(format!(
                "run `{run}`: segments from {starts:?}, expected fractions of training that ascend \
                 from 0 and stay below 1"
            ))
            .field("from"));
        }
        let ordered = (segments.into_iter())
            .map(|s| {
                let mixture = s.mixture.reordered(&self.domains)?;
                Ok(Segment { mixture, ..s })
            })
            .collect::<Result<Vec<_>>>()?;
        if self.segments.insert(run.clone(), ordered).is_some() {
            return Err(Error::input(format!(
                "run `{run}` comes twice, expected every run once"
            )));
        }
        self.runs.push(run);
        Ok(())
    }

    /// Runs that stay on one mixture.
    pub fn fixed(design: &MixtureTable) -> Self {
        let mut out = Self::new(design.domains().clone());
        for (run, mixture) in design.iter() {
            let mixture = mixture.clone();
            out.runs.push(run.to_owned());
            (out.segments).insert(run.to_owned(), vec![Segment { from: 0.0, mixture }]);
        }
        out
    }

    /// A design of which a share of the runs change their mixture during the run.
    ///
    /// Every run starts on its own mixture. A run that switches changes once,
    /// at a stage point, to the mixture of another run that switches. Each of
    /// these mixtures is used once, so that weights before and after are
    /// independent, and the design covers the simplex equally well after the
    /// switches. The same number of runs switches at every stage point.
    ///
    /// # Errors
    /// When the share is not in `[0, 1]`, or asks for a single switching run
    /// of a design with only one run.
    pub fn switching(
        design: &MixtureTable,
        share: f64,
        grid: &StageGrid,
        seed: u64,
    ) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(
                Error::input(format!("{share}, expected a share between 0 and 1"))
                    .field("switching"),
            );
        }
        let mut rng = stream(seed, "design", "switching");
        let mut order: Vec<usize> = (0..design.len()).collect();
        order.shuffle(&mut rng);
        order.truncate((share * design.len() as f64).round() as usize);
        if !order.is_empty() && design.len() < 2 {
            return Err(
                Error::input("a design of one run cannot switch: expected at least two")
                    .field("switching"),
            );
        }
        // Nothing is left to train after the last point.
        let points = &grid.points()[..grid.stages()];
        let first = rng.random_range(0..points.len());
        let mut out = Self::fixed(design);
        for (i, &place) in order.iter().enumerate() {
            let other = match order.get((i + 1) % order.len()) {
                Some(&other) if other != place => other,
                _ => (place + 1) % design.len(),
            };
            let segment = Segment {
                from: points[(first + i) % points.len()],
                mixture: design.mixtures()[other].clone(),
            };
            if let Some(segments) = out.segments.get_mut(&design.runs()[place]) {
                segments.push(segment);
            }
        }
        Ok(out)
    }

    /// The domains, in the order of the weights.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// The runs, in the order in which they were added.
    pub fn runs(&self) -> &[String] {
        &self.runs
    }

    /// The segments of a run.
    pub fn get(&self, run: &str) -> Option<&[Segment]> {
        self.segments.get(run).map(Vec::as_slice)
    }

    /// How many runs switch.
    pub fn switching_runs(&self) -> usize {
        self.segments.values().filter(|s| s.len() > 1).count()
    }

    /// The mean mixture of a run between two fractions of training: shares of
    /// the tokens it saw.
    ///
    /// # Errors
    /// When the run is unknown.
    pub fn mean(&self, run: &str, from: f64, to: f64) -> Result<Vec<f64>> {
        let segments = self.get(run).ok_or_else(|| {
            Error::input(format!(
                "run `{run}` has losses but no mixture: expected one"
            ))
            .help("add it to the table of mixtures, or leave its losses out")
        })?;
        let mut mean = vec![0.0; self.domains.len()];
        for (i, segment) in segments.iter().enumerate() {
            let end = segments.get(i + 1).map_or(f64::INFINITY, |s| s.from);
            let share = (end.min(to) - segment.from.max(from)).max(0.0) / (to - from);
            for (m, w) in mean.iter_mut().zip(segment.mixture.weights()) {
                *m += share * w;
            }
        }
        Ok(mean)
    }

    /// The table as CSV text.
    pub fn to_csv(&self) -> String {
        let header = ["run", "from"].into_iter().chain(self.domains.names());
        let rows = self.runs.iter().flat_map(|run| {
            self.segments[run].iter().map(move |segment| {
                let weights = segment.mixture.weights().iter().map(|w| number(*w));
                [run.clone(), number(segment.from)]
                    .into_iter()
                    .chain(weights)
            })
        });
        render(header, rows)
    }

    /// Writes [`Segments::to_csv`] to a file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        artefact::write_atomic(path, self.to_csv().as_bytes())
    }

    /// Reads a CSV file.
    ///
    /// # Errors
    /// When the file cannot be read, the header is not `run,from,<domain>…`,
    /// a row is not a mixture, or [`Segments::push`] refuses a run.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_rows(RunRows::read_csv(path)?, path)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`Segments::read_csv`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        Self::from_rows(RunRows::parse(text, path)?, path)
    }

    fn from_rows(table: RunRows, path: &Path) -> Result<Self> {
        let ("run", Some(("from", names))) = (
            table.key.as_str(),
            (table.columns.split_first()).map(|(first, rest)| (first.as_str(), rest)),
        ) else {
            return Err(Error::input("expected the header `run,from,<domain>…`")
                .in_file(path)
                .line(1));
        };
        let domains = DomainSet::from_names(names).map_err(|e| e.in_file(path).line(1))?;
        let mut order: Vec<String> = Vec::new();
        let mut runs: BTreeMap<String, Vec<Segment>> = BTreeMap::new();
        for row in table.rows {
            let mixture = row.mixture(&domains, 1, path)?;
            let from = row.values[0];
            let segments = runs.entry(row.run.clone()).or_insert_with(|| {
                order.push(row.run);
                Vec::new()
            });
            segments.push(Segment { from, mixture });
        }
        let mut out = Self::new(domains);
        for run in order {
            let segments = runs.remove(&run).unwrap_or_default();
            out.push(run, segments).map_err(|e| e.in_file(path))?;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn design(runs: usize) -> MixtureTable {
        let domains = DomainSet::from_names(["a", "b"]).unwrap();
        let mixture = |i: usize| {
            let w = (i as f64 + 0.5) / runs as f64;
            Mixture::new(domains.clone(), vec![w, 1.0 - w]).unwrap()
        };
        MixtureTable::new(
            domains.clone(),
            (0..runs).map(|i| (format!("r{i}"), mixture(i))),
        )
        .unwrap()
    }

    #[test]
    fn every_stage_is_entered_by_the_same_number_of_switches() {
        let grid = StageGrid::equal(4).unwrap();
        let runs = Segments::switching(&design(40), 0.5, &grid, 1).unwrap();
        assert_eq!(runs.switching_runs(), 20);
        for point in &grid.points()[..4] {
            let here = |run: &&String| runs.get(run).unwrap()[1..].iter().any(|s| s.from == *point);
            assert_eq!(runs.runs().iter().filter(here).count(), 5);
        }
        // At most one run switches to each mixture.
        let mut after: Vec<u64> = (runs.runs().iter())
            .flat_map(|r| runs.get(r).unwrap()[1..].iter())
            .map(|s| s.mixture.weights()[0].to_bits())
            .collect();
        after.sort_unstable();
        after.dedup();
        assert_eq!(after.len(), 20);
        assert_eq!(
            Segments::switching(&design(3), 0.0, &grid, 1).unwrap(),
            Segments::fixed(&design(3))
        );
        for (runs, share, expected) in [
            (3, 1.5, "1.5, expected a share between 0 and 1"),
            (1, 1.0, "a design of one run cannot switch"),
        ] {
            let err = Segments::switching(&design(runs), share, &grid, 1).unwrap_err();
            assert!(err.to_string().contains(expected), "{err}");
        }
    }

    #[test]
    fn bad_tables_are_refused() {
        for (text, expected) in [
            ("run,web,code\nx,0.5,0.5\n", "header `run,from"),
            ("run,from,a\nx,0.5,1\n", "ascend from 0"),
            ("run,from,a\nx,0,1\nx,0,1\n", "ascend from 0"),
            ("run,from,a\nx,0,1\nx,1,1\n", "stay below 1"),
            ("run,from,a\nx,,1\n", "ascend from 0"),
            (
                "run,from,a,b\nx,0,0.2,0.3\n",
                "s.csv:2: weights of run `x` sum to 0.5",
            ),
            ("run,from,a,b\nx,0,-1,2\n", "s.csv:2: `a`: weight -1"),
        ] {
            let err = Segments::parse(text, Path::new("s.csv")).unwrap_err();
            assert!(err.to_string().contains(expected), "{text:?} gave {err}");
        }
    }

    proptest! {
        #[test]
        fn means_are_mixtures_and_csv_round_trips(
            share in 0.0f64..1.0, seed in 0u64..1000, from in 0.0f64..0.9, width in 0.01f64..0.1,
        ) {
            let runs = Segments::switching(&design(9), share, &StageGrid::equal(3).unwrap(), seed).unwrap();
            for run in runs.runs() {
                let mean = runs.mean(run, from, from + width).unwrap();
                prop_assert!((mean.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
            let back = Segments::parse(&runs.to_csv(), Path::new("s.csv")).unwrap();
            prop_assert_eq!(back, runs);
        }
    }
}
