//! Losses along training.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rayon::prelude::*;
use regmix_data::table::records::render;
use regmix_data::table::{RunRow, RunRows, ValueTable, compare_runs, names_in};
use regmix_data::{DomainSet, Error, Result, artefact};

const IN_MEMORY: &str = "writing to memory cannot fail";

/// Whole numbers below this are exact as `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// One evaluation of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Optimizer steps made.
    pub step: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Loss per domain, nats per token, in the order of the domain set; NaN
    /// where it was not measured.
    pub loss: Vec<f64>,
}

/// The trajectories of many runs over one domain set.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectories {
    domains: DomainSet,
    runs: Vec<(String, Vec<Point>)>,
    notes: Vec<String>,
}

impl Trajectories {
    /// No runs yet.
    pub fn new(domains: DomainSet) -> Self {
        Self {
            domains,
            runs: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a run.
    ///
    /// # Errors
    /// When the run is there already, has no point, its steps or tokens do not
    /// increase, or a point has another number of losses than there are
    /// domains.
    pub fn push(&mut self, run: impl Into<String>, points: Vec<Point>) -> Result<()> {
        let run = run.into();
        let bad = |problem: String| Err(Error::input(format!("run `{run}`: {problem}")));
        if self.get(&run).is_some() {
            return bad("comes twice, expected every run once".into());
        }
        if points.is_empty() {
            return bad("has no point, expected at least one evaluation".into());
        }
        for pair in points.windows(2) {
            if pair[1].step <= pair[0].step || pair[1].tokens <= pair[0].tokens {
                return bad(format!(
                    "step {} ({} tokens) follows step {} ({} tokens): expected both to increase",
                    pair[1].step, pair[1].tokens, pair[0].step, pair[0].tokens
                ));
            }
        }
        if let Some(point) = points.iter().find(|p| p.loss.len() != self.domains.len()) {
            return bad(format!(
                "{} losses at step {}, expected one for each of {} domains",
                point.loss.len(),
                point.step,
                self.domains.len()
            ));
        }
        self.runs.push((run, points));
        Ok(())
    }

    /// The domains, in the order of the losses.
    pub fn domains(&self) -> &DomainSet {
        &self.domains
    }

    /// Runs with their points, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Point])> {
        self.runs
            .iter()
            .map(|(run, points)| (run.as_str(), points.as_slice()))
    }

    /// The points of one run.
    pub fn get(&self, run: &str) -> Option<&[Point]> {
        self.iter()
            .find(|(name, _)| *name == run)
            .map(|(_, points)| points)
    }

    /// What was changed in the rows of a file: their order, and steps that came
    /// twice.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many runs there are.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there is no run.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The last losses of each run, `[runs, domains]`: what RegMix fits.
    ///
    /// # Errors
    /// When there is no run.
    pub fn final_losses(&self) -> Result<ValueTable> {
        if self.is_empty() {
            return Err(Error::input(
                "no trajectories: expected at least one finished run",
            ));
        }
        let targets = self.domains.names().map(str::to_owned).collect();
        let last = |points: &[Point]| points[points.len() - 1].loss.clone();
        ValueTable::new(
            targets,
            self.iter().map(|(run, p)| (run.to_owned(), last(p))),
        )
    }

    /// The table as CSV text, `run,step,tokens,<domain>…`. An empty field is a
    /// loss that was not measured.
    pub fn to_csv(&self) -> String {
        let line = |fields: &[&str]| render(fields, [[""; 0]; 0]);
        let names = self.domains.names();
        let header: Vec<&str> = ["run", "step", "tokens"].into_iter().chain(names).collect();
        // Each run apart, and numbers as they are: there may be millions of them, and only
        // names need quotes.
        let parts = self.runs.par_iter().map(|(run, points)| {
            let (mut text, run) = (String::new(), line(&[run.as_str()]));
            for point in points {
                let start = [
                    run.trim_end_matches('\n'),
                    &point.step.to_string(),
                    &point.tokens.to_string(),
                ];
                text.push_str(&start.join(","));
                for loss in &point.loss {
                    text.push(',');
                    if !loss.is_nan() {
                        write!(text, "{loss}").expect(IN_MEMORY);
                    }
                }
                text.push('\n');
            }
            text
        });
        let parts: Vec<String> = parts.collect();
        line(&header) + &parts.concat()
    }

    /// Writes [`Trajectories::to_csv`] to a file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        artefact::write_atomic(path, self.to_csv().as_bytes())
    }

    /// The same trajectories with the names that another table has for the
    /// runs: `1`, `1.0` and `001` are the same run.
    #[must_use]
    pub fn named_as(mut self, others: &[String]) -> Self {
        let own: Vec<String> = self.runs.iter().map(|(run, _)| run.clone()).collect();
        let names = names_in(&own, others);
        for (run, _) in &mut self.runs {
            if let Some(name) = names.get(run) {
                run.clone_from(name);
            }
        }
        self
    }

    /// The same trajectories in the order of the runs' names ([`compare_runs`]), so that the
    /// order of the rows of a file decides nothing.
    #[must_use]
    pub fn sorted_by_run(mut self) -> Self {
        self.runs.sort_by(|a, b| compare_runs(&a.0, &b.0));
        self
    }

    /// Reads a CSV file. Rows are brought into the order of their steps; where a
    /// step comes twice, as after a run that was continued from an earlier
    /// step, the later row counts. [`Trajectories::notes`] tells both.
    ///
    /// # Errors
    /// When the file cannot be read, the header is not
    /// `run,step,tokens,<domain>…`, a field is not a number, a loss is infinite
    /// or not positive, or [`Trajectories::push`] refuses a run.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_rows(RunRows::read_csv(path)?, path)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`Trajectories::read_csv`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        Self::from_rows(RunRows::parse(text, path)?, path)
    }

    /// Takes a table that was read from any format; `path` is used in errors
    /// only.
    ///
    /// # Errors
    /// As [`Trajectories::read_csv`].
    pub fn from_rows(table: RunRows, path: &Path) -> Result<Self> {
        let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        let ("run", ["step", "tokens", names @ ..]) = (table.key.as_str(), columns.as_slice())
        else {
            return Err(Error::input(format!(
                "header `{},{}`: expected `run,step,tokens,<domain>…`",
                table.key,
                columns.join(",")
            ))
            .in_file(path)
            .line(1)
            .help(TOKENS));
        };
        let domains = DomainSet::from_names(names).map_err(|e| e.in_file(path).line(1))?;
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut runs: Vec<(String, Vec<(u64, Point)>)> = Vec::new();
        for row in &table.rows {
            let point = point_of(&table, row, path)?;
            let place = *places.entry(&row.run).or_insert(runs.len());
            if place == runs.len() {
                runs.push((row.run.clone(), Vec::new()));
            }
            runs[place].1.push((row.line, point));
        }
        let mut out = Self::new(domains);
        out.notes.clone_from(&table.notes);
        let (mut unordered, mut repeated) = (Vec::new(), Vec::new());
        for (run, mut rows) in runs {
            if rows.windows(2).any(|pair| pair[1].1.step < pair[0].1.step) {
                unordered.push(format!("run `{run}`"));
                // Rows of one step keep their order.
                rows.sort_by_key(|(_, point)| point.step);
            }
            let points = last_of_each_step(rows, |step| {
                repeated.push(format!("run `{run}` at step {step}"));
            });
            let falls = |pair: &&[(u64, Point)]| pair[1].1.tokens <= pair[0].1.tokens;
            let line = points.windows(2).find(falls).map(|pair| pair[1].0);
            let points = points.into_iter().map(|(_, point)| point).collect();
            out.push(run, points).map_err(|e| match line {
                Some(line) => e.in_file(path).line(line).field("tokens"),
                None => e.in_file(path),
            })?;
        }
        out.note_order(&unordered, &repeated);
        Ok(out)
    }

    /// Says which rows were sorted and which were replaced.
    fn note_order(&mut self, unordered: &[String], repeated: &[String]) {
        if let Some(first) = unordered.first() {
            self.notes.push(format!(
                "rows of {} runs were not in the order of their steps and were sorted, the first \
                 of them {first}",
                unordered.len()
            ));
        }
        if let Some(first) = repeated.first() {
            self.notes.push(format!(
                "{} steps come twice in a run: the later row counts; the first of them {first}",
                repeated.len()
            ));
        }
    }
}

/// What the column of tokens holds.
const TOKENS: &str = "tokens are those that the run had seen at the step: the step times the tokens \
                      of one step";

/// The measurement in a row of a table.
fn point_of(table: &RunRows, row: &RunRow, path: &Path) -> Result<Point> {
    let whole = |i: usize| {
        let value = row.values[i];
        let counts = value >= 0.0 && value.fract() == 0.0 && value < EXACT;
        counts.then_some(value as u64).ok_or_else(|| {
            let found = match value.is_nan() {
                true => "an empty field".to_owned(),
                false => format!("`{value}`"),
            };
            let error = Error::input(format!("{found}: expected a whole number"))
                .in_file(path)
                .line(row.line)
                .field(&table.columns[i]);
            match i {
                1 => error.help(TOKENS),
                _ => error,
            }
        })
    };
    let wrong = |loss: &f64| loss.is_infinite() || *loss <= 0.0;
    if let Some(place) = row.values[2..].iter().position(wrong) {
        return Err(Error::input(format!(
            "loss {}: expected a finite positive number",
            row.values[2 + place]
        ))
        .in_file(path)
        .line(row.line)
        .field(&table.columns[2 + place])
        .help("leave the field empty where no loss was measured"));
    }
    Ok(Point {
        step: whole(0)?,
        tokens: whole(1)?,
        loss: row.values[2..].to_vec(),
    })
}

/// The points by step, with the last of every step; `repeated` receives the
/// steps of the others.
fn last_of_each_step(rows: Vec<(u64, Point)>, mut repeated: impl FnMut(u64)) -> Vec<(u64, Point)> {
    let mut points: Vec<(u64, Point)> = Vec::with_capacity(rows.len());
    for row in rows {
        match points.last_mut() {
            Some(last) if last.1.step == row.1.step => {
                repeated(row.1.step);
                *last = row;
            }
            _ => points.push(row),
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Trajectories> {
        Trajectories::parse(text, Path::new("t.csv"))
    }

    #[test]
    fn csv_round_trips_with_gaps() {
        let text = "run,step,tokens,a,b\nx,1,10,3.5,\nx,2,20,3.25,1\ny,1,10,4,2\n";
        let table = parse(text).unwrap();
        assert_eq!(table.len(), 2);
        assert!(table.get("x").unwrap()[0].loss[1].is_nan());
        assert_eq!(table.to_csv(), text);
        assert_eq!(
            table.final_losses().unwrap().rows(),
            [[3.25, 1.0], [4.0, 2.0]]
        );
    }

    #[test]
    fn rows_are_sorted_and_the_later_row_of_a_step_counts() {
        let text = "run,step,tokens,a\nx,1,10,4\nx,3,30,3\nx,2,20,3.5\nx,3,30,2.9\n";
        let table = parse(text).unwrap();
        let losses: Vec<f64> = table.get("x").unwrap().iter().map(|p| p.loss[0]).collect();
        assert_eq!(losses, [4.0, 3.5, 2.9]);
        assert_eq!(
            table.notes(),
            [
                "rows of 1 runs were not in the order of their steps and were sorted, the first of \
                 them run `x`",
                "1 steps come twice in a run: the later row counts; the first of them run `x` at \
                 step 3",
            ]
        );
        assert!(parse(&table.to_csv()).unwrap().notes().is_empty());
    }

    #[test]
    fn runs_that_are_numbers_take_the_names_of_another_table() {
        let table = parse("run,step,tokens,a\n001,1,10,4\n002,1,20,3\n").unwrap();
        let table = table.named_as(&["2".to_owned(), "1".to_owned()]);
        assert!(table.get("1").unwrap()[0].tokens == 10 && table.get("2").is_some());
    }

    #[test]
    fn bad_tables_are_refused_with_their_line() {
        for (text, expected) in [
            ("step,tokens,a\n1,2,1\n", "t.csv:1: header"),
            ("run,step,tokens,a\nx,1,10,y\n", "t.csv:2: `a`: `y`"),
            ("run,step,tokens,a\nx,-1,10,1\n", "t.csv:2: `step`: `-1`"),
            ("run,step,tokens,a\nx,1,10,inf\n", "t.csv:2: `a`: loss inf"),
            ("run,step,tokens,a\nx,1,10,-1\n", "t.csv:2: `a`: loss -1"),
            (
                "run,step,tokens,a\nx,2,20,1\ny,1,30,1\nx,3,20,1\n",
                "t.csv:4: `tokens`: run `x`: step 3 (20 tokens) follows step 2",
            ),
            (
                "run,step,tokens,a\nx,1,10\n",
                "t.csv:2: 3 fields, expected 4",
            ),
        ] {
            let err = parse(text).unwrap_err();
            assert!(err.to_string().contains(expected), "{text:?} gave {err}");
        }
    }
}
