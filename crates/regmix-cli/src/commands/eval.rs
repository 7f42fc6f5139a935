//! `regmix eval`: accuracies of trained models.

use regmix_data::held_out::HeldOut;
use regmix_data::{Error, Result, artefact};
use regmix_model::Device;
use regmix_study::eval::{Evaluation, Questions, evaluate};
use regmix_study::tables::refuse_to_overwrite;

use crate::args::EvalArgs;
use crate::session::Session;
use crate::show;

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
        tasks: args.tasks.clone(),
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
        for evaluation in &evaluations {
            for sample in &evaluation.samples {
                let mut line = serde_json::json!({"model": evaluation.model});
                let sample = serde_json::to_value(sample);
                let sample = sample.map_err(|e| Error::failed(e.to_string()))?;
                if let (Some(line), Some(sample)) = (line.as_object_mut(), sample.as_object()) {
                    line.extend(sample.clone());
                }
                text.push_str(&format!("{line}\n"));
            }
        }
        artefact::write_atomic(path, text.as_bytes())?;
    }
    session.print_result(&evaluations, || show::evaluations(&evaluations))
}
