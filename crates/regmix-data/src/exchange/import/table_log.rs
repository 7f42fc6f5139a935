//! Logs in CSV: histories and summaries of runs, and panels of Weights & Biases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::labels::{Labelled, Labels, Resolved, is_label};
use super::log::{Logs, Measured, Places, RunLog, Sources};
use super::names::Namer;
use super::selection::{Role, Selection};
use crate::error::{Error, Result};
use crate::table::columns::run_column;
use crate::table::records::{Rows, line_of};
use crate::table::state::is_state;

/// What is read of a file.
struct Layout {
    run: Option<usize>,
    step: Option<usize>,
    tokens: Option<usize>,
    parameters: Option<usize>,
    /// Place, and the domain.
    weights: Vec<(usize, String)>,
    values: Vec<Column>,
    targets: Vec<String>,
    /// Columns of text that may tell targets apart: place and rank.
    labels: Vec<(usize, usize)>,
    /// The column of states of runs.
    state: Option<usize>,
    /// The runs that the header of a panel names.
    panel: Places,
    counted: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

/// A column of values of a target.
struct Column {
    place: usize,
    target: usize,
    /// The place of the run, in a panel.
    run: Option<usize>,
}

/// The runs of a file, in the order in which they come.
struct Runs<'a> {
    path: &'a Path,
    labelled: Labelled,
    namer: &'a Namer<'a>,
    /// Places by the names in the file, and by those of the runs.
    named: BTreeMap<String, usize>,
    places: Places,
    runs: Vec<RunLog>,
    /// Weights of every run, by column, NaN before there are some: they come in
    /// every row.
    weights: Vec<Vec<f64>>,
    /// For every run, the line of its last values and how many lines have some.
    lines: Vec<(u64, usize)>,
    /// Whether some field of a value is empty.
    has_empty: bool,
}

/// Reads a table.
pub(super) fn read(
    text: &str,
    path: &Path,
    namer: &Namer<'_>,
    selection: &Selection,
) -> Result<Logs> {
    let mut rows = Rows::parse(text, path)?;
    let mut layout = layout(&rows.names, selection).map_err(|e| e.in_file(path).line(1))?;
    let mut runs = Runs {
        path,
        labelled: Labelled::default(),
        namer,
        named: BTreeMap::new(),
        places: Places::default(),
        runs: Vec::new(),
        weights: Vec::new(),
        lines: Vec::new(),
        has_empty: false,
    };
    let of_panel = (layout.panel.names().iter())
        .map(|run| runs.named(run))
        .collect::<Result<Vec<usize>>>()?;
    let mut row = csv::StringRecord::new();
    while rows.read(&mut row)? {
        let line = line_of(&row);
        let number = |place: Option<usize>| place.map_or(Ok(f64::NAN), |p| rows.number(&row, p));
        let step = number(layout.step)?;
        if layout.step.is_some() && step.is_nan() {
            continue;
        }
        let own = match layout.run {
            Some(place) => Some(runs.named(&row[place]).map_err(|e| e.line(line))?),
            None if of_panel.is_empty() => Some(runs.of_file()?),
            None => None,
        };
        if let Some(own) = own {
            runs.facts(own, &layout, (line, step), &number)?;
            if let Some(state) = layout.state.map(|place| &row[place]) {
                runs.runs[own].state = Some(state.to_owned());
            }
        }
        let labels = layout.labels_of(&row);
        for column in &layout.values {
            let Some(run) = column.run.map(|run| of_panel[run]).or(own) else {
                continue;
            };
            let value = rows.number(&row, column.place)?;
            let field = &row[column.place];
            runs.has_empty |= field.is_empty();
            if !value.is_nan() || field.eq_ignore_ascii_case("nan") {
                let target = runs.labelled.place(run, step, column.target, &labels);
                let measured = Measured {
                    step,
                    target,
                    value,
                };
                runs.measured(run, line, measured);
            }
        }
    }
    let targets = std::mem::take(&mut runs.labelled).resolve(&layout.targets);
    let labels = layout.count_labels(&targets, &rows.names);
    Ok(Logs {
        runs: runs.finish(layout.step.is_some(), &targets)?,
        notes: targets.note(path, &labels).into_iter().collect(),
        counted: layout.counted,
        skipped: layout.skipped,
        ..Logs::default()
    })
}

impl Layout {
    /// The text of a row that may tell targets apart.
    fn labels_of(&self, row: &csv::StringRecord) -> Labels {
        (self.labels.iter())
            .filter(|(place, rank)| is_label(*rank, &row[*place]))
            .map(|(place, rank)| (*rank, row[*place].to_owned()))
            .collect()
    }

    /// The columns that are part of the names of targets: they count.
    fn count_labels(&mut self, targets: &Resolved, names: &[String]) -> Vec<String> {
        let labels: Vec<String> = (self.labels.iter())
            .filter(|(_, rank)| targets.varying.contains(rank))
            .map(|(place, _)| names[*place].clone())
            .collect();
        for label in &labels {
            self.skipped.remove(label);
            self.counted.insert(label.clone());
        }
        labels
    }
}

impl Runs<'_> {
    /// The place of a run that the file names.
    fn named(&mut self, run: &str) -> Result<usize> {
        if let Some(place) = self.named.get(run) {
            return Ok(*place);
        }
        let name = (self.namer.in_file(run)).map_err(|e| e.in_file(self.path))?;
        let place = self.place(&name);
        self.named.insert(run.to_owned(), place);
        Ok(place)
    }

    /// The place of the run of a file that names none.
    fn of_file(&mut self) -> Result<usize> {
        match self.runs.is_empty() {
            true => Ok(self.place(&self.namer.of_file()?)),
            false => Ok(0),
        }
    }

    fn place(&mut self, name: &str) -> usize {
        let place = self.places.of(name);
        if place == self.runs.len() {
            self.lines.push((0, 0));
            self.weights.push(Vec::new());
            self.runs.push(RunLog::new(name, self.path));
        }
        place
    }

    /// Weights, parameters and tokens of a row.
    fn facts(
        &mut self,
        run: usize,
        layout: &Layout,
        (line, step): (u64, f64),
        number: &dyn Fn(Option<usize>) -> Result<f64>,
    ) -> Result<()> {
        let log = &mut self.runs[run];
        let seen = &mut self.weights[run];
        seen.resize(layout.weights.len(), f64::NAN);
        for ((column, domain), seen) in layout.weights.iter().zip(seen) {
            let weight = number(Some(*column))?;
            if !weight.is_nan() && weight != *seen {
                log.set_weight(domain, weight).map_err(|e| e.line(line))?;
                *seen = weight;
            }
        }
        let parameters = number(layout.parameters)?;
        if !parameters.is_nan() {
            (log.set_parameters(parameters)).map_err(|e| e.line(line))?;
        }
        let tokens = number(layout.tokens)?;
        if !tokens.is_nan() {
            // A table without steps has the tokens of whole runs.
            let step = if layout.step.is_some() { step } else { 0.0 };
            log.tokens.push((step, tokens));
        }
        Ok(())
    }

    fn measured(&mut self, run: usize, line: u64, measured: Measured) {
        self.runs[run].values.push(measured);
        if measured.value.is_nan() {
            return;
        }
        let (last, count) = &mut self.lines[run];
        if *last != line {
            *last = line;
            *count += 1;
        }
    }

    fn finish(self, steps: bool, targets: &Resolved) -> Result<Vec<RunLog>> {
        let mut runs = self.runs;
        for (run, (_, lines)) in runs.iter_mut().zip(self.lines) {
            // Some programs write `nan` where nothing was measured. Where that is an empty
            // field, it is a measurement.
            if !self.has_empty {
                run.values.retain(|measured| !measured.value.is_nan());
            }
            let values = run.values.iter_mut();
            values.for_each(|value| value.target = targets.targets[value.target]);
            let once = !targets.varying.is_empty() && run.has_every_target_once();
            run.own_targets(&targets.names);
            if steps {
                continue;
            }
            if lines > 1 && !once {
                return Err(Error::input(format!(
                    "{lines} rows of run `{}` and no column of steps: expected one row, or steps",
                    run.run
                ))
                .in_file(self.path)
                .help("name the column of steps with `--step`, or that of runs with `--run`"));
            }
            run.values.iter_mut().for_each(|value| value.step = 0.0);
        }
        Ok(runs)
    }
}

/// Gives every column its meaning.
fn layout(names: &[String], selection: &Selection) -> Result<Layout> {
    let find = |role: Role| {
        let is = |name: &String| selection.role(name).as_ref() == Some(&role);
        names.iter().position(is)
    };
    let step = (names.iter().enumerate())
        .filter_map(|(place, name)| Some((selection.step_rank(name)?, place)))
        .min()
        .map(|(_, place)| place);
    let run = find(Role::Run).or_else(|| run_column(names, step.is_none()));
    let mut out = Layout {
        run,
        step,
        tokens: find(Role::Tokens),
        parameters: find(Role::Parameters),
        weights: Vec::new(),
        values: Vec::new(),
        targets: Vec::new(),
        labels: Vec::new(),
        state: None,
        panel: Places::default(),
        counted: BTreeSet::new(),
        skipped: BTreeSet::new(),
    };
    let mut targets = Places::default();
    let mut sources: BTreeMap<Option<&str>, Sources> = BTreeMap::new();
    for (place, name) in names.iter().enumerate() {
        if [out.run, out.step, out.tokens, out.parameters].contains(&Some(place)) {
            out.counted.insert(name.clone());
            continue;
        }
        let (of_run, metric, role) = match selection.role(name) {
            Some(role) => (None, name.as_str(), Some(role)),
            None => panel_column(name, selection),
        };
        match role {
            Some(Role::Target(target)) => {
                let of = sources.entry(of_run).or_default();
                of.add(&target, name, "columns")?;
                out.counted.insert(metric.to_owned());
                out.values.push(Column {
                    place,
                    target: targets.of(&target),
                    run: of_run.map(|run| out.panel.of(run)),
                });
            }
            Some(Role::Weight(domain)) => {
                out.counted.insert(name.clone());
                out.weights.push((place, domain));
            }
            _ if name.is_empty() => {}
            _ => {
                let rank = selection.label_rank(name);
                out.labels.extend(rank.map(|rank| (place, rank)));
                if is_state(name) {
                    out.state = Some(place);
                }
                out.skipped.insert(name.clone());
            }
        }
    }
    out.targets = targets.into_names();
    Ok(out)
}

/// The run, the metric and the meaning of `<run> - <metric>`, as panels of Weights &
/// Biases have it. Their extremes, `__MIN` and `__MAX`, do not count. Runs may have
/// ` - ` in their name, and so may metrics.
fn panel_column<'a>(
    name: &'a str,
    selection: &Selection,
) -> (Option<&'a str>, &'a str, Option<Role>) {
    let extreme = name.ends_with("__MIN") || name.ends_with("__MAX");
    let split = name.match_indices(" - ").filter(|_| !extreme);
    let found = split.map(|(at, sign)| (&name[..at], &name[at + sign.len()..]));
    for (run, metric) in found {
        if let Some(role @ Role::Target(_)) = selection.role(metric) {
            return (Some(run), metric, Some(role));
        }
    }
    (None, name, None)
}
