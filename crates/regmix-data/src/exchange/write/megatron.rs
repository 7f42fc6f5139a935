//! Megatron-LM, and what took its lists over: NeMo, Megatron-Bridge, GPT-NeoX.

use super::text::{list, object, quoted, quoted_list};
use super::{Entry, Job, file, one_file};
use crate::error::{Error, Result};
use crate::exchange::exported_file::ExportedFile;
use crate::exchange::mapping::Source;

/// Arguments of the command: a file for every phase.
pub(super) fn arguments(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    check_prefixes(job, Form::Words)?;
    let held_out = held_out_arguments(job);
    let key = if held_out.is_empty() {
        "--data-path"
    } else {
        "--train-data-path"
    };
    let starts: Vec<String> = (job.spans.iter().skip(1))
        .map(|s| s.from.to_string())
        .collect();
    let phases = match starts.is_empty() {
        true => String::new(),
        false => format!("--phase-transition-iterations {}\n", starts.join(",")),
    };
    let text = |span: usize| format!("{key} {}\n{held_out}{phases}", words(job, span).join(" "));
    Ok(match job.spans.len() {
        1 => one_file("megatron.args", text(0)),
        n => (0..n)
            .map(|span| file(format!("phase-{span}.args"), text(span)))
            .collect(),
    })
}

fn held_out_arguments(job: &Job<'_>) -> String {
    let argument = |key: &str, paths: Vec<&str>| match paths.is_empty() {
        true => String::new(),
        false => format!("{key} {}\n", paths.join(" ")),
    };
    argument("--valid-data-path", job.held_out(|s| &s.valid))
        + &argument("--test-data-path", job.held_out(|s| &s.test))
}

/// The file of `--data-args-path`: words, and nothing else.
pub(super) fn arguments_file(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    check_prefixes(job, Form::Words)?;
    Ok(one_file(
        "blend.txt",
        format!("{}\n", words(job, 0).join(" ")),
    ))
}

/// The file of `--per-split-data-args-path`, with all of its three keys.
pub(super) fn per_split(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    check_prefixes(job, Form::Strings)?;
    let (valid, test) = both_held_out(job)?;
    let text = object(
        "",
        [
            ("train", quoted_list(words(job, 0))),
            ("valid", quoted_list(valid)),
            ("test", quoted_list(test)),
        ],
    );
    Ok(one_file("blend.json", text + "\n"))
}

/// The paths of `PreTrainingDataModule`.
pub(super) fn nemo(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    check_prefixes(job, Form::Strings)?;
    let train = quoted_list(words(job, 0));
    let none = job.held_out(|s| &s.valid).is_empty() && job.held_out(|s| &s.test).is_empty();
    let paths = match none {
        true => train,
        false => {
            let (valid, test) = both_held_out(job)?;
            let of = [
                ("train", train),
                ("validation", quoted_list(valid)),
                ("test", quoted_list(test)),
            ];
            object("", of)
        }
    };
    let text = format!("# NeMo 2.0: PreTrainingDataModule(paths=paths, ...)\npaths = {paths}\n");
    Ok(one_file("paths.py", text))
}

/// `dataset.blend` of Megatron-Bridge.
pub(super) fn bridge(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    check_prefixes(job, Form::Strings)?;
    let paths = quoted_list(job.drawn(0).map(Entry::path));
    let weights = list(job.drawn(0).map(|e| e.weight(0)));
    let text = format!("dataset:\n  blend:\n    - {paths}\n    - {weights}\n");
    Ok(one_file("blend.yaml", text))
}

/// A configuration of GPT-NeoX. The number of documents must not replace the
/// weights.
pub(super) fn gpt_neox(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    check_prefixes(job, Form::Strings)?;
    let (valid, test) = both_held_out(job)?;
    let equal = |paths: &[&str]| list(paths.iter().map(|_| "1.0"));
    let text = object(
        "",
        [
            (
                "train-data-paths",
                quoted_list(job.drawn(0).map(Entry::path)),
            ),
            (
                "train-data-weights",
                list(job.drawn(0).map(|e| e.weight(0))),
            ),
            ("valid-data-paths", quoted_list(&valid)),
            ("valid-data-weights", equal(&valid)),
            ("test-data-paths", quoted_list(&test)),
            ("test-data-weights", equal(&test)),
            ("weight_by_num_documents", "false".to_owned()),
        ],
    );
    Ok(one_file("data.yml", text + "\n"))
}

/// Weights and prefixes in turn: always an even number, and a number first.
fn words(job: &Job<'_>, span: usize) -> Vec<String> {
    (job.drawn(span))
        .flat_map(|e| [e.weight(span), e.path().to_owned()])
        .collect()
}

/// Validation and test texts, of which the format wants both.
fn both_held_out<'a>(job: &'a Job<'_>) -> Result<(Vec<&'a str>, Vec<&'a str>)> {
    let (valid, test) = (job.held_out(|s| &s.valid), job.held_out(|s| &s.test));
    let lacking: Vec<&str> = [("valid", valid.is_empty()), ("test", test.is_empty())]
        .into_iter()
        .filter_map(|(key, empty)| empty.then_some(key))
        .collect();
    if lacking.is_empty() {
        return Ok((valid, test));
    }
    Err(Error::input(format!(
        "no domain has `{}`: {} reads training, validation and test data together, or refuses",
        lacking.join("` nor `"),
        job.trainer
    ))
    .help("add `valid` and `test` to a domain of the mapping"))
}

/// How prefixes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Between blanks.
    Words,
    /// In quotes.
    Strings,
}

/// Refuses prefixes that would be read as something else.
fn check_prefixes(job: &Job<'_>, form: Form) -> Result<()> {
    for entry in &job.entries {
        let held_out = |of: fn(&Source) -> &Option<String>| of(&entry.source).as_deref();
        let prefixes = [
            ("path", Some(entry.path())),
            ("valid", held_out(|s| &s.valid)),
            ("test", held_out(|s| &s.test)),
        ];
        for (key, prefix) in prefixes {
            let Some(prefix) = prefix else { continue };
            if let Some(problem) = misread(prefix, form) {
                let error = entry.error(key, format!("{}: {}", quoted(prefix), problem.0));
                return Err(error.help(problem.1));
            }
        }
    }
    Ok(())
}

/// What is wrong with a prefix, and what to do.
fn misread(prefix: &str, form: Form) -> Option<(&'static str, &'static str)> {
    // Python's `float` takes `_` between digits.
    let number = prefix.replace('_', "").parse::<f64>().is_ok();
    let parted = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\');
    if number {
        return Some((
            "it would be read as a weight",
            "write `./` before it, or name it otherwise",
        ));
    }
    if prefix.ends_with(".bin") || prefix.ends_with(".idx") {
        return Some((
            "expected the prefix that the two files share, without `.bin` and `.idx`",
            "remove the ending",
        ));
    }
    if form == Form::Words && (prefix.contains(parted) || prefix.starts_with('-')) {
        return Some((
            "the list is taken apart at blanks, and quotes and a `-` at the beginning mean something \
             else",
            "link the data to a path without them, or export to `megatron-json`",
        ));
    }
    None
}
