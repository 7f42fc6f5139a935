//! `regmix demo`: every step of a study, one after the other.

use std::time::Instant;

use regmix_data::{Error, Result};
use regmix_model::Device;
use regmix_study::{DemoCorpus, Study, TrainOptions, files};
use serde_json::json;

use super::init::require_text;
use crate::args::DemoArgs;
use crate::output::command_line;
use crate::output::progress::duration;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &DemoArgs) -> Result<()> {
    let begun = Instant::now();
    let _metrics = session.serve_metrics(args.compute.metrics_listen.as_deref())?;
    let device = Device::open(args.compute.device)?;
    let options = TrainOptions::parallel(args.compute.parallel);
    let context = session.context(false);
    if let Some(corpus) = &args.corpus {
        require_text(corpus)?;
    }
    let (study, embedded) = Study::demo(&args.out, args.corpus.as_deref(), session.display)?;
    if let Some(embedded) = embedded {
        message_corpus(session, &embedded);
    }
    if let Some(summary) = study.tokenize(context)? {
        session.message(&format!(
            "{:.1} MB became {:.2} M tokens at {:.1} MB/s",
            summary.bytes as f64 / 1e6,
            summary.tokens as f64 / 1e6,
            summary.megabytes_per_second()
        ));
        if args.corpus.is_some() {
            session.message(&show::read_files(&summary));
            for line in show::left_out(&summary) {
                session.display.line(&line);
            }
        }
    }
    study.design(context)?;
    study.train(&device, options, context)?;
    let fit = study.fit(context)?;
    session.message(&show::league(&fit));
    let found = study.optimize(context)?;
    let check = study.target(&device, options, &[], context)?;
    let check = check.ok_or_else(|| Error::failed("some targets were not trained"))?;
    let report = study.report(session.display)?;
    let all = json!({ "mixture": found, "check": check, "report": report });
    session.print_result(&all, || {
        format!(
            "{}\n{}\nReport:  {}\nMixture: {}\n\n{}",
            show::mixture(&found),
            show::check(&check),
            report.display(),
            study.path(files::MIXTURE).display(),
            next_commands(&study)
        )
    })?;
    session.message(&format!(
        "demo took {}",
        duration(begun.elapsed().as_secs_f64())
    ));
    Ok(())
}

/// What the corpus of the demo consists of.
fn message_corpus(session: &Session<'_>, corpus: &DemoCorpus) {
    session.message("corpus: sources of regmix's own dependencies, from cargo's registry folder");
    session.message(&show::demo_corpus(corpus));
}

/// What can be tried in the study of the demo.
fn next_commands(study: &Study) -> String {
    let in_study = |verb| command_line::in_study(study.root(), verb);
    let commands = [
        (in_study("status"), "what is done"),
        (
            in_study("predict --mixtures mine.csv"),
            "predict your own mixtures",
        ),
        (
            in_study("optimize --redo"),
            "change the objective in study.toml, then",
        ),
        (
            "regmix -C my-study init --corpus PATH".to_owned(),
            "a study of your own text",
        ),
    ];
    let lines = commands.map(|(command, what)| format!("  {command:<60} # {what}\n"));
    format!("Next:\n{}", lines.concat())
}
