//! Logs in JSON: a line or an entry of a list for every measurement, or one object for a run.

mod list;
mod walk;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeSeed;

use super::labels::{Labelled, Labels, is_label};
use super::log::{Logs, Measured, Places, RunLog, Sources};
use super::names::Namer;
use super::selection::{Role, Selection};
use crate::error::{Error, Result};
use crate::table::foreign::Foreign;
use crate::table::state::is_state;

pub(super) use list::{HISTORY, read_list};
use walk::Walk;

/// Numbers that JSON has not. Python writes them as they stand here, without quotes.
const NO_JSON: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The text with quotes around numbers that JSON has not.
pub(super) fn standard(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped, mut rest) = (false, false, text);
    while let Some(next) = rest.chars().next() {
        let found = NO_JSON.iter().find(|word| rest.starts_with(**word));
        if let Some(word) = found.filter(|_| !quoted) {
            out.extend(["\"", word, "\""]);
            rest = &rest[word.len()..];
            continue;
        }
        quoted = match next {
            // No text of JSON goes on in the next line: this one was cut off.
            '\n' => false,
            '"' if !escaped => !quoted,
            _ => quoted,
        };
        escaped = next == '\\' && !escaped;
        out.push(next);
        rest = &rest[next.len_utf8()..];
    }
    Cow::Owned(out)
}

/// Reads JSON lines. Keys of nested objects are joined by `/`.
pub(super) fn read_lines(
    text: &str,
    path: &Path,
    namer: &Namer<'_>,
    selection: &Selection,
) -> Result<Logs> {
    let mut out = Reader::new(path, selection, namer);
    let mut cut = None;
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        out.number = number as u64 + 1;
        // A program that writes lines ends each of them, unless it was stopped within one.
        let is_last = !text.ends_with('\n') && lines.peek().is_none();
        match out.object(line) {
            Ok(()) => {}
            Err(_) if is_last && out.is_cut && number > 0 => {
                cut = Some(format!(
                    "{}:{}: the last line is cut off, as in a run that was killed or still \
                     writes: it is left out",
                    path.display(),
                    out.number
                ));
            }
            Err(e) => return Err(e.in_file(path).line(out.number)),
        }
    }
    let mut logs = out.finish()?;
    logs.notes.extend(cut);
    Ok(logs)
}

/// Reads one object, as `wandb-summary.json` is.
pub(super) fn read_object(
    text: &str,
    path: &Path,
    namer: &Namer<'_>,
    selection: &Selection,
) -> Result<Logs> {
    let mut out = Reader::new(path, selection, namer);
    out.object(text).map_err(|e| e.in_file(path))?;
    out.finish()
}

/// The number that a text is, as programs write it that make text of everything.
fn number_in(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    text.parse().ok().filter(|_| plain)
}

/// Refuses a text that is a number elsewhere; other text is no measurement.
fn refuse_foreign(key: &str, text: &str) -> Result<()> {
    match Foreign::of(text) {
        None => Ok(()),
        Some(foreign) => Err(Error::input(format!("\"{text}\" is not a number"))
            .field(key)
            .help(foreign.help())),
    }
}

struct Reader<'a> {
    path: &'a Path,
    selection: &'a Selection,
    namer: &'a Namer<'a>,
    /// The meaning of every key that was seen.
    meanings: BTreeMap<String, Meaning>,
    sources: Sources,
    targets: Places,
    labelled: Labelled,
    places: Places,
    runs: Vec<OneRun>,
    /// What its parts are: lines or entries.
    part: &'static str,
    /// The part that is read, from 1.
    number: u64,
    /// The first parts with measurements that name a run, and that name none.
    named: Option<u64>,
    unnamed: Option<u64>,
    /// What was wrong with a number, while an object is read.
    refused: Option<Error>,
    /// Whether the last object that was refused looks as if its end is missing.
    is_cut: bool,
}

/// What the number of a key is.
struct Meaning {
    role: Option<Role>,
    /// The place of the target.
    target: usize,
    /// How well it serves as step, as name of the run, and to tell targets apart.
    step_rank: Option<usize>,
    run_rank: Option<usize>,
    label_rank: Option<usize>,
    is_state: bool,
}

/// A run of the file.
struct OneRun {
    /// Places of targets are those in the file.
    log: RunLog,
    /// Lines with measurements, and those of them without a step.
    lines: usize,
    without_step: usize,
}

/// What an object says.
#[derive(Default)]
struct Line {
    state: Option<String>,
    run: Option<(usize, String)>,
    labels: Labels,
    step: Option<(usize, f64)>,
    tokens: Option<f64>,
    parameters: Option<f64>,
    weights: Vec<(String, f64)>,
    values: Vec<(usize, f64)>,
}

/// A value of JSON that is no object.
enum Leaf<'t> {
    Number(f64),
    Text(&'t str),
}

impl Leaf<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Leaf::Text(""))
    }

    fn text(&self) -> String {
        match self {
            Leaf::Text(text) => (*text).to_owned(),
            Leaf::Number(number) => number.to_string(),
        }
    }
}

impl<'a> Reader<'a> {
    fn new(path: &'a Path, selection: &'a Selection, namer: &'a Namer<'a>) -> Self {
        Self {
            path,
            selection,
            namer,
            meanings: BTreeMap::new(),
            sources: Sources::default(),
            targets: Places::default(),
            labelled: Labelled::default(),
            places: Places::default(),
            runs: Vec::new(),
            part: "line",
            number: 1,
            named: None,
            unnamed: None,
            refused: None,
            is_cut: false,
        }
    }

    /// Reads the text of an object.
    fn object(&mut self, text: &str) -> Result<()> {
        let (mut key, mut line) = (String::new(), Line::default());
        let walk = Walk {
            reader: self,
            key: &mut key,
            top: true,
            line: &mut line,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = walk.deserialize(&mut json).and_then(|()| json.end());
        match (read, self.refused.take()) {
            (_, Some(refused)) => Err(refused),
            (Err(e), None) => {
                self.is_cut = e.is_eof() || !text.trim_end().ends_with('}');
                Err(Error::input(format!("not a line of JSON: {e}")))
            }
            (Ok(()), None) => self.line(line),
        }
    }

    fn line(&mut self, line: Line) -> Result<()> {
        let run = match &line.run {
            Some((_, run)) => self.namer.in_file(run)?,
            None => self.namer.of_file()?,
        };
        if !line.values.is_empty() {
            let first = match &line.run {
                Some(_) => &mut self.named,
                None => &mut self.unnamed,
            };
            first.get_or_insert(self.number);
        }
        let place = self.places.of(&run);
        if place == self.runs.len() {
            self.runs.push(OneRun {
                log: RunLog::new(&run, self.path),
                lines: 0,
                without_step: 0,
            });
        }
        let own = &mut self.runs[place];
        for (domain, weight) in line.weights {
            own.log.set_weight(&domain, weight)?;
        }
        if let Some(parameters) = line.parameters {
            own.log.set_parameters(parameters)?;
        }
        own.log.state = line.state.or(own.log.state.take());
        let step = line.step.map_or(f64::NAN, |(_, step)| step);
        if let Some(tokens) = line.tokens.filter(|_| !step.is_nan()) {
            own.log.tokens.push((step, tokens));
        }
        if !line.values.is_empty() {
            own.lines += 1;
            own.without_step += usize::from(step.is_nan());
        }
        for (target, value) in line.values {
            let target = self.labelled.place(place, step, target, &line.labels);
            own.log.values.push(Measured {
                step,
                target,
                value,
            });
        }
        Ok(())
    }

    /// Takes the value of a key.
    fn leaf(&mut self, key: &str, value: &Leaf<'_>, line: &mut Line) -> Result<()> {
        if !self.meanings.contains_key(key) {
            let role = self.selection.role(key);
            let target = match &role {
                Some(Role::Target(target)) => {
                    self.sources.add(target, key, "keys")?;
                    self.targets.of(target)
                }
                _ => 0,
            };
            let meaning = Meaning {
                role,
                target,
                step_rank: self.selection.step_rank(key),
                run_rank: self.selection.run_rank(key),
                label_rank: self.selection.label_rank(key),
                is_state: self.selection.role(key).is_none() && is_state(key),
            };
            self.meanings.insert(key.to_owned(), meaning);
        }
        let meaning = &self.meanings[key];
        if let Some(rank) = meaning.run_rank {
            // A key that nobody named may be empty: `null` says nothing.
            let says = meaning.role.is_some() || !value.is_empty();
            if says && line.run.as_ref().is_none_or(|(best, _)| rank < *best) {
                line.run = Some((rank, value.text()));
            }
            return Ok(());
        }
        if let Some(rank) = (meaning.label_rank).filter(|rank| is_label(*rank, &value.text())) {
            line.labels.insert(rank, value.text());
        }
        if meaning.is_state && !value.is_empty() {
            line.state = Some(value.text());
        }
        let number = match value {
            Leaf::Number(number) => *number,
            // Trackers write numbers that JSON has not as text.
            Leaf::Text("Infinity") => f64::INFINITY,
            Leaf::Text("-Infinity") => f64::NEG_INFINITY,
            Leaf::Text("NaN") if matches!(meaning.role, Some(Role::Target(_))) => f64::NAN,
            Leaf::Text(text) => {
                let counts = meaning.role.is_some() || meaning.step_rank.is_some();
                match number_in(text).filter(|_| counts) {
                    Some(number) => number,
                    None if counts => return refuse_foreign(key, text),
                    None => return Ok(()),
                }
            }
        };
        if let Some(rank) = meaning.step_rank
            && line.step.is_none_or(|(best, _)| rank < best)
        {
            line.step = Some((rank, number));
        }
        match &meaning.role {
            Some(Role::Target(_)) => line.values.push((meaning.target, number)),
            Some(Role::Weight(domain)) => line.weights.push((domain.clone(), number)),
            Some(Role::Tokens) => line.tokens = Some(number),
            Some(Role::Parameters) => line.parameters = Some(number),
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Logs> {
        if let (Some(named), Some(unnamed)) = (self.named, self.unnamed) {
            let part = self.part;
            let place = match part {
                "line" => String::new(),
                _ => format!("{part} {unnamed}: "),
            };
            let error = Error::input(format!(
                "{place}measurements without the name of a run, which {part} {named} has: expected \
                 it in every {part}"
            ))
            .in_file(self.path)
            .help("name the key of runs with `--run`");
            return Err(match part {
                "line" => error.line(unnamed),
                _ => error,
            });
        }
        let targets = self.labelled.resolve(self.targets.names());
        let mut logs = Logs::default();
        for mut run in self.runs {
            let values = run.log.values.iter_mut();
            values.for_each(|value| value.target = targets.targets[value.target]);
            let once = !targets.varying.is_empty() && run.log.has_every_target_once();
            if run.without_step > 0 && run.lines > 1 && !once {
                return Err(Error::input(format!(
                    "{} measurements of run `{}` have no step: expected one in every {}",
                    run.without_step, run.log.run, self.part
                ))
                .in_file(self.path)
                .help("name the key of steps with `--step`, or that of runs with `--run`"));
            }
            if run.without_step > 0 {
                run.log.values.iter_mut().for_each(|value| value.step = 0.0);
            }
            run.log.own_targets(&targets.names);
            logs.runs.push(run.log);
        }
        let mut labels = Vec::new();
        for (key, meaning) in self.meanings {
            let is_label = (meaning.label_rank).is_some_and(|rank| targets.varying.contains(&rank));
            if is_label {
                labels.push(key.clone());
            }
            let ranks = [meaning.step_rank, meaning.run_rank];
            match meaning.role.is_some() || is_label || ranks != [None, None] {
                true => logs.counted.insert(key),
                false => logs.skipped.insert(key),
            };
        }
        logs.notes.extend(targets.note(self.path, &labels));
        Ok(logs)
    }
}
