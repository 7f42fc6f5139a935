//! The demo: every verb in turn.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use regmix_data::Result;
use regmix_model::Device;
use regmix_study::Study;

use super::{Session, command, show};
use crate::args::{Compute, Format};
use crate::output::progress::duration;
use crate::output::table::table;
use crate::output::{print, print_json, say};

pub(super) fn demo(
    session: &Session<'_>,
    corpus: Option<&Path>,
    out: &Path,
    compute: &Compute,
) -> Result<ExitCode> {
    let begun = Instant::now();
    let device = Device::open(compute.device)?;
    let cx = session.context(false);
    let tell = |line: String| {
        if !session.args.quiet {
            say(&line);
        }
    };
    if let Some(corpus) = corpus {
        super::study::text_at(corpus)?;
    }
    let (study, embedded) = Study::demo(out, corpus)?;
    if let Some(embedded) = embedded {
        tell(
            "corpus: sources of regmix's own dependencies, from cargo's registry folder".to_owned(),
        );
        let rows = embedded.sizes().into_iter().map(|(kind, [train, valid])| {
            vec![
                kind.to_owned(),
                format!("{:.2}", train as f64 / 1e6),
                format!("{:.2}", valid as f64 / 1e6),
            ]
        });
        tell(table(&["domain", "train MB", "valid MB"], rows));
    }
    if let Some(summary) = study.tokenize(cx)? {
        tell(format!(
            "{:.1} MB became {:.2} M tokens at {:.1} MB/s",
            summary.bytes as f64 / 1e6,
            summary.tokens as f64 / 1e6,
            summary.megabytes_per_second()
        ));
    }
    study.design(cx)?;
    study.train(&device, compute.parallel, cx)?;
    let fit = study.fit(cx)?;
    tell(show::league_text(&fit));
    let found = study.optimize(cx)?;
    let check = study.target(&device, compute.parallel, &[], cx)?;
    let report = study.report()?;
    match session.args.format {
        Format::Json => {
            print_json(&serde_json::json!({ "mixture": found, "check": check, "report": report }))?
        }
        Format::Table => {
            print(&show::mixture(&found));
            print("\n");
            print(&show::check(&check));
            print(&format!(
                "\nReport:  {}\nMixture: {}\n",
                report.display(),
                study.path("mixture.json").display()
            ));
            print("\nNext:\n");
            for (what, verb) in [
                ("what is done", "status"),
                ("predict your own mixtures", "predict --mixtures mine.csv"),
                (
                    "change the objective in study.toml, then",
                    "optimize --redo",
                ),
            ] {
                print(&format!("  {:<60} # {what}\n", command(study.root(), verb)));
            }
            print(&format!(
                "  {:<60} # a study of your own text\n",
                "regmix -C my-study init --corpus PATH"
            ));
        }
    }
    tell(format!(
        "demo took {}",
        duration(begun.elapsed().as_secs_f64())
    ));
    Ok(ExitCode::SUCCESS)
}
