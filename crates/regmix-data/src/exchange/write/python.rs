//! Trainers that are set up in Python: litgpt, Hugging Face's datasets, torchtitan.

use std::fmt::Write;

use super::text::{quoted, quoted_list};
use super::{Entry, Job, one_file};
use crate::error::{Error, Result};
use crate::exchange::exported_file::ExportedFile;

/// A `CombinedStreamingDataset`. It takes weights only when it does not have to
/// read everything.
pub(super) fn lit_gpt(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    let Some(length) = job.run.sequence_length else {
        return Err(Error::input(
            "litgpt cuts its data by the tokens of a sequence: expected them",
        )
        .field("run.sequence_length")
        .help("add `sequence_length` under `[run]`, or give `--sequence-length`"));
    };
    let mut text = String::from(
        "from litdata import CombinedStreamingDataset, StreamingDataset, TokensLoader\n\ndatasets = [\n",
    );
    for entry in job.drawn(0) {
        let _ = writeln!(
            text,
            "    StreamingDataset({}, item_loader=TokensLoader(block_size={}), shuffle=True, \
             drop_last=True),",
            quoted(entry.path()),
            // A sequence, and the token that follows it.
            length + 1
        );
    }
    let _ = writeln!(
        text,
        "]\ntrain = CombinedStreamingDataset(\n    datasets, seed={}, weights={}, \
         iterate_over_all=False\n)",
        job.seed(),
        tuple(job.drawn(0).map(|e| e.weight(0)))
    );
    Ok(one_file("data.py", text))
}

/// `interleave_datasets` over documents.
pub(super) fn hf_datasets(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    let mut text =
        String::from("from datasets import interleave_datasets, load_dataset\n\nsources = [\n");
    let mut epochs = Vec::new();
    for entry in job.drawn(0) {
        let _ = writeln!(text, "    {},  # {}", load(entry)?, entry.account.domain);
        epochs.push(entry.account.epochs);
    }
    // The first set that ends would end the run: only where all outlast it.
    let all_last = epochs.iter().all(|e| e.is_some_and(|e| e <= 1.0));
    let none_last = epochs.iter().all(|e| e.is_some_and(|e| e > 1.0));
    let strategy = if all_last {
        "first_exhausted"
    } else {
        "all_exhausted"
    };
    let _ = write!(
        text,
        "]\ntrain = interleave_datasets(\n    sources,\n    probabilities={},\n    seed={},\n    \
         stopping_strategy=\"{strategy}\",\n)\n",
        super::text::list(job.drawn(0).map(|e| e.weight(0))),
        job.seed()
    );
    if none_last {
        text.push_str("# Every source is read more than once.\ntrain = train.repeat(None)\n");
    }
    Ok(one_file("data.py", text))
}

/// How a source is loaded: by the ending of its files, or from the hub.
fn load(entry: &Entry<'_>) -> Result<String> {
    let places: Vec<&str> = entry.source.places().collect();
    if let [name] = places[..]
        && let Some(name) = name
            .strip_prefix("hf://datasets/")
            .or(name.strip_prefix("hf://"))
    {
        let name = quoted(name);
        return Ok(format!(
            "load_dataset({name}, split=\"train\", streaming=True)"
        ));
    }
    let mut builders = places.iter().map(|place| builder(place));
    let first = builders.next().flatten();
    match first {
        Some(first) if builders.all(|b| b == Some(first)) => Ok(format!(
            "load_dataset(\"{first}\", data_files={}, split=\"train\", streaming=True)",
            quoted_list(places)
        )),
        _ => Err(entry
            .error(
                "path",
                format!(
                    "{}: expected files of one kind: .jsonl, .json, .parquet, .csv, .txt or .arrow, \
                     also compressed (.gz, .zst), or `hf://owner/name`",
                    quoted_list(places)
                ),
            )
            .help("name the files, for example by `web/*.parquet`")),
    }
}

fn builder(place: &str) -> Option<&'static str> {
    let plain = [".gz", ".zst", ".bz2", ".xz"]
        .iter()
        .find_map(|end| place.strip_suffix(end))
        .unwrap_or(place);
    Some(match plain.rsplit_once('.')?.1 {
        "jsonl" | "json" => "json",
        "parquet" => "parquet",
        "csv" => "csv",
        "txt" => "text",
        "arrow" => "arrow",
        _ => return None,
    })
}

/// A `DatasetMixConfig` over sets that the user defines.
pub(super) fn torch_titan(job: &Job<'_>) -> Result<Vec<ExportedFile>> {
    let mut text = format!(
        "# torchtitan draws {}. Define a data set of each name before this.\nmix = DatasetMixConfig(\n    \
         datasets=(\n",
        job.unit
    );
    for entry in job.drawn(0) {
        if !is_identifier(&entry.name) {
            let problem = format!(
                "{}: torchtitan's mixture is Python, expected a name of Python",
                quoted(&entry.name)
            );
            let error = entry.error("name", problem);
            return Err(
                error.help("add `name = \"...\"` of letters, digits and `_` to the mapping")
            );
        }
        let path = entry.source.places().next();
        let comment = path.map_or_else(String::new, |path| format!("  # {path}"));
        let _ = writeln!(
            text,
            "        WeightedDataset(dataset={}, weight={}),{comment}",
            entry.name,
            entry.weight(0)
        );
    }
    text.push_str("    ),\n)\n");
    Ok(one_file("mix.py", text))
}

/// A name of Python, in ASCII, that is no word of the language.
fn is_identifier(name: &str) -> bool {
    const KEYWORDS: [&str; 35] = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class",
        "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global",
        "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return",
        "try", "while", "with", "yield",
    ];
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(word)
        && !KEYWORDS.contains(&name)
}

/// A tuple, also of one.
fn tuple(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match items.len() {
        1 => format!("({},)", items[0]),
        _ => format!("({})", items.join(", ")),
    }
}
