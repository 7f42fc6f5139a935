//! Losses along training.

use std::path::Path;

use regmix_data::table::ValueTable;
use regmix_data::{Domain, DomainSet, Error, Result, artefact};

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
}

impl Trajectories {
    /// No runs yet.
    pub fn new(domains: DomainSet) -> Self {
        Self {
            domains,
            runs: Vec::new(),
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
        let ok = "writing CSV to memory cannot fail";
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = ["run", "step", "tokens"]
            .into_iter()
            .chain(self.domains.names());
        writer.write_record(header).expect(ok);
        for (run, points) in self.iter() {
            for point in points {
                let losses = point.loss.iter().map(|l| {
                    if l.is_nan() {
                        String::new()
                    } else {
                        l.to_string()
                    }
                });
                let head = [
                    run.to_owned(),
                    point.step.to_string(),
                    point.tokens.to_string(),
                ];
                writer
                    .write_record(head.into_iter().chain(losses))
                    .expect(ok);
            }
        }
        String::from_utf8(writer.into_inner().expect(ok)).expect("CSV of strings is UTF-8")
    }

    /// Writes [`Trajectories::to_csv`] to a file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        artefact::write_atomic(path, self.to_csv().as_bytes())
    }

    /// Reads a CSV file. Rows of one run must stand together or apart in any
    /// way, but in the order of their steps.
    ///
    /// # Errors
    /// When the file cannot be read, the header is not
    /// `run,step,tokens,<domain>…`, a field is no number, or
    /// [`Trajectories::push`] refuses a run.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        Self::parse(&text, path)
    }

    /// Parses CSV text; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`Trajectories::read_csv`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let bad = |e: csv::Error| {
            let line = e.position().map_or(1, csv::Position::line);
            Error::input(e.to_string()).in_file(path).line(line)
        };
        let header = reader.headers().map_err(bad)?.clone();
        let fields: Vec<&str> = header.iter().collect();
        let ["run", "step", "tokens", names @ ..] = fields.as_slice() else {
            return Err(Error::input(format!(
                "header `{}`: expected `run,step,tokens,<domain>…`",
                fields.join(",")
            ))
            .in_file(path)
            .line(1));
        };
        let domains = names
            .iter()
            .map(Domain::new)
            .collect::<Result<Vec<_>>>()
            .and_then(DomainSet::new)
            .map_err(|e| e.in_file(path).line(1))?;
        let mut runs: Vec<(String, Vec<Point>)> = Vec::new();
        for record in reader.records() {
            let record = record.map_err(bad)?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |column: &str, field: &str, expected: &str| {
                Error::input(format!("`{field}`: expected {expected}"))
                    .in_file(path)
                    .line(line)
                    .field(column)
            };
            let whole = |i: usize, column: &str| {
                record[i]
                    .parse::<u64>()
                    .map_err(|_| wrong(column, &record[i], "a whole number"))
            };
            let mut loss = Vec::with_capacity(domains.len());
            for (name, field) in domains.names().zip(record.iter().skip(3)) {
                loss.push(match field {
                    "" => f64::NAN,
                    _ => field.parse().map_err(|_| wrong(name, field, "a number"))?,
                });
            }
            let point = Point {
                step: whole(1, "step")?,
                tokens: whole(2, "tokens")?,
                loss,
            };
            match runs.iter_mut().find(|(run, _)| *run == record[0]) {
                Some((_, points)) => points.push(point),
                None => runs.push((record[0].to_owned(), vec![point])),
            }
        }
        let mut table = Self::new(domains);
        for (run, points) in runs {
            table.push(run, points).map_err(|e| e.in_file(path))?;
        }
        Ok(table)
    }
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
    fn bad_tables_are_refused_with_their_line() {
        for (text, said) in [
            ("step,run,tokens,a\n", "t.csv:1: header"),
            ("run,step,tokens,a\nx,1,10,y\n", "t.csv:2: `a`: `y`"),
            ("run,step,tokens,a\nx,-1,10,1\n", "t.csv:2: `step`: `-1`"),
            (
                "run,step,tokens,a\nx,2,20,1\nx,1,30,1\n",
                "step 1 (30 tokens) follows step 2",
            ),
            ("run,step,tokens,a\nx,1,10\n", "t.csv:2: CSV error"),
        ] {
            let err = parse(text).unwrap_err();
            assert!(err.to_string().contains(said), "{text:?} gave {err}");
        }
    }
}
