//! Tables from logs, written where `fit` reads them.

mod olmix;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regmix_data::artefact::{withdraw, write_atomic};
use regmix_data::exchange::{Imported, ImportedPoint, Selection};
use regmix_data::table::{MixtureTable, Observations, ValueTable, names_in, records};
use regmix_data::{DomainSet, Error, Monitor, Result};
use regmix_dynamic::{Point, Trajectories};
use serde::{Deserialize, Serialize};

use super::fit::refuse_to_overwrite;
use crate::config::explain;
use crate::launch::quoted;
use crate::report::plural;

pub use olmix::import_olmix;

/// The files that an import may write.
const FILES: [&str; 7] = [
    "losses.csv",
    "mixtures.csv",
    "errors.csv",
    "trajectories.csv",
    "sizes.csv",
    "goal.toml",
    "natural.csv",
];

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportedTables {
    /// The files, with what they hold.
    pub files: Vec<(PathBuf, String)>,
    /// Runs with values.
    pub runs: usize,
    /// The targets.
    pub targets: Vec<String>,
    /// Numbers of the logs that do not count.
    pub skipped: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The commands that come next.
    pub next: Vec<String>,
}

/// A file to write.
struct Table {
    name: &'static str,
    text: String,
    about: String,
}

impl Table {
    fn new(name: &'static str, text: String, about: impl Into<String>) -> Self {
        Self {
            name,
            text,
            about: about.into(),
        }
    }

    fn losses(table: &ValueTable) -> Self {
        let (runs, targets) = (table.runs().len(), table.targets().len());
        let about = format!("{}, {}", plural(runs, "run"), plural(targets, "target"));
        Self::new("losses.csv", table.to_csv(), about)
    }

    fn mixtures(table: &MixtureTable) -> Self {
        let mixtures = plural(table.len(), "mixture");
        let about = format!(
            "{mixtures} over {}",
            plural(table.domains().len(), "domain")
        );
        Self::new("mixtures.csv", table.to_csv(), about)
    }
}

/// Names of a mapping file, apart from patterns.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct ImportMapping {
    run: Option<String>,
    step: Option<String>,
    tokens: Option<String>,
    parameters: Option<String>,
    targets: BTreeMap<String, String>,
    weights: BTreeMap<String, String>,
}

/// Adds what a mapping file names to a selection: `[targets]` and `[weights]` have
/// the names of metrics as values; what the selection has already stays.
///
/// # Errors
/// When the file cannot be read or does not parse, or one metric stands for two
/// things.
pub fn select_by(path: &Path, selection: &mut Selection) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let mapping: ImportMapping = toml::from_str(&text).map_err(|e| explain(&e, &text, path))?;
    let keep = |own: &mut Option<String>, new: Option<String>| {
        if own.is_none() {
            *own = new;
        }
    };
    keep(&mut selection.run, mapping.run);
    keep(&mut selection.step, mapping.step);
    keep(&mut selection.tokens, mapping.tokens);
    keep(&mut selection.parameters, mapping.parameters);
    for (section, names, into) in [
        ("targets", mapping.targets, &mut selection.named_targets),
        ("weights", mapping.weights, &mut selection.named_weights),
    ] {
        for (name, metric) in names {
            if let Some(other) = into.insert(metric.clone(), name.clone()) {
                return Err(Error::input(format!(
                    "`{metric}` is `{other}` and `{name}`: expected a metric for each"
                ))
                .in_file(path)
                .field(section));
            }
        }
    }
    Ok(())
}

/// Whether a file is what an import into `out` writes: no log, where logs lie in the
/// same folder.
pub fn is_imported(file: &Path, out: &Path) -> bool {
    FILES.iter().any(|name| out.join(name) == file)
}

/// Writes the tables of imported logs into a folder. `mixtures` holds the weights of
/// the runs where logs have none.
///
/// # Errors
/// When a table is there already and `redo` is false, `mixtures` cannot be read or
/// has none of the runs, or a file cannot be written.
pub fn import_logs(
    imported: Imported,
    mixtures: Option<&Path>,
    (out, redo): (&Path, bool),
) -> Result<ImportedTables> {
    let mut notes = imported.notes;
    let mut losses = imported.losses;
    let table = match mixtures {
        Some(path) => {
            if imported.mixtures.is_some() {
                notes.push("the weights in the logs do not count beside `--mixtures`".to_owned());
            }
            let joined = joined(path, &losses, &mut notes)?;
            losses = joined.values;
            Some(joined.mixtures)
        }
        None => imported.mixtures,
    };
    let mut tables = vec![Table::losses(&losses)];
    match &table {
        Some(table) => tables.push(Table::mixtures(table)),
        None => notes.push(
            "no weights of domains: give their names with `--weights`, or a table with `--mixtures`"
                .to_owned(),
        ),
    }
    if let Some(errors) = &imported.errors {
        let about = "standard errors of the values";
        tables.push(Table::new("errors.csv", errors.to_csv(), about));
    }
    let trajectories = trajectories(&imported.trajectories, &losses, &mut notes)?;
    tables.extend(trajectories.as_ref().map(|table| {
        let points: usize = table.iter().map(|(_, points)| points.len()).sum();
        let about = format!("{points} measurements along training");
        Table::new("trajectories.csv", table.to_csv(), about)
    }));
    let mut next = Next::fit(out);
    if !imported.sizes.is_empty() {
        let row = |(run, n): &(String, f64)| [run.clone(), n.to_string()];
        let text = records::render(["run", "parameters"], imported.sizes.iter().map(row));
        tables.push(Table::new("sizes.csv", text, "parameters of the runs"));
        let several = imported
            .sizes
            .iter()
            .any(|(_, n)| *n != imported.sizes[0].1);
        next.of_scale = several && trajectories.is_some();
    }
    let higher: Vec<&str> = (imported.higher_is_better.iter())
        .map(String::as_str)
        .collect();
    if higher.len() == losses.targets().len() {
        let goal = "# These targets are better when higher.\nloss = \"mean\"\nmaximize = true\n";
        let about = "an objective: all targets are better when higher";
        tables.push(Table::new("goal.toml", goal.to_owned(), about));
        next = next.and_objective();
    } else if !higher.is_empty() {
        notes.push(format!(
            "better when higher: {}. Give them negative weights in an objective file",
            higher.join(", ")
        ));
    }
    Ok(ImportedTables {
        files: write(out, redo, tables)?,
        runs: losses.runs().len(),
        targets: losses.targets().to_vec(),
        skipped: imported.skipped,
        notes,
        next: match table {
            Some(_) => next.commands(),
            None => Vec::new(),
        },
    })
}

/// Joins losses of logs with a table of mixtures: a design usually has runs that
/// failed, and a project of a tracker other runs.
fn joined(path: &Path, losses: &ValueTable, notes: &mut Vec<String>) -> Result<Observations> {
    let table = MixtureTable::read_csv(path)?;
    notes.extend(table.notes().iter().cloned());
    let names = names_in(losses.runs(), table.runs());
    let with_mixture = |run: &String| names.contains_key(run);
    if !losses.runs().iter().any(with_mixture) {
        return Err(Error::input(format!(
            "no mixture for the runs {}; there are mixtures for {}",
            some(losses.runs()),
            some(table.runs())
        ))
        .in_file(path)
        .help("name the runs alike: `--run-names 'proxy-*'` takes a part of their names"));
    }
    let rows = (losses.runs().iter().zip(losses.rows()))
        .filter_map(|(run, row)| Some((names.get(run)?.clone(), row.clone())));
    let kept = ValueTable::new(losses.targets().to_vec(), rows)?;
    let without: Vec<String> = (losses.runs().iter().filter(|run| !with_mixture(run)))
        .cloned()
        .collect();
    if !without.is_empty() {
        notes.push(format!(
            "runs without a mixture are left out: {}",
            some(&without)
        ));
    }
    let (trained, failed): (Vec<_>, Vec<_>) = (table.iter())
        .map(|(run, mixture)| (run.to_owned(), mixture.clone()))
        .partition(|(run, _)| kept.runs().contains(run));
    if !failed.is_empty() {
        let names: Vec<String> = failed.into_iter().map(|(run, _)| run).collect();
        notes.push(format!(
            "mixtures without losses are left out: {}",
            some(&names)
        ));
    }
    Observations::join(MixtureTable::new(table.domains().clone(), trained)?, kept)
        .map_err(|e| e.in_file_if_none(path))
}

/// The first names of some.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    match names.len() {
        n if n > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => names.join(", "),
    }
}

/// Writes two tables of any layout that regmix reads in its own.
///
/// # Errors
/// As [`import_logs`], and when the tables do not join.
pub fn import_tables(
    mixtures: &Path,
    losses: &Path,
    (out, redo): (&Path, bool),
    monitor: &dyn Monitor,
) -> Result<ImportedTables> {
    let joined = Observations::read_csv(mixtures, losses)?;
    monitor.check()?;
    let tables = vec![
        Table::losses(&joined.values),
        Table::mixtures(&joined.mixtures),
    ];
    Ok(ImportedTables {
        files: write(out, redo, tables)?,
        runs: joined.mixtures.len(),
        targets: joined.values.targets().to_vec(),
        skipped: Vec::new(),
        notes: joined.notes().cloned().collect(),
        next: Next::fit(out).commands(),
    })
}

/// The commands that come next.
struct Next {
    dir: PathBuf,
    of_scale: bool,
    objective: bool,
    prior: bool,
}

impl Next {
    fn fit(out: &Path) -> Self {
        Self {
            dir: out.to_path_buf(),
            of_scale: false,
            objective: false,
            prior: false,
        }
    }

    fn and_objective(mut self) -> Self {
        self.objective = true;
        self
    }

    fn and_prior(mut self, prior: bool) -> Self {
        self.prior = prior;
        self
    }

    fn commands(&self) -> Vec<String> {
        let at = |name: &str| quoted(&self.dir.join(name).to_string_lossy());
        let (mixtures, fit) = (at("mixtures.csv"), at("fit"));
        let values = match self.of_scale {
            true => format!(
                "--trajectories {} --sizes {}",
                at("trajectories.csv"),
                at("sizes.csv")
            ),
            false => format!("--losses {}", at("losses.csv")),
        };
        let mut search = format!("regmix optimize --fit {fit}");
        if self.objective {
            search += &format!(" --objective {}", at("goal.toml"));
        }
        if self.prior {
            search += &format!(" --prior {}", at("natural.csv"));
        }
        let fit_tables = format!("regmix fit --mixtures {mixtures} {values} --out {fit}");
        match self.of_scale {
            // The search needs a size and a length that only the user knows.
            true => vec![fit_tables],
            false => vec![fit_tables, format!("{search} --out {}", at("mixture.json"))],
        }
    }
}

/// Writes the tables, or none of them where one of an import is there already. With
/// `redo`, what an earlier import wrote and this one does not have is removed: it is of
/// other runs.
fn write(out: &Path, redo: bool, tables: Vec<Table>) -> Result<Vec<(PathBuf, String)>> {
    for table in &tables {
        refuse_to_overwrite(&out.join(table.name), redo)?;
    }
    for name in ["errors.csv", "trajectories.csv", "sizes.csv"] {
        let path = out.join(name);
        let is_written = tables.iter().any(|table| table.name == name);
        refuse_to_overwrite(&path, redo || is_written).map_err(|e| {
            e.help(
                "it may belong to other runs: choose another place with `--out`, or remove it \
                 with `--redo`",
            )
        })?;
        if redo {
            withdraw(&path)?;
        }
    }
    let mut files = Vec::with_capacity(tables.len());
    for table in tables {
        let path = out.join(table.name);
        write_atomic(&path, table.text.as_bytes())?;
        files.push((path, table.about));
    }
    Ok(files)
}

/// Values along training of the runs in the table of losses, if there are some.
fn trajectories(
    runs: &[(String, Vec<ImportedPoint>)],
    losses: &ValueTable,
    notes: &mut Vec<String>,
) -> Result<Option<Trajectories>> {
    if runs.is_empty() {
        return Ok(None);
    }
    let own: Vec<String> = runs.iter().map(|(run, _)| run.clone()).collect();
    let names = names_in(&own, losses.runs());
    let mut out = Trajectories::new(DomainSet::from_names(losses.targets())?);
    for (run, points) in runs {
        let Some(name) = names.get(run) else {
            continue;
        };
        let of = |p: &ImportedPoint| {
            Some(Point {
                step: p.step,
                tokens: p.tokens?,
                loss: p.values.clone(),
            })
        };
        let Some(points) = points.iter().map(of).collect::<Option<Vec<_>>>() else {
            notes.push(
                "no tokens, so that no trajectories.csv is written: name them with `--tokens`, or \
                 give `--tokens-per-step`"
                    .to_owned(),
            );
            return Ok(None);
        };
        out.push(name.clone(), points)?;
    }
    Ok(Some(out))
}
