//! `regmix eval`: accuracies of trained models.

use std::path::Path;

use regmix_data::held_out::HeldOut;
use regmix_data::{Error, Result, artefact};
use regmix_model::Device;
use regmix_study::eval::{Evaluation, Questions, Sample, evaluate};
use regmix_study::tables::refuse_to_overwrite;
use serde::Serialize;

use crate::args::EvalArgs;
use crate::session::Session;
use crate::show;

/// A line of the samples.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a Path,
    #[serde(flatten)]
    sample: &'a Sample,
}

pub(super) fn run(session: &Session<'_>, args: &EvalArgs) -> Result<()> {
    if let Some(path) = &args.samples {
        refuse_to_overwrite(path, args.redo)?;
    }
    let held_out = HeldOut {
        questions: args.questions,
        context: args.context,
        continuation: args.continuation,
    };
    let questions = Questions {
        tasks: (args.tasks.iter().cloned())
            .map(|file| file.with_shots(args.shots, &args.examples))
            .collect(),
        limit: args.limit,
        held_out: (args.held_out || args.tasks.is_empty()).then_some(held_out),
        seed: args.seed,
    };
    let device = Device::open(args.device)?;
    let evaluations = (args.models.iter())
        .map(|model| {
            let folder = session.folder.join(model);
            let monitor = session.display;
            evaluate(&folder, session.folder, &questions, &device, monitor)
        })
        .collect::<Result<Vec<Evaluation>>>()?;
    if let Some(path) = &args.samples {
        let mut text = String::new();
        for Evaluation { model, samples, .. } in &evaluations {
            for sample in samples {
                let line = serde_json::to_string(&Line { model, sample });
                text.push_str(&line.map_err(|e| Error::failed(e.to_string()))?);
                text.push('\n');
            }
        }
        artefact::write_atomic(path, text.as_bytes())?;
    }
    session.print_result(&evaluations, || show::evaluations(&evaluations))
}
