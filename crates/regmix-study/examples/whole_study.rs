//! A whole study from Rust: text in a folder, a configuration, every step, and the
//! report. The models are too small to learn anything, so that it takes a second.
//!
//! ```sh
//! cargo run --release -p regmix-study --example whole_study
//! ```
#![allow(clippy::print_stdout)] // Its result goes there.

use std::path::Path;

use regmix_data::{Error, Result, Silent};
use regmix_model::{Device, DeviceSpec};
use regmix_study::{Context, Study, TrainOptions};

const CONFIG: &str = r#"
[study]
name = "example"
seed = 7
[corpus]
path = "text"
valid_share = 0.2
[tokenizer]
kind = "bytes"
[design]
runs = 10
[proxy]
preset = "nano"
layers = 1
d_model = 16
heads = 2
d_ff = 16
context = 16
steps = 8
batch_size = 4
lr = 4e-3
evaluations = 2
eval_sequences = 4
[target]
preset = "nano"
layers = 1
d_model = 16
heads = 2
d_ff = 16
context = 16
steps = 12
batch_size = 4
lr = 4e-3
[fit]
regressors = ["linear"]
folds = 3
"#;

/// A domain for each file.
fn write_text(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    for (domain, word) in [("web", "page"), ("code", "fn"), ("law", "section")] {
        let line = |i: usize| {
            format!(
                "{{\"text\": \"{word} {i} of the {domain}, and {word} {}\"}}\n",
                3 * i
            )
        };
        let path = folder.join(format!("{domain}.jsonl"));
        let lines: String = (0..60).map(line).collect();
        std::fs::write(&path, lines).map_err(|e| Error::io(&path, e))?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("regmix-study-{}", std::process::id()));
    write_text(&folder.join("text"))?;
    let study = Study::init_with(&folder, CONFIG)?;
    let cx = Context {
        monitor: &Silent,
        redo: false,
    };
    study.tokenize(cx)?;
    study.design(cx)?;
    let device = Device::open(DeviceSpec::Cpu)?;
    study.train(&device, TrainOptions::parallel(2), cx)?;
    study.fit(cx)?;
    let found = study.optimize(cx)?;
    for (domain, weight) in found.mixture.iter() {
        println!("{domain} {weight:.3}");
    }
    let report = study.report(&Silent)?;
    let page = std::fs::read_to_string(&report).map_err(|e| Error::io(&report, e))?;
    println!("a report of {} bytes", page.len());
    assert!(page.contains("The mixture") && page.contains("law"));
    assert_eq!(
        found.support.out_of_distribution,
        page.contains("Out of distribution")
    );
    let _ = std::fs::remove_dir_all(folder);
    Ok(())
}
